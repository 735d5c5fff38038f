//! Addresses, routes, FIB rules and neighbours against `ip addr`, `ip route show table all`, `ip rule`
//! and `ip neigh`.

use ipnet::IpNet;
use model::Netns;
use model::route::{FibRule, Nexthop, Route, RuleAction};
use serde_json::{Value, json};

use crate::canonical::{assert_same, has_flag, list, name, text};
use crate::scratch::Scratch;

/// Two links, `live` with a carrier and `dark` without, and addresses of both versions.
fn addressed() -> Scratch {
    let scratch = Scratch::new("rt");
    scratch
        .ip("link set lo up")
        .ip("link add live type veth peer name far")
        .ip("link add dark type veth peer name dead")
        .ip("link set live up")
        .ip("link set far up")
        .ip("link set dark up")
        .ip("addr add 10.0.0.1/24 dev live")
        .ip("addr add 10.0.0.7/24 dev live")
        .ip("addr add 10.9.0.1 peer 10.9.0.2/32 dev live")
        .ip("addr add 169.254.1.1/16 scope link dev live")
        .ip("addr add 172.16.5.1/24 dev dark")
        .ip("addr add 2001:db8::1/64 dev live nodad")
        .ip("addr add 2001:db8:5::1/64 dev dark nodad")
        // Without a carrier nobody can be asked whether it is taken.
        .ip("addr add 2001:db8:5::2/64 dev dark")
        .ip("addr add 2001:db8:5::3/64 dev live nodad preferred_lft 0 valid_lft 3600");
    scratch
}

#[test]
fn every_address_is_as_ip_tells_it() {
    let scratch = addressed();
    let (told, netns) = scratch.settled(|scratch| scratch.ip_json("addr"));
    let of_link = |link: &Value| -> Vec<Value> {
        let addresses = list(&link["addr_info"]).iter();
        addresses.map(|address| told_address(text(link, "ifname"), address)).collect()
    };
    let read = netns.addresses.iter().map(|a| {
        json!({
            "link": name(&netns, a.link), "net": a.net, "peer": a.peer, "scope": a.scope,
            "secondary": a.secondary, "standing": a.standing, "temporary": a.temporary,
        })
    });
    assert_same(
        "addresses",
        &list(&told).iter().flat_map(of_link).collect::<Vec<_>>(),
        &read.collect::<Vec<_>>(),
    );
}

#[test]
fn every_route_of_every_table_is_as_ip_tells_it() {
    let scratch = addressed();
    for route in [
        "1.2.3.0/24 nexthop via 10.0.0.2 dev live weight 3 nexthop via 172.16.5.2 dev dark",
        "blackhole 1.2.4.0/24",
        "unreachable 1.2.5.0/24 metric 7 table 77",
        "prohibit 1.2.6.0/24 table 7777",
        "throw 1.2.7.0/24 table 77",
        "1.2.8.0/24 via inet6 2001:db8::2 dev live",
        "1.2.9.0/24 via 192.0.2.1 dev live onlink mtu 1400 proto bgp tos 0x04 metric 3 src 10.0.0.7",
        "1.2.11.0/24 via 172.16.5.2 dev dark proto static",
        "default via 10.0.0.2 dev live proto dhcp metric 100",
        "default via 10.0.0.3 dev live metric 200",
    ] {
        scratch.ip(&format!("route add {route}"));
    }
    for route in [
        "blackhole 2001:db8:1::/48",
        "default via 2001:db8::2 dev live metric 5",
        "2001:db8:7::/48 nexthop via 2001:db8::2 dev live nexthop via 2001:db8::3 dev live",
        "2001:db8:8::/48 via 2001:db8::2 dev live pref high",
        "2001:db8:8::/48 from 2001:db8:9::/48 via 2001:db8::3 dev live pref low",
    ] {
        scratch.ip(&format!("-6 route add {route}"));
    }
    scratch.ip("nexthop add id 1 via 10.0.0.2 dev live").ip("route add 1.2.10.0/24 nhid 1");
    let both = |scratch: &Scratch| {
        json!([scratch.ip_json("-4 -d route show table all"), scratch.ip_json("-6 -d route show table all")])
    };
    let (told, netns) = scratch.settled(both);
    let told_v4 = list(&told[0]).iter().map(|route| told_route(route, "0.0.0.0/0"));
    let told_v6 = list(&told[1]).iter().map(|route| told_route(route, "::/0"));
    let read: Vec<Value> = netns.routes.iter().map(|route| read_route(&netns, route)).collect();
    assert_same("routes", &told_v4.chain(told_v6).collect::<Vec<_>>(), &read);
}

