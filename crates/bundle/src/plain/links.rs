//! `ip -d -j link` and `ip -j address`.

use model::Netns;
use model::bond::{Bond, BondSlave};
use model::link::{Bridge, BridgePort, Link, LinkKind, PortState};
use model::route::{Address, Standing};
use model::vxlan::VxlanDevice;
use serde_json::{Value, json};

use super::{flag, object};

pub(super) fn links(ns: &Netns) -> Vec<Value> {
    ns.links.iter().map(|link| Value::Object(link_fields(ns, link))).collect()
}

/// Every link, with its addresses.
pub(super) fn addresses(ns: &Netns) -> Vec<Value> {
    let with_addresses = ns.links.iter().map(|link| {
        let mut fields = link_fields(ns, link);
        for more in ["linkinfo", "stats64"] {
            fields.remove(more);
        }
        let list: Vec<Value> = ns.addresses_of(link.index).map(|address| address_of(link, address)).collect();
        fields.insert("addr_info".to_owned(), list.into());
        Value::Object(fields)
    });
    with_addresses.collect()
}

fn link_fields(ns: &Netns, link: &Link) -> serde_json::Map<String, Value> {
    // Of a peer here, ip prints the name; of one elsewhere, its number there.
    let peer = link.peer.map(|peer| match ns.link(peer.index) {
        Some(other) if peer.netns == ns.inode => ("link", Value::from(other.name.as_str())),
        Some(_) | None => ("link_index", peer.index.into()),
    });
    let value = object([
        ("ifindex", Some(link.index.into())),
        ("ifname", Some(link.name.as_str().into())),
        peer.map_or(("link", None), |(key, value)| (key, Some(value))),
        ("flags", Some(flags(link).into())),
        ("mtu", Some(link.mtu.into())),
        ("qdisc", link.qdisc.as_deref().map(Value::from)),
        ("master", link.master.map(|master| super::name(ns, master))),
        ("operstate", Some(link.operstate.to_string().into())),
        ("address", link.mac.map(|mac| mac.to_string().into())),
        ("xdp", flag(link.xdp)),
        ("linkinfo", linkinfo(ns, link)),
        ("stats64", stats(link)),
    ]);
    match value {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    }
}

/// In the order of iproute2 (ip/ipaddress.c, `print_link_flags`), those that the facts have.
fn flags(link: &Link) -> Vec<&'static str> {
    let flags = [
        ("NO-CARRIER", link.admin_up && !link.carrier),
        ("LOOPBACK", link.kind == LinkKind::Loopback),
        ("PROMISC", link.promiscuous),
        ("UP", link.admin_up),
        ("LOWER_UP", link.carrier),
    ];
    flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

fn linkinfo(ns: &Netns, link: &Link) -> Option<Value> {
    let kind = kind(&link.kind);
    let of_vlan = link.vlan.map(|vlan| json!({ "protocol": vlan.protocol.name(), "id": vlan.id }));
    let of_vxlan = link.vxlan.map(|device| vxlan(ns, &device));
    let data = link.bridge.map(bridge).or(of_vlan).or(of_vxlan).or(link.bond.map(bond));
    let of_bond = link.bond_slave.map(|slave| ("bond", bond_slave(slave)));
    let (slave_kind, slave) = link.port.map(|of| ("bridge", port(of))).or(of_bond).unzip();
    if kind.is_none() && slave.is_none() {
        return None;
    }
    Some(object([
        ("info_kind", kind.map(Value::from)),
        ("info_data", data),
        ("info_slave_kind", slave_kind.map(Value::from)),
        ("info_slave_data", slave),
    ]))
}

/// The kernel's own word.
fn kind(kind: &LinkKind) -> Option<&str> {
    match kind {
        LinkKind::Physical | LinkKind::Loopback => None,
        LinkKind::Bridge => Some("bridge"),
        LinkKind::Veth => Some("veth"),
        LinkKind::Tun => Some("tun"),
        LinkKind::Vlan => Some("vlan"),
        LinkKind::Vxlan => Some("vxlan"),
        LinkKind::Bond => Some("bond"),
        LinkKind::Dummy => Some("dummy"),
        LinkKind::Other(name) => Some(name),
    }
}

