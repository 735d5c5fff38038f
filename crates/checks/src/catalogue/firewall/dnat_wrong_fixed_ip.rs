//! # dnat-wrong-fixed-ip
//!
//! A floating address leads to another fixed address than the one that it is recorded for.
//!
//! ## What it means
//! The rule was left from before the address was associated anew, or was written by hand. Packets for the instance go
//! to another one, or to an address that nobody has; then the sender hears `Destination Host Unreachable`, from the
//! floating address itself.
//!
//! ## How hopline knows
//! The first rule in nat PREROUTING for all that the address receives rewrites it to another than the database, or the
//! site file, has, and the walk from outside does not arrive at the instance. A rule for a single port or source is an
//! operator's own.
//!
//! ## What it looks like
//! The rule's counter rises; `ip neigh` on the host has the other address, FAILED where nobody has it.
//!
//! ## Nearest look-alikes
//! * `float-dnat-missing`: there is no rule for the address, and the host answers itself.
//! * `guest-nic-down`: the rule is right, and the instance does not answer.
//!
//! ## Fix
//! Restart nova-network, which writes its rules from the database. Undo: the rule as it was.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `linux_net.py` `floating_forward_rules`.

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::finding::{Confidence, EvidenceKind};
use model::intent::Floating;
use model::netfilter::{Action, Chain, NfRule, Table};
use model::path::{Direction, Exchange, Stage};

use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::restart;
use crate::view::{Seat, View};

/// A rule that leads astray, and where to.
struct Astray<'v> {
    table: &'v Table,
    chain: &'v Chain,
    rule: &'v NfRule,
    to: Ipv4Addr,
}

/// Looks for floating addresses that lead elsewhere: one finding an address.
pub fn check(view: &View) -> Vec<Found> {
    let all = floats::settled(view);
    all.filter_map(|(seat, floating, ns)| finding(view, seat, floating, ns, &astray(ns, floating)?)).collect()
}

/// The first rule for the address, where it is not for the fixed one that is recorded.
fn astray<'v>(ns: &'v Netns, floating: &Floating) -> Option<Astray<'v>> {
    let (table, chain, rule) = floats::dnat_of(ns, floating.address)?;
    let Action::Dnat(target) = rule.action else { return None };
    match target.addresses? {
        (IpAddr::V4(to), last) if IpAddr::V4(to) == last && to != floating.fixed => {
            Some(Astray { table, chain, rule, to })
        }
        _ => None,
    }
}

fn finding(view: &View, seat: Seat, floating: &Floating, ns: &Netns, astray: &Astray) -> Option<Found> {
    let (address, fixed, to) = (floating.address, floating.fixed, astray.to);
    let name = &seat.instance.name;
    let nth = view.rungs.iter().position(|rung| rung.purpose == Purpose::Inbound(address));
    let rung = nth.and_then(|nth| view.rungs.get(nth));
    if rung.is_some_and(|rung| rung.answer.received_by.as_deref() == Some(name.as_str())) {
        return None;
    }
    let carrier = ns.addresses.iter().find(|a| a.net.addr() == IpAddr::V4(address));
    let device = carrier.map_or_else(String::new, |a| ns.link_name(a.link));
    let other = view.intent().instances.iter().find(|i| i.fixed().any(|ip| ip == to));
    let whose = other.map_or_else(|| "which no instance has".to_owned(), |i| format!("{}'s", i.name));
    let edit = astray.table.dialect.edit_command(astray.table.family);
    let number = astray.chain.rules.iter().position(|rule| std::ptr::eq(rule, astray.rule))? + 1;
    let replace = |to: Ipv4Addr| {
        format!(
            "{edit} -t nat -R {} {number} -d {address}/32 -j DNAT --to-destination {to}",
            astray.chain.name
        )
    };
    let fault = Fault {
        code: "dnat-wrong-fixed-ip",
        hop: at(ns, &device, Stage::Nat),
        summary: format!("{address} does not lead to {name}: {} sends it on to {to}, {whose}", ns.machine),
        cause: format!("`{}`, and {fixed} is recorded", astray.rule.text),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::record(
                EvidenceKind::Rule,
                evidence::within(ns, "iptables-save -t nat"),
                astray.rule.text.clone(),
            ),
            evidence::record(EvidenceKind::Db, "floating_ips", format!("{address} is {name}'s, at {fixed}")),
        ],
        owner: "nova-network",
        remedy: vec![
            restart::network(view, &ns.machine, "writes all its rules again"),
            evidence::remedy(ns, &replace(fixed), &replace(to), ""),
        ],
        instances: vec![name.clone()],
        stopped: view.stop(|s| s.rung.purpose == Purpose::Inbound(address)),
        mend: vec![right(ns, floating, astray)],
    };
    let mut found = fault.found();
    // The packet does not die here, it goes astray: that breaks the exchange all the same.
    if let Some(nth) = nth {
        found.order.get_or_insert((nth, 0, 0));
        found.finding.exchange = Exchange::Icmp;
        found.finding.direction = Direction::Request;
    }
    Some(found)
}

