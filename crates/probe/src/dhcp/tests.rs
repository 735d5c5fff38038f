//! Messages written and read by dhcproto, which knows nothing of ours, and messages that nobody should send.

use std::net::Ipv4Addr;

use dhcproto::v4::{self, DhcpOption, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use model::dhcp::{DhcpReply, ReplyKind, UdpChecksum};
use proptest::prelude::*;

use super::*;

const CLIENT: Client = Client { mac: Mac([0xfa, 0x16, 0x3e, 1, 2, 3]), transaction: 0x1234_5678 };
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A reply with these options, as dhcproto writes it.
fn reply(options: Vec<DhcpOption>) -> Vec<u8> {
    let zero = Ipv4Addr::UNSPECIFIED;
    let mut message =
        v4::Message::new_with_id(CLIENT.transaction, zero, ADDRESS, GATEWAY, zero, &CLIENT.mac.0);
    message.set_opcode(v4::Opcode::BootReply);
    for option in options {
        message.opts_mut().insert(option);
    }
    message.to_vec().unwrap()
}

fn offer() -> Vec<u8> {
    reply(vec![
        DhcpOption::MessageType(MessageType::Offer),
        DhcpOption::ServerIdentifier(GATEWAY),
        DhcpOption::AddressLeaseTime(120),
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::Router(vec![GATEWAY]),
        DhcpOption::DomainNameServer(vec![GATEWAY, Ipv4Addr::new(8, 8, 8, 8)]),
        DhcpOption::InterfaceMtu(1450),
    ])
}

/// Fixed fields of a reply and options byte by byte.
fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = offer();
    bytes.truncate(FIXED_BYTES);
    bytes.extend(options);
    bytes
}

fn problem(bytes: &[u8]) -> DhcpProblem {
    read(bytes, &CLIENT).unwrap_err()
}

#[test]
fn another_reader_finds_in_a_discover_what_is_meant() {
    let bytes = discover(&CLIENT);
    assert_eq!(bytes.len(), 300);
    let message = v4::Message::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!((message.opcode(), message.xid()), (v4::Opcode::BootRequest, CLIENT.transaction));
    assert_eq!((message.chaddr(), message.flags().broadcast()), (CLIENT.mac.0.as_slice(), false));
    let options = message.opts();
    assert!(options.has_msg_type(MessageType::Discover));
    assert_eq!(options.get(OptionCode::MaxMessageSize), Some(&DhcpOption::MaxMessageSize(1500)));
    let Some(DhcpOption::ParameterRequestList(wanted)) = options.get(OptionCode::ParameterRequestList) else {
        panic!("{options:?}")
    };
    assert!(wanted.contains(&OptionCode::Router) && wanted.contains(&OptionCode::InterfaceMtu));
    assert_eq!(options.get(OptionCode::ClientIdentifier), None);
}

#[test]
fn an_offer_that_another_writer_wrote_is_read() {
    let expected = DhcpReply {
        kind: ReplyKind::Offer,
        address: Some(ADDRESS),
        server: Some(GATEWAY),
        relay: None,
        prefix_bits: Some(24),
        routers: vec![GATEWAY],
        dns: vec![GATEWAY, Ipv4Addr::new(8, 8, 8, 8)],
        mtu: Some(1450),
        lease_s: Some(120),
        message: None,
        codes: vec![1, 3, 6, 26, 51, 53, 54],
    };
    assert_eq!(read(&offer(), &CLIENT), Ok(expected));
}

#[test]
fn a_nak_says_why_and_an_ack_may_say_little() {
    let words = DhcpOption::Message("address not available".to_owned());
    let nak = read(&reply(vec![DhcpOption::MessageType(MessageType::Nak), words]), &CLIENT).unwrap();
    assert_eq!((nak.kind, nak.message.as_deref()), (ReplyKind::Nak, Some("address not available")));
    let ack = read(&reply(vec![DhcpOption::MessageType(MessageType::Ack)]), &CLIENT).unwrap();
    assert_eq!((ack.kind, ack.routers, ack.lease_s, ack.server), (ReplyKind::Ack, vec![], None, None));
}

