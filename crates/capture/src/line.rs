//! A packet in a few words, for people who watch it go by. Of whatever arrives: nothing is trusted.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::Mac;
use model::packet::{ICMP, ICMPV6, TCP, UDP};
use sys::packet_ring::Frame;

use crate::filter::LinkLayer;

/// What it says where a packet ends before its headers do.
const CUT: &str = "[cut short]";

/// `10.0.2.24 > 1.2.3.4 ICMP echo request id 7 seq 1 ttl 64`.
pub fn line(frame: &Frame<'_>, layer: LinkLayer) -> String {
    let said = match layer {
        LinkLayer::Ethernet => ethernet(frame),
        LinkLayer::Ip => bare(frame.bytes),
    };
    said.unwrap_or_else(|| CUT.to_owned())
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let two: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u16::from_be_bytes(two))
}

fn v4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(four.into())
}

fn v6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let sixteen: [u8; 16] = bytes.get(at..at.checked_add(16)?)?.try_into().ok()?;
    Some(sixteen.into())
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    Some(Mac(bytes.get(at..at.checked_add(6)?)?.try_into().ok()?))
}

fn ethernet(frame: &Frame<'_>) -> Option<String> {
    let bytes = frame.bytes;
    let mut said = String::new();
    if let Some((_, tag)) = frame.tag {
        said += &format!("vlan {} ", tag & 0x0fff);
    }
    let mut at = 12;
    let mut ether_type = half(bytes, at)?;
    // Two, as the filters look behind.
    for _ in 0..2 {
        if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        said += &format!("vlan {} ", half(bytes, at + 2)? & 0x0fff);
        at += 4;
        ether_type = half(bytes, at)?;
    }
    let rest = bytes.get(at + 2..)?;
    let what = match ether_type {
        0x0800 => ipv4(rest),
        0x86dd => ipv6(rest),
        0x0806 => arp(rest),
        other => Some(format!("{} > {} ethertype {other:#06x}", mac(bytes, 6)?, mac(bytes, 0)?)),
    };
    Some(said + &what.unwrap_or_else(|| CUT.to_owned()))
}

fn bare(bytes: &[u8]) -> Option<String> {
    match bytes.first()? >> 4 {
        4 => ipv4(bytes),
        6 => ipv6(bytes),
        version => Some(format!("IP version {version}")),
    }
}

fn arp(bytes: &[u8]) -> Option<String> {
    let (sender, target) = (v4(bytes, 14)?, v4(bytes, 24)?);
    Some(match half(bytes, 6)? {
        1 => format!("ARP who has {target} tell {sender}"),
        2 => format!("ARP {sender} is at {}", mac(bytes, 8)?),
        operation => format!("ARP operation {operation}"),
    })
}

fn ipv4(bytes: &[u8]) -> Option<String> {
    let header = usize::from(bytes.first()? & 0xf) * 4;
    let (ttl, protocol) = (*bytes.get(8)?, *bytes.get(9)?);
    let ends = [v4(bytes, 12)?.to_string(), v4(bytes, 16)?.to_string()];
    let fragment = half(bytes, 6)? & 0x1fff;
    if fragment > 0 {
        let [from, to] = ends;
        return Some(format!("{from} > {to} fragment at {} of protocol {protocol}", u32::from(fragment) * 8));
    }
    Some(transport(ends, protocol, bytes.get(header..).unwrap_or_default(), &format!("ttl {ttl}")))
}

fn ipv6(bytes: &[u8]) -> Option<String> {
    let (next, limit) = (*bytes.get(6)?, *bytes.get(7)?);
    let ends = [v6(bytes, 8)?.to_string(), v6(bytes, 24)?.to_string()];
    Some(transport(ends, next, bytes.get(40..).unwrap_or_default(), &format!("hlim {limit}")))
}

