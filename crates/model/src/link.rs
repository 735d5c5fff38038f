//! Links: network devices as rtnetlink knows them (`RTM_GETLINK`, ip-link(8)).

use serde::{Deserialize, Serialize};

use crate::Mac;
use crate::bond::{Bond, BondSlave};
use crate::queueing::{Qdisc, QdiscPlace, TcFilter, TcSide};
use crate::vlan::{BridgeVlans, VlanDevice, VlanProtocol};
use crate::vxlan::{VxlanDevice, VxlanRemote};

/// One network device of one network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// ifindex, unique in its namespace; 0 where a text source does not tell it.
    pub index: u32,
    /// Device name, at most 15 bytes (`IFNAMSIZ`).
    pub name: String,
    /// What the kernel calls its kind.
    pub kind: LinkKind,
    /// `IFF_UP`: administratively up.
    pub admin_up: bool,
    /// `IFF_LOWER_UP`: the link layer has a carrier. Only meaningful while `admin_up`.
    pub carrier: bool,
    /// RFC 2863 operational state, as `ip` prints after `state`.
    pub operstate: OperState,
    /// Link-layer address; `None` where it has none (tun, ppp).
    pub mac: Option<Mac>,
    /// Largest layer-3 packet in bytes.
    pub mtu: u32,
    /// Name of the root qdisc (`noqueue`, `fq_codel`, `noop` while down).
    pub qdisc: Option<String>,
    /// Its queueing disciplines with their counters, the root first; empty where they were not read.
    pub qdiscs: Vec<Qdisc>,
    /// Filters that see its packets, by side and priority.
    pub filters: Vec<TcFilter>,
    /// ifindex of the bridge or bond that this link is enslaved to.
    pub master: Option<u32>,
    /// Name of that master; the only thing that text sources tell.
    pub master_name: Option<String>,
    /// The other end, of a veth; the lower link, of a VLAN device.
    pub peer: Option<Peer>,
    /// Settings of a VLAN device.
    pub vlan: Option<VlanDevice>,
    /// Settings of a bonding master.
    pub bond: Option<Bond>,
    /// This link's part in its bond.
    pub bond_slave: Option<BondSlave>,
    /// Settings of a VXLAN device.
    pub vxlan: Option<VxlanDevice>,
    /// Settings of a bridge device.
    pub bridge: Option<Bridge>,
    /// Settings of this link as a port of a bridge.
    pub port: Option<BridgePort>,
    /// VLANs of this link as a port of a bridge or, of a bridge, of its own stack; ascending.
    pub bridge_vlans: Vec<BridgeVlans>,
    /// `IFF_PROMISC`.
    pub promiscuous: bool,
    /// An XDP program is attached: it sees each packet before everything modelled here.
    pub xdp: bool,
    /// Packets leave by it with a checksum yet to be filled in (`tx-checksumming` of ethtool(8)); read of bridges only,
    /// `None` where nothing tells.
    pub leaves_checksums: Option<bool>,
    /// Counters since the link was made.
    pub stats: Option<LinkStats>,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            index: 0,
            name: String::new(),
            kind: LinkKind::Physical,
            admin_up: false,
            carrier: false,
            operstate: OperState::Unknown,
            mac: None,
            mtu: 1500,
            qdisc: None,
            qdiscs: Vec::new(),
            filters: Vec::new(),
            master: None,
            master_name: None,
            peer: None,
            vlan: None,
            bond: None,
            bond_slave: None,
            vxlan: None,
            bridge: None,
            port: None,
            bridge_vlans: Vec::new(),
            promiscuous: false,
            xdp: false,
            leaves_checksums: None,
            stats: None,
        }
    }
}

impl Link {
    /// Can pass frames as far as the link layer goes: up, and with a carrier.
    pub fn is_running(&self) -> bool {
        self.admin_up && self.carrier
    }

    /// What all that leaves by it waits in, where that was read.
    pub fn root_qdisc(&self) -> Option<&Qdisc> {
        self.qdiscs.iter().find(|qdisc| qdisc.place == QdiscPlace::Root)
    }

    /// The first of its filters on these sides that may drop packets.
    pub fn dropping_filter(&self, sides: &[TcSide]) -> Option<&TcFilter> {
        self.filters.iter().find(|filter| sides.contains(&filter.side) && filter.may_drop())
    }

    /// The first of its filters on these sides that may drop a packet which comes alone.
    pub fn deciding_filter(&self, sides: &[TcSide]) -> Option<&TcFilter> {
        self.filters.iter().find(|filter| sides.contains(&filter.side) && filter.decides())
    }

    /// The flags and state as `ip link` prints them, for evidence.
    pub fn state_text(&self) -> String {
        let mut flags = Vec::new();
        if self.admin_up && !self.carrier {
            flags.push("NO-CARRIER");
        }
        if self.admin_up {
            flags.push("UP");
        }
        if self.admin_up && self.carrier {
            flags.push("LOWER_UP");
        }
        let master = self.master_name.as_ref().map(|name| format!(" master {name}")).unwrap_or_default();
        format!("{}: <{}> mtu {}{master} state {}", self.name, flags.join(","), self.mtu, self.operstate)
    }
}