#[test]
fn every_fib_rule_is_as_ip_tells_it() {
    let scratch = addressed();
    for rule in [
        "not from 10.0.0.0/8 to 1.1.1.1 iif live oif lo fwmark 0x1/0xff tos 0x10 priority 100 lookup 77",
        "priority 50 goto 100",
        "priority 51 blackhole",
        "priority 52 unreachable",
        "priority 53 prohibit",
        "priority 56 nop",
        "priority 57 fwmark 0/0xff lookup main",
        "priority 58 fwmark 0x20 lookup 7777",
    ] {
        scratch.ip(&format!("rule add {rule}"));
    }
    let (told, netns) = scratch.settled(|scratch| scratch.ip_json("rule"));
    let read: Vec<Value> = netns.rules.iter().map(read_rule).collect();
    assert_same("FIB rules", &list(&told).iter().map(told_rule).collect::<Vec<_>>(), &read);
    assert!(netns.rules.is_sorted_by_key(|rule| rule.priority));
}

#[test]
fn every_fib_rule_of_ipv6_is_as_ip_tells_it() {
    let scratch = addressed();
    for rule in [
        "not from 2001:db8::/32 to 2001:db8:1::1 iif live oif lo fwmark 0x1/0xff priority 100 lookup 77",
        "priority 52 unreachable",
        "priority 58 fwmark 0x20 lookup 7777",
    ] {
        scratch.ip(&format!("-6 rule add {rule}"));
    }
    let (told, netns) = scratch.settled(|scratch| scratch.ip_json("-6 rule"));
    let read: Vec<Value> = netns.rules6.iter().map(read_rule).collect();
    let told: Vec<Value> = list(&told).iter().map(told_rule).collect();
    assert_same("FIB rules of IPv6", &told, &read);
}

#[test]
fn a_selector_that_is_not_modelled_is_said() {
    let scratch = addressed();
    let selectors = ["uidrange 0-10", "ipproto tcp", "dport 80", "suppress_prefixlength 0"];
    for (number, selector) in selectors.iter().enumerate() {
        scratch.ip(&format!("rule add {selector} priority {} lookup main", 60 + number));
    }
    let rules = scratch.read().rules;
    for (number, selector) in selectors.iter().enumerate() {
        let rule = rules.iter().find(|rule| rule.priority as usize == 60 + number).unwrap();
        assert!(rule.unmodelled.is_some(), "{rule:?} is limited by {selector}");
    }
    assert_eq!(rules.iter().filter(|rule| rule.unmodelled.is_some()).count(), selectors.len());
}

#[test]
fn every_neighbour_is_as_ip_tells_it() {
    let scratch = addressed();
    for neighbour in [
        "10.0.0.50 lladdr 02:00:00:00:00:50 dev live nud permanent",
        "10.0.0.51 lladdr 02:00:00:00:00:51 dev live nud stale",
        "10.0.0.52 dev live nud failed",
        "10.0.0.53 lladdr 02:00:00:00:00:53 dev live nud noarp",
        "10.0.0.55 lladdr 02:00:00:00:00:55 dev live nud reachable",
        "2001:db8::50 lladdr 02:00:00:00:00:50 dev live nud permanent",
        "proxy 10.0.0.54 dev live",
        "proxy 2001:db8::54 dev live",
    ] {
        scratch.ip(&format!("neigh add {neighbour}"));
    }
    let both = |scratch: &Scratch| {
        json!([scratch.ip_json("neigh show nud all"), scratch.ip_json("neigh show proxy")])
    };
    let (told, netns) = scratch.settled(both);
    let told_entries = list(&told[0]).iter().map(|n| {
        json!({ "ip": n["dst"], "link": n["dev"], "mac": n["lladdr"], "state": n["state"][0],
                "proxy": false })
    });
    let told_proxies = list(&told[1])
        .iter()
        .map(|n| json!({ "ip": n["dst"], "link": n["dev"], "mac": null, "state": "NONE", "proxy": true }));
    let read = netns.neighbours.iter().map(|n| {
        json!({
            "ip": n.ip, "link": name(&netns, n.link), "mac": n.mac.map(|mac| mac.to_string()),
            "state": n.state.name(), "proxy": n.proxy,
        })
    });
    assert_same(
        "neighbours",
        &told_entries.chain(told_proxies).collect::<Vec<_>>(),
        &read.collect::<Vec<_>>(),
    );
}

/// Entries are the whole machine's, and come and go.
#[test]
fn every_table_of_neighbours_is_as_ip_tells_it() {
    let scratch = addressed();
    scratch.ip("neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev live nud permanent");
    let tables = |scratch: &Scratch| {
        let told = scratch.ip_json("-s ntable show");
        let whole = list(&told).iter().filter(|table| !table["thresh3"].is_null());
        whole.map(|table| json!([table["name"], table["thresh3"], table["table_fulls"]])).collect()
    };
    let (told, netns) = scratch.settled(tables);
    let read = netns.neighbour_tables.iter();
    let read: Vec<Value> = read.map(|table| json!([table.name, table.entries_max, table.refused])).collect();
    assert_same("tables of neighbours", list(&told), &read);
    let of_arp = netns.neighbour_tables.iter().find(|table| table.name == "arp_cache").unwrap();
    assert!(of_arp.entries > 0, "{of_arp:?}");
}

fn told_address(link: &str, address: &Value) -> Value {
    let flags = ["optimistic", "tentative", "deprecated"];
    json!({
        "link": link,
        "net": format!("{}/{}", text(address, "local"), address["prefixlen"]),
        "peer": address["address"],
        "scope": address["scope"],
        "secondary": address["secondary"] == true,
        "standing": flags.iter().find(|flag| address[**flag] == true).unwrap_or(&"preferred"),
        "temporary": address["temporary"] == true,
    })
}

