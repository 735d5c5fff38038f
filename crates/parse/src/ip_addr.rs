//! `ip addr` and `ip link`, with or without `-d` and `-s`, of any iproute2 since 2009.
//!
//! Links are recognised by their first line, so a listing that went through `grep state` reads as
//! well. Words that are not known are passed over: iproute2 adds some with every release. The brief
//! (`-br`) and one-line (`-o`) forms are refused as unreadable.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::link::{Bridge, BridgePort, Link, LinkKind, LinkStats, OperState, Peer, PortState};
use model::route::{Address, Standing};
use model::vlan::{VlanDevice, VlanProtocol};
use model::vxlan::VxlanDevice;

use crate::{Parsed, Problem};

/// Links and addresses in the order of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpAddrOutput {
    /// Every link.
    pub links: Vec<Link>,
    /// Every address, with the index of its link.
    pub addresses: Vec<Address>,
}

/// Reads a whole listing. Masters and lower links get their index where the listing has them too.
pub fn parse(text: &str) -> Parsed<IpAddrOutput> {
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(index, line);
    }
    resolve_names(&mut reader.out.value.links, &reader.lower_names);
    reader.out
}

#[derive(Default)]
struct Reader {
    out: Parsed<IpAddrOutput>,
    /// What stands after `@` in the name of the link at the same position, where it is a name.
    lower_names: Vec<Option<String>>,
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
                detail(line, link, &mut self.heading, &mut self.out.value.addresses).is_some()
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
    line: &str,
    link: &mut Link,
    heading: &mut Option<Heading>,
    addresses: &mut Vec<Address>,
) -> Option<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let first = *words.first()?;
    if let Some(below) = heading.take() {
        return counters(&words, below, link.stats.get_or_insert_default());
    }
    match first {
        "inet" | "inet6" => addresses.push(address(&words, link.index)?),
        "RX:" => *heading = Some(Heading::Received),
        "TX:" => *heading = Some(Heading::Sent),
        "bridge" => {
            link.kind = LinkKind::Bridge;
            link.bridge = Some(bridge(&words));
        }
        "bridge_slave" => link.port = Some(bridge_port(&words)),
        "vlan" => {
            link.kind = LinkKind::Vlan;
            link.vlan = Some(vlan_device(&words)?);
        }
        "vxlan" => {
            link.kind = LinkKind::Vxlan;
            // The line of a device of which ip knows only the kind has that word alone.
            link.vxlan = vxlan_device(&words);
        }
        _ if first.starts_with("link/") => link.mac = words.get(1).and_then(|mac| mac.parse().ok()),
        _ if KINDS.contains(&first) => link.kind = LinkKind::from_kernel(first),
        _ => {}
    }
    Some(())
}

