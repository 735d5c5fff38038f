//! A path: the predicted way of one packet, hop by hop, and how it ends.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::link::PortState;
use crate::netfilter::{Dialect, Family, Hook, RejectWith};
use crate::vlan::Tag;

/// The predicted way of one packet, in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Which conversation it belongs to.
    pub exchange: Exchange,
    /// Which half of it.
    pub direction: Direction,
    /// In the packet's order.
    pub hops: Vec<Hop>,
    /// How it ends.
    pub disposition: Disposition,
}

impl Path {
    /// Where and why the packet dies, when it does.
    pub fn stop(&self) -> Option<(&Hop, &Stop)> {
        match &self.disposition {
            Disposition::Dropped(stop) => Some((self.hops.last()?, stop)),
            Disposition::Delivered { .. } | Disposition::LeftSite | Disposition::Unknown { .. } => None,
        }
    }
}

/// The kind of conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// Address resolution.
    Arp,
    /// DISCOVER, OFFER, REQUEST, ACK.
    Dhcp,
    /// Query and answer.
    Dns,
    /// Echo request and reply.
    Icmp,
    /// SYN and SYN-ACK.
    Tcp,
    /// Any other UDP.
    Udp,
    /// None: a state that is wrong by itself.
    None,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the one who asks.
    Request,
    /// From the one who answers.
    Reply,
    /// Both.
    Both,
}

/// One stage of one device on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Where.
    pub at: Place,
    /// What the walk predicts.
    pub predicted: Predicted,
    /// What was seen there.
    pub observed: Observed,
    /// The packet as it is when it leaves this hop: `10.0.0.11 > 198.51.100.10 ICMP echo request ttl 64`.
    pub packet: String,
    /// The decision in a few words: `SNAT to 203.0.113.30`, `via 203.0.113.1`, `port vnet0`.
    pub detail: String,
    /// Decisions taken at this hop, in kernel order.
    pub steps: Vec<Step>,
}

/// A place on a path: a device of a host and what it does there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Host, or instance where its inside is meant.
    pub host: String,
    /// Empty for the main namespace.
    pub netns: String,
    /// Link; empty where the machine as a whole is meant.
    pub device: String,
    /// Stage.
    pub stage: Stage,
}

impl Place {
    /// The same device of the same machine, whatever the stage.
    pub fn same_device(&self, other: &Place) -> bool {
        (&self.host, &self.netns, &self.device) == (&other.host, &other.netns, &other.device)
    }
}

impl std::fmt::Display for Place {
    /// `HOST/NETNS/DEVICE`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.netns, self.device)
    }
}

/// What a hop does with the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The instance's own NIC and stack.
    Instance,
    /// A bridge and its ports.
    Bridge,
    /// Route look-up, reverse path, TTL.
    Route,
    /// Address rewriting.
    Nat,
    /// Netfilter.
    Filter,
    /// Neighbour resolution.
    Neighbour,
    /// A device's queue and what is beyond: carrier, cable.
    Wire,
    /// Delivery to this machine.
    Local,
    /// A service that answers: dnsmasq, metadata.
    Service,
}

impl Stage {
    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Instance => "instance",
            Stage::Bridge => "bridge",
            Stage::Route => "route",
            Stage::Nat => "nat",
            Stage::Filter => "filter",
            Stage::Neighbour => "neighbour",
            Stage::Wire => "wire",
            Stage::Local => "local",
            Stage::Service => "service",
        }
    }
}

/// What the walk predicts for a hop: three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Predicted {
    /// Goes on.
    Pass,
    /// Dies here.
    Drop,
    /// Not decidable from what is known.
    Unknown,
}

/// What was seen at a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// The packet was seen.
    Seen,
    /// The place was watched and the packet was not seen.
    NotSeen,
    /// Nobody looked.
    NotWatched,
}

/// One decision at a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Bridge looked the destination up: the port, or flooding.
    Bridged(String),
    /// Netfilter rule that decided or rewrote.
    Rule(RuleRef),
    /// Source or destination rewritten, before and after.
    Rewritten(String, String),
    /// The route chosen, as `ip route` prints it.
    Routed(String),
    /// Neighbour found.
    Resolved(String),
    /// Anything else worth saying.
    Note(String),
}

