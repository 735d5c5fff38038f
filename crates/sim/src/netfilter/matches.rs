//! The conditions of a rule, three-valued.

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use model::link::LinkKind;
use model::netfilter::{AddrType, CtStates, Match, NfRule, Test};
use model::packet::{Frame, Payload, Transport};
use model::route::RouteKind;

use super::Around;
use super::conntrack::{self, CtView};
use crate::ip::route;
use crate::trail::{Skb, Trail};
use crate::world::World;

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tri {
    Yes,
    No,
    /// Not decidable: the condition's text.
    Unknown(String),
}

/// What rules may change of a packet without ending its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marking {
    /// The packet's mark.
    pub(super) mark: u32,
    /// NOTRACK: it is not to be tracked.
    pub(super) untracked: bool,
}

/// A packet at a hook, as rules look at it.
pub(super) struct Look<'p, 'w> {
    world: &'p World<'w>,
    ns: usize,
    around: &'p Around,
    frame: Frame,
    mark: u32,
    untracked: bool,
    ct: Option<CtView>,
}

impl<'p, 'w> Look<'p, 'w> {
    pub(super) fn new(
        world: &'p World<'w>,
        ns: usize,
        around: &'p Around,
        trail: &Trail,
        skb: &Skb,
    ) -> Look<'p, 'w> {
        Look {
            world,
            ns,
            around,
            frame: skb.frame,
            mark: skb.mark,
            untracked: skb.untracked,
            ct: conntrack::view(&trail.conntrack, skb),
        }
    }

    /// What the rules of a base chain may change, as the chain finds it.
    pub(super) fn marking(&self) -> Marking {
        Marking { mark: self.mark, untracked: self.untracked }
    }

    /// All of a rule's conditions, for a packet as earlier rules of the chain left it: a certain no
    /// outweighs an unknown.
    pub(super) fn rule(&self, rule: &NfRule, now: Marking) -> Tri {
        let mut unknown = None;
        for condition in &rule.matches {
            match self.condition(condition, now) {
                Tri::No => return Tri::No,
                Tri::Yes => {}
                Tri::Unknown(why) => unknown = unknown.or(Some(why)),
            }
        }
        unknown.map_or(Tri::Yes, Tri::Unknown)
    }

    /// The outgoing link's address towards the next hop: what MASQUERADE takes
    /// (`nf_nat_masquerade_ipv4`).
    pub(super) fn outgoing_address(&self) -> Option<Ipv4Addr> {
        let next = self.around.via.or_else(|| self.ip().map(|p| p.destination));
        route::select_address(self.world.ns(self.ns), self.around.outdev?, next)
    }

    /// First address of the incoming link, what REDIRECT takes; loopback for locally made packets.
    pub(super) fn incoming_address(&self) -> Option<Ipv4Addr> {
        self.around.indev.map_or(Some(Ipv4Addr::LOCALHOST), |link| self.first_address(link))
    }