#[test]
fn what_is_for_another_is_told_from_what_is_wrong() {
    let other = Client { transaction: 1, ..CLIENT };
    let foreign = read(&offer(), &other).unwrap_err();
    assert_eq!(foreign, DhcpProblem::OtherTransaction { transaction: CLIENT.transaction });
    assert!(foreign.is_for_another());
    let neighbour = read(&offer(), &Client { mac: Mac([2; 6]), ..CLIENT }).unwrap_err();
    assert_eq!(neighbour, DhcpProblem::OtherClient { mac: CLIENT.mac });
    assert!(neighbour.is_for_another());
    let own = problem(&discover(&CLIENT));
    assert_eq!(own, DhcpProblem::NotAReply { op: 1 });
    assert!(own.is_for_another());
    assert!(!DhcpProblem::NoCookie.is_for_another());
}

#[test]
fn each_wrong_option_is_named() {
    let kind = [53, 1, 2];
    let bad = |option: &[u8]| problem(&with_options(&[&kind, option, &[255]].concat()));
    for (option, code) in [
        (&[1, 3, 255, 255, 255][..], 1),
        (&[1, 4, 255, 0, 255, 0], 1),
        (&[3, 0], 3),
        (&[3, 5, 1, 2, 3, 4, 5], 3),
        (&[6, 3, 1, 2, 3], 6),
        (&[26, 1, 9], 26),
        (&[26, 2, 0, 67], 26),
        (&[51, 2, 0, 1], 51),
        (&[54, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 54),
        (&[52, 1, 4], 52),
        // Twice: joined, they are too long.
        (&[53, 1, 2], 53),
    ] {
        assert!(matches!(bad(option), DhcpProblem::BadOption { code: at, .. } if at == code), "{option:?}");
    }
    assert_eq!(problem(&with_options(&[255])), DhcpProblem::NoType);
    assert_eq!(problem(&with_options(&[53, 1, 3, 255])), DhcpProblem::OtherType { kind: 3 });
}

#[test]
fn lengths_that_lie_and_options_without_an_end() {
    let lying = with_options(&[53, 1, 2, 3, 200, 10, 0, 0, 1]);
    assert_eq!(problem(&lying), DhcpProblem::OptionRunsOut { code: 3, offset: 243 });
    assert_eq!(problem(&with_options(&[53, 1, 2, 3])), DhcpProblem::OptionRunsOut { code: 3, offset: 243 });
    assert_eq!(problem(&with_options(&[53, 1, 2, 0, 0])), DhcpProblem::NoEnd { offset: 245 });
    assert_eq!(problem(&[2; 239]), DhcpProblem::TooShort { bytes: 239 });
    let mut long = offer();
    long.resize(1473, 0);
    assert_eq!(problem(&long), DhcpProblem::TooLong { bytes: 1473 });
    let mut no_cookie = offer();
    no_cookie[236] = 0;
    assert_eq!(problem(&no_cookie), DhcpProblem::NoCookie);
    let mut token_ring = offer();
    token_ring[1] = 6;
    assert_eq!(problem(&token_ring), DhcpProblem::NotEthernet { kind: 6, bytes: 6 });
}

#[test]
fn options_overflow_into_the_names_and_join() {
    // The router stands in the file's name, and half of it in the server's.
    let mut split = with_options(&[53, 1, 2, 52, 1, 3, 255]);
    split[108..113].copy_from_slice(&[3, 2, 10, 0, 255]);
    split[44..49].copy_from_slice(&[3, 2, 0, 1, 255]);
    assert_eq!(read(&split, &CLIENT).unwrap().routers, [GATEWAY]);
    // Overflowing out of the file's name, into what follows it, is not allowed.
    split[108..110].copy_from_slice(&[3, 200]);
    assert_eq!(problem(&split), DhcpProblem::OptionRunsOut { code: 3, offset: 108 });
    // Without saying so nothing is looked for there.
    split[242 + 1] = 0;
    split[244] = 0;
    split[245] = 0;
    assert_eq!(read(&split, &CLIENT).unwrap().routers, Vec::<Ipv4Addr>::new());
}

/// A server's frame around an offer, with a right checksum.
fn framed_offer() -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2; 6], CLIENT.mac.0)
        .ipv4(GATEWAY.octets(), ADDRESS.octets(), 64)
        .udp(67, 68);
    let mut frame = Vec::new();
    builder.write(&mut frame, &offer()).unwrap();
    frame
}

