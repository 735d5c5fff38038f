//! The IP part of a packet that tcpdump prints (`print-ip.c`, `print-ip6.c`).

use std::net::IpAddr;

use model::listing::{IpHeader, SeenTransport};

const ICMP: u8 = 1;
const IGMP: u8 = 2;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Reserved by IANA, so no packet carries it.
const NOT_TOLD: u8 = 255;

/// Length of the fixed IPv6 header, which tcpdump's `payload length` leaves out.
const IPV6_HEADER: u32 = 40;

/// Header fields that `-v` prints in parentheses; all empty without it.
#[derive(Default)]
pub(super) struct Fields {
    tos: Option<u8>,
    ttl: Option<u8>,
    id: Option<u16>,
    dont_fragment: bool,
    protocol: Option<u8>,
    length: Option<u32>,
}

/// A packet without the place where it was seen.
pub(super) struct IpPacket {
    pub(super) header: IpHeader,
    pub(super) transport: SeenTransport,
}

/// The header's fields and what follows them, empty where the addresses are on the next line.
/// `Ok(None)` for a packet that is not IP.
pub(super) fn fields(packet: &str) -> Result<Option<(Fields, &str)>, &'static str> {
    let Some(rest) = packet.strip_prefix("IP ").or(packet.strip_prefix("IP6 ")) else {
        let first = packet.split([' ', ',']).next().unwrap_or_default();
        return match first.parse::<model::Mac>() {
            Ok(_) => Err("link-level headers are not read: print the packets again without `-e`"),
            Err(_) => Ok(None),
        };
    };
    let Some(inside) = rest.strip_prefix('(') else { return Ok(Some((Fields::default(), rest))) };
    let end = closing(inside).ok_or("the IP header's parenthesis does not close on this line")?;
    let (inside, after) = inside.split_at(end);
    let after = after.strip_prefix(')').unwrap_or(after).trim();
    Ok(Some((read_fields(inside).ok_or("cannot read the IP header's fields")?, after)))
}

/// Where the parenthesis closes that is open at the start.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// `tos 0x0, ttl 64, id 0, offset 0, flags [DF], proto ICMP (1), length 84`, or of IPv6
/// `class 0x02, hlim 64, next-header ICMPv6 (58) payload length: 64`. Until 4.0 tcpdump wrote
/// `proto: ICMP (1)` and `length: 84`.
fn read_fields(inside: &str) -> Option<Fields> {
    let mut fields = Fields::default();
    for part in inside.split(", ") {
        let Some((name, value)) = part.split_once(' ') else { continue };
        let value = value.trim();
        match name.trim_end_matches(':') {
            "tos" | "class" => {
                // An ECN code point may follow: `0x2,ECT(0)`.
                let hex = value.split(',').next()?.strip_prefix("0x")?;
                fields.tos = Some(u8::from_str_radix(hex, 16).ok()?);
            }
            "ttl" | "hlim" => fields.ttl = Some(value.parse().ok()?),
            "id" => fields.id = Some(value.parse().ok()?),
            // `[+, DF]` of a fragment is cut at its comma.
            "flags" => fields.dont_fragment = inside.contains("DF]"),
            "proto" => fields.protocol = Some(protocol_number(value)?),
            "length" => fields.length = Some(value.parse().ok()?),
            "next-header" => {
                let (protocol, length) = value.split_once(" payload length: ")?;
                fields.protocol = Some(protocol_number(protocol)?);
                fields.length = Some(length.parse::<u32>().ok()?.checked_add(IPV6_HEADER)?);
            }
            _ => {}
        }
    }
    Some(fields)
}

/// `ICMP (1)`.
fn protocol_number(text: &str) -> Option<u8> {
    text.split_once('(')?.1.split_once(')')?.0.parse().ok()
}

/// `10.0.2.24 > 1.2.3.4: ICMP echo request, id 24895, seq 1, length 64`.
pub(super) fn sighting(fields: &Fields, text: &str) -> Result<IpPacket, &'static str> {
    const SHAPE: &str = "expected `SOURCE > DESTINATION: ...`";
    let (source, rest) = text.split_once(" > ").ok_or(SHAPE)?;
    let (destination, contents) = match rest.split_once(": ") {
        Some(split) => split,
        None => (rest.strip_suffix(':').ok_or(SHAPE)?, ""),
    };
    let (Some((source, source_port)), Some((destination, destination_port))) =
        (end_point(source), end_point(destination))
    else {
        return Err("expected IP addresses; print the packets again with `tcpdump -n` if these are names");
    };
    let transport = match (source_port, destination_port) {
        (Some(source), Some(destination)) => {
            SeenTransport::Ports { source, destination, text: contents.to_owned() }
        }
        (Some(_), None) | (None, Some(_)) => return Err("only one of the two addresses has a port"),
        (None, None) => echo(contents).unwrap_or_else(|| SeenTransport::Other(contents.to_owned())),
    };
    let header = IpHeader {
        source,
        destination,
        ttl: fields.ttl,
        id: fields.id,
        dont_fragment: fields.dont_fragment,
        length: fields.length,
        tos: fields.tos,
        protocol: fields.protocol.unwrap_or_else(|| likely_protocol(&transport, contents)),
    };
    Ok(IpPacket { header, transport })
}