    fn first_address(&self, link: u32) -> Option<Ipv4Addr> {
        self.world.ns(self.ns).addresses_of(link).find_map(|a| match a.net.addr() {
            IpAddr::V4(v4) if !a.secondary => Some(v4),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
    }

    fn condition(&self, condition: &Match, now: Marking) -> Tri {
        // A packet that came in bridged and is routed has no port to leave by: not even
        // `! --physdev-out` holds (`physdev_mt`).
        let Around { physin, physout, .. } = *self.around;
        if matches!(condition.test, Test::PhysdevOut(_)) && physin.is_some() && physout.is_none() {
            return Tri::No;
        }
        // Only frames of Ethernet links have such addresses: what comes by `lo` has none to differ
        // (`mac_mt`).
        let indev = self.around.indev.and_then(|link| self.world.ns(self.ns).link(link));
        if matches!(condition.test, Test::EtherSource(..) | Test::EtherDestination(..))
            && indev.is_some_and(|l| l.kind == LinkKind::Loopback)
        {
            return Tri::No;
        }
        let holds = match self.test(&condition.test, now) {
            Ok(holds) => holds,
            Err(why) => return Tri::Unknown(why),
        };
        if holds == condition.negated { Tri::No } else { Tri::Yes }
    }

    /// Whether a test holds, or why that cannot be told. A test of a header that the packet has not
    /// got does not hold, whichever way it is asked, but negation is applied by the caller: both
    /// iptables and nft stop at the missing protocol first, because their own `-p` precedes it.
    fn test(&self, test: &Test, now: Marking) -> Result<bool, String> {
        let ip = self.ip();
        Ok(match test {
            Test::Source(nets) => ip.is_some_and(|p| nets.iter().any(|n| n.contains(&IpAddr::V4(p.source)))),
            Test::Destination(nets) => {
                ip.is_some_and(|p| nets.iter().any(|n| n.contains(&IpAddr::V4(p.destination))))
            }
            Test::SourceRange(low, high) => ip.is_some_and(|p| (low..=high).contains(&&IpAddr::V4(p.source))),
            Test::DestinationRange(low, high) => {
                ip.is_some_and(|p| (low..=high).contains(&&IpAddr::V4(p.destination)))
            }
            Test::In(name) => self.named(self.around.indev, name),
            Test::Out(name) => self.named(self.around.outdev, name),
            Test::PhysdevIn(name) => self.around.physin.is_some() && self.named(self.around.physin, name),
            Test::PhysdevOut(name) => self.around.physout.is_some() && self.named(self.around.physout, name),
            Test::PhysdevIsBridged => self.around.bridged && self.around.physin.is_some(),
            Test::PhysdevIsIn => self.around.physin.is_some(),
            Test::PhysdevIsOut => self.around.physout.is_some(),
            Test::LogicalIn(name) => self.around.indev.is_some() && self.named(self.around.bridge, name),
            Test::LogicalOut(name) => self.around.outdev.is_some() && self.named(self.around.bridge, name),
            Test::Protocol(number) => ip.is_some_and(|p| p.transport.protocol() == *number),
            Test::Protocols(numbers) => ip.is_some_and(|p| numbers.contains(&p.transport.protocol())),
            Test::SourcePort(ranges) => self.ports().is_some_and(|(from, _)| within(ranges, from)),
            Test::DestinationPort(ranges) => self.ports().is_some_and(|(_, to)| within(ranges, to)),
            Test::EitherPort(ranges) => {
                self.ports().is_some_and(|(from, to)| within(ranges, from) || within(ranges, to))
            }
            Test::Icmp(kind, code) => self.icmp_type() == Some(*kind) && code.is_none_or(|c| c == 0),
            Test::TcpFlags { mask, set } => self.tcp_flags().is_some_and(|flags| flags & mask == *set),
            Test::CtState(states) => self.ct_state(*states, now),
            Test::EtherSource(mac, mask) => masked(self.frame.source, *mac, *mask),
            Test::EtherDestination(mac, mask) => masked(self.frame.destination, *mac, *mask),
            Test::EtherType(number) => self.ether_type() == *number,
            Test::ArpOperation(op) => self.arp().is_some_and(|a| *op == if a.reply { 2 } else { 1 }),
            Test::ArpSourceIp(net) => self.arp().is_some_and(|a| net.contains(&IpAddr::V4(a.sender_ip))),
            Test::ArpTargetIp(net) => self.arp().is_some_and(|a| net.contains(&IpAddr::V4(a.target_ip))),
            Test::ArpSourceMac(mac, mask) => self.arp().is_some_and(|a| masked(a.sender_mac, *mac, *mask)),
            Test::ArpTargetMac(mac, mask) => self.arp().is_some_and(|a| masked(a.target_mac, *mac, *mask)),
            Test::SourceType(kind) => self.addr_type(ip.map(|p| p.source), *kind),
            Test::DestinationType(kind) => self.addr_type(ip.map(|p| p.destination), *kind),
            Test::Mark { value, mask } => now.mark & mask == *value,
            Test::Fragment => false,
            Test::Always => true,
            Test::Unmodelled(text) => return Err(text.clone()),
        })
    }

    fn ip(&self) -> Option<&model::Packet> {
        match &self.frame.payload {
            Payload::Ip(packet) => Some(packet),
            Payload::Arp(_) => None,
        }
    }

    fn named(&self, link: Option<u32>, pattern: &str) -> bool {
        let Some(link) = link.and_then(|index| self.world.ns(self.ns).link(index)) else {
            // iptables matches an absent link's empty name: `! -i eth0` holds for local packets.
            return pattern == "+";
        };
        match pattern.strip_suffix('+') {
            Some(prefix) => link.name.starts_with(prefix),
            None => link.name == pattern,
        }
    }

    fn ports(&self) -> Option<(u16, u16)> {
        match self.ip()?.transport {
            Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => {
                Some((source, destination))
            }
            Transport::Echo { .. } => None,
        }
    }

    fn icmp_type(&self) -> Option<u8> {
        match self.ip()?.transport {
            Transport::Echo { reply: false, .. } => Some(8),
            Transport::Echo { reply: true, .. } => Some(0),
            Transport::Tcp { .. } | Transport::Udp { .. } => None,
        }
    }

    fn tcp_flags(&self) -> Option<u8> {
        const SYN: u8 = 0x02;
        const ACK: u8 = 0x10;
        match self.ip()?.transport {
            Transport::Tcp { answer, .. } => Some(if answer { SYN | ACK } else { SYN }),
            Transport::Echo { .. } | Transport::Udp { .. } => None,
        }
    }

    fn ct_state(&self, wanted: CtStates, now: Marking) -> bool {
        match self.ct {
            Some(ct) => {
                (wanted.new && ct.new)
                    || (wanted.established && ct.established)
                    || (wanted.dnat && ct.dnat)
                    || (wanted.snat && ct.snat)
            }
            None if now.untracked => wanted.untracked,
            None => wanted.invalid,
        }
    }

    fn ether_type(&self) -> u16 {
        match self.frame.payload {
            Payload::Arp(_) => 0x0806,
            Payload::Ip(_) => 0x0800,
        }
    }

    fn arp(&self) -> Option<&model::packet::Arp> {
        match &self.frame.payload {
            Payload::Arp(arp) => Some(arp),
            Payload::Ip(_) => None,
        }
    }

    /// `-m addrtype`: the type of the route that leads to the address (`inet_addr_type_table`).
    fn addr_type(&self, ip: Option<Ipv4Addr>, wanted: AddrType) -> bool {
        let Some(ip) = ip else { return false };
        if wanted == AddrType::Multicast {
            return ip.is_multicast();
        }
        let kind = route::local_kind(self.world.ns(self.ns), ip);
        match wanted {
            AddrType::Local => kind == Some(RouteKind::Local),
            AddrType::Broadcast => kind == Some(RouteKind::Broadcast) || ip.is_broadcast(),
            AddrType::Unicast => kind.is_none() && !ip.is_multicast() && !ip.is_broadcast(),
            AddrType::Multicast => ip.is_multicast(),
        }
    }
}

fn within(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
}

fn masked(have: Mac, wanted: Mac, mask: Mac) -> bool {
    have.0.iter().zip(wanted.0).zip(mask.0).all(|((h, w), m)| h & m == w & m)
}
