//! `ip -j route show table all`, `ip -j rule` and `ip -j neighbour`.

use ipnet::IpNet;
use model::Netns;
use model::route::{FibRule, Nexthop, Preference, Route, RouteKind, RuleAction};
use serde_json::{Value, json};

use super::{name, object};

pub(super) fn routes(ns: &Netns) -> Vec<Value> {
    ns.routes.iter().map(|route| route_of(ns, route)).collect()
}

fn route_of(ns: &Netns, route: &Route) -> Value {
    let one = if let [one] = route.nexthops.as_slice() { Some(one) } else { None };
    let several = (route.nexthops.len() > 1)
        .then(|| route.nexthops.iter().map(|nexthop| several_of(ns, nexthop)).collect::<Vec<_>>().into());
    let main = route.table == model::route::TABLE_MAIN;
    let pref = match route.preference {
        Preference::Low => "low",
        Preference::Medium => "medium",
        Preference::High => "high",
    };
    let v6 = matches!(route.destination, IpNet::V6(_));
    object([
        ("type", kind(route.kind).map(Value::from)),
        ("dst", Some(prefix(route.destination).into())),
        ("from", route.source.map(|source| source.to_string().into())),
        ("gateway", one.and_then(|nexthop| nexthop.via).map(|via| via.to_string().into())),
        ("dev", one.map(|nexthop| name(ns, nexthop.link))),
        ("table", (!main).then(|| table(route.table).into())),
        ("protocol", (route.protocol != "boot").then(|| route.protocol.as_str().into())),
        ("scope", (!v6 && route.scope != "global").then(|| route.scope.as_str().into())),
        ("prefsrc", route.preferred_source.map(|source| source.to_string().into())),
        ("tos", (route.tos != 0).then(|| format!("0x{:02x}", route.tos).into())),
        ("metric", (route.metric != 0).then(|| route.metric.into())),
        ("flags", Some(one.map(flags).unwrap_or_default().into())),
        ("metrics", (route.mtu != 0).then(|| json!([{ "mtu": route.mtu }]))),
        ("nexthops", several),
        ("pref", v6.then(|| pref.into())),
    ])
}

fn several_of(ns: &Netns, nexthop: &Nexthop) -> Value {
    object([
        ("gateway", nexthop.via.map(|via| via.to_string().into())),
        ("dev", Some(name(ns, nexthop.link))),
        ("weight", Some(nexthop.weight.into())),
        ("flags", Some(flags(nexthop).into())),
    ])
}

fn flags(nexthop: &Nexthop) -> Vec<&'static str> {
    let flags = [("dead", nexthop.dead), ("onlink", nexthop.onlink), ("linkdown", nexthop.linkdown)];
    flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

fn kind(kind: RouteKind) -> Option<&'static str> {
    match kind {
        RouteKind::Unicast => None,
        RouteKind::Local => Some("local"),
        RouteKind::Broadcast => Some("broadcast"),
        RouteKind::Multicast => Some("multicast"),
        RouteKind::Anycast => Some("anycast"),
        RouteKind::Blackhole => Some("blackhole"),
        RouteKind::Unreachable => Some("unreachable"),
        RouteKind::Prohibit => Some("prohibit"),
        RouteKind::Throw => Some("throw"),
    }
}

/// A whole address is told without its length, and every address as `default`.
fn prefix(net: IpNet) -> String {
    if net.prefix_len() == 0 {
        "default".to_owned()
    } else if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

fn table(number: u32) -> String {
    match number {
        model::route::TABLE_LOCAL => "local".to_owned(),
        model::route::TABLE_MAIN => "main".to_owned(),
        model::route::TABLE_DEFAULT => "default".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn rules(rules: &[FibRule]) -> Vec<Value> {
    let rule = |rule: &FibRule| {
        let length = |net: Option<IpNet>| {
            net.filter(|net| net.prefix_len() != net.max_prefix_len()).map(|net| net.prefix_len().into())
        };
        let text = |net: Option<IpNet>| net.map(|net| Value::from(net.addr().to_string()));
        let action = match rule.action {
            RuleAction::Lookup(number) => ("table", Some(Value::from(table(number)))),
            RuleAction::Goto(priority) => ("goto", Some(priority.into())),
            RuleAction::Nop => ("action", Some("nop".into())),
            RuleAction::Blackhole => ("action", Some("blackhole".into())),
            RuleAction::Unreachable => ("action", Some("unreachable".into())),
            RuleAction::Prohibit => ("action", Some("prohibit".into())),
        };
        object([
            ("priority", Some(rule.priority.into())),
            ("not", super::flag(rule.invert)),
            ("src", Some(text(rule.source).unwrap_or_else(|| "all".into()))),
            ("srclen", length(rule.source)),
            ("dst", text(rule.destination)),
            ("dstlen", length(rule.destination)),
            ("tos", (rule.tos != 0).then(|| format!("0x{:02x}", rule.tos).into())),
            ("fwmark", rule.fwmark.map(|(mark, _)| format!("{mark:#x}").into())),
            (
                "fwmask",
                rule.fwmark
                    .filter(|(_, mask)| *mask != u32::MAX)
                    .map(|(_, mask)| format!("{mask:#x}").into()),
            ),
            ("iif", rule.iif.as_deref().map(Value::from)),
            ("oif", rule.oif.as_deref().map(Value::from)),
            action,
        ])
    };
    rules.iter().map(rule).collect()
}

pub(super) fn neighbours(ns: &Netns) -> Vec<Value> {
    let neighbour = |entry: &model::route::Neighbour| {
        object([
            ("dst", Some(entry.ip.to_string().into())),
            ("dev", Some(name(ns, entry.link))),
            ("lladdr", entry.mac.map(|mac| mac.to_string().into())),
            ("proxy", super::flag(entry.proxy)),
            ("state", (!entry.proxy).then(|| json!([entry.state.name()]))),
        ])
    };
    ns.neighbours.iter().map(neighbour).collect()
}
