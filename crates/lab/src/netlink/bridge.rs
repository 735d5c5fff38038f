//! Bridges and their ports, set as nova sets them (bridge(8)).

use model::Mac;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    LinkAttribute, LinkInfo,
};

use super::link;
use crate::LabError;
use crate::namespace::Namespace;

/// A bridge without spanning tree and without forward delay (nova's `setfd 0`, `stp off`), down.
///
/// A MAC given here stays; without one the bridge takes the lowest of its ports'
/// (`net/bridge/br_stp_if.c br_stp_recalculate_bridge_id`).
pub(crate) fn create(ns: &mut Namespace, name: &str, mac: Option<Mac>) -> Result<(), LabError> {
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

/// `bridge link set dev PORT hairpin on`: nova's `_enable_hairpin`, without which an instance cannot
/// reach its own floating address.
pub(crate) fn set_hairpin(ns: &mut Namespace, port: &str) -> Result<(), LabError> {
    let mut message = link::named(port);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
    ]));
    ns.change(format!("set hairpin on {port}"), RouteNetlinkMessage::NewLink(message))
}
