//! # policy-route-wrong
//!
//! A rule of policy routing leads the instances' packets astray.
//!
//! ## What it means
//! `ip rule` has an entry that picks another table for some packets, by their source, mark or link of arrival, and
//! what that table says leads nowhere. The host's own packets, which the entry does not mean, get out.
//!
//! ## How hopline knows
//! The walk looks every packet up as the kernel does, rule by rule. Where it dies behind such an entry, it is walked
//! again without the entry, and does not die there. An entry whose way is only down is not blamed: its link is. Where
//! the table's next hop does not answer, the entry may be right and the next hop dead: that is likely, and not proven.
//!
//! ## What it looks like
//! `ip route get EXTERNAL from FIXED iif br100` differs from `ip route get EXTERNAL`; the next hop is FAILED on a link
//! that has nothing to do with the outside.
//!
//! ## Nearest look-alikes
//! * `default-route-wrong-gw`: the host itself does not get out either.
//! * `foreign-rule-drop`: a rule's counter moves. Ask the FIB with `iif` and `from` before reading rules.
//!
//! ## Fix
//! `ip rule del pref N`. Undo: add it again.
//!
//! ## References
//! ip-rule(8); `net/core/fib_rules.c` `fib_rules_lookup`.

use std::net::IpAddr;

use model::Netns;
use model::finding::Confidence;
use model::path::Stop;
use model::route::{FibRule, RuleAction, default_rules};
use sim::ip::route;

use crate::catalogue::routing::blackhole_route;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::ladder;
use crate::mend::{Entry, Mend};
use crate::view::{Stopped, View};

/// Entries of policy routing that are tried at most on one machine: more are some program's, and not one by hand.
const TRIED_MAX: usize = 16;

/// Looks for entries without which a walk would get on: one finding an entry.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut tried: Vec<(&Netns, &Stop)> = Vec::new();
    for stopped in view.stops().filter(|stopped| leads_nowhere(stopped.stop)) {
        let Some(ns) = view.netns_at(&stopped.hop.at).filter(|ns| ns.name.is_empty()) else { continue };
        let is_told = found.iter().any(|f| f.finding.hop.same_device(&stopped.hop.at));
        let is_tried = tried.iter().any(|(at, stop)| std::ptr::eq(*at, ns) && is_alike(stop, stopped.stop));
        if is_told || is_tried || blackhole_route::refusing(ns, &stopped).is_some() {
            continue;
        }
        // Each try copies all facts and asks again: what did not help one question helps none that dies alike.
        tried.push((ns, stopped.stop));
        let own = default_rules();
        let entries = ns.rules.iter().filter(|rule| !own.contains(rule)).take(TRIED_MAX);
        let astray = entries.into_iter().find(|rule| gets_on_without(view, ns, &stopped, rule));
        found.extend(astray.map(|rule| led_astray(view, ns, &stopped, rule)));
    }
    found
}

/// The same end, whoever asked: of a next hop that does not answer, where each question for it died is no matter.
fn is_alike(one: &Stop, other: &Stop) -> bool {
    match (one, other) {
        (Stop::NeighbourUnresolved { ip: one, .. }, Stop::NeighbourUnresolved { ip: other, .. }) => {
            one == other
        }
        (one, other) => one == other,
    }
}

/// What a route does to a packet that it should not get; a link that is down is at fault itself.
fn leads_nowhere(stop: &Stop) -> bool {
    matches!(stop, Stop::NeighbourUnresolved { .. } | Stop::NoTarget(_) | Stop::RouteRefuses(_))
}

fn without(ns: &Netns, rule: &FibRule) -> Mend {
    Mend::Forget { machine: ns.machine.clone(), entry: Entry::Rule(Box::new(rule.clone())) }
}

fn gets_on_without(view: &View, ns: &Netns, stopped: &Stopped, rule: &FibRule) -> bool {
    let Some(again) = ladder::again_with(view, stopped.rung, &without(ns, rule)) else { return false };
    let mut stops = again.answer.paths.iter().filter_map(|path| path.stop());
    stops.all(|(hop, _)| !hop.at.same_device(&stopped.hop.at))
}

fn led_astray(view: &View, ns: &Netns, stopped: &Stopped, rule: &FibRule) -> Found {
    let text = text(rule);
    let number = rule.priority;
    let mut evidence = vec![evidence::state(ns, "ip rule show", format!("{number}: {text}"))];
    if let RuleAction::Lookup(table) = rule.action {
        let routes = ns.routes.iter().filter(|r| r.table == table && r.destination.addr().is_ipv4());
        let lines = routes.map(|r| route::text(ns, r, r.nexthops.first())).collect::<Vec<_>>();
        evidence.push(evidence::state(ns, &format!("ip route show table {table}"), lines.join("; ")));
    }
    if let (Stop::NeighbourUnresolved { ip: IpAddr::V4(ip), .. }, Some(link)) =
        (stopped.stop, ns.link_named(&stopped.hop.at.device))
    {
        evidence.push(evidence::neighbour(ns, link, *ip));
    }
    let (confidence, or) = match stopped.stop {
        Stop::NeighbourUnresolved { ip, .. } => {
            (Confidence::Likely, format!("; or the entry is right, and its next hop {ip} is dead"))
        }
        _ => (Confidence::Proven, String::new()),
    };
    let fault = Fault {
        code: "policy-route-wrong",
        hop: stopped.hop.at.clone(),
        summary: format!(
            "{} leads what {} sends to {} astray: by {}, by an entry of policy routing",
            ns.machine, stopped.rung.from, stopped.rung.to, stopped.hop.at.device
        ),
        cause: format!("`{text}` picks a way on which {}{or}", stopped.hop.detail),
        confidence,
        evidence,
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("ip rule del pref {number} {text}"),
            &format!("ip rule add pref {number} {text}"),
            "",
        )],
        instances: view.hit_at(&stopped.hop.at),
        stopped: Some(*stopped),
        mend: vec![without(ns, rule)],
    };
    fault.found()
}

