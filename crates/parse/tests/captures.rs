//! Captures in every format that is read, and broken ones; what the dissector makes of packets in every wrapping.
//! The packets are built here octet by octet; tcpdump's own files are the oracle of the formats.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Cursor, Write};

use model::sighting::{Kind, Sighting};
use parse::capture::{self, Capture, Damage, Frame, Opened, Remarks};
use parse::dissect::{self, Options};

const ETHERNET: u32 = 1;

fn open(octets: &[u8]) -> Box<Capture<Cursor<Vec<u8>>>> {
    match capture::open(Cursor::new(octets.to_vec())).unwrap() {
        Opened::Capture(capture) => capture,
        Opened::Unknown { .. } => panic!("not recognised"),
    }
}

/// Stamp, interface and contents of a packet.
type Packet = (i64, u32, Vec<u8>);

/// All packets, and where the file broke.
fn all(octets: &[u8]) -> (Vec<Packet>, Option<Damage>) {
    let mut capture = open(octets);
    let mut read = Vec::new();
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => read.push((frame.time_ns, frame.interface, frame.data.to_vec())),
            Ok(None) => return (read, None),
            Err(damage) => {
                assert_eq!(capture.next_frame(), Ok(None), "nothing is read behind the damage");
                return (read, Some(damage));
            }
        }
    }
}

fn pcap(magic: u32, is_big: bool, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let word = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut file = [word(magic), word(0x0004_0002), word(0), word(0), word(65535), word(ETHERNET)].concat();
    for (seconds, ticks, data) in packets {
        let length = u32::try_from(data.len()).unwrap();
        file.extend([word(*seconds), word(*ticks), word(length), word(length)].concat());
        file.extend_from_slice(data);
    }
    file
}

/// A block of pcapng with its two lengths.
fn block(is_big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let word = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut padded = body.to_vec();
    padded.resize(body.len().next_multiple_of(4), 0);
    let length = word(u32::try_from(padded.len() + 12).unwrap());
    [&word(kind)[..], &length, &padded, &length].concat()
}

fn pcapng(is_big: bool, resolution: u8, packets: &[(u64, u32, &[u8])]) -> Vec<u8> {
    let word = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
    let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
    let mut file = block(is_big, 0x0a0d_0d0a, &section);
    for name in ["vnet1", "eth0"] {
        let mut body = [&half(1)[..], &half(0), &word(0)].concat();
        body.extend([&half(2)[..], &half(u16::try_from(name.len()).unwrap()), name.as_bytes()].concat());
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([&half(9)[..], &half(1), &[resolution, 0, 0, 0], &half(0), &half(0)].concat());
        file.extend(block(is_big, 1, &body));
    }
    for (ticks, interface, data) in packets {
        let length = word(u32::try_from(data.len()).unwrap());
        let high = word(u32::try_from(ticks >> 32).unwrap());
        let low = word(u32::try_from(ticks & 0xffff_ffff).unwrap());
        let body = [&word(*interface)[..], &high, &low, &length, &length, data].concat();
        file.extend(block(is_big, 6, &body));
    }
    file
}

#[test]
fn every_kind_of_pcap_is_read() {
    let packets: [(u32, u32, &[u8]); 3] =
        [(1_700_000_000, 5, b"first"), (1_700_000_001, 999, b""), (7, 8, b"x")];
    for is_big in [false, true] {
        for (magic, ns) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let (read, damage) = all(&pcap(magic, is_big, &packets));
            assert_eq!(damage, None);
            let first = 1_700_000_000_000_000_000;
            let expected = [(first + 5 * ns, b"first".to_vec()), (first + 1_000_000_000 + 999 * ns, vec![])];
            assert_eq!(read.iter().map(|(t, _, d)| (*t, d.clone())).take(2).collect::<Vec<_>>(), expected);
            assert_eq!(read.len(), 3);
        }
    }
}

