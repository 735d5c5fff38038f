//! A listed packet as a sighting, known by what the listing shows of it.

use model::listing::{ListedPacket, SeenTransport};
use model::sighting::{Kind, Sighting};

use crate::dissect::Hash;

const ICMP: u8 = 1;
const UDP: u8 = 17;
const DNS: u16 = 53;

/// The sighting at a vantage; comparable with captured ones that were dissected `as_listed`.
pub fn sighting(packet: &ListedPacket, vantage: u16) -> Sighting {
    let header = &packet.ip;
    let mut seen = Sighting {
        source: header.source.into(),
        destination: header.destination.into(),
        identity: 0,
        ask: 0,
        answer: 0,
        time_ns: i64::try_from(packet.time_ns).unwrap_or(i64::MAX),
        sender: 0,
        detail: 0,
        quoted: 0,
        frame: packet.frame,
        vantage,
        source_port: 0,
        destination_port: 0,
        ip_id: header.id.unwrap_or_default(),
        length: header.length.and_then(|length| u16::try_from(length).ok()).unwrap_or_default(),
        ttl: header.ttl.unwrap_or_default(),
        tos: header.tos.unwrap_or_default(),
        protocol: header.protocol,
        kind: Kind::Other,
    };
    match &packet.transport {
        SeenTransport::Echo { reply, id, sequence } => {
            seen.detail = u32::from(*id) << 16 | u32::from(*sequence);
            let exchange = Hash::of(u64::from(ICMP)).word(u64::from(seen.detail));
            seen.kind = if *reply { Kind::EchoReply } else { Kind::EchoRequest };
            seen.identity = exchange.word(u64::from(*reply)).finish();
            *(if *reply { &mut seen.answer } else { &mut seen.ask }) = exchange.finish();
        }
        SeenTransport::Ports { source, destination, text } => {
            (seen.source_port, seen.destination_port) = (*source, *destination);
            let is_dns = header.protocol == UDP && (*source == DNS || *destination == DNS);
            if !is_dns || !dns(&mut seen, text) {
                seen.kind = if header.protocol == UDP { Kind::Udp } else { Kind::Tcp };
                seen.identity = Hash::of(u64::from(header.protocol)).octets(text.as_bytes()).finish();
            }
        }
        SeenTransport::Other(text) => {
            seen.kind = if header.protocol == ICMP { Kind::Icmp } else { Kind::Other };
            let hash = Hash::of(u64::from(header.protocol)).word(u64::from(seen.ip_id));
            seen.identity = hash.octets(text.as_bytes()).finish();
        }
    }
    seen
}

/// `2+ A? openstack.org. (31)`, `2 1/0/0 openstack.org. A 174.143.194.225 (47)`: the id comes first.
fn dns(seen: &mut Sighting, text: &str) -> bool {
    let text = text.strip_prefix("[udp sum ok] ").unwrap_or(text);
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let Some(id) = text.get(..digits).and_then(|digits| digits.parse::<u16>().ok()) else { return false };
    let is_response = seen.source_port == DNS;
    seen.detail = u32::from(id);
    seen.kind = if is_response { Kind::DnsResponse } else { Kind::DnsQuery };
    let exchange = Hash::of(u64::from(DNS)).word(u64::from(id));
    seen.identity = exchange.word(u64::from(is_response)).finish();
    *(if is_response { &mut seen.answer } else { &mut seen.ask }) = exchange.finish();
    true
}
