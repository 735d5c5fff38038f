//! # snat-missing
//!
//! What instances send outside keeps their fixed address, and no answer finds back.
//!
//! ## What it means
//! Nobody outside knows the way to a fixed address. nova-network translates what leaves to the floating address, or to
//! the host's own; the rule, or the call of the chain that it is in, is gone, or another stands before it and lets
//! packets pass as they are. Questions arrive, their answers go astray. Floating addresses work inwards, for their
//! translation is another rule.
//!
//! ## How hopline knows
//! The walk outwards arrives with the fixed address as its source, and the answer finds no way: beyond the host some
//! router has no route for it, or nobody answers for its next hop. Where a rule drops it out there the way is known. It
//! is likely where only our own question was not answered, and the walk cannot tell why. Where the way leads out of all
//! that was read, it tells that nova's own rules would translate the packet: once they are as nova writes them, or
//! without the rule that stands before them. What nova itself leaves untranslated, `dmz_cidr`, is passed over.
//!
//! ## What it looks like
//! `tcpdump -ni EXTERNAL icmp` shows requests from 10.0.0.x and the answers to them; `conntrack -L` on the host has
//! entries that are `[UNREPLIED]` and whose answers go to the fixed address.
//!
//! ## Nearest look-alikes
//! * `snat-wrong-address`: the source is translated, to an address that is not the host's.
//! * `float-snat-missing`: it is translated to the host's address in place of the floating one.
//! * `rules-flushed`: all rules are gone.
//!
//! ## Fix
//! Restart nova-network, which writes its rules again; no undo. Delete a rule that stands before them. Undo: insert it
//! again.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (iptables); nova `linux_net.py` `add_snat_rule`.

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, EvidenceKind};
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::left_as::{self, Left};
use crate::mend::Mend;
use crate::nova::options::Options;
use crate::view::View;
use crate::{drift, ladder, nova, owner, removal, restart, source_bent};

/// Looks for instances that leave with their fixed address and get no answers: one finding a host.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let is_kept = |left: &Left| left.seat.vif.fixed.contains(&left.seen) && !is_meant(left);
    let unanswered = left_as::unanswered(view).into_iter().filter(finds_no_way);
    let beyond = left_as::all(view).into_iter().chain(left_as::by_services(view)).filter(Left::is_beyond);
    for left in unanswered.chain(beyond).filter(is_kept) {
        let (host, name) = (&left.seat.server.name, &left.seat.instance.name);
        match found.iter_mut().find(|known| known.finding.hop.host == *host) {
            Some(known) if known.finding.instances.contains(name) => {}
            Some(known) => known.finding.instances.push(name.clone()),
            None => found.extend(finding(view, &left)),
        }
    }
    found
}

/// nova leaves what goes there untranslated: `dmz_cidr`.
fn is_meant(left: &Left) -> bool {
    Options::of(left.seat.server, left.seat.server_ns).dmz.iter().any(|net| net.contains(&left.to))
}

/// The answer dies for want of a way back; or it is lost, and the walk does not know where.
fn finds_no_way(left: &Left) -> bool {
    left.stopped.map_or(left.silent.is_some(), |stopped| {
        matches!(
            stopped.stop,
            // Routers that send it on to each other know no way either.
            Stop::NoRoute(_)
                | Stop::RouteRefuses(_)
                | Stop::NeighbourUnresolved { .. }
                | Stop::QueueRefuses(_)
                | Stop::Loop
                | Stop::TtlExceeded
        )
    })
}

/// Of what left the site only where nova's own rules would translate it.
fn finding(view: &View, left: &Left) -> Option<Found> {
    let (ns, uplink) = (left.seat.server_ns, left.uplink);
    let name = &left.seat.instance.name;
    let before = source_bent::before_novas(view, left);
    let mend =
        if before.is_empty() { left_as::restored(view, left) } else { source_bent::mends(ns, &before) };
    if left.is_beyond() && before.is_empty() && !is_drift(view, left, &mend) {
        return None;
    }
    let seen = format!("source seen outside: {}", left.seen);
    let calls = evidence::within(ns, "iptables-save -t nat");
    let owner = before.first().map(|rule| owner::of(ns, rule));
    let restart = restart::network(view, &ns.machine, "writes all its rules again");
    let fault = Fault {
        code: "snat-missing",
        hop: at(ns, &uplink.name, Stage::Nat),
        summary: format!(
            "{name} leaves {} with its fixed address {}, to which no answer finds back",
            ns.machine, left.seen
        ),
        cause: before.first().zip(owner).map_or_else(
            || "no rule in nat POSTROUTING translates what instances send outside".to_owned(),
            |(rule, owner)| {
                let wrote = owner.wrote();
                format!("`{}`, {wrote}, comes before nova's rules and lets it pass as it is", rule.text)
            },
        ),
        confidence: if left.stopped.is_some() || left.is_beyond() {
            Confidence::Proven
        } else {
            Confidence::Likely
        },
        evidence: if before.is_empty() {
            vec![evidence::record(EvidenceKind::Rule, calls, unmet(left))]
        } else {
            before.iter().flat_map(|rule| evidence::rule(ns, rule)).collect()
        }
        .into_iter()
        .chain([evidence::state(ns, "conntrack -L", seen)])
        .chain(left.evidence())
        .collect(),
        owner: owner.map_or("nova-network", owner::Owner::name),
        remedy: if before.is_empty() {
            vec![restart]
        } else {
            before.iter().map(|rule| removal::of(ns, rule)).collect()
        },
        instances: vec![name.clone()],
        stopped: left.stopped,
        mend,
    };
    Some(left.breaks(fault.found()))
}

