//! Sightings: one packet seen at one vantage.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One packet seen at one vantage: what is needed to know it again elsewhere, and to tell of it.
///
/// Of a tunnel's packet this is the packet inside. Fixed in size, so that millions a second cost no heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Hash of what survives on the way: neither address, nor port, TTL, TOS, IP id or checksum.
    pub identity: u64,
    /// Hash that the answer to this packet has as `answer`; 0 where none is known.
    pub ask: u64,
    /// Hash that the packet answered has as `ask`; 0 where this is no answer.
    pub answer: u64,
    /// Nanoseconds by the vantage's clock: since the epoch, or since midnight where a listing tells no date.
    pub time_ns: i64,
    /// Link-layer source as a number of 48 bits; 0 where unknown.
    pub sender: u64,
    /// What the kind is told with: ICMP id and sequence, TCP sequence, DNS id, DHCP transaction; of UDP without meaning
    /// to us the first four octets of what it carries, where those are known.
    pub detail: u32,
    /// Of an ICMP error, id and sequence of the echo that it quotes; 0 where it quotes none.
    pub quoted: u32,
    /// 1-based position in its source.
    pub frame: u32,
    /// Index of the vantage.
    pub vantage: u16,
    /// Source port; 0 where there is none.
    pub source_port: u16,
    /// Destination port; 0 where there is none.
    pub destination_port: u16,
    /// IP identification; 0 where there is none, and often where there is one.
    pub ip_id: u16,
    /// Octets of the IP packet, as its header says.
    pub length: u16,
    /// Time to live or hop limit; 0 where unknown, as in ARP.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// What it is.
    pub kind: Kind,
}

/// What kind of packet a sighting is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ICMP or ICMPv6 echo request.
    EchoRequest,
    /// ICMP or ICMPv6 echo reply.
    EchoReply,
    /// Any other ICMP.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP without meaning to us.
    Udp,
    /// A question to a name server.
    DnsQuery,
    /// Its answer.
    DnsResponse,
    /// DHCP, from a client.
    DhcpClient,
    /// DHCP, from a server.
    DhcpServer,
    /// Who has an address.
    ArpRequest,
    /// Where it is.
    ArpReply,
    /// A fragment behind the first.
    Fragment,
    /// Any other IP packet.
    Other,
}

/// An IP address as one number; IPv4 is mapped into IPv6 (RFC 4291, 2.5.5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub u128);

impl Address {
    /// Of an IPv4 address in network order.
    pub const fn v4(octets: [u8; 4]) -> Address {
        Address(Ipv4Addr::from_octets(octets).to_ipv6_mapped().to_bits())
    }

    /// As the standard library has it; mapped addresses are IPv4.
    pub fn to_ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self.0).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        match ip {
            IpAddr::V4(ip) => Address::v4(ip.octets()),
            IpAddr::V6(ip) => Address(ip.to_bits()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ip().fmt(f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ip().fmt(f)
    }
}
