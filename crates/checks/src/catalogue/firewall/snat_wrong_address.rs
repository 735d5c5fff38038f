//! # snat-wrong-address
//!
//! What instances send outside is given an address that their host does not have.
//!
//! ## What it means
//! A rule translates the source to an address that was moved, mistyped, or belonged to the host before. Questions
//! arrive outside; their answers are asked for on the public network, and nobody answers, or somebody else.
//!
//! ## How hopline knows
//! The walk outwards arrives with a source that is none of the host's addresses and that a rule of the host gives, and
//! no answer is known to find back.
//!
//! ## What it looks like
//! `conntrack -L` shows answers expected at that address; the gateway's neighbour entry for it is INCOMPLETE or FAILED.
//!
//! ## Nearest look-alikes
//! * `float-address-missing`: the address is the instance's floating one, the rule is right, and the host lacks it.
//! * `snat-missing`: the source is not translated at all.
//!
//! ## Fix
//! Correct the rule: nova-network writes its own again when it is restarted (`routing_source_ip`). Connections that are
//! tracked keep the old address until they end, or `conntrack -D`. Undo: the rule as it was.
//!
//! ## References
//! nova `linux_net.py` `add_snat_rule`, nova.conf `routing_source_ip`; conntrack(8).

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::left_as::{self, Left};
use crate::restart;
use crate::view::{Seat, View};

/// Looks for instances that leave with an address that is not their host's: one finding a host and address.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<(Left, Found)> = Vec::new();
    for left in left_as::unanswered(view).into_iter().filter(is_wrong) {
        let is_same =
            |known: &Left| (&known.seat.server.name, known.seen) == (&left.seat.server.name, left.seen);
        match found.iter_mut().find(|(known, _)| is_same(known)) {
            Some((_, known)) => known.finding.instances.push(left.seat.instance.name.clone()),
            None => {
                let new = finding(view, &left);
                found.push((left, new));
            }
        }
    }
    found.into_iter().map(|(_, found)| found).collect()
}

/// A rule of the host gives it, and it is neither the instance's own, by either record, nor one that the host carries.
pub(crate) fn is_wrong(left: &Left) -> bool {
    is_strangers(&left.seat, left.seen)
}

/// The same of any source.
pub(crate) fn is_strangers(seat: &Seat, seen: Ipv4Addr) -> bool {
    let is_floating = seat.instance.floating().any(|floating| floating.address == seen);
    let is_carried = seat.server_ns.addresses.iter().any(|own| own.net.addr() == IpAddr::V4(seen));
    left_as::is_given(seat.server_ns, seen) && !is_floating && !is_carried && !seat.vif.fixed.contains(&seen)
}

fn finding(view: &View, left: &Left) -> Found {
    let (ns, uplink, seen) = (left.seat.server_ns, left.uplink, left.seen);
    let name = &left.seat.instance.name;
    let rule = left_as::rule_to(ns, seen);
    let save = evidence::within(ns, "iptables-save -t nat");
    let lines = rule.map(|(_, _, rule)| evidence::record(EvidenceKind::Rule, save, rule.text.clone()));
    let carried: Vec<String> = ns.addresses_of(uplink.index).map(|own| own.net.to_string()).collect();
    let fault = Fault {
        code: "snat-wrong-address",
        hop: at(ns, &uplink.name, Stage::Nat),
        summary: format!("{name} leaves {} as {seen}, which is not an address of that host", ns.machine),
        cause: rule.map_or_else(
            || format!("what leaves is translated to {seen}"),
            |(_, _, rule)| format!("`{}` names an address that the host does not have", rule.text),
        ),
        confidence: Confidence::Proven,
        evidence: lines
            .into_iter()
            .chain([evidence::state(
                ns,
                &format!("ip -4 address show dev {}", uplink.name),
                carried.join(", "),
            )])
            .chain(left.evidence())
            .collect(),
        owner: "nova-network",
        remedy: vec![
            restart::network(view, &ns.machine, "writes all its rules again"),
            evidence::remedy(
                ns,
                &format!("conntrack -D --reply-dst {seen}"),
                "",
                "afterwards: connections that are tracked keep the wrong address till they end",
            ),
        ],
        instances: vec![name.clone()],
        stopped: left.stopped,
        mend: left_as::restored(view, left),
    };
    left.breaks(fault.found())
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Action, ChainKind, Dialect, Family, Hook, Match, NfRule, Table, Test};

    use crate::fixture::{base_chain, broken, codes, drops, healthy, lacks};

    #[test]
    fn fires_on_an_address_that_nobody_has() {
        let found = broken("snat-wrong-address").diagnose_all();
        assert_eq!(codes(&found), ["snat-wrong-address compute1//eth0"]);
        assert!(found.findings[0].cause.contains("--to-source 203.0.113.99"), "{:?}", found.findings[0]);
        assert_eq!(found.findings[0].instances, ["web1", "web2"]);
    }

    #[test]
    fn stays_silent_where_a_router_beyond_the_host_gives_it() {
        let mut cloud = healthy();
        let leaves = vec![Match { negated: false, test: Test::Out("eth1".to_owned()) }];
        let rule = NfRule {
            action: Action::Masquerade(None),
            ..drops("-A POSTROUTING -o eth1 -j MASQUERADE", leaves)
        };
        let mut chain = base_chain(Hook::Postrouting, 100, rule);
        chain.base.as_mut().unwrap().kind = ChainKind::Nat;
        cloud.netns("gw").ruleset.tables.push(Table {
            sets: Vec::new(),
            family: Family::Ip,
            name: "nat".to_owned(),
            dialect: Dialect::IptablesNft,
            chains: vec![chain],
        });
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        cloud.netns("external").routes.retain(|route| route.destination.prefix_len() > 0);
        let found = cloud.diagnose("web1");
        assert!(!found.findings.is_empty() && lacks(&found, "snat-wrong-address"), "{:?}", codes(&found));
    }

    #[test]
    fn stays_silent_where_the_address_is_right_and_missing() {
        assert!(lacks(&broken("float-address-missing").diagnose("web1"), "snat-wrong-address"));
    }

    #[test]
    fn stays_silent_where_the_host_has_the_address() {
        let mut cloud = broken("snat-wrong-address");
        let wrong = "203.0.113.99/32".parse().unwrap();
        let uplink = cloud.link("compute1", "eth0").index;
        cloud.netns("compute1").addresses.push(model::route::Address::global(uplink, wrong));
        assert!(lacks(&cloud.diagnose("web1"), "snat-wrong-address"));
    }
}
