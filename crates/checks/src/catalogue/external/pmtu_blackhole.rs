//! # pmtu-blackhole
//!
//! Packets of full size vanish on the way without a word, and small ones are answered.
//!
//! ## What it means
//! A link on the way takes smaller packets than the instance's own. Who cannot pass one on must say so, by ICMP's
//! "fragmentation needed", and the sender makes smaller ones. Here that word does not come back: a firewall drops it,
//! or the loss is where nobody could speak, in a switch or a tunnel. The sender sends the same packet again and again.
//!
//! ## How hopline knows
//! `diagnose` sends an echo as long as the instance's NIC takes, which nobody may fragment, beside a small one. The
//! small one is answered, the long one is not, and no error about it comes either. It is watched at every device of its
//! way: the hop is the first that it does not come to; or, where what was read tells it, the router whose next link is
//! too small. Echoes of several sizes at once tell how large a packet may be. Without packets (`--passive`, a bundle)
//! it is told where all of that router, and of what is on the way back, was read: the walk of the long one ends at its
//! next link, and that of its word about it at a rule, a route or whatever else that does not let it come back.
//!
//! ## What it looks like
//! Ping works; ssh hangs after the greeting, uploads stall. `ping -M do -s 1472 1.2.3.4` prints nothing and `-s 1372`
//! is answered. Where the router may be looked at, `nstat IpFragFails IcmpOutDestUnreachs` rises there.
//!
//! ## Nearest look-alikes
//! * `mtu-tap-small`: the host's own end of the instance's NIC takes less.
//! * `lost-at-hop`: small packets are not answered either.
//!
//! ## Fix
//! Let ICMP type 3 code 4 pass at the router and on the way back. Until then, have the host tell TCP to send less:
//! `iptables -t mangle -A FORWARD -p tcp --syn -d 1.2.3.4 -j TCPMSS --set-mss 1360`, where the largest packet that
//! lives is 1400 octets; undo with `-D`. It helps TCP alone.
//!
//! ## References
//! RFC 1191; RFC 2923; `ip_forward`, net/ipv4/ip_forward.c; iptables-extensions(8), TCPMSS; flannel-io/flannel
//! issue 463.

use model::finding::{Confidence, Evidence, Finding, Remedy};
use model::path::{Direction, Exchange, Hop, Place, Stop};
use model::probe::{Asked, ProbeResult};

use crate::contradiction::Asking;
use crate::diagnose::{is_probe_of, probe_of, start_of};
use crate::evidence;
use crate::explained::Lost;
use crate::found::{Fault, Found, Reach};
use crate::ladder::{Purpose, Rung};
use crate::mend::Mend;
use crate::ranking::Ranked;
use crate::view::View;
use crate::{dropped, explained, next, owner, removal, said, watched};

/// Octets of a TCP segment's headers.
const TCP_HEADERS_OCTETS: u32 = 40;

/// Looks for routers that cannot pass a large packet on and whose word of that is known not to come back. Where it was
/// really sent and anything came back, that is believed; what no walk knows of is judged by answers, in `found`.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (nth, rung) in view.rungs.iter().enumerate() {
        let Purpose::Large(octets) = rung.purpose else { continue };
        let is_known = |probe: &ProbeResult| is_probe_of(probe, rung) && !is_silent(probe);
        let dying = rung.answer.paths.iter().zip(0_usize..).find_map(|(path, at)| match path.stop() {
            Some((hop, Stop::TooBig { mtu })) => Some((hop, *mtu, (nth, at, path.hops.len()))),
            Some(_) | None => None,
        });
        let lost = rung.answer.too_big_told.as_ref().and_then(|word| word.stop());
        let (Some((hop, mtu, order)), Some(lost), false) = (dying, lost, view.probes.iter().any(is_known))
        else {
            continue;
        };
        let name = view.intent().instances.get(rung.instance).map(|instance| instance.name.clone());
        match found.iter_mut().find(|known| known.finding.hop.same_device(&hop.at)) {
            Some(known) => known.finding.instances.extend(name),
            None => found.extend(foreseen(view, rung, (octets, mtu, &hop.at), lost).map(|fault| {
                let fault = Fault { instances: name.into_iter().collect(), ..fault };
                fault.found().breaks(Exchange::Icmp, Direction::Request).met_at(Some(order))
            })),
        }
    }
    found
}