#[test]
fn a_frame_is_taken_off_and_its_checksum_judged() {
    let frame = framed_offer();
    let taken = framed(&frame).unwrap();
    let ends = (taken.from_mac, taken.from, taken.to_mac, taken.to);
    assert_eq!(ends, (Mac([2; 6]), GATEWAY, CLIENT.mac, ADDRESS));
    assert_eq!((taken.payload, taken.checksum), (&offer()[..], UdpChecksum::Right));
    // 10.0 + 0.1 + 10.0 + 0.3 + protocol 17 + length.
    let unfinished = 0x0a00 + 1 + 0x0a00 + 3 + 17 + 8 + u16::try_from(offer().len()).unwrap();
    for (said, meant) in [
        (0, UdpChecksum::Absent),
        (unfinished, UdpChecksum::Unfinished),
        (unfinished + 1, UdpChecksum::Wrong),
    ] {
        let mut frame = frame.clone();
        frame[40..42].copy_from_slice(&said.to_be_bytes());
        assert_eq!(framed(&frame).unwrap().checksum, meant);
    }
    let mut tagged = frame.clone();
    tagged.splice(12..12, [0x81, 0x00, 0, 100]);
    assert_eq!(framed(&tagged).unwrap().payload, offer());
}

#[test]
fn no_other_frame_is_a_servers() {
    assert_eq!(framed(&discover_frame(&CLIENT)), None);
    let frame = framed_offer();
    for length in 0..frame.len() {
        assert_eq!(framed(&frame[..length]), None, "{length}");
    }
    let mut piece = frame;
    piece[20] = 0x20;
    assert_eq!(framed(&piece), None);
}

#[test]
fn the_frame_of_a_discover_is_a_broadcast_with_right_checksums() {
    let frame = discover_frame(&CLIENT);
    let packet = etherparse::PacketHeaders::from_ethernet_slice(&frame).unwrap();
    let Some(etherparse::NetHeaders::Ipv4(ip, _)) = packet.net else { panic!("no IPv4") };
    let Some(etherparse::TransportHeader::Udp(udp)) = packet.transport else { panic!("no UDP") };
    assert_eq!((ip.source, ip.destination), ([0; 4], [255; 4]));
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    assert_eq!(udp.checksum, udp.calc_checksum_ipv4(&ip, &discover(&CLIENT)).unwrap());
    assert_eq!(frame.len(), 14 + 20 + 8 + 300);
}

proptest! {
    /// Options of any bytes, and an offer with any of its bytes changed, are read or refused.
    #[test]
    fn any_bytes_are_read_or_refused(
        options in prop::collection::vec(any::<u8>(), 0..400),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let _ = read(&with_options(&options), &CLIENT);
        let mut frame = framed_offer();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if let Some(framed) = framed(&frame)
            && let Ok(reply) = read(framed.payload, &CLIENT)
        {
            prop_assert!(reply.routers.len() * 4 <= framed.payload.len());
        }
    }

    /// What dhcproto writes is read as it was meant.
    #[test]
    fn what_another_writer_wrote_is_read_as_meant(
        mtu in 68_u16..,
        lease in any::<u32>(),
        routers in prop::collection::vec(any::<Ipv4Addr>(), 1..60),
        bits in 0_u8..=32,
    ) {
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let reply = read(&reply(vec![
            DhcpOption::MessageType(MessageType::Ack),
            DhcpOption::InterfaceMtu(mtu),
            DhcpOption::AddressLeaseTime(lease),
            DhcpOption::Router(routers.clone()),
            DhcpOption::SubnetMask(mask.into()),
        ]), &CLIENT).unwrap();
        prop_assert_eq!(
            (reply.mtu, reply.lease_s, reply.routers, reply.prefix_bits),
            (Some(mtu), Some(lease), routers, Some(bits))
        );
    }
}
