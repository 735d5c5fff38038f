//! A packet at a hook, as rules look at it: conditions, three-valued.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;
use model::link::LinkKind;
use model::netfilter::{CtStates, Dialect, Family, Field, Hook, Ipset, Match, NfRule, Test};
use model::packet::{Frame, Packet, Payload, TCP, Transport, UDP};
use model::vlan::{Tag, VlanProtocol};

use super::conntrack::{self, CtView};
use super::hooks::{BaseRef, Hooks};
use super::marking::Marking;
use super::sets::{self, Found, Members, Value};
use super::{Around, fib, fields};
use crate::exchange::unspecified;
use crate::ip::{route, source_v6};
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

/// A packet at a hook, in front of the rules of one base chain.
pub(super) struct Look<'p, 'w> {
    pub(super) world: &'p World<'w>,
    pub(super) ns: usize,
    pub(super) around: &'p Around,
    pub(super) hook: Hook,
    pub(super) family: Family,
    hooks: &'p Hooks<'w>,
    table_at: usize,
    table: &'w model::netfilter::Table,
    frame: Frame,
    start: Marking,
    pub(super) ct: Option<CtView>,
}

impl<'p, 'w> Look<'p, 'w> {
    pub(super) fn new(
        world: &'p World<'w>,
        ns: usize,
        around: &'p Around,
        base: &BaseRef<'w>,
        (trail, skb): (&Trail, &Skb),
    ) -> Look<'p, 'w> {
        let ct = conntrack::view(&trail.conntrack, skb);
        let start = Marking {
            mark: skb.mark,
            ct_mark: ct.map_or(0, |ct| ct.mark),
            untracked: skb.untracked,
            zone: skb.zone,
            ttl: skb.packet().map_or(0, |p| p.ttl),
            dscp: skb.dscp,
            arp: match skb.frame.payload {
                Payload::Arp(arp) => Some(arp),
                Payload::Ip(_) => None,
            },
            ether_source: skb.frame.source,
            ether_destination: skb.frame.destination,
            addressed_to: skb.addressed_to,
            other_host: skb.other_host,
        };
        Look {
            world,
            ns,
            around,
            hook: base.base.hook,
            family: base.table.family,
            hooks: world.hooks(ns),
            table_at: base.table_at,
            table: base.table,
            frame: skb.frame,
            start,
            ct,
        }
    }

