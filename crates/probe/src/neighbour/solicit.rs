//! Neighbour solicitation and its answer on the wire (RFC 4861).

use std::net::Ipv6Addr;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice, ip_number};
use model::Mac;

const SOLICITATION: u8 = 135;
pub(super) const ADVERTISEMENT: u8 = 136;
/// What a router would have lowered: whatever comes with less was not sent on this link.
const HOP_LIMIT: u8 = 255;
/// Options: the sender's MAC, and the target's.
const SOURCE_MAC: u8 = 1;
const TARGET_MAC: u8 = 2;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Of an advertisement: it answers a solicitation; and who knows another MAC is to take this one instead.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
const HEADER_BYTES: usize = 8;

/// The MAC of the group that an address' holder is in by the address' last three bytes (RFC 2464).
pub(crate) fn group_mac(asked: Ipv6Addr) -> Mac {
    let [.., x, y, z] = asked.octets();
    Mac([0x33, 0x33, 0xff, x, y, z])
}

/// That group.
pub(crate) fn group(asked: Ipv6Addr) -> Ipv6Addr {
    let [.., x, y, z] = asked.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z])
}

/// The frame of a question who has this address, asked of the group that its holder is in. One from `::` is that of
/// duplicate address detection, and tells no MAC (RFC 4862). To a single machine's MAC it is still the group's: asked
/// at its address alone, a machine neither tells its MAC nor overrides what others said (`ndisc_recv_ns`).
pub(crate) fn who_has(to: Mac, own: Mac, source: Ipv6Addr, asked: Ipv6Addr) -> Vec<u8> {
    let mut message = asked.octets().to_vec();
    if !source.is_unspecified() {
        message.extend([SOURCE_MAC, 1]);
        message.extend(own.0);
    }
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(own.0, to.0)
        .ipv6(source.octets(), group(asked).octets(), HOP_LIMIT)
        .icmpv6_raw(SOLICITATION, 0, [0; 4]);
    // It fails only for a payload beyond 64 KiB; half a frame must not go out then.
    if packet.write(&mut frame, &message).is_err() {
        frame.clear();
    }
    frame
}

/// The MAC that a frame says an address has, in answer to a question from `source`: its advertisement is valid and
/// meant for that source, or for everybody. Without the option that tells it, it is the frame's sender. And whether it
/// overrides what others said.
pub(crate) fn answer(frame: &[u8], source: Ipv6Addr, asked: Ipv6Addr) -> Option<(Mac, bool)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) = (packet.net, packet.transport)
    else {
        return None;
    };
    let header = ip.header();
    let is_on_link = header.next_header() == ip_number::IPV6_ICMP && header.hop_limit() == HOP_LIMIT;
    let is_advertisement = (icmp.type_u8(), icmp.code_u8()) == (ADVERTISEMENT, 0);
    let is_whole = icmp.is_checksum_valid(header.source(), header.destination());
    let message = icmp.slice();
    let target = message.get(HEADER_BYTES..)?.first_chunk::<16>()?;
    let to = header.destination_addr();
    let flags = *message.get(4)?;
    let is_to_us = to == source || (to == ALL_NODES && flags & SOLICITED == 0);
    if !(is_on_link && is_advertisement && is_whole && is_to_us && *target == asked.octets()) {
        return None;
    }
    let sender = Mac(*frame.get(6..)?.first_chunk::<6>()?);
    let mac = target_mac(message.get(HEADER_BYTES + target.len()..)?, sender)?;
    Some((mac, flags & OVERRIDE != 0))
}

