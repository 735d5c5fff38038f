//! The types of expressions (`nft describe EXPRESSION`), as sets declared with `typeof` have them.

use serde_json::Value;

/// One type a part of the key. An expression that is not known here has no type that is.
pub(super) fn names(key: &Value) -> Vec<&'static str> {
    match key.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(name).collect(),
        None => vec![name(key)],
    }
}

fn name(expression: &Value) -> &'static str {
    let part = |kind: &str, name: &str| expression.get(kind)?.get(name)?.as_str();
    // A masked field is of its own type.
    if let Some(field) = expression.get("&").and_then(|operands| operands.get(0)) {
        return name(field);
    }
    if let (Some(protocol), Some(field)) = (part("payload", "protocol"), part("payload", "field")) {
        return payload(protocol, field);
    }
    if let Some(key) = part("meta", "key") {
        return meta(key);
    }
    if expression.get("osf").is_some() {
        return "string";
    }
    match (part("ct", "key"), part("fib", "result")) {
        (Some(key), _) => ct(key),
        (None, Some("type")) => "fib_addrtype",
        (None, Some("oif")) => "iface_index",
        (None, Some("oifname")) => "ifname",
        (None, Some(_) | None) => UNKNOWN,
    }
}

const UNKNOWN: &str = "integer";

fn payload(protocol: &str, field: &str) -> &'static str {
    match (protocol, field) {
        ("ip", "saddr" | "daddr") | ("arp", "saddr ip" | "daddr ip") | ("icmp", "gateway") => "ipv4_addr",
        ("ip6", "saddr" | "daddr") | ("icmpv6", "taddr" | "daddr") => "ipv6_addr",
        ("ether", "saddr" | "daddr") | ("arp", "saddr ether" | "daddr ether") => "ether_addr",
        ("ether" | "vlan", "type") | ("arp", "ptype") => "ether_type",
        ("arp", "operation") => "arp_op",
        ("ip", "protocol") | ("ip6" | "ah" | "comp", "nexthdr") => "inet_proto",
        ("ip" | "ip6", "dscp") => "dscp",
        ("ip" | "ip6", "ecn") => "ecn",
        (_, "sport" | "dport") => "inet_service",
        ("tcp", "flags") => "tcp_flag",
        ("icmp", "type") => "icmp_type",
        ("icmp", "code") => "icmp_code",
        ("icmpv6", "type") => "icmpv6_type",
        ("icmpv6", "code") => "icmpv6_code",
        ("igmp", "type") => "igmp_type",
        ("dccp", "type") => "dccp_pkttype",
        _ => UNKNOWN,
    }
}

fn meta(key: &str) -> &'static str {
    match key {
        "iif" | "oif" | "sdif" => "iface_index",
        "iifname" | "oifname" | "ibrname" | "obrname" | "sdifname" | "iifkind" | "oifkind" => "ifname",
        "iiftype" | "oiftype" => "iface_type",
        "iifgroup" | "oifgroup" => "devgroup",
        "mark" => "mark",
        "protocol" | "ibrvproto" => "ether_type",
        "l4proto" => "inet_proto",
        "nfproto" => "nf_proto",
        "priority" => "classid",
        "pkttype" => "pkt_type",
        "skuid" => "uid",
        "skgid" => "gid",
        "rtclassid" => "realm",
        "time" => "time",
        "day" => "day",
        "hour" => "hour",
        _ => UNKNOWN,
    }
}

fn ct(key: &str) -> &'static str {
    match key {
        "state" => "ct_state",
        "direction" => "ct_dir",
        "status" => "ct_status",
        "mark" => "mark",
        "label" => "ct_label",
        "event" => "ct_event",
        "expiration" => "time",
        "helper" => "string",
        "l3proto" => "nf_proto",
        "protocol" => "inet_proto",
        "proto-src" | "proto-dst" => "inet_service",
        "ip saddr" | "ip daddr" => "ipv4_addr",
        "ip6 saddr" | "ip6 daddr" => "ipv6_addr",
        _ => UNKNOWN,
    }
}