/// The kind of a link: `IFLA_INFO_KIND`, or what its flags tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// No kind given: hardware, virtio, or unknown from a text source.
    Physical,
    /// `lo`.
    Loopback,
    /// A software bridge.
    Bridge,
    /// One end of a veth pair.
    Veth,
    /// A tun or tap device (`kind tun`).
    Tun,
    /// An 802.1Q device on a lower link.
    Vlan,
    /// A VXLAN tunnel end point.
    Vxlan,
    /// A bonding master.
    Bond,
    /// A dummy device.
    Dummy,
    /// Any other kind, by the kernel's name.
    Other(String),
}

impl LinkKind {
    /// From the kernel's `IFLA_INFO_KIND` string.
    pub fn from_kernel(kind: &str) -> LinkKind {
        match kind {
            "bridge" => LinkKind::Bridge,
            "veth" => LinkKind::Veth,
            "tun" => LinkKind::Tun,
            "vlan" => LinkKind::Vlan,
            "vxlan" => LinkKind::Vxlan,
            "bond" => LinkKind::Bond,
            "dummy" => LinkKind::Dummy,
            other => LinkKind::Other(other.to_owned()),
        }
    }
}

/// RFC 2863 operational state (`IFLA_OPERSTATE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OperState {
    /// Not tracked by the driver: taps, lo and bridges that never had a port say this in health.
    Unknown,
    /// Some component is missing.
    NotPresent,
    /// Down, or up without carrier.
    Down,
    /// The link below is down.
    LowerLayerDown,
    /// In test mode.
    Testing,
    /// Waiting for an external event.
    Dormant,
    /// Works.
    Up,
}

impl std::fmt::Display for OperState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OperState::Unknown => "UNKNOWN",
            OperState::NotPresent => "NOTPRESENT",
            OperState::Down => "DOWN",
            OperState::LowerLayerDown => "LOWERLAYERDOWN",
            OperState::Testing => "TESTING",
            OperState::Dormant => "DORMANT",
            OperState::Up => "UP",
        })
    }
}

/// The other end of a link (`IFLA_LINK`, `IFLA_LINK_NETNSID`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// ifindex of the other end, in its namespace.
    pub index: u32,
    /// Inode of the other end's namespace; `None` where it could not be told.
    pub netns: Option<u64>,
}

/// A bridge device's own settings (`IFLA_BR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bridge {
    /// Spanning tree: `stp_state` is not 0.
    pub stp: bool,
    /// Forward delay in hundredths of a second.
    pub forward_delay_cs: u32,
    /// `vlan_filtering` is on.
    pub vlan_filtering: bool,
    /// `vlan_protocol`: tags of another kind are taken for part of the payload.
    pub vlan_protocol: VlanProtocol,
    /// `vlan_default_pvid`: the VLAN that a new port is given; 0 for none.
    pub default_pvid: u16,
}

/// A bridge port's settings (`IFLA_BRPORT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgePort {
    /// Spanning-tree state; only `Forwarding` passes data frames.
    pub state: PortState,
    /// Frames may leave through the port they came in by.
    pub hairpin: bool,
    /// Source MACs are learned.
    pub learning: bool,
    /// Unknown unicast is flooded to this port.
    pub flood: bool,
    /// Multicast is flooded to this port.
    pub mcast_flood: bool,
    /// Broadcast is flooded to this port.
    pub bcast_flood: bool,
    /// Exchanges frames with non-isolated ports only.
    pub isolated: bool,
    /// Frames from unknown source MACs are refused.
    pub locked: bool,
}

impl Default for BridgePort {
    fn default() -> BridgePort {
        BridgePort {
            state: PortState::Forwarding,
            hairpin: false,
            learning: true,
            flood: true,
            mcast_flood: true,
            bcast_flood: true,
            isolated: false,
            locked: false,
        }
    }
}

/// Spanning-tree port state (`net/bridge`, `BR_STATE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortState {
    /// The port's link is down or has no carrier, or it was switched off.
    Disabled,
    /// Listens to BPDUs only.
    Listening,
    /// Learns addresses, forwards nothing.
    Learning,
    /// Forwards.
    Forwarding,
    /// Blocked by spanning tree.
    Blocking,
}

/// Packet and byte counters of a link (`IFLA_STATS64`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Bad packets received.
    pub rx_errors: u64,
    /// Transmit problems.
    pub tx_errors: u64,
    /// Received but dropped for want of resources.
    pub rx_dropped: u64,
    /// Dropped on the way out.
    pub tx_dropped: u64,
}

/// One entry of a bridge's forwarding database (`bridge fdb`, `RTM_GETNEIGH` of `AF_BRIDGE`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The station's address.
    pub mac: Mac,
    /// ifindex of the port it is behind (or of the bridge itself).
    pub link: u32,
    /// VLAN it was learned in.
    pub vlan: Option<u16>,
    /// How the entry came to be.
    pub kind: FdbKind,
    /// `sticky`: does not move when the MAC is seen elsewhere.
    #[serde(default)]
    pub sticky: bool,
    /// Where a VXLAN link's own entry sends frames.
    #[serde(default)]
    pub remote: Option<VxlanRemote>,
    /// The entry belongs to the link itself (`self`), not to its master's FDB.
    #[serde(default)]
    pub on_self: bool,
}

/// How an FDB entry came to be and whether it ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FdbKind {
    /// `permanent`: an address of the bridge or a port of its own; frames to it go up the stack.
    Local,
    /// `static`: set by hand, does not age.
    Static,
    /// Learned from a frame.
    Learned,
}
