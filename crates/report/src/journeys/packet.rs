//! A packet in one line, as tcpdump prints it.

use std::net::IpAddr;

use correlate::{Example, Journey, Stop};
use model::sighting::{Address, Kind};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// `10.0.2.24 > 1.2.3.4: ICMP echo request, id 24895, seq 1, length 64`.
pub(super) fn line(packet: &Example) -> String {
    let what = what(packet.kind, packet.protocol, packet.detail);
    let length = match packet.kind {
        Kind::EchoRequest | Kind::EchoReply if matches!(packet.stop.source.to_ip(), IpAddr::V4(_)) => {
            packet.length.saturating_sub(20)
        }
        _ => packet.length,
    };
    format!("{}: {what}, length {length}", ends(&packet.stop, packet.protocol))
}

/// What a journey's packet is.
pub(super) fn title(journey: &Journey) -> String {
    what(journey.kind, journey.protocol, journey.detail)
}

/// `10.0.2.24 > 1.2.3.4`, with ports after a dot where there are some.
pub(super) fn ends(stop: &Stop, protocol: u8) -> String {
    let end = |address: Address, port: u16| {
        if protocol == TCP || protocol == UDP { format!("{address}.{port}") } else { address.to_string() }
    };
    format!("{} > {}", end(stop.source, stop.source_port), end(stop.destination, stop.destination_port))
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
