//! Addresses, routes, FIB rules and neighbours (ip-address(8), ip-route(8), ip-rule(8), ip-neighbour(8)).

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Mac;

/// Table number of `local`.
pub const TABLE_LOCAL: u32 = 255;
/// Table number of `main`.
pub const TABLE_MAIN: u32 = 254;
/// Table number of `default`.
pub const TABLE_DEFAULT: u32 = 253;

/// An IP address on a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// ifindex of the link that carries it.
    pub link: u32,
    /// The address with its prefix length: `10.0.0.42/16`.
    pub net: IpNet,
    /// The other side, of a point-to-point address.
    #[serde(default)]
    pub peer: Option<IpAddr>,
    /// `scope` as `ip` prints it: global, link, host.
    #[serde(default)]
    pub scope: String,
    /// `secondary`: not the first address of its subnet on the link.
    #[serde(default)]
    pub secondary: bool,
    /// How far it may be used.
    #[serde(default)]
    pub standing: Standing,
    /// `temporary`: made up for privacy, and to be replaced (RFC 8981).
    #[serde(default)]
    pub temporary: bool,
}

impl Address {
    /// An address of global scope, used without limits.
    pub fn global(link: u32, net: IpNet) -> Address {
        Address {
            link,
            net,
            peer: None,
            scope: "global".to_owned(),
            secondary: false,
            standing: Standing::Preferred,
            temporary: false,
        }
    }
}

/// How far an IPv6 address may be used (`IFA_F_*`, RFC 4862); an IPv4 address may always be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Without limits.
    #[default]
    Preferred,
    /// Past its preferred lifetime: spoken with only where there is no other.
    Deprecated,
    /// Whether the link has it already is still being asked: as good as absent.
    Tentative,
    /// The link has it already (`dadfailed`): as good as absent, for ever.
    Duplicate,
    /// Still being asked, and used meanwhile (RFC 4429).
    Optimistic,
}

impl Standing {
    /// The machine speaks with it and answers for it.
    pub fn is_usable(self) -> bool {
        match self {
            Standing::Preferred | Standing::Deprecated | Standing::Optimistic => true,
            Standing::Tentative | Standing::Duplicate => false,
        }
    }
}

/// What a route does with a packet that matches it (`RTN_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Sends it on.
    Unicast,
    /// Delivers it here.
    Local,
    /// Delivers it here, as a broadcast.
    Broadcast,
    /// Multicast.
    Multicast,
    /// Answers from here without carrying an address (anycast).
    Anycast,
    /// Drops it silently.
    Blackhole,
    /// Drops it, ICMP host unreachable.
    Unreachable,
    /// Drops it, ICMP administratively prohibited.
    Prohibit,
    /// Ends this table's look-up as if nothing had matched.
    Throw,
}

/// One route of one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Table number: 254 main, 255 local, 253 default.
    pub table: u32,
    /// Destination prefix; `0.0.0.0/0` is the default route.
    pub destination: IpNet,
    /// Source prefix that it is limited to (`from`); IPv6 only.
    #[serde(default)]
    pub source: Option<IpNet>,
    /// What it does.
    pub kind: RouteKind,
    /// Lower wins among routes of the same prefix.
    #[serde(default)]
    pub metric: u32,
    /// Type of service it is limited to, 0 for all.
    #[serde(default)]
    pub tos: u8,
    /// Source address that a locally made packet gets.
    #[serde(default)]
    pub preferred_source: Option<IpAddr>,
    /// `proto` as `ip route` prints it: kernel, boot, static, dhcp, ...
    #[serde(default)]
    pub protocol: String,
    /// `scope` as `ip route` prints it.
    #[serde(default)]
    pub scope: String,
    /// Where to; several for multipath, none for blackhole and its like.
    #[serde(default)]
    pub nexthops: Vec<Nexthop>,
    /// Path MTU given by the route, 0 for none.
    #[serde(default)]
    pub mtu: u32,
    /// How good its router says it is, IPv6 only.
    #[serde(default)]
    pub preference: Preference,
}

/// Router preference (RFC 4191, `RTA_PREF`): the higher wins among routes of the same prefix and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// `pref low`.
    Low,
    /// `pref medium`.
    #[default]
    Medium,
    /// `pref high`.
    High,
}

impl Route {
    /// A route without anything but what it is for.
    pub fn new(table: u32, destination: IpNet, kind: RouteKind) -> Route {
        Route {
            table,
            destination,
            source: None,
            kind,
            metric: 0,
            tos: 0,
            preferred_source: None,
            protocol: String::new(),
            scope: String::new(),
            nexthops: Vec::new(),
            mtu: 0,
            preference: Preference::Medium,
        }
    }

    /// Prefix length 0.
    pub fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0
    }
}