/// How a path ends: a closed set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disposition {
    /// Arrived at this machine (host or instance name).
    Delivered {
        /// Who received it.
        machine: String,
    },
    /// Died at the last hop.
    Dropped(Stop),
    /// Went beyond what the site file names, by the last hop's device.
    LeftSite,
    /// Not decidable: why, and what would settle it.
    Unknown {
        /// Why.
        why: String,
        /// The one thing that would settle it.
        would_need: String,
    },
}

/// Why a packet dies: a closed set, one variant a mechanism of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// The device is administratively down.
    LinkDown,
    /// The device is up without carrier.
    NoCarrier,
    /// The device that should be there is not.
    DeviceMissing,
    /// A tap or NIC that should be a bridge's port has no master: frames enter the host's own stack.
    NotEnslaved,
    /// The bridge device is down.
    BridgeDown,
    /// The port is not forwarding.
    PortState(PortState),
    /// The bridge has no port to send the frame to.
    NoTarget(String),
    /// The frame wears a VLAN's tag, and no VLAN device here takes it: the stack ignores it.
    VlanNotTaken(Tag),
    /// Packets of this VXLAN network come in at the port of the machine's VXLAN devices, and none is of it.
    VniNotTaken {
        /// The network that the packet is of.
        vni: u32,
        /// UDP port.
        port: u16,
    },
    /// A bridge does not let the frame's VLAN in or out here: why.
    VlanRefused(String),
    /// The frame's destination is another station: the stack ignores it.
    OtherHost,
    /// No route, or one that refuses: how `ip route` prints it, or which table has none.
    NoRoute(String),
    /// blackhole, unreachable, prohibit.
    RouteRefuses(String),
    /// `ip_forward` is 0 and the packet is for another machine.
    ForwardingOff,
    /// Strict reverse path: the way back to the source leaves by another link.
    ReversePath {
        /// Effective rp_filter value.
        value: i64,
        /// The route back, as `ip route` prints it.
        back: String,
    },
    /// Source address is impossible on this link (own address, loopback, multicast).
    MartianSource,
    /// Its source is link-local, and it would have to leave its link.
    BeyondScope,
    /// The link does not speak IPv6: why.
    Ipv6Off(String),
    /// TTL, or hop limit, ran out.
    TtlExceeded,
    /// Nobody answers for the next hop.
    NeighbourUnresolved {
        /// The address asked for.
        ip: IpAddr,
        /// Where the question or its answer died, where the walk could follow it.
        because: Option<Box<Path>>,
    },
    /// A rule dropped it.
    Rule(RuleRef),
    /// No rule matched and the policy of this base chain dropped it.
    Policy(RuleRef),
    /// It arrived where nothing receives it: no listener on that port.
    NoListener {
        /// Protocol number.
        protocol: u8,
        /// Port.
        port: u16,
    },
    /// An answer was received by this machine's own stack, which had not asked.
    NotAsked {
        /// The machine.
        machine: String,
    },
    /// It was received, and the service that received it will not answer: why.
    Unanswered(String),
    /// Larger than the device takes.
    TooBig {
        /// The device's MTU in bytes.
        mtu: u32,
    },
    /// The queueing discipline that it would wait in takes none like it, as `tc qdisc` prints that.
    QueueRefuses(String),
    /// It went round in a circle.
    Loop,
}

/// A netfilter rule, or a policy, with everything needed to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// Back end.
    pub dialect: Dialect,
    /// Family.
    pub family: Family,
    /// Table.
    pub table: String,
    /// Hook whose base chain led here.
    pub hook: Hook,
    /// Base chain first, then each chain jumped to; the last holds the rule.
    pub chains: Vec<String>,
    /// 1-based number in the last chain; 0 for a policy.
    pub number: u32,
    /// The rule's text, or `:FORWARD DROP`.
    pub text: String,
    /// Packets and bytes counted so far.
    pub counters: Option<(u64, u64)>,
    /// nftables handle.
    pub handle: Option<u64>,
    /// What the sender is told, where the rule rejects.
    pub rejects_with: Option<RejectWith>,
}

impl RuleRef {
    /// The chain that holds the rule.
    pub fn chain(&self) -> &str {
        self.chains.last().map_or("", String::as_str)
    }

    /// `FORWARD → nova-filter-top → nova-compute-local`.
    pub fn chain_path(&self) -> String {
        self.chains.join(" → ")
    }

    /// The command that shows the rule with its counters.
    pub fn shown_by(&self) -> String {
        self.dialect.save_command(self.family).to_owned()
    }
}