/// nova's own rules differ from what it writes, and it would be translated if they did not.
fn is_drift(view: &View, left: &Left, mends: &[Mend]) -> bool {
    let ns = left.seat.server_ns;
    let is_novas_chain = |chain: &str| nova::is_chain(chain) || chain == "POSTROUTING";
    let is_novas = |mend: &Mend| matches!(mend, Mend::RewriteChain { chain, .. } if is_novas_chain(chain));
    let drifts = drift::of(left.seat.server, ns, view.intent());
    let is_amiss = drifts.iter().any(|drift| drift.table == "nat") && mends.iter().any(is_novas);
    let again = || ladder::again_with_all(view, left.rung, mends);
    is_amiss && again().is_some_and(|again| again.answer.source_seen.is_some_and(|seen| seen != left.seen))
}

/// What is there and is not met, or that nothing is there.
fn unmet(left: &Left) -> String {
    let ns = left.seat.server_ns;
    let carried = ns.addresses_of(left.uplink.index).filter_map(|a| match a.net.addr() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let mut rules = carried.filter_map(|own: Ipv4Addr| left_as::rule_to(ns, own));
    rules.next().map_or_else(
        || format!("no `-o {} -j SNAT`", left.uplink.name),
        |(_, chain, rule)| format!("`{}` in {}, which what leaves does not meet", rule.text, chain.name),
    )
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::probe::PING_OCTETS;

    use crate::fixture::{
        Cloud, broken, codes, drops, forwards_by, healthy, lacks, perhaps_drops, pinged, to,
    };

    #[test]
    fn fires_where_the_call_of_novas_chain_is_gone() {
        let found = broken("snat-missing").diagnose_all();
        assert_eq!(codes(&found), ["snat-missing compute1//eth0"]);
        assert_eq!(found.findings[0].instances, ["web1", "web2"]);
    }

    /// Routers beyond the host know the way to fixed addresses.
    fn with_way_back() -> Cloud {
        let mut cloud = broken("snat-missing");
        for (machine, via, by) in [("gw", "203.0.113.34", "eth0"), ("isp", "198.51.100.1", "eth0")] {
            let link = cloud.link(machine, by).index;
            let route = crate::fixture::reachable_route("10.0.0.0/16", Some(via), link);
            cloud.netns(machine).routes.push(route);
        }
        cloud
    }

    #[test]
    fn stays_silent_where_the_outside_knows_the_way_back() {
        let found = with_way_back().diagnose("web1");
        assert!(lacks(&found, "snat-missing"), "{:?}", codes(&found));
    }

    #[test]
    fn stays_silent_where_a_rule_out_there_drops_the_answer() {
        let mut cloud = with_way_back();
        forwards_by(&mut cloud, "isp", drops("-A FORWARD -d 10.0.0.0/8 -j DROP", vec![to("10.0.0.0/8")]));
        let found = codes(&cloud.diagnose("web1"));
        assert!(found.iter().any(|code| code == "foreign-rule-drop isp//eth1"), "{found:?}");
        assert!(found.iter().all(|code| !code.starts_with("snat-missing")), "{found:?}");
    }

    #[test]
    fn a_silence_alone_makes_it_likely() {
        let mut cloud = with_way_back();
        perhaps_drops(&mut cloud, "isp", "10.0.0.0/8");
        assert!(lacks(&cloud.diagnose("web1"), "snat-missing"), "nobody has asked");
        let found = cloud.diagnose_with("web1", &[pinged("web1", PING_OCTETS, 0)]);
        let finding = found.findings.iter().find(|f| f.code == "snat-missing");
        assert_eq!(finding.map(|f| f.confidence), Some(Confidence::Likely), "{:?}", codes(&found));
    }

    #[test]
    fn stays_silent_towards_what_nova_leaves_untranslated() {
        let mut cloud = broken("snat-missing");
        let nova = cloud.host("compute1").nova.as_mut().unwrap();
        nova.values.insert("dmz_cidr".to_owned(), "1.2.0.0/16".to_owned());
        let found = cloud.diagnose("web1");
        assert!(lacks(&found, "snat-missing"), "{:?}", codes(&found));
    }

    #[test]
    fn stays_silent_where_all_rules_are_gone_or_the_address_is_another() {
        for other in ["rules-flushed", "snat-wrong-address", "float-snat-missing", "ext-gateway-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "snat-missing"), "{other}");
        }
        assert_eq!(codes(&healthy().diagnose_all()), [""; 0]);
    }
}