fn bridge(bridge: Bridge) -> Value {
    // A kernel without VLAN filtering tells nothing of the last two.
    let filters = bridge.vlan_filtering || bridge.default_pvid != 0;
    object([
        ("forward_delay", Some(bridge.forward_delay_cs.into())),
        ("stp_state", Some(u8::from(bridge.stp).into())),
        ("vlan_filtering", Some(u8::from(bridge.vlan_filtering).into())),
        ("vlan_protocol", filters.then(|| bridge.vlan_protocol.name().into())),
        ("vlan_default_pvid", filters.then(|| bridge.default_pvid.into())),
    ])
}

fn bond(bond: Bond) -> Value {
    let agreed = [
        ("aggregator", bond.aggregator.map(Value::from)),
        ("partner_mac", bond.partner.map(|mac| mac.to_string().into())),
    ];
    object([
        ("mode", Some(bond.mode.name().into())),
        ("ad_info", bond.aggregator.is_some().then(|| object(agreed))),
    ])
}

fn bond_slave(slave: BondSlave) -> Value {
    object([
        ("state", Some(if slave.is_active { "ACTIVE" } else { "BACKUP" }.into())),
        ("mii_status", Some(if slave.is_up { "UP" } else { "DOWN" }.into())),
        ("ad_aggregator_id", slave.aggregator.map(Value::from)),
    ])
}

fn vxlan(ns: &Netns, device: &VxlanDevice) -> Value {
    let far = if device.remote.is_some_and(|ip| ip.is_multicast()) { "group" } else { "remote" };
    let far = if device.remote.is_some_and(|ip| ip.is_ipv6()) { [far, "6"].concat() } else { far.to_owned() };
    let local = if device.local.is_some_and(|ip| ip.is_ipv6()) { "local6" } else { "local" };
    // Of a link elsewhere, ip prints the number.
    let underlay = device.underlay.map(|index| match ns.link(index) {
        Some(link) if device.underlay_netns == ns.inode => ("link", Value::from(link.name.as_str())),
        Some(_) | None => ("link_index", index.into()),
    });
    let mut data = object([
        ("external", device.external.then_some(true.into())),
        ("proxy", device.answers_itself.then_some(true.into())),
        ("id", Some(device.vni.into())),
        (local, device.local.map(|ip| ip.to_string().into())),
        underlay.map_or(("link", None), |(key, value)| (key, Some(value))),
        ("port", Some(device.port.into())),
        ("learning", Some(device.learning.into())),
    ]);
    if let (Some(ip), Some(fields)) = (device.remote, data.as_object_mut()) {
        fields.insert(far, ip.to_string().into());
    }
    data
}

fn port(port: BridgePort) -> Value {
    let state = match port.state {
        PortState::Disabled => "disabled",
        PortState::Listening => "listening",
        PortState::Learning => "learning",
        PortState::Forwarding => "forwarding",
        PortState::Blocking => "blocking",
    };
    json!({
        "state": state, "hairpin": port.hairpin, "learning": port.learning, "flood": port.flood,
        "mcast_flood": port.mcast_flood, "bcast_flood": port.bcast_flood, "isolated": port.isolated,
        "locked": port.locked,
    })
}

fn stats(link: &Link) -> Option<Value> {
    let stats = link.stats?;
    Some(json!({
        "rx": { "bytes": stats.rx_bytes, "packets": stats.rx_packets, "errors": stats.rx_errors,
                "dropped": stats.rx_dropped },
        "tx": { "bytes": stats.tx_bytes, "packets": stats.tx_packets, "errors": stats.tx_errors,
                "dropped": stats.tx_dropped },
    }))
}

fn address_of(link: &Link, address: &Address) -> Value {
    let family = if address.net.addr().is_ipv4() { "inet" } else { "inet6" };
    object([
        ("family", Some(family.into())),
        ("local", Some(address.net.addr().to_string().into())),
        ("address", address.peer.map(|peer| peer.to_string().into())),
        ("prefixlen", Some(address.net.prefix_len().into())),
        ("scope", Some(address.scope.as_str().into())),
        ("secondary", address.secondary.then_some(Value::Bool(true))),
        ("temporary", address.temporary.then_some(Value::Bool(true))),
        standing(address.standing),
        ("label", (family == "inet").then(|| link.name.as_str().into())),
    ])
}

fn standing(standing: Standing) -> (&'static str, Option<Value>) {
    let set = Some(Value::Bool(true));
    match standing {
        Standing::Preferred => ("preferred", None),
        Standing::Deprecated => ("deprecated", set),
        Standing::Tentative => ("tentative", set),
        Standing::Duplicate => ("dadfailed", set),
        Standing::Optimistic => ("optimistic", set),
    }
}