/// The entry as `ip rule` prints it and takes it.
fn text(rule: &FibRule) -> String {
    let mut words = Vec::new();
    if rule.invert {
        words.push("not".to_owned());
    }
    words.push(rule.source.map_or_else(|| "from all".to_owned(), |net| format!("from {net}")));
    words.extend(rule.destination.map(|net| format!("to {net}")));
    words.extend(rule.fwmark.map(|(value, mask)| format!("fwmark {value:#x}/{mask:#x}")));
    words.extend(rule.iif.as_ref().map(|name| format!("iif {name}")));
    words.extend(rule.oif.as_ref().map(|name| format!("oif {name}")));
    words.push(match rule.action {
        RuleAction::Lookup(table) => format!("lookup {table}"),
        RuleAction::Goto(priority) => format!("goto {priority}"),
        RuleAction::Nop => "nop".to_owned(),
        RuleAction::Blackhole => "blackhole".to_owned(),
        RuleAction::Unreachable => "unreachable".to_owned(),
        RuleAction::Prohibit => "prohibit".to_owned(),
    });
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::route::{FibRule, RuleAction};

    use crate::fixture::{Cloud, broken, codes, healthy, inject, reachable_route};

    fn rule(cloud: &mut Cloud, action: RuleAction) {
        let source = "10.0.0.0/16".parse().ok();
        cloud
            .netns("compute1")
            .rules
            .insert(1, FibRule { priority: 100, source, action, ..FibRule::default() });
    }

    #[test]
    fn fires_on_a_table_that_leads_nowhere_and_says_which_entry() {
        let diagnosis = broken("policy-route-wrong").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["policy-route-wrong compute1//virbr0"]);
        let command = &diagnosis.findings[0].remedy[0].command;
        assert!(command.ends_with("ip rule del pref 100 from 10.0.0.0/16 lookup 100"), "{command}");
        assert_eq!(
            diagnosis.findings[0].confidence,
            Confidence::Proven,
            "a bridge without ports leads to nobody"
        );
    }

    #[test]
    fn is_only_likely_where_the_next_hop_may_be_dead() {
        let mut cloud = healthy();
        rule(&mut cloud, RuleAction::Lookup(100));
        let uplink = cloud.link("compute1", "eth0").index;
        let mut way = reachable_route("0.0.0.0/0", Some("203.0.113.77"), uplink);
        way.table = 100;
        let mut own = reachable_route("10.0.0.0/16", None, cloud.link("compute1", "br100").index);
        own.table = 100;
        cloud.netns("compute1").routes.extend([way, own]);
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["policy-route-wrong compute1//eth0"]);
        let told = &diagnosis.findings[0];
        assert_eq!(told.confidence, Confidence::Likely, "{told:?}");
        assert!(told.cause.ends_with("its next hop 203.0.113.77 is dead"), "{}", told.cause);
    }

    #[test]
    fn fires_on_an_entry_that_refuses_by_itself() {
        let mut cloud = healthy();
        rule(&mut cloud, RuleAction::Prohibit);
        let diagnosis = cloud.diagnose("web1");
        assert!(codes(&diagnosis).iter().all(|code| code.starts_with("policy-route-wrong compute1/")));
        assert!(!diagnosis.findings.is_empty());
        assert!(diagnosis.findings.iter().all(|f| f.confidence == Confidence::Proven));
    }

    #[test]
    fn stays_silent_on_an_entry_that_leads_by_the_right_gateway() {
        let mut cloud = healthy();
        rule(&mut cloud, RuleAction::Lookup(100));
        let uplink = cloud.link("compute1", "eth0").index;
        let mut way = reachable_route("0.0.0.0/0", Some("203.0.113.1"), uplink);
        way.table = 100;
        let mut own = reachable_route("10.0.0.0/16", None, cloud.link("compute1", "br100").index);
        own.table = 100;
        cloud.netns("compute1").routes.extend([way, own]);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        // What is wrong behind it is not its fault.
        inject(&mut cloud, "ext-gateway-down");
        assert_eq!(codes(&cloud.diagnose("web1")), ["ext-gateway-down gw//eth0"]);
    }
}
