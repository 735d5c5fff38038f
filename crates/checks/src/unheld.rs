//! An address that a guest is meant to have and that nobody holds: whatever is sent to it dies of that, not of a
//! firewall. Only a guest that can be looked into tells why itself.

use std::net::IpAddr;

use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::intent::Instance;
use model::path::{Direction, Exchange, Place, Stage};
use model::probe::ProbeResult;

use crate::contradiction::Asking;
use crate::dhcp_told;
use crate::diagnose::{Case, Request, start_of};
use crate::evidence;
use crate::ladder::{Rung, Symptom};
use crate::neighbours;
use crate::purpose::Part;
use crate::ranking::Ranked;
use crate::restart::{operand, typed};
use crate::said;
use crate::scope::Subject;

/// What came of a question that nobody answers.
const NOBODY: &str = "nobody answers ARP for it";

/// An instance none of whose addresses anybody answers for.
pub(crate) struct Unheld<'c> {
    /// Who is meant to have them.
    pub(crate) instance: &'c Instance,
    /// Who asked in vain.
    asked: Evidence,
}

/// Whether the one that a question is to reach is such an instance; `None` too where nobody asked who has its address,
/// and where the walk does not let the question come to it.
pub(crate) fn of<'c>(asking: &Asking<'c>) -> Option<Unheld<'c>> {
    let Asking { case, rung, .. } = *asking;
    if rung.purpose.part() != Part::IsAsked || !rung.answer.answered {
        return None;
    }
    let at = rung.purpose.other().unwrap_or(rung.instance);
    let instance = case.intent.instances.get(at).filter(|one| !one.entered && !one.is_meant_off())?;
    let asked = as_its_host(asking, instance).or_else(|| as_another(asking, instance))?;
    Some(Unheld { instance, asked })
}

/// Whether anybody has answered for one of its addresses: ARP, or whoever has pinged it.
fn is_held(case: &Case, instance: &Instance) -> bool {
    let is_its = |ip: IpAddr| instance.fixed().any(|own| IpAddr::V4(own) == ip);
    let mut answered = case.probes.iter().filter(|probe| is_its(probe.to));
    case.holders.iter().any(|held| is_its(held.address) && !held.stations.is_empty())
        || answered.any(|probe| probe.received > 0)
}

/// Its host has asked for its addresses, and nobody answered.
fn as_its_host(asking: &Asking, instance: &Instance) -> Option<Evidence> {
    asked_by_host(asking.case, instance, NOBODY).filter(|_| !is_held(asking.case, instance))
}

/// How its host has asked for its address, and what came of it; `None` where it has not.
pub(crate) fn asked_by_host(case: &Case, instance: &Instance, said: &str) -> Option<Evidence> {
    let is_its = |ip: IpAddr| instance.fixed().any(|own| IpAddr::V4(own) == ip);
    let asked = case.holders.iter().find(|held| !held.is_own && is_its(held.address))?;
    let ns = case.snapshot.main_netns(&asked.machine)?;
    let command = format!("arping -D -c 2 -I {} {}", typed(&asked.link), asked.address);
    Some(evidence::record(EvidenceKind::Probe, evidence::within(ns, &command), said))
}

/// As another instance it was asked for before anything was sent to it; nothing was sent then.
fn as_another(asking: &Asking, instance: &Instance) -> Option<Evidence> {
    let Asking { probe, .. } = *asking;
    let is_its = instance.fixed().any(|own| IpAddr::V4(own) == probe.to);
    (is_its && is_unresolved(probe) && !is_held(asking.case, instance)).then(|| said::evidence(probe))
}

/// It was to be sent as an instance, and nobody answered for its next hop.
fn is_unresolved(probe: &ProbeResult) -> bool {
    probe.by_host && probe.sent == 0 && probe.send_error.is_some()
}

