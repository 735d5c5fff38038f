//! `ip addr` and `ip link`, with or without `-d` and `-s`, of any iproute2 since 2009.
//!
//! Links are recognised by their first line, so a listing that went through `grep state` reads as
//! well. Words that are not known are passed over: iproute2 adds some with every release. The brief
//! (`-br`) and one-line (`-o`) forms are refused as unreadable.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::bond::{Bond, BondMode, BondSlave};
use model::link::{Bridge, BridgePort, Link, LinkKind, LinkStats, OperState, Peer, PortState};
use model::route::{Address, Standing};
use model::vlan::{VlanDevice, VlanProtocol};
use model::vxlan::VxlanDevice;

use crate::ip_words::value_of;
use crate::{Parsed, Problem};

/// Links and addresses in the order of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpAddrOutput {
    /// Every link.
    pub links: Vec<Link>,
    /// Every address, with the index of its link.
    pub addresses: Vec<Address>,
    /// Of links whose other end is in another namespace, which one: by ifindex of the link.
    pub elsewhere: BTreeMap<u32, Elsewhere>,
}

/// Another namespace, as a link tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// `link-netns NAME`.
    Named(String),
    /// `link-netnsid ID`, by which this namespace knows the other (`ip netns list-id`).
    Numbered(u32),
}

/// Reads a whole listing. Masters and lower links get their index where the listing has them too.
pub fn parse(text: &str) -> Parsed<IpAddrOutput> {
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(index, line);
    }
    resolve_names(&mut reader.out.value.links, &reader.lower_names, &reader.underlays);
    reader.out
}

#[derive(Default)]
struct Reader {
    out: Parsed<IpAddrOutput>,
    /// What stands after `@` in the name of the link at the same position, where it is a name.
    lower_names: Vec<Option<String>>,
    /// Name of the link that a VXLAN device's packets have to take, by ifindex of the device.
    underlays: BTreeMap<u32, String>,
    /// The lines that follow belong to the last link.
    in_link: bool,
    /// The next line holds the figures below this heading of `ip -s`.
    heading: Option<Heading>,
}

#[derive(Clone, Copy)]
enum Heading {
    Received,
    Sent,
}

impl Reader {
    fn line(&mut self, index: usize, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if let Some((link, lower_name)) = first_line(line) {
            self.out.value.links.push(link);
            self.lower_names.push(lower_name);
            self.in_link = true;
            self.heading = None;
            return;
        }
        let continues = line.starts_with(char::is_whitespace);
        self.in_link &= continues;
        let understood = match self.out.value.links.last_mut() {
            Some(link) if self.in_link => {
                let words: Vec<&str> = line.split_whitespace().collect();
                self.out.value.elsewhere.extend(elsewhere(&words).map(|other| (link.index, other)));
                let underlay = value_of(&words, "dev").filter(|_| words.first() == Some(&"vxlan"));
                self.underlays.extend(underlay.map(|name| (link.index, name.to_owned())));
                detail(&words, link, &mut self.heading, &mut self.out.value.addresses).is_some()
            }
            Some(_) | None => false,
        };
        if !understood {
            let what = if continues {
                "cannot read this line as a property of the link above it"
            } else {
                "expected a link as `ip addr` prints it: `2: eth0: <BROADCAST,UP> mtu 1500 ...`"
            };
            self.out.problems.push(Problem::at(index, line, line.trim_start(), what));
        }
    }
}

