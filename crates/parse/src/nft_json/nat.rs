//! Address translation (libnftables-json(5), NAT).

use std::net::IpAddr;

use model::netfilter::{Action, AddressOf, Family, Field, Match, NatTarget, Test};
use serde_json::{Value, json};

use super::action::{Deed, looked_up};
use super::{lookup, plain};

/// `dnat`, `snat`, `masquerade`, `redirect`.
pub(super) fn read(family: Family, (name, body): (&str, &Value), before: &[Match]) -> Option<Deed> {
    if body.get("type_flags").is_some() {
        return prefix(family, name, body, before);
    }
    let map = body.get("addr").and_then(|addr| addr.get("map"));
    let make = match name {
        "masquerade" => return Some(Action::Masquerade(ports(body)?).into()),
        "redirect" => return Some(Action::Redirect(ports(body)?).into()),
        "dnat" if map.is_some() => Action::DnatMap,
        "snat" if map.is_some() => Action::SnatMap,
        "dnat" => return Some(Action::Dnat(target(body)?).into()),
        "snat" => return Some(Action::Snat(target(body)?).into()),
        _ => return None,
    };
    match body.get("port") {
        None => looked_up(family, map?, before, make),
        Some(port) => looked_up(family, &with_ports(map?, port.get("map")?)?, before, make),
    }
}

/// `dnat to KEY map { ... }:KEY map { ... }` as one map to address and port. Where one of the two names
/// nothing for the key, there is no translation (`NFT_BREAK`), so what is in both counts.
fn with_ports(addresses: &Value, ports: &Value) -> Option<Value> {
    let entries = |map: &'_ Value| -> Option<Vec<(Value, Value)>> {
        let pairs =
            map.get("data")?.get("set")?.as_array()?.iter().map(|entry| match entry.as_array()?.as_slice() {
                [key, data] => Some((key.clone(), data.clone())),
                _ => None,
            });
        pairs.collect()
    };
    let key = addresses.get("key").filter(|key| ports.get("key") == Some(key))?;
    let (addresses, ports) = (entries(addresses)?, entries(ports)?);
    // Ranges that overlap without being the same are more than this compares.
    let is_exact = |(key, _): &(Value, Value)| !key.is_object() && key.as_str() != Some("*");
    if !addresses.iter().chain(&ports).all(is_exact) {
        return None;
    }
    let both = addresses.iter().filter_map(|(key, address)| {
        let (_, port) = ports.iter().find(|(other, _)| other == key)?;
        Some(json!([key, {"concat": [address, port]}]))
    });
    Some(json!({"key": key, "data": {"set": both.collect::<Vec<_>>()}}))
}

fn target(body: &Value) -> Option<NatTarget> {
    let addresses = match body.get("addr") {
        Some(addr) => Some(address_range(addr)?),
        None => None,
    };
    Some(NatTarget { addresses, ports: ports(body)?, base: None })
}

fn address_range(addr: &Value) -> Option<(IpAddr, IpAddr)> {
    if let Some(range) = plain::address_range(addr) {
        return Some(range);
    }
    let net = plain::net(addr)?;
    Some((net.network(), net.broadcast()))
}

/// `Some(None)` where no port is named.
#[expect(clippy::option_option, reason = "not readable and not there are different answers")]
fn ports(body: &Value) -> Option<Option<(u16, u16)>> {
    match body.get("port") {
        Some(port) => port_range(port).map(Some),
        None => Some(None),
    }
}

fn port_range(value: &Value) -> Option<(u16, u16)> {
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    match value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        Some([low, high]) => Some((number(low)?, number(high)?)),
        Some(_) => None,
        None => number(value).map(|port| (port, port)),
    }
}

/// `dnat ip prefix to 10.0.0.0/24` keeps the host part. Where a map of one entry gives the prefix,
/// its key is a condition.
fn prefix(family: Family, name: &str, body: &Value, before: &[Match]) -> Option<Deed> {
    let addr = body.get("addr").filter(|_| body.get("port").is_none())?;
    let Some(map) = addr.get("map") else {
        return plain::net(addr).map(|net| Action::Netmap(net.trunc()).into());
    };
    let key = lookup::fields(family, map.get("key")?, before, false).ok()?;
    let mapped = match map.get("data")?.get("set")?.as_array()?.as_slice() {
        [entry] => entry.as_array()?,
        _ => return None,
    };
    let [from, to] = mapped.as_slice() else { return None };
    let (from, to) = (plain::net(from)?, plain::net(to)?);
    let condition = match (name, key.fields.as_slice()) {
        ("dnat", [Field::Ip(AddressOf::Destination)]) => Test::Destination(vec![from]),
        ("snat", [Field::Ip(AddressOf::Source)]) => Test::Source(vec![from]),
        _ => return None,
    };
    let demands = key.demands.into_iter().chain([condition]).collect();
    let is_whole = from.prefix_len() == to.prefix_len();
    is_whole.then(|| Deed { demands, action: Action::Netmap(to.trunc()), may_end_rule: false })
}
