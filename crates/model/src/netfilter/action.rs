//! What a rule does with a packet that matches.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::set::Lookup;
use crate::Mac;

/// What a rule does with a packet that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: the rule only counts.
    Continue,
    /// ACCEPT: ends this base chain; others at the hook still run.
    Accept,
    /// DROP: the packet is gone.
    Drop,
    /// REJECT: the packet is gone, and the sender is told.
    Reject(RejectWith),
    /// Back to the caller; in a base chain, to the policy.
    Return,
    /// Calls a chain.
    Jump(String),
    /// Goes to a chain without coming back.
    Goto(String),
    /// The map's verdict for the fields; none where they are no member (`vmap`).
    VerdictMap(Lookup),
    /// Rewrites the destination.
    Dnat(NatTarget),
    /// Rewrites the source.
    Snat(NatTarget),
    /// Rewrites the destination to what the map gives (`dnat to FIELD map`); no member, no rewriting.
    DnatMap(Lookup),
    /// Rewrites the source to what the map gives.
    SnatMap(Lookup),
    /// Rewrites the network part to this prefix: of the destination before routing, of the source
    /// after it (`NETMAP`).
    Netmap(IpNet),
    /// Rewrites the source to the outgoing link's address, and the port into the range where given.
    Masquerade(Option<(u16, u16)>),
    /// Rewrites the destination to this machine, port where given.
    Redirect(Option<(u16, u16)>),
    /// Sets the packet mark: `mark = (mark & !mask) ^ value`.
    SetMark {
        /// Bits set.
        value: u32,
        /// Bits cleared first.
        mask: u32,
    },
    /// Sets the packet mark to what the map gives; no member, nothing.
    SetMarkMap(Lookup),
    /// Sets the connection's mark, likewise.
    SetCtMark {
        /// Bits set.
        value: u32,
        /// Bits cleared first.
        mask: u32,
    },
    /// `CONNMARK --save-mark`: `ct mark = (ct mark & !ct_mask) ^ (mark & packet_mask)`.
    SaveMark {
        /// Bits of the connection's mark that are replaced.
        ct_mask: u32,
        /// Bits of the packet's mark that are taken.
        packet_mask: u32,
    },
    /// `CONNMARK --restore-mark`: `mark = (mark & !packet_mask) ^ (ct mark & ct_mask)`.
    RestoreMark {
        /// Bits of the connection's mark that are taken.
        ct_mask: u32,
        /// Bits of the packet's mark that are replaced.
        packet_mask: u32,
    },
    /// `-j CT --notrack` / NOTRACK.
    Notrack,
    /// `-j CT --zone N`: the packet is tracked in this zone.
    CtZone(u16),
    /// TTL or hop limit changed.
    Ttl(TtlChange),
    /// Changes the differentiated services code point: `dscp = (dscp & !mask) ^ value`, six bits.
    Dscp {
        /// Bits set.
        value: u8,
        /// Bits cleared first.
        mask: u8,
    },
    /// The frame's addresses changed (ebtables `redirect`, `dnat`, `snat`).
    Ether(EtherChange),
    /// An address in the ARP packet changed (arptables `mangle`, ebtables `snat --snat-arp`); other packets
    /// stay as they are.
    Arp(ArpChange),
    /// Several, one after the other, until one ends the packet's way through the chain.
    Several(Vec<Action>),
    /// Does something that does not decide the packet's fate (LOG, CHECKSUM, TRACE, ...): its text.
    NonTerminal(String),
    /// Hands the packet to somebody who decides (NFQUEUE, TPROXY, SYNPROXY, ...): its text, and who.
    /// The walk answers *unknown*.
    Elsewhere(String, Choice),
    /// Not modelled: its text. The walk answers *unknown*.
    Unmodelled(String),
}

/// Who decides about a packet, where not the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// A program that reads the queue (NFQUEUE, `queue`).
    Queue,
    /// A local transparent proxy (TPROXY, `tproxy`).
    Proxy,
    /// The kernel's SYN proxy.
    SynProxy,
    /// A flowtable, which forwards past the rules (`flow add`).
    Flowtable,
    /// The link that the frame is sent out of, past everything that follows (`fwd to`).
    Link,
    /// The bridge, which answers the question in another's name (ebtables `arpreply`).
    Bridge,
    /// The port's own link, which gets the frame as if it were in no bridge (DROP in ebtables' table
    /// `broute`).
    Port,
    /// Which member of a cluster (CLUSTERIP), or chance (`numgen` as a map's key).
    Chance,
}

/// What the sender of a rejected packet is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectWith {
    /// ICMP destination unreachable with this code.
    Icmp(u8),
    /// ICMPv6 destination unreachable with this code.
    Icmp6(u8),
    /// Of the packet's family: 0 no route, 1 port, 2 host unreachable, 3 prohibited (`NFT_REJECT_ICMPX_*`).
    Icmpx(u8),
    /// A TCP reset; packets of other protocols are just dropped.
    TcpReset,
}

/// How TTL or hop limit changes (TTL, HL, `ip ttl set`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TtlChange {
    /// Becomes this.
    Set(u8),
    /// More by this, 255 at most.
    Increase(u8),
    /// Less by this, 0 at least.
    Decrease(u8),
}

/// How a frame's addresses change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtherChange {
    /// The destination becomes the bridge's own address, so that its stack receives the frame.
    Redirect,
    /// The destination becomes this.
    Destination(Mac),
    /// The source becomes this.
    Source(Mac),
}

/// How an ARP packet changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArpChange {
    /// The sender's protocol address becomes this.
    SenderIp(Ipv4Addr),
    /// The target's.
    TargetIp(Ipv4Addr),
    /// The sender's hardware address becomes this.
    SenderMac(Mac),
    /// The target's.
    TargetMac(Mac),
}

/// Where NAT rewrites to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NatTarget {
    /// Inclusive range of addresses; both ends equal for a single one. `None` keeps the address.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Inclusive range of ports, `None` keeps the port.
    pub ports: Option<(u16, u16)>,
    /// The port that becomes the range's first, where others follow in step (DNAT `:50-70/90`: 90 becomes
    /// 50, 91 becomes 51).
    #[serde(default)]
    pub base: Option<u16>,
}

impl fmt::Display for NatTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((low, high)) = self.addresses {
            write!(f, "{low}")?;
            if high != low {
                write!(f, "-{high}")?;
            }
        }
        if let Some((low, high)) = self.ports {
            write!(f, ":{low}")?;
            if high != low {
                write!(f, "-{high}")?;
            }
        }
        if let Some(base) = self.base {
            write!(f, "/{base}")?;
        }
        Ok(())
    }
}
