//! Bridges and their ports, set as nova sets them (bridge(8)).

use model::Mac;
use model::link::BridgePort;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    LinkAttribute, LinkInfo,
};

use crate::link;
use crate::{Namespace, PlumbingError};

/// A bridge without spanning tree and without forward delay (nova's `setfd 0`, `stp off`), down.
///
/// A MAC given here stays; without one the bridge takes the lowest of its ports'
/// (`net/bridge/br_stp_if.c br_stp_recalculate_bridge_id`).
pub fn create(ns: &mut Namespace, name: &str, mac: Option<Mac>) -> Result<(), PlumbingError> {
    let mut message = link::named(name);
    if let Some(mac) = mac {
        message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    }
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![
            InfoBridge::ForwardDelay(0),
            InfoBridge::StpState(BridgeStpState::Disabled),
            InfoBridge::MulticastSnooping(false),
        ])),
    ]));
    let attempted = format!("make the bridge {name}");
    ns.make(attempted, RouteNetlinkMessage::NewLink(message))
}

/// Spanning tree with this forward delay, in hundredths of a second; `None` for none, as nova wants it. Ports stay
/// in the state that they are in.
pub fn set_spanning_tree(
    ns: &mut Namespace,
    name: &str,
    forward_delay_cs: Option<u32>,
) -> Result<(), PlumbingError> {
    // The kernel takes a delay of 0 only while there is no spanning tree (`br_set_forward_delay`).
    let steps = match forward_delay_cs {
        Some(delay) => vec![InfoBridge::StpState(BridgeStpState::KernelStp), InfoBridge::ForwardDelay(delay)],
        None => vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::ForwardDelay(0)],
    };
    for step in steps {
        let mut message = link::named(name);
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![step])),
        ]));
        ns.change(format!("set the spanning tree of {name}"), RouteNetlinkMessage::NewLink(message))?;
    }
    Ok(())
}

/// `bridge link set dev PORT hairpin on`: nova's `_enable_hairpin`, without which an instance cannot
/// reach its own floating address.
pub fn set_hairpin(ns: &mut Namespace, port: &str) -> Result<(), PlumbingError> {
    set(ns, port, format!("set hairpin on {port}"), vec![InfoBridgePort::HairpinMode(true)])
}

/// `bridge link set dev PORT ...`: every switch of a port, but not its spanning-tree state.
pub fn set_port(ns: &mut Namespace, port: &str, settings: &BridgePort) -> Result<(), PlumbingError> {
    let BridgePort { state: _, hairpin, learning, flood, mcast_flood, bcast_flood, isolated, locked } =
        *settings;
    let settings = vec![
        InfoBridgePort::HairpinMode(hairpin),
        InfoBridgePort::Learning(learning),
        InfoBridgePort::UnicastFlood(flood),
        InfoBridgePort::MulticastFlood(mcast_flood),
        InfoBridgePort::BroadcastFlood(bcast_flood),
        InfoBridgePort::Isolated(isolated),
        InfoBridgePort::Locked(locked),
    ];
    set(ns, port, format!("set the switches of bridge port {port}"), settings)
}

/// `ip link set dev PORT type bridge_slave fdb_flush`: every station that was learned behind it. Of a link that is
/// not there, or no port, there is nothing to forget.
pub fn forget_all(ns: &mut Namespace, port: &str) -> Result<(), PlumbingError> {
    if !link::has_master(ns, port)? {
        return Ok(());
    }
    set(ns, port, format!("forget who is behind {port}"), vec![InfoBridgePort::Flush])
}

fn set(
    ns: &mut Namespace,
    port: &str,
    attempted: String,
    settings: Vec<InfoBridgePort>,
) -> Result<(), PlumbingError> {
    let mut message = link::named(port);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(settings)),
    ]));
    ns.change(attempted, RouteNetlinkMessage::NewLink(message))
}