/// In the model, the rule that nova would write in its place.
fn right(ns: &Netns, floating: &Floating, astray: &Astray) -> Mend {
    let mut rules = astray.chain.rules.clone();
    for rule in rules.iter_mut().filter(|rule| rule.text == astray.rule.text) {
        let text = rule.text.replace(&astray.to.to_string(), &floating.fixed.to_string());
        *rule = NfRule { text, action: floats::dnat_rule(floating).action, ..rule.clone() };
    }
    Mend::RewriteChain {
        machine: ns.machine.clone(),
        dialect: astray.table.dialect,
        table: astray.table.name.clone(),
        chain: astray.chain.name.clone(),
        rules,
    }
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Match, Test};

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_where_the_address_leads_to_nobody() {
        let found = broken("dnat-wrong-fixed-ip").diagnose("web1");
        assert_eq!(codes(&found), ["dnat-wrong-fixed-ip compute1//eth0"]);
        assert!(found.findings[0].summary.contains("10.0.2.99, which no instance has"), "{found:#?}");
    }

    #[test]
    fn fires_where_it_leads_to_another_instance() {
        let mut cloud = healthy();
        let fixed = [10, 0, 2, 25].into();
        let mut floating = cloud.intent.instances[0].vifs[0].floating[0].clone();
        floating.fixed = fixed;
        let wrong = crate::floats::dnat_rule(&floating);
        let rules = &mut cloud.chain("compute1", "nat", "nova-network-PREROUTING").rules;
        rules.iter_mut().filter(|r| r.text.contains("203.0.113.30")).for_each(|r| *r = wrong.clone());
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["dnat-wrong-fixed-ip compute1//eth0"]);
        assert!(found.findings[0].summary.contains("10.0.2.25, web2's"), "{found:#?}");
    }

    #[test]
    fn stays_silent_where_one_port_is_led_elsewhere() {
        let forwarded = |code: &str| {
            let mut cloud = broken(code);
            let mut floating = cloud.intent.instances[0].vifs[0].floating[0].clone();
            floating.fixed = [10, 0, 0, 50].into();
            let mut forward = crate::floats::dnat_rule(&floating);
            forward.text =
                forward.text.replace("nova-network-", "").replace(" -j ", " -p tcp -m tcp --dport 8080 -j ");
            let tests = [Test::Protocol(6), Test::DestinationPort(vec![(8080, 8080)])];
            forward.matches.extend(tests.map(|test| Match { negated: false, test }));
            cloud.chain("compute1", "nat", "PREROUTING").rules.insert(0, forward);
            codes(&cloud.diagnose("web1"))
        };
        for other in ["guest-nic-down", "float-dnat-missing"] {
            let found = forwarded(other);
            assert!(found.len() == 1 && found[0].starts_with(other), "{found:?}");
        }
    }

    #[test]
    fn stays_silent_where_the_rule_is_missing_or_right() {
        for other in ["float-dnat-missing", "guest-nic-down", "rules-flushed"] {
            assert!(lacks(&broken(other).diagnose("web1"), "dnat-wrong-fixed-ip"), "{other}");
        }
        assert_eq!(codes(&healthy().diagnose("web1")), [""; 0]);
    }
}