/// Kinds (`IFLA_INFO_KIND`) that `ip -d` prints as the first word of a line of their own.
const KINDS: [&str; 18] = [
    "bond",
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
/// The link below is told by name alone, so its index stays out. `None` where nothing tells the VNI.
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

/// The word after `key`.
fn value_of<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == key)?;
    words.get(at + 1).copied()
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
fn resolve_names(links: &mut [Link], lower_names: &[Option<String>]) {
    let indexes: BTreeMap<String, u32> = links.iter().map(|l| (l.name.clone(), l.index)).collect();
    for (link, lower_name) in links.iter_mut().zip(lower_names) {
        link.master = link.master_name.as_ref().and_then(|name| indexes.get(name).copied());
        if let Some(&index) = lower_name.as_ref().and_then(|name| indexes.get(name)) {
            link.peer = Some(Peer { index, netns: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vxlan_devices_are_read() {
        let text = "\
5: vxlan100: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:05 brd ff:ff:ff:ff:ff:ff promiscuity 0
    vxlan id 100 remote 10.0.0.3 local 10.0.0.1 dev eth0 srcport 0 0 dstport 4789 ttl auto ageing 300 udpcsum
6: vx2: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    vxlan id 9 group 239.1.1.1 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 udpcsum
7: vx3: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    vxlan external id 0 srcport 0 0 dstport 4790 nolearning ttl auto ageing 300 udpcsum
8: vx4: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN
    vxlan
";
        let read = parse(text);
        assert_eq!(read.problems, []);
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let usual = VxlanDevice::default();
        let devices = [
            Some(VxlanDevice {
                vni: 100,
                local: ip("10.0.0.1"),
                remote: ip("10.0.0.3"),
                port: 4789,
                ..usual
            }),
            Some(VxlanDevice { vni: 9, remote: ip("239.1.1.1"), learning: false, ..usual }),
            Some(VxlanDevice { port: 4790, learning: false, external: true, ..usual }),
            None,
        ];
        let of_links: Vec<_> = read.value.links.iter().map(|link| link.vxlan).collect();
        assert_eq!(of_links, devices);
        assert!(read.value.links.iter().all(|link| link.kind == LinkKind::Vxlan));
    }

    #[test]
    fn vlan_devices_and_what_filters_before_the_stack_are_read() {
        let text = "\
2: eth0: <NO-CARRIER,BROADCAST,MULTICAST,PROMISC,UP> mtu 1500 xdp/id:13 qdisc mq state LOWERLAYERDOWN
    link/ether 52:54:00:c1:f4:b2 brd ff:ff:ff:ff:ff:ff
    prog/xdp id 13
7: vlan100@eth0: <BROADCAST,MULTICAST> mtu 1496 qdisc noop state DOWN mode DEFAULT
    link/ether fa:16:3e:00:00:11 brd ff:ff:ff:ff:ff:ff promiscuity 0
    vlan protocol 802.1Q id 100 <REORDER_HDR>
8: tun0@NONE: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1400 qdisc fq_codel state UNKNOWN
    link/none
";
        let read = parse(text);
        assert_eq!(read.problems, []);
        let [eth0, vlan100, tun0] = read.value.links.as_slice() else { panic!("three links") };
        assert!(eth0.xdp && eth0.promiscuous && eth0.admin_up && !eth0.carrier);
        assert_eq!(eth0.operstate, OperState::LowerLayerDown);
        assert_eq!((vlan100.kind.clone(), vlan100.mtu), (LinkKind::Vlan, 1496));
        assert_eq!(vlan100.vlan, Some(VlanDevice::of(100)));
        assert_eq!(vlan100.peer, Some(Peer { index: 2, netns: None }));
        assert_eq!((tun0.name.as_str(), tun0.mac, tun0.peer), ("tun0", None, None));
    }

    #[test]
    fn what_a_vlan_device_and_a_bridge_say_of_tags_is_read() {
        let text = "\
3: qinq@eth0: <BROADCAST,UP> mtu 1500
    vlan protocol 802.1ad id 7 <LOOSE_BINDING>
4: br0: <BROADCAST,UP> mtu 1500
    bridge stp_state 0 vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 5
5: old: <BROADCAST,UP> mtu 1500
    vlan id 8 <REORDER_HDR>
";
        let read = parse(text);
        assert_eq!(read.problems, []);
        let [qinq, br0, old] = read.value.links.as_slice() else { panic!("three links") };
        let outer =
            VlanDevice { id: 7, protocol: VlanProtocol::Dot1ad, reorder_header: false, loose_binding: true };
        assert_eq!((qinq.vlan, old.vlan), (Some(outer), Some(VlanDevice::of(8))));
        let bridge = br0.bridge.unwrap();
        assert!(bridge.vlan_filtering);
        assert_eq!((bridge.vlan_protocol, bridge.default_pvid), (VlanProtocol::Dot1ad, 5));
    }

    #[test]
    fn what_cannot_be_read_is_not_given_to_another_link() {
        let text = "\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN
    inet 127.0.0.1/8 scope host lo
    inet 10.0.0.300/24 scope global lo
2: eth0 <BROADCAST,UP> mtu 1500
    inet 10.0.0.1/24 scope global eth0
";
        let read = parse(text);
        assert_eq!(read.value.links.len(), 1);
        assert_eq!(read.value.addresses.len(), 1);
        let places: Vec<_> = read.problems.iter().map(|p| (p.line, p.column)).collect();
        assert_eq!(places, [(3, 5), (4, 1), (5, 5)]);
    }
}