/// The MAC that options tell, or what it is where they do not. An option is a type, a length in units of 8 bytes, and
/// so much less two. `None` where a length lies: the message is to be passed over then.
fn target_mac(mut options: &[u8], untold: Mac) -> Option<Mac> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let (option, rest) = options.split_at_checked(usize::from(units).max(1) * 8)?;
        (units > 0).then_some(())?;
        if kind == TARGET_MAC && found.is_none() {
            found = option.get(2..).and_then(|mac| mac.first_chunk::<6>()).map(|mac| Mac(*mac));
        }
        options = rest;
    }
    options.is_empty().then_some(found.unwrap_or(untold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icmp::checksum;

    const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x11]);
    const THEIRS: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x22]);
    const NEAR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xab12, 0x3456);

    fn sum_of(packet: &[u8]) -> u16 {
        let message = &packet[40..];
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        checksum(&[&packet[8..40], &length[..], &[0, 0, 0, 58], message].concat())
    }

    /// An advertisement of the far address, with a right checksum.
    fn advertisement(to: Ipv6Addr, flags: u8, options: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(THEIRS.0, OWN.0)
            .ipv6(FAR.octets(), to.octets(), HOP_LIMIT)
            .icmpv6_raw(ADVERTISEMENT, 0, [flags, 0, 0, 0])
            .write(&mut frame, &[&FAR.octets()[..], options].concat())
            .unwrap();
        frame
    }

    fn told(mac: Mac) -> Vec<u8> {
        [&[TARGET_MAC, 1][..], &mac.0].concat()
    }

    #[test]
    fn a_question_goes_to_the_group_of_the_address_and_sums_to_zero() {
        let frame = who_has(group_mac(FAR), OWN, NEAR, FAR);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame[38..54], "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!((frame[21], frame[54], sum_of(&frame[14..])), (HOP_LIMIT, SOLICITATION, 0));
        assert_eq!(frame[62..], [&FAR.octets()[..], &[SOURCE_MAC, 1], &OWN.0].concat());
        let alone = who_has(THEIRS, OWN, NEAR, FAR);
        assert_eq!((&alone[..6], &alone[6..]), (&THEIRS.0[..], &frame[6..]));
        let nobodys = who_has(group_mac(FAR), OWN, Ipv6Addr::UNSPECIFIED, FAR);
        assert_eq!(nobodys[62..], FAR.octets());
    }

    #[test]
    fn an_answer_tells_the_mac_of_its_option_or_of_its_frame() {
        let other = Mac([2, 0, 0, 0, 0, 9]);
        let padding = [&[14, 2][..], &[0; 14]].concat();
        let with = |options: &[u8]| answer(&advertisement(NEAR, 0x60, options), NEAR, FAR);
        assert_eq!(with(&told(other)), Some((other, true)));
        assert_eq!(with(&[padding, told(other), told(OWN)].concat()), Some((other, true)));
        assert_eq!(with(&[]), Some((THEIRS, true)));
        let of_proxy = advertisement(NEAR, SOLICITED, &told(other));
        assert_eq!(answer(&of_proxy, NEAR, FAR), Some((other, false)));
        // What answers nobody goes to everybody.
        let to_all = advertisement(ALL_NODES, 0x20, &told(other));
        assert_eq!(answer(&to_all, Ipv6Addr::UNSPECIFIED, FAR), Some((other, true)));
    }

    #[test]
    fn what_is_not_valid_or_another_answer_is_passed_over() {
        let right = advertisement(NEAR, 0x60, &told(THEIRS));
        assert_eq!(answer(&right, NEAR, NEAR), None);
        assert_eq!(answer(&right, FAR, FAR), None);
        assert_eq!(answer(&advertisement(ALL_NODES, 0x60, &told(THEIRS)), NEAR, FAR), None);
        // Next header, hop limit, type, code, checksum, target.
        for at in [20, 21, 54, 55, 57, 77] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            assert_eq!(answer(&wrong, NEAR, FAR), None, "{at}");
        }
        for options in
            [&[TARGET_MAC, 0, 0, 0, 0, 0, 0, 0][..], &[TARGET_MAC, 2, 0, 0, 0, 0, 0, 0], &[TARGET_MAC]]
        {
            assert_eq!(answer(&advertisement(NEAR, 0x60, options), NEAR, FAR), None, "{options:?}");
        }
        for length in 0..right.len() {
            assert_eq!(answer(&right[..length], NEAR, FAR), None, "{length}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_options_and_any_bytes_are_read_or_refused(
            options in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
            at in 12_usize..86,
            value in proptest::prelude::any::<u8>(),
        ) {
            let mut frame = advertisement(NEAR, 0x60, &options);
            // What lies in an option is found by no other way than its type and length.
            let found = answer(&frame, NEAR, FAR);
            let is_told = |mac: Mac| options.windows(6).any(|six| six == mac.0);
            proptest::prop_assert!(found.is_none_or(|(mac, _)| mac == THEIRS || is_told(mac)));
            let at = at.min(frame.len() - 1);
            frame[at] = value;
            let _ = answer(&frame, NEAR, FAR);
            let _ = answer(&options, NEAR, FAR);
        }
    }
}