#[test]
fn every_kind_of_pcapng_is_read_with_its_interfaces() {
    let packets: [(u64, u32, &[u8]); 2] =
        [(1_700_000_000_123_456, 0, b"abc"), (1_700_000_000_123_457, 1, b"defg")];
    for is_big in [false, true] {
        for (resolution, ns) in [(6, 1000), (9, 1)] {
            let file = pcapng(is_big, resolution, &packets);
            let (read, damage) = all(&file);
            assert_eq!(damage, None);
            let expected = packets.map(|(t, i, d)| (i64::try_from(t).unwrap() * ns, i, d.to_vec()));
            assert_eq!(read, expected);
            let names: Vec<_> = open(&file).interfaces().iter().map(|i| i.name.clone().unwrap()).collect();
            assert_eq!(names, ["vnet1", "eth0"], "known before the first packet is read");
        }
    }
    // Two to the power of 20 ticks a second.
    let (read, _) = all(&pcapng(false, 0x94, &[(1 << 21, 0, b"")]));
    assert_eq!(read[0].0, 2_000_000_000);
}

#[test]
fn comments_and_directions_are_read_and_lengths_that_lie_are_not_believed() {
    for is_big in [false, true] {
        let word = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
        let half = |n: u16| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
        let with = |options: &[u8]| {
            let head = [word(0), word(0), word(0), word(5), word(5)].concat();
            let body = [&head[..], b"abcde", &[0; 3], options].concat();
            [pcapng(is_big, 9, &[]), block(is_big, 6, &body)].concat()
        };
        let remarks = |file: &[u8]| {
            let mut capture = open(file);
            assert_eq!(capture.next_frame().unwrap().unwrap().data, b"abcde");
            capture.remarks()
        };
        let comment = |text: &[u8; 4]| [&half(1)[..], &half(4), text].concat();
        let flags = [&half(2)[..], &half(4), &word(6)].concat();
        let options = [&comment(b"lost")[..], &flags, &comment(b"\xff!!!"), &half(0), &half(0)].concat();
        let told = remarks(&with(&[&options[..], &comment(b"more")].concat()));
        assert_eq!((told.comments, told.flags), (vec!["lost".to_owned(), "\u{fffd}!!!".to_owned()], Some(6)));
        let lies = [&comment(b"lost")[..], &half(1), &half(u16::MAX), b"gone"].concat();
        assert_eq!(remarks(&with(&lies)).comments, ["lost"]);
        assert_eq!(remarks(&with(&[])), Remarks::default());
    }
    // Without the octets that fill it up.
    let mut capture = open(&pcapng(false, 9, &[(1, 0, b"abcde")]));
    capture.next_frame().unwrap();
    assert_eq!(capture.remarks(), Remarks::default());
}

#[test]
fn what_a_file_tells_of_its_recording_is_read() {
    for is_big in [false, true] {
        let number = |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
        let short = |value: u16| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
        let option = |code: u16, value: &[u8]| {
            let mut octets = [short(code), short(u16::try_from(value.len()).unwrap())].concat();
            octets.extend(value);
            octets.resize(octets.len().next_multiple_of(4), 0);
            octets
        };
        // A time is two numbers, the higher one first.
        let time = |code, us: u64| {
            let halves =
                [number(u32::try_from(us >> 32).unwrap()), number(u32::try_from(us & 0xffff_ffff).unwrap())];
            option(code, halves.as_flattened())
        };
        let dropped = if is_big { 7_u64.to_be_bytes() } else { 7_u64.to_le_bytes() };
        let head = [number(0x1a2b_3c4d), number(0x0001_0000), [255; 4], [255; 4]];
        let of_link = [&[0; 8][..], &option(11, b"\0icmp or arp")].concat();
        let start = 5_000_000_000;
        let counted =
            [&[0; 12][..], &time(2, start), &time(3, start + 250), &option(5, &dropped), &option(5, b"odd")];
        let file = [
            block(is_big, 0x0a0d_0d0a, head.as_flattened()),
            block(is_big, 1, &of_link),
            block(is_big, 5, &counted.concat()),
            block(is_big, 5, &number(9).repeat(3)),
        ];
        let mut capture = open(&file.concat());
        assert_eq!(capture.next_frame(), Ok(None));
        let link = &capture.interfaces()[0];
        assert_eq!(link.filter.as_deref(), Some("icmp or arp"));
        assert_eq!(link.recorded_ns, Some((5_000_000_000_000, 5_000_000_250_000)));
        assert_eq!(link.dropped, Some(7));
    }
}