/// That nothing was sent as the instance for want of an answer to its ARP, whoever that was to come from.
pub(crate) fn unasked(asking: &Asking) -> Option<Finding> {
    let Asking { case, rung, probe, instance, .. } = *asking;
    let why = probe.send_error.as_deref().filter(|_| is_unresolved(probe))?;
    let neighbour = neighbours::of_next_hop(asking);
    if let Some(lost) = neighbour.as_ref().and_then(|neighbour| neighbour.lost(case)) {
        return Some(neighbours::finding(case, &lost, (instance, probe)));
    }
    let first =
        rung.answer.paths.iter().flat_map(|path| &path.hops).find(|hop| hop.at.stage != Stage::Instance);
    Some(Finding {
        code: "lost-at-hop".to_owned(),
        hop: first.map_or_else(|| start_of(rung), |hop| hop.at.clone()),
        direction: Direction::Both,
        exchange: Exchange::Arp,
        summary: format!("{} cannot send to {}: {why}", probe.from, probe.to),
        cause: "the question or its answer is lost on the way, though everything that was read would let both pass: a \
                filter of the bridges between, a switch, a trunk that lacks the VLAN"
            .to_owned(),
        confidence: Confidence::Likely,
        evidence: vec![said::evidence(probe)],
        owner: "unknown".to_owned(),
        remedy: Vec::new(),
        instances: vec![instance.to_owned()],
    })
}

/// The instance that is asked about, where nobody holds its address and no finding is about it: whatever it is to do,
/// it needs that first.
pub(crate) fn subject(
    case: &Case,
    request: &Request,
    rungs: &[Rung],
    findings: &[Ranked],
) -> Option<Finding> {
    let Subject::Instance(at) = request.subject else { return None };
    let instance = case.intent.instances.get(at).filter(|one| !one.entered && !one.is_meant_off())?;
    let is_hit = |known: &Ranked| known.finding.instances.contains(&instance.name);
    let is_open = !rungs.is_empty() && rungs.iter().all(|rung| rung.answer.answered);
    if !is_open || is_held(case, instance) || findings.iter().any(is_hit) {
        return None;
    }
    let asked = asked_by_host(case, instance, NOBODY)?;
    let mut finding = Unheld { instance, asked }.finding(case, (None, None), findings)?;
    if request.symptom != Symptom::Dhcp {
        finding.remedy.push(evidence::advice(
            format!("hopline diagnose {} --symptom dhcp", operand(&instance.name)),
            "whether it would get its address",
        ));
    }
    Some(finding)
}

/// The inside of a guest, of which no more is known.
pub(crate) fn inside(guest: &Instance) -> Place {
    Place { host: guest.name.clone(), netns: String::new(), device: String::new(), stage: Stage::Instance }
}

/// That something is lost in there is told already.
pub(crate) fn is_told(findings: &[Ranked], inside: &Place) -> bool {
    findings.iter().any(|known| known.finding.code == "lost-at-hop" && known.finding.hop == *inside)
}

