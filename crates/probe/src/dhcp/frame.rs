//! The Ethernet frame around a DHCP message, made and taken off.

use std::net::Ipv4Addr;

use etherparse::{
    Ethernet2Header, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice, UdpSlice, ip_number,
};
use model::addr::Mac;
use model::dhcp::UdpChecksum;

use super::Client;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// TTL of the DISCOVER: what Linux gives, and no router forwards a limited broadcast whatever it says.
const TTL: u8 = 64;

/// A DISCOVER as the instance's NIC would emit it, without a VLAN tag: from its MAC and no address yet, to
/// everybody. The message's length is fixed and far below what makes a frame fail; one that failed would be empty.
pub fn discover_frame(client: &Client) -> Vec<u8> {
    let payload = super::discover(client);
    let builder = PacketBuilder::ethernet2(client.mac.0, Mac::BROADCAST.0)
        .ipv4([0; 4], [255; 4], TTL)
        .udp(CLIENT_PORT, SERVER_PORT);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    // It fails only for a payload beyond 64 KiB; half a frame must not go out then.
    if builder.write(&mut frame, &payload).is_err() {
        frame.clear();
    }
    frame
}

/// What a server's frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The sender's MAC: the server's, or the last router's.
    pub from_mac: Mac,
    /// The sender's address.
    pub from: Ipv4Addr,
    /// The MAC that it goes to.
    pub to_mac: Mac,
    /// The address that it goes to.
    pub to: Ipv4Addr,
    /// Whether a client that looks at the checksum takes it.
    pub checksum: UdpChecksum,
    /// What [`super::read`] reads.
    pub payload: &'a [u8],
}

/// Takes the frame off a packet from a DHCP server; `None` for any other. VLAN tags are passed over. A piece of
/// a fragmented packet is none, for its payload is not whole.
pub fn framed(frame: &[u8]) -> Option<Framed<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { return None };
    let ethernet: Ethernet2Header = ethernet.to_header();
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { return None };
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return None };
    if (udp.source_port(), udp.destination_port()) != (SERVER_PORT, CLIENT_PORT) {
        return None;
    }
    let (from, to) = (ip.header().source_addr(), ip.header().destination_addr());
    Some(Framed {
        from_mac: Mac(ethernet.source),
        from,
        to_mac: Mac(ethernet.destination),
        to,
        checksum: checksum(udp, from, to),
        payload: udp.payload(),
    })
}

fn checksum(udp: &UdpSlice<'_>, from: Ipv4Addr, to: Ipv4Addr) -> UdpChecksum {
    let said = udp.checksum();
    let right = udp.to_header().calc_checksum_ipv4_raw(from.octets(), to.octets(), udp.payload());
    if said == 0 {
        UdpChecksum::Absent
    } else if right == Ok(said) {
        UdpChecksum::Right
    } else if said == pseudo_header_sum(from, to, udp.length()) {
        UdpChecksum::Unfinished
    } else {
        UdpChecksum::Wrong
    }
}

/// What the kernel leaves in the field for hardware to go on from: the sum itself, not its complement
/// (net/ipv4/udp.c `udp4_hwcsum`).
fn pseudo_header_sum(from: Ipv4Addr, to: Ipv4Addr, length: u16) -> u16 {
    let halves = |address: Ipv4Addr| [address.to_bits() >> 16, address.to_bits() & 0xffff];
    let mut sum: u32 = halves(from).into_iter().chain(halves(to)).sum();
    sum += u32::from(ip_number::UDP.0) + u32::from(length);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