/// `3: vnet0@if2: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br100 state UP`: the link,
/// and the name after `@` where it is one.
fn first_line(line: &str) -> Option<(Link, Option<String>)> {
    let (number, rest) = line.trim_start().split_once(": ")?;
    let (name, rest) = rest.split_once(": ")?;
    let (flags, rest) = rest.strip_prefix('<')?.split_once('>')?;
    let (name, lower) = name.split_once('@').unwrap_or((name, "NONE"));
    let has = |flag| flags.split(',').any(|f| f == flag);
    let mut link = Link {
        index: number.parse().ok()?,
        name: name.to_owned(),
        kind: if has("LOOPBACK") { LinkKind::Loopback } else { LinkKind::Physical },
        admin_up: has("UP"),
        carrier: has("LOWER_UP"),
        promiscuous: has("PROMISC"),
        ..Link::default()
    };
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "mtu" => link.mtu = words.next()?.parse().ok()?,
            "qdisc" => link.qdisc = Some(words.next()?.to_owned()),
            "master" => link.master_name = Some(words.next()?.to_owned()),
            "state" => link.operstate = operstate(words.next()?),
            // `xdp/id:13`, `xdpgeneric/id:13`, `xdpoffload`, and a bare `xdp` of iproute2 4.8.
            _ if word.starts_with("xdp") => link.xdp = true,
            _ => {}
        }
    }
    // `@if2` is an index in another namespace, `@NONE` a lower link that is gone.
    if let Some(index) = lower.strip_prefix("if").and_then(|digits| digits.parse().ok()) {
        link.peer = Some(Peer { index, netns: None });
        return Some((link, None));
    }
    Some((link, Some(lower.to_owned()).filter(|name| name != "NONE")))
}

fn operstate(word: &str) -> OperState {
    match word {
        "UP" => OperState::Up,
        "DOWN" => OperState::Down,
        "LOWERLAYERDOWN" => OperState::LowerLayerDown,
        "NOTPRESENT" => OperState::NotPresent,
        "DORMANT" => OperState::Dormant,
        "TESTING" => OperState::Testing,
        _ => OperState::Unknown,
    }
}

/// One of the indented lines below a link's first. `None` where a line that should hold something
/// does not.
fn detail(
    words: &[&str],
    link: &mut Link,
    heading: &mut Option<Heading>,
    addresses: &mut Vec<Address>,
) -> Option<()> {
    let first = *words.first()?;
    if let Some(below) = heading.take() {
        return counters(words, below, link.stats.get_or_insert_default());
    }
    match first {
        "inet" | "inet6" => addresses.push(address(words, link.index)?),
        "RX:" => *heading = Some(Heading::Received),
        "TX:" => *heading = Some(Heading::Sent),
        "bridge" => {
            link.kind = LinkKind::Bridge;
            link.bridge = Some(bridge(words));
        }
        "bridge_slave" => link.port = Some(bridge_port(words)),
        "vlan" => {
            link.kind = LinkKind::Vlan;
            link.vlan = Some(vlan_device(words)?);
        }
        "vxlan" => {
            link.kind = LinkKind::Vxlan;
            // The line of a device of which ip knows only the kind has that word alone.
            link.vxlan = vxlan_device(words);
        }
        "bond" => {
            link.kind = LinkKind::Bond;
            link.bond = bond(words);
        }
        "bond_slave" => link.bond_slave = Some(bond_slave(words)),
        _ if first.starts_with("link/") => link.mac = words.get(1).and_then(|mac| mac.parse().ok()),
        _ if KINDS.contains(&first) => link.kind = LinkKind::from_kernel(first),
        _ => {}
    }
    Some(())
}

/// Kinds (`IFLA_INFO_KIND`) that `ip -d` prints as the first word of a line of their own.
const KINDS: [&str; 17] = [
    "dummy",
    "geneve",
    "gre",
    "gretap",
    "ifb",
    "ipip",
    "ipvlan",
    "ip6tnl",
    "macvlan",
    "macvtap",
    "openvswitch",
    "sit",
    "team",
    "tun",
    "veth",
    "vrf",
    "wireguard",
];

/// At the end of the line with the link's own address.
fn elsewhere(words: &[&str]) -> Option<Elsewhere> {
    words.first().filter(|first| first.starts_with("link/"))?;
    let named = || Some(Elsewhere::Named(value_of(words, "link-netns")?.to_owned()));
    let numbered = || Some(Elsewhere::Numbered(value_of(words, "link-netnsid")?.parse().ok()?));
    named().or_else(numbered)
}