#[test]
fn packed_files_are_unpacked() {
    let plain = pcap(0xa1b2_c3d4, false, &[(1, 2, b"packet")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&plain[..], 3).unwrap();
    for packed in [&gzip, &zstd] {
        assert_eq!(all(packed), all(&plain));
    }
    let (read, damage) = all(&gzip[..gzip.len() - 9]);
    assert!(read.len() <= 1 && damage.is_some(), "a file cut off is told: {damage:?}");
}

#[test]
fn what_stands_before_the_damage_is_given_and_the_damage_has_its_place() {
    let whole = pcap(0xa1b2_c3d4, false, &[(1, 2, b"packet"), (3, 4, b"another")]);
    for cut in 1..23 {
        let (read, damage) = all(&whole[..whole.len() - cut]);
        assert_eq!(read.len(), 1, "{cut}");
        let damage = damage.unwrap();
        assert_eq!(damage.offset, 24 + 16 + 6);
        assert!(damage.why.contains("the file ends within a packet"), "{damage:?}");
    }
    let whole = pcapng(false, 6, &[(1, 0, b"abcd"), (2, 0, b"efgh")]);
    let second = u64::try_from(whole.len() - 36).unwrap();
    for cut in 1..36 {
        let (read, damage) = all(&whole[..whole.len() - cut]);
        assert_eq!((read.len(), damage.map(|d| d.offset)), (1, Some(second)), "{cut}");
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let mut file = pcapng(false, 6, &[(1, 0, b"abcd")]);
    let at = file.len() - 36;
    file[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let (read, damage) = all(&file);
    assert_eq!(read, []);
    assert!(damage.unwrap().why.contains("4294967295 octets"));
    let mut file = pcap(0xa1b2_c3d4, true, &[(1, 2, b"packet")]);
    file[24 + 8..24 + 12].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(all(&file).1.unwrap().why.contains("4294967295 octets"));
    // Two lengths that differ; a packet longer than its block; an interface that no block describes.
    let whole = pcapng(false, 6, &[(1, 0, b"abcd")]);
    let at = whole.len() - 36;
    for (place, why) in
        [(whole.len() - 4, "lengths differ"), (at + 20, "longer than its block"), (at + 8, "no block")]
    {
        let mut file = whole.clone();
        file[place..place + 4].copy_from_slice(&77_u32.to_le_bytes());
        let damage = all(&file).1.unwrap();
        assert!(damage.why.contains(why), "{damage:?}");
    }
}

#[test]
fn what_is_no_capture_is_said_to_be_none() {
    for octets in [&b""[..], b"ab", b"12:51:42.019519 IP (tos 0x0, ttl 64", &[0; 100]] {
        let Ok(Opened::Unknown { head, mut rest }) = capture::open(Cursor::new(octets.to_vec())) else {
            panic!("taken for a capture: {octets:?}")
        };
        let mut all = head;
        rest.read_to_end(&mut all).unwrap();
        assert_eq!(all, octets, "nothing is lost of it");
    }
    assert!(capture::open(Cursor::new(vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0])).is_err());
}

fn seen(link_type: u32, data: &[u8]) -> Option<Sighting> {
    let length = u32::try_from(data.len()).unwrap();
    let frame = Frame { number: 1, time_ns: 5, interface: 0, link_type, data, length };
    dissect::sighting(&frame, 3, &Options::for_snap_length(None))
}

fn ip(protocol: u8, ttl: u8, source: [u8; 4], destination: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let head = [0x45, 0, length[0], length[1], 0, 0, 0x40, 0, ttl, protocol, 0, 0];
    [&head[..], &source, &destination, body].concat()
}

fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], data].concat()
}

