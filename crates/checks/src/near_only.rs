//! A guest that answers its own network and nobody beyond it, or ARP and no pings: its answers have no way back, or it
//! means it so. Only a guest that can be looked into tells which.

use model::finding::{Confidence, Finding};
use model::intent::Instance;
use model::path::{Direction, Place};
use model::probe::ProbeResult;

use crate::contradiction::Asking;
use crate::diagnose::{Case, probe_of};
use crate::evidence;
use crate::ladder::{Purpose, Rung};
use crate::ranking::Ranked;
use crate::watched::{self, Parted};
use crate::{own_will, said, traced, unheld};

/// An instance that was asked from beyond its network in vain, and is there.
pub(crate) struct NearOnly<'c> {
    instance: &'c Instance,
    answers: Answers<'c>,
}

/// What it answers.
enum Answers<'c> {
    /// Its host's question.
    Its(&'c ProbeResult),
    /// Who asks for its MAC, and no pings.
    Arp,
}

/// Whether what came to the guest's NIC from beyond found no answer, while its host's did.
pub(crate) fn of<'c>(asking: &Asking<'c>, parted: &Parted) -> Option<NearOnly<'c>> {
    let Asking { case, rung, answered, .. } = *asking;
    let instance = case.intent.instances.get(rung.instance).filter(|one| !one.entered)?;
    let is_near = |other: &&Rung| {
        other.instance == rung.instance && matches!(other.purpose, Purpose::Served | Purpose::ServedSsh)
    };
    // Who answers somebody beyond has a way back.
    let is_beyond = |other: &Rung| other.instance == rung.instance && is_from_beyond(other);
    if answered.iter().any(is_beyond) {
        return None;
    }
    let near = answered.iter().find(is_near).and_then(|near| probe_of(case, near));
    let is_there = || own_will::is_there(case.holders, instance) == Some(true);
    let answers = match near {
        Some(near) => Answers::Its(near),
        None if is_there() && matches!(rung.purpose, Purpose::Inbound(_)) => Answers::Arp,
        None => return None,
    };
    (is_from_beyond(rung) && is_turn(instance, parted)).then_some(NearOnly { instance, answers })
}

impl NearOnly<'_> {
    /// That nobody beyond is answered, once for all that was lost of it.
    pub(crate) fn finding(&self, asking: &Asking, parted: &Parted, findings: &[Ranked]) -> Option<Finding> {
        let Asking { case, rung, probe, .. } = *asking;
        let NearOnly { instance, answers } = self;
        let name = &instance.name;
        let hop = unheld::inside(instance);
        if unheld::is_told(findings, &hop) {
            return None;
        }
        let (summary, cause, advised) = match answers {
            Answers::Its(near) => (
                format!("{name} answers {} on its own network, and nobody beyond", near.from),
                format!(
                    "{name} has no default route or a wrong gateway{}; or its own firewall keeps out who is not its \
                     neighbour",
                    self.wants(case)
                ),
                evidence::advice(
                    format!("in {name}, by its console: ip route; ip neigh; iptables -nvL INPUT"),
                    "a default route by its gateway is what its lease gives it: ask for it anew (dhclient eth0)",
                ),
            ),
            Answers::Arp => (
                format!("{name} answers ARP, and no pings"),
                format!("{name}'s own firewall drops them, or net.ipv4.icmp_echo_ignore_all is set there"),
                evidence::advice(
                    format!("in {name}, by its console: iptables -nvL INPUT; nft list ruleset"),
                    "its groups let pings pass; Windows drops them by default",
                ),
            ),
        };
        let near = match answers {
            Answers::Its(near) => Some(said::evidence(near)),
            Answers::Arp => unheld::asked_by_host(case, instance, "it answers ARP with its own MAC"),
        };
        Some(Finding {
            code: "lost-at-hop".to_owned(),
            hop,
            direction: Direction::Reply,
            exchange: probe.asked.exchange(),
            summary,
            cause,
            confidence: Confidence::Likely,
            evidence: watched::counted(case, parted, rung, probe)
                .into_iter()
                .chain(near)
                .chain([said::evidence(probe)])
                .chain(traced::evidence(case, rung))
                .collect(),
            owner: "instance".to_owned(),
            remedy: vec![advised],
            instances: vec![name.clone()],
        })
    }

    /// Which gateway it should have, in brackets.
    fn wants(&self, case: &Case) -> String {
        let network = self.instance.vifs.iter().find_map(|vif| case.intent.networks.get(vif.network?));
        let gateway = network.and_then(|network| network.gateway_on(&self.instance.host));
        gateway.map_or_else(String::new, |gateway| format!(" (its gateway is {gateway})"))
    }
}

