//! Floating addresses of the instances in question, and the rules that carry them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::Netns;
use model::intent::Floating;
use model::netfilter::{Action, Chain, Match, NfRule, Table, Test};

use crate::nova;
use crate::view::{Seat, View};

/// A floating address: the NIC it belongs to, itself, and the namespace that is to carry it.
type Carried<'v> = (Seat<'v>, &'v Floating, &'v Netns);

/// Every floating address whose host was read.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<Carried<'v>> {
    let snapshot = view.snapshot();
    let of_seat = |seat: Seat<'v>| {
        seat.vif.floating.iter().filter_map(move |floating| {
            let recorded = floating.host.as_deref().unwrap_or(&seat.instance.host);
            let host = misrecorded(view, &seat, floating).unwrap_or(recorded);
            Some((seat, floating, snapshot.main_netns(host)?))
        })
    };
    view.vifs().flat_map(of_seat).collect()
}

/// Those whose record is where nova would have them. Of others nothing follows from what a host has or lacks, before
/// the record is put right: `float-host-mismatch` tells of them.
pub(crate) fn settled<'v>(view: &View<'v>) -> impl Iterator<Item = Carried<'v>> {
    all(view).into_iter().filter(|(seat, floating, _)| misrecorded(view, seat, floating).is_none())
}

fn misrecorded<'v>(view: &View<'v>, seat: &Seat<'v>, floating: &Floating) -> Option<&'v str> {
    view.intent().misrecorded(seat.instance, seat.vif, floating)
}

/// Whether some DNAT rule is for all that this floating address receives, or leads something to its fixed one.
pub fn has_dnat(ns: &Netns, floating: &Floating) -> bool {
    dnat_of(ns, floating.address).is_some() || leads(ns, floating.address, IpAddr::V4(floating.fixed))
}

/// The first DNAT rule for all that a floating address receives, with the chain and table that it is in.
pub(crate) fn dnat_of(ns: &Netns, floating: Ipv4Addr) -> Option<(&Table, &Chain, &NfRule)> {
    let is_it = |rule: &&NfRule| {
        matches!(rule.action, Action::Dnat(_)) && is_for(rule, floating) && rule.matches.iter().all(is_plain)
    };
    nova::iptables(ns).filter(|t| t.name == "nat").find_map(|table| {
        let mut chains = table.chains.iter().filter(|c| c.name.ends_with("PREROUTING"));
        chains.find_map(|chain| Some((table, chain, chain.rules.iter().find(is_it)?)))
    })
}

/// Some DNAT rule leads what this floating address receives from others, or a part of it, to that address. What the
/// host itself sends passes OUTPUT, whose rules tell nothing of that.
pub(crate) fn leads(ns: &Netns, floating: Ipv4Addr, to: IpAddr) -> bool {
    let chains = ns.ruleset.tables.iter().flat_map(|table| &table.chains);
    let rules = chains.filter(|chain| !chain.name.ends_with("OUTPUT")).flat_map(|chain| &chain.rules);
    rules.filter(|rule| is_for(rule, floating)).any(|rule| match rule.action {
        Action::Dnat(target) => target.addresses.is_some_and(|(low, high)| (low..=high).contains(&to)),
        _ => false,
    })
}

/// It leaves nothing of what an address receives to other rules, as a port or a source would: an operator forwards
/// single ports of a floating address beside nova's rule for the rest.
fn is_plain(tested: &Match) -> bool {
    matches!(tested.test, Test::Destination(_) | Test::In(_) | Test::Always)
}

/// Whether some SNAT rule gives what leaves from the fixed address this floating one.
pub fn has_snat(ns: &Netns, floating: &Floating) -> bool {
    let (address, only) = (IpAddr::V4(floating.address), IpNet::from(IpAddr::V4(floating.fixed)));
    let nat = nova::iptables(ns).filter(|t| t.name == "nat").flat_map(|t| &t.chains);
    nat.flat_map(|c| &c.rules).any(|rule| {
        let to = matches!(rule.action, Action::Snat(to) if to.addresses == Some((address, address)));
        let leaves = rule.matches.iter().any(|m| matches!(m.test, Test::Out(_)));
        let from = |m: &Match| matches!(&m.test, Test::Source(nets) if !m.negated && nets.contains(&only));
        to && leaves && rule.matches.iter().any(from)
    })
}

/// The rule has this address as its destination.
fn is_for(rule: &NfRule, ip: Ipv4Addr) -> bool {
    let only = IpNet::from(IpAddr::V4(ip));
    rule.matches
        .iter()
        .any(|m| matches!(&m.test, Test::Destination(nets) if !m.negated && nets.contains(&only)))
}

/// The DNAT rule that nova would write.
pub(crate) fn dnat_rule(floating: &Floating) -> NfRule {
    let target = IpAddr::V4(floating.fixed);
    NfRule {
        text: format!(
            "-A nova-network-PREROUTING -d {}/32 -j DNAT --to-destination {}",
            floating.address, floating.fixed
        ),
        matches: vec![Match {
            negated: false,
            test: Test::Destination(vec![IpAddr::V4(floating.address).into()]),
        }],
        action: Action::Dnat(model::netfilter::NatTarget {
            addresses: Some((target, target)),
            ..Default::default()
        }),
        ..blank()
    }
}

/// The SNAT rule that nova would write.
pub(crate) fn snat_rule(floating: &Floating, uplink: &str) -> NfRule {
    let target = IpAddr::V4(floating.address);
    NfRule {
        text: format!(
            "-A nova-network-float-snat -s {}/32 -o {uplink} -j SNAT --to-source {}",
            floating.fixed, floating.address
        ),
        matches: vec![
            Match { negated: false, test: Test::Source(vec![IpAddr::V4(floating.fixed).into()]) },
            Match { negated: false, test: Test::Out(uplink.to_owned()) },
        ],
        action: Action::Snat(model::netfilter::NatTarget {
            addresses: Some((target, target)),
            ..Default::default()
        }),
        ..blank()
    }
}

/// The rule by which an instance that asks its own floating address is answered from there.
pub(crate) fn own_snat_rule(floating: &Floating) -> NfRule {
    let fixed: IpNet = IpAddr::V4(floating.fixed).into();
    let outward = snat_rule(floating, "");
    let plain = |test| Match { negated: false, test };
    NfRule {
        text: format!(
            "-A nova-network-float-snat -s {fixed} -d {fixed} -j SNAT --to-source {}",
            floating.address
        ),
        matches: vec![plain(Test::Source(vec![fixed])), plain(Test::Destination(vec![fixed]))],
        ..outward
    }
}

fn blank() -> NfRule {
    NfRule {
        text: String::new(),
        counters: None,
        handle: None,
        line: 0,
        matches: Vec::new(),
        action: Action::Continue,
    }
}