fn transport([from, to]: [String; 2], protocol: u8, bytes: &[u8], limit: &str) -> String {
    let colon = |end: &str, port: u16| {
        if end.contains(':') { format!("[{end}]:{port}") } else { format!("{end}:{port}") }
    };
    let said = match protocol {
        TCP => tcp(bytes).map(|(a, b, what)| format!("{} > {} TCP {what}", colon(&from, a), colon(&to, b))),
        UDP => half(bytes, 0).zip(half(bytes, 2)).map(|(a, b)| {
            format!("{} > {} UDP {} bytes", colon(&from, a), colon(&to, b), half(bytes, 4).unwrap_or(0))
        }),
        ICMP | ICMPV6 => icmp(protocol, bytes).map(|what| format!("{from} > {to} {what}")),
        other => Some(format!("{from} > {to} protocol {other}")),
    };
    let said = said.unwrap_or_else(|| format!("{from} > {to} protocol {protocol} {CUT}"));
    format!("{said} {limit}")
}

fn icmp(protocol: u8, bytes: &[u8]) -> Option<String> {
    let is_v6 = protocol == ICMPV6;
    let name = if is_v6 { "ICMPv6" } else { "ICMP" };
    let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
    let echo = |what: &str| {
        let (id, sequence) = (half(bytes, 4)?, half(bytes, 6)?);
        Some(format!("{name} echo {what} id {id} seq {sequence}"))
    };
    match (is_v6, kind) {
        (false, 8) | (true, 128) => echo("request"),
        (false, 0) | (true, 129) => echo("reply"),
        (true, 135) => Some(format!("neighbour solicitation who has {}", v6(bytes, 8)?)),
        (true, 136) => Some(format!("neighbour advertisement {}", v6(bytes, 8)?)),
        _ => Some(format!("{name} {}", model::packet::error_name(is_v6, kind, code))),
    }
}

/// Ports, and flags with sequence number.
fn tcp(bytes: &[u8]) -> Option<(u16, u16, String)> {
    let flags = *bytes.get(13)?;
    let names = [(0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x20, "URG")];
    let set: Vec<&str> = names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let sequence = u32::from(half(bytes, 4)?) << 16 | u32::from(half(bytes, 6)?);
    Some((half(bytes, 0)?, half(bytes, 2)?, format!("{} seq {sequence}", set.join("-"))))
}

#[cfg(test)]
mod tests {
    use sys::packet_ring::Way;

    use super::*;

    fn said(bytes: &[u8], tag: Option<(u16, u16)>, layer: LinkLayer) -> String {
        let length = u32::try_from(bytes.len()).unwrap();
        line(&Frame { time_ns: 0, bytes, length, way: Way::In, tag }, layer)
    }

    fn ping() -> Vec<u8> {
        let ip = [69, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 2, 24, 1, 2, 3, 4, 8, 0, 0, 0, 0, 7, 0, 1];
        [&[2; 12][..], &[8, 0], &ip].concat()
    }

    #[test]
    fn packets_are_said_in_the_words_of_paths() {
        let ping = ping();
        let expected = "10.0.2.24 > 1.2.3.4 ICMP echo request id 7 seq 1 ttl 64";
        assert_eq!(said(&ping, None, LinkLayer::Ethernet), expected);
        assert_eq!(said(&ping[14..], None, LinkLayer::Ip), expected);
        let tagged = said(&ping, Some((0x8100, 0x6064)), LinkLayer::Ethernet);
        assert_eq!(tagged, format!("vlan 100 {expected}"));
        let mut syn = ping.clone();
        syn[23] = 6;
        syn.splice(34.., [0, 22, 31, 144, 0, 0, 0, 5, 0, 0, 0, 0, 0x50, 0x12]);
        let expected = "10.0.2.24:22 > 1.2.3.4:8080 TCP SYN-ACK seq 5 ttl 64";
        assert_eq!(said(&syn, None, LinkLayer::Ethernet), expected);
    }

    #[test]
    fn whatever_arrives_is_said_somehow() {
        let ping = ping();
        for cut in 0..ping.len() {
            assert!(!said(&ping[..cut], None, LinkLayer::Ethernet).is_empty());
            assert!(!said(&ping[cut..], None, LinkLayer::Ip).is_empty());
        }
        assert_eq!(said(&ping[..20], None, LinkLayer::Ethernet), CUT);
        for byte in 0..=255 {
            for layer in [LinkLayer::Ethernet, LinkLayer::Ip] {
                said(&[byte; 64], Some((0x8100, 5)), layer);
                said(&[&ping[..14], &[byte; 50]].concat(), None, layer);
            }
        }
    }
}