/// `bond mode 802.3ad miimon 100 ... ad_aggregator 1 ... ad_partner_mac 00:00:00:00:00:00`. `None` where nothing
/// tells the mode.
fn bond(words: &[&str]) -> Option<Bond> {
    use BondMode::{ActiveBackup, BalanceAlb, BalanceRr, BalanceTlb, BalanceXor, Broadcast, Lacp};
    let mode = value_of(words, "mode")?;
    let known = [BalanceRr, ActiveBackup, BalanceXor, Broadcast, Lacp, BalanceTlb, BalanceAlb];
    Some(Bond {
        mode: *known.iter().find(|known| known.name() == mode)?,
        aggregator: value_of(words, "ad_aggregator").and_then(|id| id.parse().ok()),
        partner: value_of(words, "ad_partner_mac").and_then(|mac| mac.parse().ok()),
    })
}

/// `bond_slave state ACTIVE mii_status UP link_failure_count 0 ... ad_aggregator_id 1 ...`.
fn bond_slave(words: &[&str]) -> BondSlave {
    BondSlave {
        is_up: value_of(words, "mii_status") == Some("UP"),
        is_active: value_of(words, "state") == Some("ACTIVE"),
        aggregator: value_of(words, "ad_aggregator_id").and_then(|id| id.parse().ok()),
    }
}

/// `vlan protocol 802.1Q id 100 <REORDER_HDR>`; old versions of ip print no protocol.
fn vlan_device(words: &[&str]) -> Option<VlanDevice> {
    let flags = words.iter().find_map(|word| word.strip_prefix('<')?.strip_suffix('>')).unwrap_or_default();
    let has = |flag| flags.split(',').any(|f| f == flag);
    Some(VlanDevice {
        id: value_of(words, "id")?.parse().ok()?,
        protocol: vlan_protocol(words, "protocol"),
        reorder_header: has("REORDER_HDR"),
        loose_binding: has("LOOSE_BINDING"),
    })
}

/// `vxlan id 100 remote 203.0.113.35 local 203.0.113.34 dev eth0 srcport 0 0 dstport 4789 nolearning ttl auto`.
///
/// The link below is told by name, and resolved when the whole listing is read. `None` where nothing tells the VNI.
fn vxlan_device(words: &[&str]) -> Option<VxlanDevice> {
    let usual = VxlanDevice::default();
    let ip = |key| value_of(words, key).and_then(|ip| ip.parse().ok());
    Some(VxlanDevice {
        vni: value_of(words, "id")?.parse().ok()?,
        local: ip("local"),
        remote: ip("remote").or_else(|| ip("group")),
        port: value_of(words, "dstport").and_then(|port| port.parse().ok()).unwrap_or(usual.port),
        learning: !words.contains(&"nolearning"),
        answers_itself: words.contains(&"proxy") || words.contains(&"rsc"),
        external: words.contains(&"external"),
        ..usual
    })
}

fn vlan_protocol(words: &[&str], key: &str) -> VlanProtocol {
    match value_of(words, key) {
        Some("802.1ad") => VlanProtocol::Dot1ad,
        Some(_) | None => VlanProtocol::Dot1q,
    }
}

/// `inet 10.0.0.1/24 brd 10.0.0.255 scope global secondary br100`, or `inet 10.9.0.1 peer 10.9.0.2/32`.
fn address(words: &[&str], link: u32) -> Option<Address> {
    let (ip, own_length) = with_prefix(words.get(1)?)?;
    let peer = value_of(words, "peer").and_then(with_prefix);
    // The length of a point-to-point address belongs to the far side (IFA_ADDRESS) and stands there.
    let length = own_length.or(peer.and_then(|(_, length)| length));
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    Some(Address {
        link,
        net: IpNet::new(ip, length.unwrap_or(longest)).ok()?,
        peer: peer.map(|(ip, _)| ip),
        scope: value_of(words, "scope").unwrap_or_default().to_owned(),
        secondary: words.contains(&"secondary"),
        standing: standing(words),
        temporary: words.contains(&"temporary"),
    })
}