/// Somebody asks the instance who is no neighbour of its.
fn is_from_beyond(rung: &Rung) -> bool {
    matches!(rung.purpose, Purpose::Inbound(_) | Purpose::InboundBy(..) | Purpose::Ssh(_))
}

/// The question was seen at the guest's NIC, and no answer.
fn is_turn(instance: &Instance, parted: &Parted) -> bool {
    let is_its = |at: &Place| {
        at.host == instance.host && instance.vifs.iter().any(|vif| vif.device.as_ref() == Some(&at.device))
    };
    parted.direction == Direction::Reply
        && parted.before.is_some_and(|before| before.at.same_device(&parted.at.at) && is_its(&before.at))
}

#[cfg(test)]
mod tests {
    use model::path::Exchange;
    use model::probe::{Asked, DeviceWatch, PING_OCTETS, ProbeResult, ProbeSeen};

    use crate::diagnose::{Case, Request, diagnose};
    use crate::fixture::{Cloud, codes, healthy, pinged};
    use crate::ladder::Symptom;
    use crate::scope::Subject;

    /// A cloud whose web1 is closed and answers its host this often, and the outside, whose pings came to its NIC, not.
    fn near_only(received: u32) -> Cloud {
        let mut cloud = healthy();
        cloud.close("web1");
        let to = |from: &str, to: &str, received| ProbeResult {
            to: to.parse().unwrap(),
            ..pinged(from, PING_OCTETS, received)
        };
        cloud.probes = vec![to("compute1", "10.0.2.24", received), to("external", "203.0.113.30", 0)];
        let seen = ProbeSeen {
            exchange: Exchange::Icmp,
            octets: Some(PING_OCTETS),
            port: None,
            from: "external".to_owned(),
            to: [203, 0, 113, 30].into(),
            requests: 2,
            replies: 0,
            frames: Vec::new(),
            recorded: None,
        };
        let watch = |device: &str| DeviceWatch {
            machine: "compute1".to_owned(),
            netns: String::new(),
            device: device.to_owned(),
            probes: vec![seen.clone()],
            clients: Vec::new(),
            neighbours: Vec::new(),
            is_recorded: false,
        };
        cloud.watches = vec![watch("eth0"), watch("vnet0")];
        cloud
    }

    #[test]
    fn who_answers_its_neighbours_and_nobody_beyond_lacks_a_way_back_or_means_it() {
        let told = near_only(2).diagnose("web1");
        assert_eq!(codes(&told), ["lost-at-hop web1//"]);
        assert!(
            told.findings[0].cause.contains("no default route or a wrong gateway (its gateway is 10.0.0.42)")
        );
        let silent = near_only(0).diagnose("web1");
        assert!(!codes(&silent).contains(&"lost-at-hop web1//".to_owned()), "{:?}", codes(&silent));
    }

    #[test]
    fn who_answers_pings_from_beyond_has_a_way_back_whatever_else_is_silent() {
        let mut cloud = near_only(2);
        cloud.probes[1].received = 2;
        let asked = Asked::Connection { port: 22, accepted: false, page: None, greeting: None };
        let ssh = ProbeResult { asked, received: 0, ..cloud.probes[1].clone() };
        cloud.probes.push(ssh);
        for watch in &mut cloud.watches {
            watch.probes[0].replies = 2;
            let syn = ProbeSeen {
                exchange: Exchange::Tcp,
                octets: None,
                port: Some(22),
                replies: 0,
                ..watch.probes[0].clone()
            };
            watch.probes.push(syn);
        }
        let case = Case { watches: &cloud.watches, ..cloud.case() };
        let request = Request { subject: Subject::Instance(0), to: None, symptom: Symptom::Ssh };
        let told = diagnose(&case, &request);
        assert_eq!(codes(&told).len(), 1, "{:?}", codes(&told));
        assert!(!told.findings[0].cause.contains("no default route"), "{:?}", told.findings);
    }
}