/// Packets of so many octets die at a router whose next link takes less, and its word of that dies too.
fn foreseen<'v>(
    view: &View<'v>,
    rung: &Rung,
    (octets, mtu, at): (u16, u32, &Place),
    (lost_at, stop): (&Hop, &Stop),
) -> Option<Fault<'v>> {
    let router = view.netns_at(at)?;
    let narrow = router.links.iter().filter(|link| link.mtu == mtu && link.admin_up);
    let mut evidence: Vec<Evidence> = narrow.map(|link| evidence::link(router, link)).collect();
    let rule = match stop {
        Stop::Rule(rule) | Stop::Policy(rule) => view.netns_at(&lost_at.at).map(|ns| (ns, rule)),
        _ => None,
    };
    evidence.extend(rule.iter().flat_map(|(ns, rule)| evidence::rule(ns, rule)));
    let (remedy, mend) = match (rule, stop) {
        (Some((ns, rule)), Stop::Rule(_)) => (
            vec![removal::of(ns, rule)],
            vec![Mend::RemoveRule { machine: lost_at.at.host.clone(), rule: rule.clone() }],
        ),
        _ => (Vec::new(), Vec::new()),
    };
    Some(Fault {
        code: "pmtu-blackhole",
        hop: at.clone(),
        summary: format!(
            "packets of {octets} octets from {} to {} vanish without a word: behind {at} they may have {mtu}",
            rung.from, rung.to
        ),
        cause: format!(
            "its word of it, ICMP's \"fragmentation needed\", dies at {}: {}",
            lost_at.at, lost_at.detail
        ),
        confidence: Confidence::Proven,
        evidence,
        owner: rule.map_or("unknown", |(ns, rule)| owner::of(ns, rule).name()),
        remedy,
        instances: Vec::new(),
        stopped: None,
        mend,
    })
}

/// Packets of this many octets were sent and are lost in silence, and nothing that was found explains it.
pub(crate) fn found(asking: &Asking, octets: u16, findings: &[Ranked]) -> Option<Finding> {
    let Asking { case, rung, instance, probe, answered, .. } = *asking;
    if is_foreseen(findings, rung) {
        return None;
    }
    let small = answered.iter().find(|small| next::opens(small, rung))?;
    let parted = watched::parted(case, rung);
    let stopped = rung.answer.paths.iter().find_map(|path| match path.stop() {
        Some((hop, Stop::TooBig { mtu })) => Some((&hop.at, *mtu)),
        Some(_) | None => None,
    });
    // Where it is known to die, nothing explains it that stops other things elsewhere.
    let is_elsewhere = |ranked: &Ranked| {
        let at_host = stopped.is_some_and(|(at, _)| ranked.finding.hop.host == at.host);
        !at_host && ranked.reach != Reach::Host
    };
    let is_known = stopped.is_some() && findings.iter().all(is_elsewhere);
    let lost = Lost { parted: parted.as_ref(), dropped: None };
    if (!is_known && explained::is_by(findings, asking, lost)) || !is_silent(probe) {
        return None;
    }
    let as_large: Vec<&Rung> = answered.iter().filter(|other| other.octets() >= octets).collect();
    let telling = dropped::telling(case, rung, probe).filter(|telling| telling.is_on_way);
    let told = telling.as_ref().map(|telling| &telling.at);
    let seen = told.or(parted.as_ref().map(|parted| &parted.at.at)).or(stopped.map(|(at, _)| at));
    let known = seen.or_else(|| next::uncleared(rung, &as_large));
    let hop = known.or_else(|| farthest(rung)).map_or_else(|| start_of(rung), Clone::clone);
    let counted = parted.iter().flat_map(|parted| watched::counted(case, parted, rung, probe));
    let small = probe_of(case, small).map(said::evidence);
    Some(Finding {
        code: "pmtu-blackhole".to_owned(),
        direction: parted.as_ref().map_or(Direction::Both, |parted| parted.direction),
        exchange: Exchange::Icmp,
        summary: format!(
            "packets of {octets} octets from {} to {} vanish without a word, and small ones are answered",
            probe.from, probe.to
        ),
        cause: cause(&hop, stopped.map(|(_, mtu)| mtu)),
        confidence: if known.is_some() { Confidence::Likely } else { Confidence::Possible },
        evidence: [said::evidence(probe)]
            .into_iter()
            .chain(small)
            .chain(counted)
            .chain(dropped::of(case, rung, probe))
            .collect(),
        owner: "unknown".to_owned(),
        remedy: remedies(asking, &hop, stopped.map(|(_, mtu)| mtu)),
        instances: vec![instance.to_owned()],
        hop,
    })
}

