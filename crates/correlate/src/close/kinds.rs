//! What a packet's kind says of its way.

use model::sighting::{Address, Kind};

/// Where a packet's way is remembered. Fragments have one of their own: a firewall that tracks connections puts
/// them together (net/ipv4/netfilter/nf_defrag_ipv4.c), and behind it there are none.
pub(super) fn way(kind: Kind, destination: Address) -> Address {
    if kind == Kind::Fragment { Address(!destination.0) } else { destination }
}

/// A second answer of its kind is one too many.
pub(crate) fn is_only_answer(kind: Kind) -> bool {
    match kind {
        Kind::EchoReply | Kind::DnsResponse | Kind::DhcpServer | Kind::ArpReply => true,
        Kind::EchoRequest | Kind::Icmp | Kind::Tcp | Kind::Udp | Kind::DnsQuery => false,
        Kind::DhcpClient | Kind::ArpRequest | Kind::Fragment | Kind::Other => false,
    }
}

pub(super) fn is_request(kind: Kind) -> bool {
    match kind {
        Kind::EchoRequest | Kind::DnsQuery => true,
        Kind::EchoReply | Kind::Icmp | Kind::Tcp | Kind::Udp | Kind::DnsResponse => false,
        Kind::DhcpClient | Kind::DhcpServer | Kind::ArpRequest | Kind::ArpReply => false,
        Kind::Fragment | Kind::Other => false,
    }
}