/// Without `-v` the protocol shows only in what is printed of it: TCP begins with its flags.
fn likely_protocol(transport: &SeenTransport, contents: &str) -> u8 {
    match transport {
        SeenTransport::Ports { .. } if contents.starts_with("Flags [") => TCP,
        SeenTransport::Ports { .. } => UDP,
        SeenTransport::Echo { .. } | SeenTransport::Other(_) => match contents.split([' ', ',']).next() {
            Some("ICMP") => ICMP,
            Some("igmp") => IGMP,
            // A hop-by-hop header (`HBH`) precedes multicast listener reports.
            Some("ICMP6" | "HBH") => ICMPV6,
            Some(word) => word.strip_prefix("ip-proto-").and_then(|n| n.parse().ok()).unwrap_or(NOT_TOLD),
            None => NOT_TOLD,
        },
    }
}

/// An address, with its port after a dot where it has one.
fn end_point(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(ip) = text.parse() {
        return Some((ip, None));
    }
    let (ip, port) = text.rsplit_once('.')?;
    Some((ip.parse().ok()?, Some(port.parse().ok().or_else(|| service(port))?)))
}

/// The names of /etc/services that a listing without `-n` shows most.
fn service(name: &str) -> Option<u16> {
    Some(match name {
        "ssh" => 22,
        "domain" => 53,
        "bootps" => 67,
        "bootpc" => 68,
        "http" => 80,
        "ntp" => 123,
        "https" => 443,
        "mdns" => 5353,
        "vxlan" => 4789,
        "http-alt" => 8080,
        _ => return None,
    })
}

/// `ICMP echo request, id 24895, seq 1, length 64`, `ICMP6, echo reply, id 7, seq 1, length 64`;
/// `-vv` puts `[icmp6 sum ok] ` before the latter.
fn echo(contents: &str) -> Option<SeenTransport> {
    let contents = contents.strip_prefix("[icmp6 sum ok] ").unwrap_or(contents);
    let rest = contents.strip_prefix("ICMP ").or(contents.strip_prefix("ICMP6, "))?;
    let (kind, rest) = rest.strip_prefix("echo ")?.split_once(", ")?;
    let reply = match kind {
        "reply" => true,
        "request" => false,
        _ => return None,
    };
    let mut parts = rest.split(", ");
    let id = parts.next()?.strip_prefix("id ")?.parse().ok()?;
    let sequence = parts.next()?.strip_prefix("seq ")?.parse().ok()?;
    Some(SeenTransport::Echo { reply, id, sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_age_are_read() {
        let read = |text| read_fields(text).unwrap();
        let old = read("tos 0x10, ttl  64, id 7, offset 0, flags [DF], proto: TCP (6), length: 52");
        assert_eq!(
            (old.tos, old.ttl, old.id, old.protocol, old.length),
            (Some(16), Some(64), Some(7), Some(6), Some(52))
        );
        let marked = read(
            "tos 0x2,ECT(0), ttl 63, id 9, offset 0, flags [+, DF], proto UDP (17), length 60, bad cksum 0",
        );
        assert_eq!(
            (marked.tos, marked.ttl, marked.dont_fragment, marked.length),
            (Some(2), Some(63), true, Some(60))
        );
        assert!(read_fields("tos 0x0, ttl 640").is_none());
    }

    #[test]
    fn later_fragments_and_icmp_errors_are_kept_as_text() {
        let transport = |text| sighting(&Fields::default(), text).unwrap();
        let fragment = transport("10.0.0.3 > 10.0.0.1: ip-proto-17");
        assert_eq!(fragment.header.protocol, UDP);
        assert_eq!(fragment.transport, SeenTransport::Other("ip-proto-17".into()));
        let error = transport("10.0.0.1 > 10.0.0.3: ICMP 10.0.0.1 udp port 53 unreachable, length 67");
        assert_eq!(error.header.protocol, ICMP);
        assert_eq!(
            error.transport,
            SeenTransport::Other("ICMP 10.0.0.1 udp port 53 unreachable, length 67".into())
        );
        let named = transport("10.0.0.3.bootpc > 255.255.255.255.bootps: BOOTP/DHCP, Request");
        let SeenTransport::Ports { source: 68, destination: 67, .. } = named.transport else {
            panic!("ports")
        };
    }
}