/// It was told already, from what was read.
fn is_foreseen(findings: &[Ranked], rung: &Rung) -> bool {
    let mut ends = rung.answer.paths.iter().filter_map(|path| path.stop());
    ends.any(|(hop, _)| {
        let is_it =
            |known: &Ranked| known.finding.code == "pmtu-blackhole" && known.finding.hop.same_device(&hop.at);
        findings.iter().any(is_it)
    })
}

/// Of small packets some are lost too, of this question or another: what becomes of a large one tells of the way, and
/// not of its size.
pub(crate) fn is_lossy(asking: &Asking) -> bool {
    let Asking { case, rung, answered, .. } = *asking;
    let Purpose::Large(large) = rung.purpose else { return false };
    let is_small = |probe: &&ProbeResult| matches!(probe.asked, Asked::Echo { octets } if octets < large);
    if case.probes.iter().filter(is_small).any(|probe| probe.lost_some() == Some(true)) {
        return true;
    }
    let small = answered.iter().find(|small| next::opens(small, rung));
    small.and_then(|small| probe_of(case, small)).is_some_and(|probe| probe.received < probe.sent)
}

/// It was sent, and neither its receiver, a router nor the sender's own stack said anything.
fn is_silent(probe: &ProbeResult) -> bool {
    probe.sent > 0 && probe.received == 0 && probe.errors.is_empty() && probe.send_error.is_none()
}

/// The last place of its way there.
fn farthest(rung: &Rung) -> Option<&Place> {
    let mut there = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    there.rfind(|path| path.exchange == Exchange::Icmp)?.hops.last().map(|hop| &hop.at)
}

fn cause(hop: &Place, mtu: Option<u32>) -> String {
    match mtu {
        Some(mtu) => format!(
            "behind {hop} packets may have {mtu} octets, and its word of it, ICMP's \"fragmentation needed\", does not \
             come back"
        ),
        None => format!(
            "at {hop} or beyond less is taken, and whoever drops the rest does not say so, or ICMP's \"fragmentation \
             needed\" does not come back"
        ),
    }
}