    /// What the rules of a base chain may change, as the chain finds it.
    pub(super) fn marking(&self) -> Marking {
        self.start
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

    /// The outgoing link's address towards the next hop, or, of IPv6, towards the destination: what
    /// MASQUERADE takes (`nf_nat_masquerade_ipv4`, `nf_nat_masquerade_ipv6`).
    pub(super) fn outgoing_address(&self) -> Option<IpAddr> {
        let (ns, destination) = (self.world.ns(self.ns), self.packet()?.destination);
        match destination {
            IpAddr::V4(_) => {
                route::select_address(ns, self.around.outdev?, self.around.via.unwrap_or(destination))
            }
            IpAddr::V6(v6) => source_v6::choose(ns, self.around.outdev, v6),
        }
    }

    /// First address of the incoming link, what REDIRECT takes; loopback for locally made packets
    /// (`nf_nat_redirect_ipv4`, `nf_nat_redirect_ipv6`).
    pub(super) fn incoming_address(&self) -> Option<IpAddr> {
        let ns = self.world.ns(self.ns);
        match (self.packet()?.destination, self.around.indev) {
            (IpAddr::V4(_), None) => Some(std::net::Ipv4Addr::LOCALHOST.into()),
            (IpAddr::V6(_), None) => Some(std::net::Ipv6Addr::LOCALHOST.into()),
            (IpAddr::V4(_), Some(link)) => {
                let mut here = ns.addresses_of(link).filter(|a| !a.secondary).map(|a| a.net.addr());
                here.find(IpAddr::is_ipv4)
            }
            (IpAddr::V6(destination), Some(link)) => source_v6::stands_in(ns, link, destination),
        }
    }

    fn condition(&self, condition: &Match, now: Marking) -> Tri {
        if self.fails_either_way(&condition.test) {
            return Tri::No;
        }
        match self.test(&condition.test, now) {
            Ok(None) => Tri::No,
            Ok(Some(holds)) if holds == condition.negated => Tri::No,
            Ok(Some(_)) => Tri::Yes,
            Err(why) => Tri::Unknown(why),
        }
    }

    /// Conditions that fail for some packets whether negated or not.
    fn fails_either_way(&self, test: &Test) -> bool {
        let Around { physin, physout, indev, .. } = *self.around;
        match test {
            // A packet that came in bridged and is routed has no port to leave by: not even
            // `! --physdev-out` holds (`physdev_mt`).
            Test::PhysdevOut(_) => physin.is_some() && physout.is_none(),
            // Only frames of Ethernet links have such addresses: what comes by `lo`, or is made here,
            // has none to differ (`mac_mt`, `nft_payload_eval`).
            Test::EtherSource(..) | Test::EtherDestination(..) => self.has_no_ether_header(indev),
            _ => false,
        }
    }

    pub(super) fn has_no_ether_header(&self, indev: Option<u32>) -> bool {
        match self.family {
            Family::Bridge | Family::Netdev => return false,
            Family::Ip | Family::Ip6 | Family::Inet | Family::Arp => {}
        }
        indev.is_none() || self.arrived_by_loopback()
    }

    pub(super) fn arrived_by_loopback(&self) -> bool {
        let link = self.around.indev.and_then(|link| self.world.ns(self.ns).link(link));
        link.is_some_and(|link| link.kind == LinkKind::Loopback)
    }

    /// Whether a test holds; `None` where the packet has not got what is asked for, which fails the
    /// condition whether negated or not; or why it cannot be told. iptables and nft both stop at a
    /// missing protocol first, because their own `-p` precedes the test of its header.
    fn test(&self, test: &Test, now: Marking) -> Result<Option<bool>, String> {
        let ip = self.packet();
        let in_nets = |nets: &[IpNet], ip: IpAddr| nets.iter().any(|net| net.contains(&ip));
        let around = self.around;
        Ok(Some(match test {
            Test::Source(nets) => ip.is_some_and(|p| in_nets(nets, p.source)),
            Test::Destination(nets) => ip.is_some_and(|p| in_nets(nets, p.destination)),
            Test::SourceRange(low, high) => ip.is_some_and(|p| (low..=high).contains(&&p.source)),
            Test::DestinationRange(low, high) => ip.is_some_and(|p| (low..=high).contains(&&p.destination)),
            Test::In(name) => self.named(around.indev, name),
            Test::Out(name) => self.named(around.outdev, name),
            Test::PhysdevIn(name) => around.physin.is_some() && self.named(around.physin, name),
            Test::PhysdevOut(name) => around.physout.is_some() && self.named(around.physout, name),
            Test::PhysdevIsBridged => around.bridged && around.physin.is_some(),
            Test::PhysdevIsIn => around.physin.is_some(),
            Test::PhysdevIsOut => around.physout.is_some(),
            Test::LogicalIn(name) => around.indev.is_some() && self.named(around.bridge, name),
            Test::LogicalOut(name) => around.outdev.is_some() && self.named(around.bridge, name),
            Test::Protocol(number) => ip.is_some_and(|p| p.protocol() == *number),
            Test::Protocols(numbers) => ip.is_some_and(|p| numbers.contains(&p.protocol())),
            Test::SourcePort(ranges) => self.ports().is_some_and(|(from, _)| within(ranges, from)),
            Test::DestinationPort(ranges) => self.ports().is_some_and(|(_, to)| within(ranges, to)),
            Test::EitherPort(ranges) => {
                self.ports().is_some_and(|(from, to)| within(ranges, from) || within(ranges, to))
            }
            Test::Icmp(kind, codes) => ip.and_then(Packet::icmp).is_some_and(|(have, code)| {
                have == *kind && codes.is_none_or(|(low, high)| (low..=high).contains(&code))
            }),
            Test::TcpFlags { mask, set } => self.tcp_flags().is_some_and(|flags| flags & mask == *set),
            Test::CtState(states) => self.ct_state(*states, now)?,
            Test::EtherSource(mac, mask) => masked(now.ether_source, *mac, *mask),
            Test::EtherDestination(mac, mask) => masked(now.ether_destination, *mac, *mask),
            Test::EtherType(number) => self.is_of_type(*number)?,
            Test::ArpOperation(op) => now.arp.is_some_and(|a| *op == if a.reply { 2 } else { 1 }),
            Test::ArpSourceIp(net) => now.arp.is_some_and(|a| net.contains(&IpAddr::V4(a.sender_ip))),
            Test::ArpTargetIp(net) => now.arp.is_some_and(|a| net.contains(&IpAddr::V4(a.target_ip))),
            Test::ArpGratuitous => now.arp.is_some_and(|a| a.sender_ip == a.target_ip),
            Test::ArpSourceMac(mac, mask) => now.arp.is_some_and(|a| masked(a.sender_mac, *mac, *mask)),
            Test::ArpTargetMac(mac, mask) => now.arp.is_some_and(|a| masked(a.target_mac, *mac, *mask)),
            Test::AddressType { of, types, limit } => fib::is_of_type(self, *of, types, *limit)?,
            Test::Mark { value, mask } => now.mark & mask == *value,
            Test::Fragment => false,
            Test::ReversePath { loose, with_mark, accept_local } => {
                fib::reverse_path(self, (*loose, *with_mark, *accept_local), now)?
            }
            Test::Field { field: Field::FrameLength, mask, within } => {
                let (bare, padded) = fields::frame_lengths(self)?;
                let [holds, too] = [bare, padded].map(|length| is_within(within, length & mask));
                if holds != too {
                    return Err(fields::UNTOLD_PADDING.to_owned());
                }
                holds
            }
            Test::Field { field, mask, within } => {
                let Some(Value::Number(number)) = self.field(field, now)? else { return Ok(None) };
                is_within(within, number & mask)
            }
            Test::AnyBit(field, bits) => {
                let Some(Value::Number(number)) = self.field(field, now)? else { return Ok(None) };
                bits_are_known(field, *bits)?;
                number & bits != 0
            }
            Test::InSet(lookup) => match sets::look_up(self, lookup, now)? {
                Found::Member(_) => true,
                Found::NoMember => false,
                Found::NoField => return Ok(None),
            },
            Test::InIpset { name, directions } => sets::in_ipset(self, name, directions, now)?,
            Test::Always => true,
            Test::Unpredictable(text, _) | Test::Unmodelled(text) => return Err(text.clone()),
        }))
    }

    pub(super) fn packet(&self) -> Option<&Packet> {
        match &self.frame.payload {
            Payload::Ip(packet) => Some(packet),
            Payload::Arp(_) => None,
        }
    }

    /// A field's value; `None` where the packet has not got it.
    pub(super) fn field(&self, field: &Field, now: Marking) -> Result<Option<Value<'_>>, String> {
        fields::value(self, field, now)
    }

