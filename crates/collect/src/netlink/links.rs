//! Links (`RTM_GETLINK`), with the per-link IP settings that ride along in `IFLA_AF_SPEC`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::Mac;
use model::link::{Bridge, BridgePort, Link, LinkKind, LinkStats, OperState, PortState};
use model::vlan::{VlanDevice, VlanProtocol};
use model::vxlan::VxlanDevice;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, BridgePortState, BridgeStpState, Inet6DevConf, InetDevConf,
    InfoBridge, InfoBridgePort, InfoData, InfoPortData, InfoVlan, InfoVxlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkLayerType, LinkMessage, LinkXdp, State, VlanFlags, VlanProtocol as Protocol,
};

use super::{NetlinkError, Socket, bonds};

/// A link, and where its other end is: ifindex and namespace id, resolved later.
pub(crate) struct RawLink {
    pub(crate) link: Link,
    /// `IFLA_LINK`.
    pub(crate) peer: Option<u32>,
    /// `IFLA_LINK_NETNSID`.
    pub(crate) peer_nsid: Option<i32>,
    /// The link's settings by family and name, as under /proc/sys/net: `ipv4`, `rp_filter`.
    pub(crate) settings: Vec<Setting>,
}

/// Family, name and value of a setting.
pub(crate) type Setting = (&'static str, &'static str, i32);

/// Every link of the namespace, by ifindex.
pub(crate) fn read(socket: &mut Socket) -> Result<Vec<RawLink>, NetlinkError> {
    let answers = socket.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let mut links: Vec<RawLink> = answers
        .into_iter()
        .filter_map(|m| if let RouteNetlinkMessage::NewLink(link) = m { Some(raw(link)) } else { None })
        .collect();
    links.sort_by_key(|l| l.link.index);
    let names: BTreeMap<u32, String> = links.iter().map(|l| (l.link.index, l.link.name.clone())).collect();
    for raw in &mut links {
        raw.link.master_name = raw.link.master.and_then(|m| names.get(&m).cloned());
    }
    Ok(links)
}

fn raw(message: LinkMessage) -> RawLink {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        admin_up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        promiscuous: flags.contains(LinkFlags::Promisc),
        ..Link::default()
    };
    if message.header.link_layer_type == LinkLayerType::Loopback {
        link.kind = LinkKind::Loopback;
    }
    let (mut peer, mut peer_nsid, mut settings) = (None, None, Vec::new());
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = <[u8; 6]>::try_from(bytes).ok().map(Mac),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Qdisc(name) => link.qdisc = Some(name),
            LinkAttribute::OperState(state) => link.operstate = oper_state(state),
            LinkAttribute::Controller(master) => link.master = Some(master),
            LinkAttribute::Link(index) => peer = Some(index),
            LinkAttribute::LinkNetNsId(nsid) => peer_nsid = Some(nsid),
            LinkAttribute::Stats64(stats) => {
                link.stats = Some(LinkStats {
                    rx_packets: stats.rx_packets,
                    tx_packets: stats.tx_packets,
                    rx_bytes: stats.rx_bytes,
                    tx_bytes: stats.tx_bytes,
                    rx_errors: stats.rx_errors,
                    tx_errors: stats.tx_errors,
                    rx_dropped: stats.rx_dropped,
                    tx_dropped: stats.tx_dropped,
                });
            }
            LinkAttribute::Xdp(xdp) => {
                link.xdp = xdp.iter().any(|x| matches!(x, LinkXdp::ProgId(id) if *id != 0));
            }
            LinkAttribute::LinkInfo(infos) => info(&mut link, infos),
            LinkAttribute::AfSpecUnspec(specs) => settings = self::settings(specs),
            _ => {}
        }
    }
    // tun devices that carry IP only have no MAC; lo has one of zeros that means none.
    if link.kind == LinkKind::Loopback {
        link.mac = None;
    }
    RawLink { link, peer, peer_nsid, settings }
}

fn info(link: &mut Link, infos: Vec<LinkInfo>) {
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => link.kind = LinkKind::from_kernel(&kind.to_string()),
            LinkInfo::Data(InfoData::Bridge(settings)) => link.bridge = Some(bridge(&settings)),
            LinkInfo::Data(InfoData::Vlan(settings)) => {
                link.vlan = Some(vlan(&settings));
            }
            LinkInfo::Data(InfoData::Bond(settings)) => link.bond = Some(bonds::bond(&settings)),
            LinkInfo::PortData(InfoPortData::BondPort(settings)) => {
                link.bond_slave = Some(bonds::slave(&settings));
            }
            LinkInfo::Data(InfoData::Vxlan(settings)) => link.vxlan = Some(vxlan(&settings)),
            LinkInfo::PortData(InfoPortData::BridgePort(settings)) => link.port = Some(port(&settings)),
            _ => {}
        }
    }
}

fn bridge(settings: &[InfoBridge]) -> Bridge {
    let mut bridge = Bridge::default();
    for setting in settings {
        match setting {
            InfoBridge::StpState(state) => bridge.stp = *state != BridgeStpState::Disabled,
            InfoBridge::ForwardDelay(ticks) => bridge.forward_delay_cs = *ticks,
            InfoBridge::VlanFiltering(on) => bridge.vlan_filtering = *on,
            InfoBridge::VlanProtocol(protocol) => bridge.vlan_protocol = vlan_protocol(*protocol),
            InfoBridge::VlanDefaultPvid(id) => bridge.default_pvid = *id,
            _ => {}
        }
    }
    bridge
}