/// A failed and an optimistic address are tentative too.
fn standing(words: &[&str]) -> Standing {
    let told = [
        ("dadfailed", Standing::Duplicate),
        ("optimistic", Standing::Optimistic),
        ("tentative", Standing::Tentative),
        ("deprecated", Standing::Deprecated),
    ];
    told.iter().find(|(word, _)| words.contains(word)).map_or(Standing::Preferred, |(_, standing)| *standing)
}

fn with_prefix(word: &str) -> Option<(IpAddr, Option<u8>)> {
    match word.split_once('/') {
        Some((ip, length)) => Some((ip.parse().ok()?, Some(length.parse().ok()?))),
        None => Some((word.parse().ok()?, None)),
    }
}

fn bridge(words: &[&str]) -> Bridge {
    let is_set = |key| value_of(words, key).is_some_and(|value| value != "0");
    Bridge {
        stp: is_set("stp_state"),
        forward_delay_cs: value_of(words, "forward_delay").and_then(|v| v.parse().ok()).unwrap_or_default(),
        vlan_filtering: is_set("vlan_filtering"),
        vlan_protocol: vlan_protocol(words, "vlan_protocol"),
        default_pvid: value_of(words, "vlan_default_pvid").and_then(|v| v.parse().ok()).unwrap_or_default(),
    }
}

/// A setting that the listing does not name has the kernel's default: older iproute2 prints fewer.
fn bridge_port(words: &[&str]) -> BridgePort {
    let usual = BridgePort::default();
    let is_on = |key, usual| value_of(words, key).map_or(usual, |value| value == "on");
    BridgePort {
        state: match value_of(words, "state") {
            Some("disabled") => PortState::Disabled,
            Some("listening") => PortState::Listening,
            Some("learning") => PortState::Learning,
            Some("blocking") => PortState::Blocking,
            Some(_) | None => PortState::Forwarding,
        },
        hairpin: is_on("hairpin", usual.hairpin),
        learning: is_on("learning", usual.learning),
        flood: is_on("flood", usual.flood),
        mcast_flood: is_on("mcast_flood", usual.mcast_flood),
        bcast_flood: is_on("bcast_flood", usual.bcast_flood),
        isolated: is_on("isolated", usual.isolated),
        locked: is_on("locked", usual.locked),
    }
}

/// `bytes packets errors dropped ...`: the first four columns have not changed since iproute2 2.6.
fn counters(words: &[&str], heading: Heading, stats: &mut LinkStats) -> Option<()> {
    let mut figures = words.iter().map(|word| word.parse::<u64>().ok());
    let mut next = || figures.next().flatten();
    let (bytes, packets, errors, dropped) = (next()?, next()?, next()?, next()?);
    match heading {
        Heading::Received => {
            (stats.rx_bytes, stats.rx_packets) = (bytes, packets);
            (stats.rx_errors, stats.rx_dropped) = (errors, dropped);
        }
        Heading::Sent => {
            (stats.tx_bytes, stats.tx_packets) = (bytes, packets);
            (stats.tx_errors, stats.tx_dropped) = (errors, dropped);
        }
    }
    Some(())
}

/// Gives names of masters and lower links their index, where the same listing tells it.
fn resolve_names(links: &mut [Link], lower_names: &[Option<String>], underlays: &BTreeMap<u32, String>) {
    let indexes: BTreeMap<String, u32> = links.iter().map(|l| (l.name.clone(), l.index)).collect();
    for (link, lower_name) in links.iter_mut().zip(lower_names) {
        link.master = link.master_name.as_ref().and_then(|name| indexes.get(name).copied());
        if let Some(&index) = lower_name.as_ref().and_then(|name| indexes.get(name)) {
            link.peer = Some(Peer { index, netns: None });
        }
        if let (Some(device), Some(name)) = (&mut link.vxlan, underlays.get(&link.index)) {
            device.underlay = indexes.get(name).copied();
        }
    }
}

#[cfg(test)]
mod tests;
