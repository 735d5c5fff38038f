//! A packet in one line, as tcpdump prints it.

use std::net::IpAddr;

use correlate::{Example, Journey, Stop};
use model::sighting::{Address, Kind};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A packet as it was seen at one vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketAt {
    /// What it is.
    pub kind: Kind,
    /// IP protocol number.
    pub protocol: u8,
    /// See [`model::sighting::Sighting::detail`].
    pub detail: u32,
    /// Octets of the IP packet.
    pub length: u16,
    /// Source address and port.
    pub source: (Address, u16),
    /// Destination address and port.
    pub destination: (Address, u16),
}

impl PacketAt {
    /// A journey's packet at one of its stops.
    pub fn of(journey: &Journey, stop: &Stop) -> PacketAt {
        PacketAt::example(&Example::of(journey, stop))
    }

    fn example(packet: &Example) -> PacketAt {
        let Example { kind, protocol, detail, length, stop } = *packet;
        let source = (stop.source, stop.source_port);
        PacketAt {
            kind,
            protocol,
            detail,
            length,
            source,
            destination: (stop.destination, stop.destination_port),
        }
    }

    /// `10.0.2.24 > 1.2.3.4: ICMP echo request, id 24895, seq 1, length 64`.
    pub fn line(&self) -> String {
        let what = what(self.kind, self.protocol, self.detail);
        let length = match self.kind {
            Kind::EchoRequest | Kind::EchoReply if matches!(self.source.0.to_ip(), IpAddr::V4(_)) => {
                self.length.saturating_sub(20)
            }
            Kind::EchoRequest
            | Kind::EchoReply
            | Kind::Icmp
            | Kind::Tcp
            | Kind::Udp
            | Kind::DnsQuery
            | Kind::DnsResponse
            | Kind::DhcpClient
            | Kind::DhcpServer
            | Kind::ArpRequest
            | Kind::ArpReply
            | Kind::Fragment
            | Kind::Other => self.length,
        };
        format!("{}: {what}, length {length}", self.ends())
    }

    /// `10.0.2.24 > 1.2.3.4`, with ports after a dot where there are some.
    pub fn ends(&self) -> String {
        ends_text(self.source, self.destination, self.protocol)
    }
}

/// A packet in a line.
pub(super) fn line(packet: &Example) -> String {
    PacketAt::example(packet).line()
}

/// What a journey's packet is.
pub(super) fn title(journey: &Journey) -> String {
    what(journey.kind, journey.protocol, journey.detail)
}

/// `10.0.2.24 > 1.2.3.4`, with ports after a dot where there are some.
pub(super) fn ends(stop: &Stop, protocol: u8) -> String {
    ends_text((stop.source, stop.source_port), (stop.destination, stop.destination_port), protocol)
}

fn ends_text(source: (Address, u16), destination: (Address, u16), protocol: u8) -> String {
    let end = |(address, port): (Address, u16)| {
        if protocol == TCP || protocol == UDP { format!("{address}.{port}") } else { address.to_string() }
    };
    format!("{} > {}", end(source), end(destination))
}

fn what(kind: Kind, protocol: u8, detail: u32) -> String {
    let (high, low) = (detail >> 16, detail & 0xffff);
    match kind {
        Kind::EchoRequest => format!("ICMP echo request, id {high}, seq {low}"),
        Kind::EchoReply => format!("ICMP echo reply, id {high}, seq {low}"),
        Kind::Icmp => format!("ICMP type {}, code {}", detail >> 8 & 0xff, detail & 0xff),
        Kind::Tcp => format!("TCP seq {detail}"),
        Kind::Udp => "UDP".to_owned(),
        Kind::DnsQuery => format!("DNS query {detail}"),
        Kind::DnsResponse => format!("DNS response {detail}"),
        Kind::DhcpClient => format!("DHCP request, xid {detail:#x}"),
        Kind::DhcpServer => format!("DHCP reply, xid {detail:#x}"),
        Kind::ArpRequest => "ARP request".to_owned(),
        Kind::ArpReply => "ARP reply".to_owned(),
        Kind::Fragment => format!("fragment of {detail}"),
        Kind::Other => format!("protocol {protocol}"),
    }
}

/// What packets of a kind are, without numbers.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::EchoRequest => "ICMP echo request",
        Kind::EchoReply => "ICMP echo reply",
        Kind::Icmp => "other ICMP",
        Kind::Tcp => "TCP",
        Kind::Udp => "UDP",
        Kind::DnsQuery => "DNS query",
        Kind::DnsResponse => "DNS response",
        Kind::DhcpClient => "DHCP request",
        Kind::DhcpServer => "DHCP reply",
        Kind::ArpRequest => "ARP request",
        Kind::ArpReply => "ARP reply",
        Kind::Fragment => "fragment",
        Kind::Other => "other IP",
    }
}

/// `fa:16:3e:00:00:11`.
pub(super) fn mac(number: u64) -> String {
    let [_, _, octets @ ..] = number.to_be_bytes();
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