const INSTANCE: [u8; 4] = [10, 0, 2, 24];
const FLOATING: [u8; 4] = [203, 0, 113, 30];
const SERVER: [u8; 4] = [1, 2, 3, 4];
const ECHO: &[u8] = b"\x08\x00\x12\x34\x61\x3f\x00\x01payload of a ping, as long as it likes";

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&b"\xfe\x16\x3e\x00\x00\x01\xfa\x16\x3e\x00\x00\x11"[..], &kind.to_be_bytes(), body].concat()
}

#[test]
fn one_packet_is_known_in_every_wrapping() {
    let packet = ip(1, 64, INSTANCE, SERVER, ECHO);
    let frame = ethernet(0x0800, &packet);
    let vlan = ethernet(0x8100, &[&[0, 100][..], &[8, 0], &packet].concat());
    let qinq = ethernet(0x88a8, &[&[0, 7][..], &[0x81, 0], &[0, 100], &[8, 0], &packet].concat());
    let pppoe = ethernet(0x8864, &[&[0x11, 0, 0, 1, 0, 42, 0, 0x21][..], &packet].concat());
    let sll = [&[0, 4, 0, 1, 0, 6][..], &[1, 2, 3, 4, 5, 6, 0, 0], &[8, 0], &packet].concat();
    let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 9][..], &[0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0], &packet].concat();
    let outer = |protocol, body: &[u8]| ethernet(0x0800, &ip(protocol, 9, [9; 4], [8; 4], body));
    let vxlan = outer(17, &udp(5, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &frame].concat()));
    let geneve =
        outer(17, &udp(5, 6081, &[&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4][..], &frame].concat()));
    let gre = outer(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 1][..], &packet].concat());
    let all = [
        (1, frame.clone()),
        (1, vlan),
        (1, qinq),
        (1, pppoe),
        (113, sll),
        (276, sll2.clone()),
        (101, packet.clone()),
        (1, vxlan),
        (1, geneve),
        (1, gre),
        (1, outer(4, &packet)),
    ];
    let plain = seen(101, &packet).unwrap();
    assert_eq!((plain.kind, plain.ttl, plain.detail), (Kind::EchoRequest, 64, 0x613f_0001));
    for (link_type, wrapped) in all {
        let seen = seen(link_type, &wrapped).unwrap();
        assert_eq!(Sighting { sender: 0, ..seen }, plain);
    }
    assert_eq!(dissect::cooked_interface(276, &sll2), Some(9));
    assert_eq!(seen(1, &frame).unwrap().sender, 0xfa16_3e00_0011);
}

#[test]
fn what_changes_on_the_way_is_not_part_of_the_identity_and_what_does_not_is() {
    let here = seen(101, &ip(1, 64, INSTANCE, SERVER, ECHO)).unwrap();
    let there = seen(101, &ip(1, 61, FLOATING, SERVER, ECHO)).unwrap();
    assert_eq!((here.identity, here.ask), (there.identity, there.ask));
    let mut reply = ECHO.to_vec();
    reply[0] = 0;
    let reply = seen(101, &ip(1, 64, SERVER, FLOATING, &reply)).unwrap();
    assert_eq!(reply.answer, here.ask);
    assert_ne!(reply.identity, here.identity);
    let mut next = ECHO.to_vec();
    next[7] = 2;
    assert_ne!(seen(101, &ip(1, 64, INSTANCE, SERVER, &next)).unwrap().identity, here.identity);
    let data =
        |port, payload: &[u8]| seen(101, &ip(17, 64, INSTANCE, SERVER, &udp(port, 9, payload))).unwrap();
    assert_eq!(data(1000, b"some payload").identity, data(61_000, b"some payload").identity);
    assert_ne!(data(1000, b"some payload").identity, data(1000, b"same payload").identity);
}