/// `ip` leaves out what is default: the length of a host's prefix, a metric of 0.
fn told_route(route: &Value, everywhere: &str) -> Value {
    let destination = match text(route, "dst") {
        "default" => everywhere.to_owned(),
        net if net.contains('/') => net.to_owned(),
        host if host.contains(':') => format!("{host}/128"),
        host => format!("{host}/32"),
    };
    // IPv6 says `dev lo` of what goes nowhere.
    let goes_nowhere = ["blackhole", "unreachable", "prohibit", "throw"].contains(&text(route, "type"));
    let nexthops: Vec<Value> = match route["nexthops"].as_array() {
        Some(several) => several.iter().map(told_nexthop).collect(),
        None if goes_nowhere => Vec::new(),
        None => vec![told_nexthop(route)],
    };
    json!({
        "table": table(text(route, "table")), "destination": destination, "kind": route["type"],
        "metric": route["metric"].as_u64().unwrap_or_default(), "tos": hex(text(route, "tos")),
        "source": route["prefsrc"], "protocol": route["protocol"], "scope": route["scope"],
        "mtu": route["metrics"][0]["mtu"].as_u64().unwrap_or_default(), "nexthops": nexthops,
        "from": route["from"], "preference": route["pref"].as_str().unwrap_or("medium"),
    })
}

fn told_nexthop(hop: &Value) -> Value {
    let via = if hop["via"].is_null() { &hop["gateway"] } else { &hop["via"]["host"] };
    json!({
        "via": via, "link": hop["dev"], "weight": hop["weight"].as_u64().unwrap_or(1),
        "onlink": has_flag(hop, "onlink"), "dead": has_flag(hop, "dead"),
        "linkdown": has_flag(hop, "linkdown"),
    })
}

fn read_route(netns: &Netns, route: &Route) -> Value {
    let nexthop = |hop: &Nexthop| {
        json!({
            "via": hop.via, "link": name(netns, hop.link), "weight": hop.weight,
            "onlink": hop.onlink, "dead": hop.dead, "linkdown": hop.linkdown,
        })
    };
    json!({
        "table": route.table, "destination": route.destination, "kind": route.kind, "metric": route.metric,
        "tos": route.tos, "source": route.preferred_source, "protocol": route.protocol,
        "scope": route.scope, "mtu": route.mtu, "from": route.source, "preference": route.preference,
        "nexthops": route.nexthops.iter().map(nexthop).collect::<Vec<_>>(),
    })
}

fn told_rule(rule: &Value) -> Value {
    let net = |address: &str, length: &str| match text(rule, address) {
        "" | "all" => Value::Null,
        ip => {
            let longest = if ip.contains(':') { 128 } else { 32 };
            json!(format!("{ip}/{}", rule[length].as_u64().unwrap_or(longest)))
        }
    };
    let mark = rule["fwmark"].as_str().map(|mark| {
        let mask = rule["fwmask"].as_str().map_or(u32::MAX, hex);
        json!([hex(mark), mask])
    });
    let action = if let Some(target) = rule["goto"].as_u64() {
        json!({ "goto": target })
    } else if rule.get("nop").is_some() {
        json!("nop")
    } else if let Some(action) = rule["action"].as_str() {
        json!(action)
    } else {
        json!({ "lookup": table(text(rule, "table")) })
    };
    json!({
        "priority": rule["priority"], "not": rule.get("not").is_some(),
        "source": net("src", "srclen"), "destination": net("dst", "dstlen"),
        "iif": rule["iif"], "oif": rule["oif"], "mark": mark, "tos": hex(text(rule, "tos")), "action": action,
        "unmodelled": null,
    })
}

fn read_rule(rule: &FibRule) -> Value {
    let net = |net: Option<IpNet>| net.map(|net| net.to_string());
    let action = match rule.action {
        RuleAction::Lookup(table) => json!({ "lookup": table }),
        RuleAction::Goto(priority) => json!({ "goto": priority }),
        RuleAction::Nop => json!("nop"),
        RuleAction::Blackhole => json!("blackhole"),
        RuleAction::Unreachable => json!("unreachable"),
        RuleAction::Prohibit => json!("prohibit"),
    };
    json!({
        "priority": rule.priority, "not": rule.invert, "source": net(rule.source),
        "destination": net(rule.destination), "iif": rule.iif, "oif": rule.oif,
        "mark": rule.fwmark, "tos": rule.tos, "action": action, "unmodelled": rule.unmodelled,
    })
}

fn table(name: &str) -> u32 {
    match name {
        "local" => 255,
        "main" => 254,
        "default" => 253,
        number => number.parse().expect("a table's number"),
    }
}

/// `0x1f`, `0`, or nothing for 0.
fn hex(text: &str) -> u32 {
    let digits = text.trim_start_matches("0x");
    if digits.is_empty() { 0 } else { u32::from_str_radix(digits, 16).unwrap() }
}