fn vlan(settings: &[InfoVlan]) -> VlanDevice {
    // Flags are told only where some are set (`vlan_fill_info`).
    let mut vlan = VlanDevice { reorder_header: false, ..VlanDevice::default() };
    for setting in settings {
        match setting {
            InfoVlan::Id(id) => vlan.id = *id,
            InfoVlan::Protocol(protocol) => vlan.protocol = vlan_protocol(*protocol),
            InfoVlan::Flags((flags, _)) => {
                vlan.reorder_header = flags.contains(VlanFlags::ReorderHdr);
                vlan.loose_binding = flags.contains(VlanFlags::LooseBinding);
            }
            _ => {}
        }
    }
    vlan
}

fn vxlan(settings: &[InfoVxlan]) -> VxlanDevice {
    let mut vxlan = VxlanDevice::default();
    for setting in settings {
        match setting {
            InfoVxlan::Id(vni) => vxlan.vni = *vni,
            InfoVxlan::Group(ip) => vxlan.remote = Some(IpAddr::V4(*ip)),
            InfoVxlan::Group6(ip) => vxlan.remote = Some(IpAddr::V6(*ip)),
            InfoVxlan::Local(ip) => vxlan.local = Some(IpAddr::V4(*ip)),
            InfoVxlan::Local6(ip) => vxlan.local = Some(IpAddr::V6(*ip)),
            InfoVxlan::Link(index) => vxlan.underlay = Some(*index),
            InfoVxlan::Port(port) => vxlan.port = *port,
            InfoVxlan::Learning(on) => vxlan.learning = *on,
            InfoVxlan::Proxy(on) | InfoVxlan::Rsc(on) => vxlan.answers_itself |= *on,
            InfoVxlan::CollectMetadata(on) => vxlan.external = *on,
            _ => {}
        }
    }
    vxlan
}

fn vlan_protocol(protocol: Protocol) -> VlanProtocol {
    if protocol == Protocol::Ieee8021Ad { VlanProtocol::Dot1ad } else { VlanProtocol::Dot1q }
}

fn port(settings: &[InfoBridgePort]) -> BridgePort {
    let mut port = BridgePort::default();
    for setting in settings {
        match setting {
            InfoBridgePort::State(state) => port.state = port_state(*state),
            InfoBridgePort::HairpinMode(on) => port.hairpin = *on,
            InfoBridgePort::Learning(on) => port.learning = *on,
            InfoBridgePort::UnicastFlood(on) => port.flood = *on,
            InfoBridgePort::MulticastFlood(on) => port.mcast_flood = *on,
            InfoBridgePort::BroadcastFlood(on) => port.bcast_flood = *on,
            InfoBridgePort::Isolated(on) => port.isolated = *on,
            InfoBridgePort::Locked(on) => port.locked = *on,
            _ => {}
        }
    }
    port
}

fn port_state(state: BridgePortState) -> PortState {
    match state {
        BridgePortState::Listening => PortState::Listening,
        BridgePortState::Learning => PortState::Learning,
        BridgePortState::Forwarding => PortState::Forwarding,
        BridgePortState::Blocking => PortState::Blocking,
        _ => PortState::Disabled,
    }
}

fn oper_state(state: State) -> OperState {
    match state {
        State::NotPresent => OperState::NotPresent,
        State::Down => OperState::Down,
        State::LowerLayerDown => OperState::LowerLayerDown,
        State::Testing => OperState::Testing,
        State::Dormant => OperState::Dormant,
        State::Up => OperState::Up,
        _ => OperState::Unknown,
    }
}

fn settings(specs: Vec<AfSpecUnspec>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for spec in specs {
        match spec {
            AfSpecUnspec::Inet(of_v4) => {
                let conf =
                    of_v4.iter().find_map(|s| if let AfSpecInet::DevConf(c) = s { Some(c) } else { None });
                settings.extend(conf.into_iter().flat_map(v4_settings));
            }
            AfSpecUnspec::Inet6(of_v6) => {
                let conf =
                    of_v6.iter().find_map(|s| if let AfSpecInet6::DevConf(c) = s { Some(c) } else { None });
                settings.extend(conf.into_iter().flat_map(v6_settings));
            }
            _ => {}
        }
    }
    settings
}

/// The settings that decide a packet's fate, under their names in /proc/sys/net/ipv4/conf.
fn v4_settings(conf: &InetDevConf) -> impl Iterator<Item = Setting> + use<> {
    let settings = [
        ("forwarding", conf.forwarding),
        ("proxy_arp", conf.proxy_arp),
        ("rp_filter", conf.rp_filter),
        ("arp_filter", conf.arpfilter),
        ("arp_ignore", conf.arp_ignore),
        ("accept_local", conf.accept_local),
        ("src_valid_mark", conf.src_vmark),
        ("route_localnet", conf.route_localnet),
        ("ignore_routes_with_linkdown", conf.ignore_routes_with_linkdown),
    ];
    settings.into_iter().map(|(name, value)| ("ipv4", name, value))
}

/// The same for /proc/sys/net/ipv6/conf.
fn v6_settings(conf: &Inet6DevConf) -> impl Iterator<Item = Setting> + use<> {
    let settings = [
        ("disable_ipv6", conf.disable_ipv6),
        ("enhanced_dad", conf.enhanced_dad),
        ("force_forwarding", conf.force_forwarding),
        ("forwarding", conf.forwarding),
        ("hop_limit", conf.hoplimit),
        ("ignore_routes_with_linkdown", conf.ignore_routes_with_linkdown),
        ("mtu", conf.mtu6),
        ("proxy_ndp", conf.proxy_ndp),
        ("use_oif_addrs_only", conf.use_oif_addrs_only),
        ("use_tempaddr", conf.use_tempaddr),
    ];
    settings.into_iter().map(|(name, value)| ("ipv6", name, value))
}