/// What lets the router speak where it was read, and what does without its word.
fn remedies(asking: &Asking, hop: &Place, mtu: Option<u32>) -> Vec<Remedy> {
    let Asking { case, rung, probe, .. } = *asking;
    let mut remedies = Vec::new();
    if let Some(router) = case.snapshot.main_netns(&hop.host).filter(|_| mtu.is_some()) {
        let rule = "OUTPUT -p icmp --icmp-type fragmentation-needed -j ACCEPT";
        remedies.push(evidence::remedy(
            router,
            &format!("iptables -I {rule}"),
            &format!("iptables -D {rule}"),
            "where its own rules drop the error; else look for who does on the way back",
        ));
    }
    let instance = case.intent.instances.get(rung.instance);
    let server = instance.and_then(|instance| case.intent.servers_of(instance).into_iter().next());
    match (mtu, server.and_then(|server| case.snapshot.main_netns(server))) {
        (Some(mtu), Some(host)) => {
            let segment = mtu.saturating_sub(TCP_HEADERS_OCTETS);
            let rule = format!("FORWARD -p tcp --syn -d {} -j TCPMSS --set-mss {segment}", probe.to);
            remedies.push(evidence::remedy(
                host,
                &format!("iptables -t mangle -A {rule}"),
                &format!("iptables -t mangle -D {rule}"),
                "helps TCP alone, until the error comes back",
            ));
        }
        _ => {
            let command = format!("ping -M do -s 1372 {}", probe.to);
            let note = "mends nothing: smaller and smaller sizes find the largest that lives";
            remedies.push(evidence::advice(command, note));
        }
    }
    remedies
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use model::finding::{Confidence, Outcome};
    use model::netfilter::{Hook, Match, Test};
    use model::path::{Direction, Exchange};
    use model::probe::{DeviceWatch, PING_OCTETS, ProbeResult, ProbeSeen};

    use crate::fixture::{Cloud, base_chain, broken, codes, drops, forwards_by, healthy, inject, pinged};

    const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

    fn large(received: u32) -> ProbeResult {
        pinged("web1", 1500, received)
    }

    fn small(received: u32) -> ProbeResult {
        pinged("web1", PING_OCTETS, received)
    }

    /// The router's next link takes less, which the walk knows.
    fn narrow() -> Cloud {
        let mut cloud = healthy();
        cloud.link("gw", "eth1").mtu = 1400;
        cloud
    }

    #[test]
    fn fires_where_large_packets_die_and_small_ones_live() {
        let diagnosis = broken("pmtu-blackhole").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["pmtu-blackhole gw//eth0"]);
        let finding = &diagnosis.findings[0];
        assert!(finding.cause.contains("1400 octets"), "{}", finding.cause);
        let sources: Vec<&str> = finding.evidence.iter().map(|e| e.source.as_str()).collect();
        assert_eq!(sources, ["ping -M do -s 1472 1.2.3.4 from web1", "ping 1.2.3.4 from web1"]);
        assert!(finding.remedy[1].command.ends_with("--set-mss 1360"), "{:?}", finding.remedy);
    }

    #[test]
    fn fires_unasked_where_the_routers_word_is_known_to_die() {
        let mut cloud = narrow();
        let text = "-A OUTPUT -p icmp --icmp-type 3/4 -j DROP";
        let is_word = |test| Match { negated: false, test };
        let rule = drops(text, vec![is_word(Test::Protocol(1)), is_word(Test::Icmp(3, Some((4, 4))))]);
        forwards_by(&mut cloud, "gw", rule.clone());
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "it does not pass FORWARD there");
        let tables = &mut cloud.netns("gw").ruleset.tables;
        tables.last_mut().unwrap().chains = vec![base_chain(Hook::Output, 0, rule)];
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["pmtu-blackhole gw//eth0"]);
        let finding = &diagnosis.findings[0];
        assert_eq!((finding.confidence, finding.direction), (Confidence::Proven, Direction::Request));
        assert!(finding.summary.ends_with("they may have 1400"), "{}", finding.summary);
        assert!(finding.evidence.iter().any(|line| line.text == text), "{:?}", finding.evidence);
        assert!(
            finding.remedy[0].command.ends_with("-D OUTPUT -p icmp --icmp-type 3/4 -j DROP"),
            "{:?}",
            finding.remedy
        );
        // Asked, it is told once; and what was answered lives, whatever was read.
        assert_eq!(codes(&cloud.diagnose_with("web1", &[small(2), large(0)])), ["pmtu-blackhole gw//eth0"]);
        assert_eq!(codes(&cloud.diagnose_with("web1", &[small(2), large(2)])), [""; 0]);
    }

    #[test]
    fn does_not_hide_behind_what_stops_other_things() {
        let found = |other: &str| {
            let mut cloud = narrow();
            inject(&mut cloud, other);
            codes(&cloud.diagnose_with("web1", &[small(2), large(0)]))
        };
        let hole = "pmtu-blackhole gw//eth0";
        assert_eq!(found("flatif-down"), [hole, "flatif-down compute1//eth1"]);
        let leases = found("dnsmasq-lease-max");
        assert!(leases.contains(&hole.to_owned()) && leases.len() == 2, "{leases:?}");
    }

    #[test]
    fn a_router_that_says_so_is_in_order() {
        let told = ProbeResult { errors: vec![(ROUTER, "fragmentation needed".to_owned())], ..large(0) };
        let diagnosis = narrow().diagnose_with("web1", &[small(2), told]);
        assert_eq!((codes(&diagnosis), diagnosis.outcome), (Vec::new(), Outcome::Healthy));
        // Nobody asked.
        assert_eq!(codes(&narrow().diagnose("web1")), Vec::<String>::new());
        assert_eq!(codes(&narrow().check("gw")), Vec::<String>::new());
    }

    #[test]
    fn the_senders_own_stack_that_says_so_is_in_order() {
        let own = "Message too long (os error 90)".to_owned();
        let refused = ProbeResult { sent: 0, send_error: Some(own), ..large(0) };
        assert_eq!(codes(&healthy().diagnose_with("web1", &[small(2), refused])), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_where_small_packets_die_too_and_where_none_were_sent() {
        let found = codes(&healthy().diagnose_with("web1", &[small(0), large(0)]));
        assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
        assert_eq!(codes(&healthy().diagnose_with("web1", &[large(0)])), Vec::<String>::new());
    }

    #[test]
    fn an_answer_to_one_size_is_none_to_the_other() {
        assert_eq!(codes(&healthy().diagnose_with("web1", &[small(2), large(1)])), Vec::<String>::new());
        let found = codes(&healthy().diagnose_with("web1", &[large(1), small(0)]));
        assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
    }

    #[test]
    fn the_hop_is_the_first_device_that_large_ones_do_not_come_to() {
        let at = |machine: &str, device: &str, large_ones: u32| {
            let seen = |octets, requests, replies| ProbeSeen {
                from: "web1".to_owned(),
                to: Ipv4Addr::new(1, 2, 3, 4).into(),
                exchange: Exchange::Icmp,
                octets: Some(octets),
                port: None,
                requests,
                replies,
                frames: Vec::new(),
                recorded: None,
            };
            let probes = vec![seen(PING_OCTETS, 2, 2), seen(1500, large_ones, 0)];
            let (machine, device) = (machine.to_owned(), device.to_owned());
            let (netns, clients) = (String::new(), Vec::new());
            DeviceWatch {
                machine,
                netns,
                device,
                probes,
                clients,
                neighbours: Vec::new(),
                is_recorded: false,
            }
        };
        let watches = [at("compute1", "vnet0", 2), at("compute1", "eth0", 2), at("gw", "eth0", 0)];
        let diagnosis = healthy().diagnose_watched("web1", &[small(2), large(0)], &watches);
        assert_eq!(codes(&diagnosis), ["pmtu-blackhole gw//eth0"]);
        let finding = &diagnosis.findings[0];
        assert_eq!((finding.confidence, finding.direction), (Confidence::Likely, Direction::Request));
        let counts: Vec<&str> = finding.evidence.iter().skip(2).map(|e| e.text.as_str()).collect();
        assert!(counts[0].starts_with("of 2 echo requests 2 were seen"), "{counts:?}");
        assert!(counts[1].starts_with("of 2 echo requests 0 were seen"), "{counts:?}");
    }

    #[test]
    fn where_small_ones_are_lost_too_size_is_not_to_blame() {
        let lossy = ProbeResult { received: 1, ..small(2) };
        let found = codes(&healthy().diagnose_with("web1", &[lossy, large(0)]));
        assert!(found.iter().all(|code| code.starts_with("lost-at-hop ")), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn what_else_is_wrong_is_told_instead() {
        let mut cloud = broken("mtu-tap-small");
        cloud.probes = vec![small(2), large(0)];
        assert_eq!(codes(&cloud.diagnose("web1")), ["mtu-tap-small compute1//vnet0"]);
    }
}