    /// The address of the bridge that the frame is in.
    pub(super) fn bridge_mac(&self) -> Option<Mac> {
        let bridge = self.around.bridge.or(self.around.indev)?;
        self.world.ns(self.ns).link(bridge)?.mac
    }

    /// A named set of the table that the rules stand in.
    pub(super) fn set(&self, name: &str) -> Option<&'p Members<'w>> {
        self.hooks.set(self.table_at, name)
    }

    pub(super) fn is_dynamic(&self, name: &str) -> bool {
        self.table.sets.iter().any(|set| set.name == name && set.dynamic)
    }

    pub(super) fn ipset(&self, name: &str) -> Option<&'p (&'w Ipset, Members<'w>)> {
        self.hooks.ipset(name)
    }

    /// The name of a link around the packet; empty where there is none (`nft_meta_store_ifname`).
    pub(super) fn link_name(&self, link: Option<u32>) -> &'w str {
        link.and_then(|index| self.world.ns(self.ns).link(index)).map_or("", |link| link.name.as_str())
    }

    fn named(&self, link: Option<u32>, pattern: &str) -> bool {
        // iptables matches an absent link's empty name: `! -i eth0` holds for local packets.
        let name = self.link_name(link);
        match pattern.strip_suffix('+') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        }
    }

    pub(super) fn ports(&self) -> Option<(u16, u16)> {
        let packet = self.packet()?;
        matches!(packet.protocol(), TCP | UDP).then(|| packet.transport.ports())
    }

    pub(super) fn tcp_flags(&self) -> Option<u8> {
        match self.packet()?.transport {
            Transport::Tcp { segment, .. } => Some(segment.flags()),
            Transport::Echo { .. }
            | Transport::IcmpError { .. }
            | Transport::Neighbour { .. }
            | Transport::Udp { .. } => None,
        }
    }

    /// Why nothing can be told of the packet's connection.
    pub(super) fn untold_connection(&self, now: Marking) -> Option<&'static str> {
        if self.family == Family::Bridge {
            return Some("conntrack of bridged frames");
        }
        // Until the packet is tracked, what `-j CT --zone` gave it is taken for its connection
        // (`xt_ct_target`, `nf_ct_get`).
        (self.ct.is_none() && now.zone != 0).then_some("a connection that is only a zone's template yet")
    }

    fn ct_state(&self, wanted: CtStates, now: Marking) -> Result<bool, String> {
        if let Some(why) = self.untold_connection(now) {
            return Err(why.to_owned());
        }
        Ok(match self.ct {
            Some(ct) => {
                (wanted.new && ct.new)
                    || (wanted.established && ct.established)
                    || (wanted.related && ct.related)
                    || (wanted.dnat && ct.dnat)
                    || (wanted.snat && ct.snat)
            }
            None if now.untracked => wanted.untracked,
            None => wanted.invalid,
        })
    }

    /// The tag that rules of frames see in front of what it carries; those of packets see none.
    pub(super) fn tag(&self) -> Option<Tag> {
        match self.family {
            Family::Bridge | Family::Netdev => self.frame.tags.outermost(),
            Family::Ip | Family::Ip6 | Family::Inet | Family::Arp => None,
        }
    }

    /// Another tag is inside of that.
    pub(super) fn is_tagged_twice(&self) -> bool {
        !self.frame.tags.inner().is_empty()
    }

    /// A tagged frame is of its tag's type for ebtables (`ebt_basic_match`, which knows one kind of tag, and
    /// `nft_payload_copy_vlan`). For nft's own rules it is that or of what is behind the tag, as they ask by
    /// `ether type` or by `meta protocol`: the condition that a listing leaves out before `ip saddr` is one or
    /// the other by the version that made it.
    fn is_of_type(&self, number: u16) -> Result<bool, String> {
        let Some(tag) = self.tag() else { return Ok(self.ether_type() == number) };
        match self.table.dialect {
            Dialect::EbtablesLegacy => Ok(number == VlanProtocol::Dot1q.ether_type()),
            Dialect::Nft if number == self.ether_type() => Err(format!("what of VLAN {tag} a rule sees")),
            Dialect::Nft
            | Dialect::EbtablesNft
            | Dialect::IptablesNft
            | Dialect::IptablesLegacy
            | Dialect::ArptablesNft
            | Dialect::ArptablesLegacy => Ok(number == tag.protocol.ether_type()),
        }
    }

    /// The type as a number to be looked up.
    pub(super) fn told_ether_type(&self) -> Result<u16, String> {
        match (self.tag(), self.table.dialect) {
            (None, _) => Ok(self.ether_type()),
            (Some(tag), Dialect::Nft) => Err(format!("what of VLAN {tag} a rule sees")),
            (Some(_), Dialect::EbtablesLegacy) => Ok(VlanProtocol::Dot1q.ether_type()),
            (Some(tag), _) => Ok(tag.protocol.ether_type()),
        }
    }

    fn ether_type(&self) -> u16 {
        match &self.frame.payload {
            Payload::Arp(_) => 0x0806,
            Payload::Ip(packet) if packet.is_v6() => 0x86dd,
            Payload::Ip(_) => 0x0800,
        }
    }

    /// The other end's address where nothing must be said of it.
    pub(super) fn nobody(&self) -> IpAddr {
        self.packet().map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |p| unspecified(p.source))
    }
}

/// Status bits other than those that the exchange decides, or a dump tells, cannot be told.
fn bits_are_known(field: &Field, bits: u128) -> Result<(), String> {
    const KNOWN: u128 = 0x2 | 0x4 | 0x8 | 0x10 | 0x20;
    if *field == Field::CtStatus && bits & !KNOWN != 0 {
        return Err(format!("conntrack status bits {bits:#x}"));
    }
    Ok(())
}

fn within(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
}

fn is_within(ranges: &[(u128, u128)], number: u128) -> bool {
    ranges.iter().any(|(low, high)| (low..=high).contains(&&number))
}

fn masked(have: Mac, wanted: Mac, mask: Mac) -> bool {
    have.0.iter().zip(wanted.0).zip(mask.0).all(|((h, w), m)| h & m == w & m)
}