#[test]
fn tcp_is_acknowledged_by_what_answers_it() {
    let tcp = |sequence: u32, acknowledged: u32, flags: u8, stamp: u32, data: &[u8]| {
        let head = [&[0, 22, 4, 0][..], &sequence.to_be_bytes(), &acknowledged.to_be_bytes()].concat();
        let options = [&[1, 1, 8, 10][..], &stamp.to_be_bytes(), &[0; 4]].concat();
        let body = [&head[..], &[0x80, flags, 1, 2, 3, 4, 0, 0], &options, data].concat();
        seen(101, &ip(6, 64, INSTANCE, SERVER, &body)).unwrap()
    };
    let sent = tcp(1000, 1, 24, 5, b"hello");
    assert_eq!(tcp(1, 1005, 16, 9, b"").answer, sent.ask);
    assert_eq!(tcp(1, 0, 2, 9, b"").ask, tcp(7, 2, 18, 9, b"").answer, "SYN counts as one octet");
    assert_ne!(tcp(1000, 1, 24, 6, b"hello").identity, sent.identity, "sent again, with another stamp");
}

#[test]
fn dns_dhcp_and_arp_are_answered() {
    let question =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09openstack\x03org\x00\x00\x01\x00\x01";
    let query = seen(101, &ip(17, 64, INSTANCE, SERVER, &udp(5000, 53, question))).unwrap();
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04");
    let response = seen(101, &ip(17, 64, SERVER, INSTANCE, &udp(53, 5000, &answer))).unwrap();
    assert_eq!((query.kind, response.kind), (Kind::DnsQuery, Kind::DnsResponse));
    assert_eq!((query.ask, query.detail), (response.answer, 0x1234));

    let dhcp = |operation: u8, message: u8, from: u16| {
        let mut data = vec![0; 236];
        data[0] = operation;
        data[4..8].copy_from_slice(&[1, 2, 3, 4]);
        data.extend([0x63, 0x82, 0x53, 0x63, 53, 1, message, 255]);
        seen(101, &ip(17, 64, INSTANCE, SERVER, &udp(from, 135 - from, &data))).unwrap()
    };
    assert_eq!(dhcp(1, 1, 68).ask, dhcp(2, 2, 67).answer);
    assert_eq!(dhcp(1, 3, 68).ask, dhcp(2, 5, 67).answer);
    assert_ne!(dhcp(1, 1, 68).ask, dhcp(2, 5, 67).answer);
    assert_eq!([4, 7, 8].map(|message| dhcp(1, message, 68).ask), [0; 3], "DECLINE, RELEASE, INFORM");

    let arp = |operation: u8, mac: u8, from: [u8; 4], to: [u8; 4]| {
        let head = [0, 1, 8, 0, 6, 4, 0, operation, 2, 0, 0, 0, 0, mac];
        seen(1, &ethernet(0x0806, &[&head[..], &from, &[0; 6], &to].concat())).unwrap()
    };
    let (asked, told) = (arp(1, 1, INSTANCE, SERVER), arp(2, 2, SERVER, INSTANCE));
    assert_eq!((asked.kind, told.kind), (Kind::ArpRequest, Kind::ArpReply));
    assert_eq!(asked.ask, told.answer);
    assert_ne!(told.identity, arp(2, 3, SERVER, INSTANCE).identity, "another machine answers");
}

#[test]
fn packets_cut_anywhere_and_bombs_of_tunnels_do_not_panic() {
    let mut nested = ip(1, 64, INSTANCE, SERVER, ECHO);
    for _ in 0..40 {
        nested = ip(4, 64, INSTANCE, SERVER, &nested);
    }
    let tagged = [&[0x81, 0, 0, 1].repeat(50)[..], &[8, 0]].concat();
    let frames = [ethernet(0x0800, &nested), ethernet(0x8100, &tagged), ethernet(0x86dd, &[0x60; 80])];
    for frame in &frames {
        for end in 0..frame.len() {
            for link_type in [0, 1, 101, 113, 276, 9999] {
                let _ = seen(link_type, &frame[..end]);
            }
        }
    }
    assert!(seen(1, &frames[0]).is_some(), "the part that was followed counts");
    assert!(seen(1, b"").is_none());
}