/// One way out of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nexthop {
    /// Gateway; `None` when the destination is on the link itself.
    pub via: Option<IpAddr>,
    /// ifindex of the outgoing link.
    pub link: u32,
    /// Share of the flows among several, 1 or more.
    #[serde(default)]
    pub weight: u32,
    /// `onlink`: the gateway is taken to be on the link whatever its address.
    #[serde(default)]
    pub onlink: bool,
    /// `RTNH_F_DEAD`: the link is down; never chosen.
    #[serde(default)]
    pub dead: bool,
    /// `RTNH_F_LINKDOWN`: no carrier; still chosen unless `ignore_routes_with_linkdown`.
    #[serde(default)]
    pub linkdown: bool,
}

/// A FIB rule (`ip rule`): which table a packet's route is looked up in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FibRule {
    /// Rules are tried in ascending order of this number.
    pub priority: u32,
    /// `not`: the rule applies to what does not match.
    pub invert: bool,
    /// `from PREFIX`.
    pub source: Option<IpNet>,
    /// `to PREFIX`.
    pub destination: Option<IpNet>,
    /// `iif NAME`.
    pub iif: Option<String>,
    /// `oif NAME`.
    pub oif: Option<String>,
    /// `fwmark VALUE/MASK`.
    pub fwmark: Option<(u32, u32)>,
    /// `tos N`.
    pub tos: u8,
    /// What it does.
    pub action: RuleAction,
    /// A selector that is not modelled (uidrange, ipproto, ports, ...), as text.
    pub unmodelled: Option<String>,
}

impl Default for FibRule {
    fn default() -> FibRule {
        FibRule {
            priority: 0,
            invert: false,
            source: None,
            destination: None,
            iif: None,
            oif: None,
            fwmark: None,
            tos: 0,
            action: RuleAction::Lookup(TABLE_MAIN),
            unmodelled: None,
        }
    }
}

/// What a FIB rule does (`FR_ACT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Looks up a table.
    Lookup(u32),
    /// Goes on at the rule of this priority.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops silently.
    Blackhole,
    /// Drops with ICMP net unreachable.
    Unreachable,
    /// Drops with ICMP administratively prohibited.
    Prohibit,
}

/// The three rules that every namespace starts with.
pub fn default_rules() -> Vec<FibRule> {
    [(0, TABLE_LOCAL), (32766, TABLE_MAIN), (32767, TABLE_DEFAULT)]
        .map(|(priority, table)| FibRule {
            priority,
            action: RuleAction::Lookup(table),
            ..FibRule::default()
        })
        .into()
}

/// The two rules that IPv6 starts with (`net/ipv6/fib6_rules.c`, `fib6_rules_net_init`).
pub fn default_rules_v6() -> Vec<FibRule> {
    default_rules().into_iter().take(2).collect()
}

/// One neighbour entry: which MAC an IP has on a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// ifindex of the link.
    pub link: u32,
    /// The neighbour's address.
    pub ip: IpAddr,
    /// Its MAC, where one is known.
    pub mac: Option<Mac>,
    /// Reachability state.
    pub state: NeighbourState,
    /// `NTF_PROXY`: this machine answers for the address.
    #[serde(default)]
    pub proxy: bool,
}

/// One of the kernel's tables of neighbours, as ip-ntable(8) tells it. All namespaces of a machine share it: so do its
/// limit and its counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NeighbourTable {
    /// `arp_cache`, `ndisc_cache`.
    pub name: String,
    /// `gc_thresh3`: entries that it may have, permanent ones aside.
    pub entries_max: u32,
    /// Entries of all namespaces, permanent ones too.
    pub entries: u32,
    /// How often an entry was refused since the machine started, as there was no room (`table_fulls`).
    pub refused: u64,
}

/// Neighbour reachability (`NUD_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NeighbourState {
    /// Being asked for; no answer yet.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, not confirmed lately; used, then confirmed.
    Stale,
    /// Used while stale; about to be probed.
    Delay,
    /// Being probed.
    Probe,
    /// Did not answer.
    Failed,
    /// The link needs no resolution.
    Noarp,
    /// Set by hand, never asked for.
    Permanent,
    /// No state.
    None,
}

impl NeighbourState {
    /// The kernel sends to the entry's MAC without asking first (`NUD_VALID`).
    pub fn is_valid(self) -> bool {
        match self {
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Noarp
            | NeighbourState::Permanent => true,
            NeighbourState::Incomplete | NeighbourState::Failed | NeighbourState::None => false,
        }
    }

    /// Somebody set it, and nothing that is heard changes it (`NUD_PERMANENT`, `NUD_NOARP`).
    pub fn is_by_hand(self) -> bool {
        match self {
            NeighbourState::Permanent | NeighbourState::Noarp => true,
            NeighbourState::Incomplete
            | NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Failed
            | NeighbourState::None => false,
        }
    }

    /// As `ip neigh` prints it.
    pub fn name(self) -> &'static str {
        match self {
            NeighbourState::Incomplete => "INCOMPLETE",
            NeighbourState::Reachable => "REACHABLE",
            NeighbourState::Stale => "STALE",
            NeighbourState::Delay => "DELAY",
            NeighbourState::Probe => "PROBE",
            NeighbourState::Failed => "FAILED",
            NeighbourState::Noarp => "NOARP",
            NeighbourState::Permanent => "PERMANENT",
            NeighbourState::None => "NONE",
        }
    }
}