impl Unheld<'_> {
    /// That nobody has its address, once for all that was lost of it. `asker` was asked about, and `lost` is what it
    /// asked in vain.
    pub(crate) fn finding(
        self,
        case: &Case,
        (asker, lost): (Option<&Instance>, Option<&ProbeResult>),
        findings: &[Ranked],
    ) -> Option<Finding> {
        let Unheld { instance, asked } = self;
        let name = &instance.name;
        let hop = inside(instance);
        if is_told(findings, &hop) {
            return None;
        }
        let far = asker.filter(|asker| asker.host != instance.host);
        let between = far.map_or_else(String::new, |asker| {
            format!("; or ARP for it is lost between {} and {}", asker.host, instance.host)
        });
        let addresses: Vec<String> = instance.fixed().map(|own| own.to_string()).collect();
        let hit = [name].into_iter().chain(asker.map(|asker| &asker.name).filter(|other| *other != name));
        let mut shown = vec![asked];
        shown.extend(lost.map(said::evidence).filter(|lost| !shown.contains(lost)));
        shown.extend(dhcp_told::evidence(case, instance));
        Some(Finding {
            code: "lost-at-hop".to_owned(),
            hop,
            direction: Direction::Reply,
            exchange: Exchange::Arp,
            summary: format!("nobody answers for {}, the address of {name}", addresses.join(", ")),
            cause: format!(
                "{name} is off, hangs or is still starting; or it has lost its lease, or goes by another \
                 address{between}"
            ),
            confidence: Confidence::Likely,
            evidence: shown,
            owner: "instance".to_owned(),
            remedy: vec![evidence::advice(
                format!("nova console-log {}", operand(name)),
                "where it has come to; by its console then: ip addr, and a DHCP client for its NIC (dhclient eth0)",
            )],
            instances: hit.cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use model::probe::{PING_OCTETS, ProbeResult};

    use crate::fixture::{Cloud, codes, held, pinged};

    /// A cloud whose web1 is closed and answers nobody, and whose host has asked in vain who has its address.
    fn nobodys(mut cloud: Cloud) -> Cloud {
        cloud.close("web1");
        let silent =
            |from: &str, to: &str| ProbeResult { to: to.parse().unwrap(), ..pinged(from, PING_OCTETS, 0) };
        cloud.probes = vec![silent("compute1", "10.0.2.24"), silent("external", "203.0.113.30")];
        cloud.holders = vec![held("br100", "10.0.2.24", &[], false)];
        cloud
    }

    #[test]
    fn what_nobody_holds_is_told_once_and_nothing_is_said_of_firewalls() {
        let mut cloud = nobodys(crate::fixture::healthy());
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told), ["lost-at-hop web1//"]);
        assert_eq!(told.findings[0].summary, "nobody answers for 10.0.2.24, the address of web1");
        assert!(told.findings[0].evidence[0].source.ends_with("arping -D -c 2 -I br100 10.0.2.24"));
        // Another machine has it, which is another story; or nobody asked.
        for holders in
            [vec![held("br100", "10.0.2.24", &[model::Mac([2, 0, 0, 0, 0, 9])], false)], Vec::new()]
        {
            cloud.holders = holders;
            assert!(!codes(&cloud.diagnose("web1")).contains(&"lost-at-hop web1//".to_owned()));
        }
    }

    #[test]
    fn what_kept_it_from_its_address_comes_first_and_alone() {
        for code in ["input-blocks-dhcp", "dnsmasq-not-running"] {
            let found = codes(&nobodys(crate::fixture::broken(code)).diagnose("web1"));
            assert!(found.len() == 1 && found[0].starts_with(code), "{found:?}");
        }
    }

    #[test]
    fn a_neighbour_that_asked_in_vain_blames_the_one_who_is_not_there() {
        let mut cloud = crate::fixture::healthy();
        cloud.close("web1");
        cloud.close("web2");
        let unsent = Some("nobody answers ARP who has 10.0.2.24 tell 10.0.2.25, asked 1 times".to_owned());
        let to = [10, 0, 2, 24].into();
        let asked =
            ProbeResult { to, by_host: true, sent: 0, send_error: unsent, ..pinged("web2", PING_OCTETS, 0) };
        let told = cloud.diagnose_with("web2", std::slice::from_ref(&asked));
        assert_eq!(codes(&told), ["lost-at-hop web1//"]);
        assert_eq!(told.findings[0].instances, ["web1", "web2"]);
        // Its host hears it: something between is in the way, and not the sender's own stack.
        let own = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let pinged = ProbeResult { to, ..pinged("compute1", PING_OCTETS, 2) };
        for (holders, probes) in [
            (vec![held("br100", "10.0.2.24", &[own], false)], vec![asked.clone()]),
            (Vec::new(), vec![asked.clone(), pinged]),
        ] {
            cloud.holders = holders;
            let told = cloud.diagnose_with("web2", &probes);
            assert_eq!(codes(&told), ["lost-at-hop compute1//vnet1"]);
            assert!(
                told.findings[0].summary.starts_with("web2 cannot send to 10.0.2.24: nobody answers ARP")
            );
        }
    }
}
