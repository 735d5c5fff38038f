//! What rules change of a packet without ending its way through the chain.

use model::Mac;
use model::packet::Arp;

/// Changes so far, as the next rule finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marking {
    /// The packet's mark.
    pub(super) mark: u32,
    /// Its connection's mark.
    pub(super) ct_mark: u32,
    /// NOTRACK: it is not to be tracked.
    pub(super) untracked: bool,
    /// The conntrack zone that it is tracked in.
    pub(super) zone: u16,
    /// Time to live, or hop limit; 0 for what is not IP.
    pub(super) ttl: u8,
    /// Differentiated services code point.
    pub(super) dscp: u8,
    /// The frame's source.
    pub(super) ether_source: Mac,
    /// The frame's destination.
    pub(super) ether_destination: Mac,
    /// The ARP packet, where it is one.
    pub(super) arp: Option<Arp>,
    /// The destination by which the kernel judged whose the frame is (`skb->pkt_type`).
    pub(super) addressed_to: Mac,
    /// The frame is taken for somebody else's: `PACKET_OTHERHOST`.
    pub(super) other_host: bool,
}
