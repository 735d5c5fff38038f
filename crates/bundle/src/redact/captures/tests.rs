//! Packets before and after: who sent them to whom is another's name, and all that is counted still adds up.

use proptest::prelude::*;

use super::super::Key;
use super::super::names::Names;
use super::super::pseudonyms::Known;
use super::*;

const MAC: [u8; 6] = [0xfa, 0x16, 0x3e, 0, 0, 0x11];
const ROUTER: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
const FROM: [u8; 4] = [10, 0, 2, 24];
const TO: [u8; 4] = [203, 0, 113, 7];

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(Key::of([9; 32], Vec::new()), &Names::default(), Known::default())
}

fn mac(octets: [u8; 6]) -> [u8; 6] {
    pseudonyms().mac(model::Mac(octets)).0
}

fn v4(octets: [u8; 4]) -> [u8; 4] {
    pseudonyms().v4(octets.into()).octets()
}

/// An Ethernet frame.
fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&ROUTER[..], &MAC, &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet with its header's checksum right.
fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut head = [&[0x45, 0], &total[..], &[0, 7, 0x40, 0, 64, protocol, 0, 0], &from, &to].concat();
    let sum = sums::finish(sums::add(&head, 0)).to_be_bytes();
    head[10..12].copy_from_slice(&sum);
    [&head, payload].concat()
}

fn udp(from: [u8; 4], to: [u8; 4], ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut data =
        [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload]
            .concat();
    let pseudo = sums::add(&[from, to].concat(), 17 + u64::from(length));
    let sum = sums::finish(sums::add(&data, pseudo)).to_be_bytes();
    data[6..8].copy_from_slice(&sum);
    ipv4(17, from, to, &data)
}

fn redacted(frame: &[u8]) -> Vec<u8> {
    let mut data = frame.to_vec();
    packet::redact(&pseudonyms(), 1, &mut data);
    data
}

fn has(data: &[u8], octets: &[u8]) -> bool {
    data.windows(octets.len()).any(|window| window == octets)
}

#[test]
fn who_sent_what_was_captured_on_any_device_is_a_mac_only_of_ethernet() {
    let cooked = |kind: u8, length: u8, address: [u8; 8]| {
        let mut data =
            [&[0, 0, 0, kind, 0, length][..], &address, &[8, 0], &ipv4(17, FROM, TO, b"")].concat();
        packet::redact(&pseudonyms(), 113, &mut data);
        data
    };
    let data = cooked(1, 6, [&MAC[..], &[1, 2]].concat().try_into().unwrap());
    assert_eq!((&data[6..12], &data[12..14]), (&mac(MAC)[..], &[0, 0][..]));
    assert_eq!(data[28..32], v4(FROM));
    // ARPHRD_TUNNEL's are IPv4 addresses.
    assert_eq!(cooked(0, 4, [10, 0, 2, 24, 0, 0, 0, 0])[6..14], [0; 8]);
    let two = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6][..], &MAC, &[1, 2], &ipv4(17, FROM, TO, b"")].concat();
    let mut data = two.clone();
    packet::redact(&pseudonyms(), 276, &mut data);
    assert_eq!((&data[12..18], &data[18..20], &data[32..36]), (&mac(MAC)[..], &[0, 0][..], &v4(FROM)[..]));
}

#[test]
fn a_datagram_is_between_others_and_its_sums_are_right() {
    let data = redacted(&frame(0x0800, &udp(FROM, TO, (4711, 53), b"who is web1.acme.example?")));
    assert_eq!((&data[..6], &data[6..12]), (&mac(ROUTER)[..], &mac(MAC)[..]));
    assert_eq!((&data[26..30], &data[30..34]), (&v4(FROM)[..], &v4(TO)[..]));
    assert_eq!(sums::finish(sums::add(&data[14..34], 0)), 0, "the header's");
    let pseudo = sums::add(&data[26..34], 17 + (data.len() - 34) as u64);
    assert_eq!(sums::finish(sums::add(&data[34..], pseudo)), 0, "the datagram's");
    assert!(!has(&data, b"acme") && data[34..38] == [0x12, 0x67, 0, 53], "ports stay");
    let again = redacted(&frame(0x0800, &udp(FROM, TO, (4711, 53), b"who is web2.acme.example?")));
    assert_ne!(again[42..], data[42..], "another payload is another's still");
}

#[test]
fn a_wrong_sum_stays_wrong_and_one_left_to_the_nic_is_left() {
    let mut wrong = frame(0x0800, &udp(FROM, TO, (4711, 53), b"x"));
    wrong[40] ^= 0x10;
    let data = redacted(&wrong);
    let pseudo = |data: &[u8]| sums::add(&data[26..34], 17 + (data.len() - 34) as u64);
    assert_ne!(sums::finish(sums::add(&data[34..], pseudo(&data))), 0);
    let partial = !sums::finish(pseudo(&wrong));
    wrong[40..42].copy_from_slice(&partial.to_be_bytes());
    let data = redacted(&wrong);
    assert_eq!(data[40..42], (!sums::finish(pseudo(&data))).to_be_bytes());
}

#[test]
fn arp_and_errors_and_tags_are_looked_into() {
    let question = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &MAC, &FROM, &[0; 6], &TO, &[0x61; 18]].concat();
    let data = redacted(&frame(0x8100, &[&[0, 100, 8, 6], &question[..]].concat()));
    assert_eq!(data[12..18], [0x81, 0, 0, 100, 8, 6]);
    let arp = &data[18..];
    assert_eq!((&arp[8..14], &arp[14..18], &arp[24..28]), (&mac(MAC)[..], &v4(FROM)[..], &v4(TO)[..]));
    assert!(arp[18..24] == [0; 6] && arp[28..] == [0; 18]);

    let quoted = udp(FROM, TO, (4711, 53), b"secret");
    let mut error = [&[3, 3, 0, 0, 0, 0, 0, 0], &quoted[..28]].concat();
    let sum = sums::finish(sums::add(&error, 0)).to_be_bytes();
    error[2..4].copy_from_slice(&sum);
    let data = redacted(&frame(0x0800, &ipv4(1, TO, FROM, &error)));
    assert_eq!((&data[54..58], &data[58..62]), (&v4(FROM)[..], &v4(TO)[..]), "in what is quoted");
    assert_eq!(sums::finish(sums::add(&data[34..], 0)), 0);
}

#[test]
fn neighbours_of_ipv6_are_looked_into() {
    let address: std::net::Ipv6Addr = "2001:db8::f816:3eff:fe00:11".parse().unwrap();
    let told = [&[136, 0, 0, 0, 0x60, 0, 0, 0], &address.octets()[..], &[2, 1], &MAC].concat();
    let head = [&[0x60, 0, 0, 0, 0, 32, 58, 255], &address.octets()[..], &address.octets()].concat();
    let data = redacted(&frame(0x86dd, &[head, told].concat()));
    let mapped = pseudonyms().v6(address).octets();
    assert_eq!((&data[22..38], &data[62..78], &data[80..86]), (&mapped[..], &mapped[..], &mac(MAC)[..]));
    assert_eq!(mapped[13..], mac(MAC)[3..], "an address made of a MAC");
}

#[test]
fn a_lease_is_anothers_and_says_the_same() {
    let mut bootp = vec![2, 1, 6, 0];
    bootp.extend([1, 2, 3, 4, 0, 0, 0, 0]);
    bootp.extend([[0; 4], FROM, TO, [0; 4]].concat());
    bootp.extend(MAC);
    bootp.resize(108, 0);
    bootp.extend(b"boot.acme");
    bootp.resize(236, 0);
    bootp.extend([99, 130, 83, 99, 53, 1, 5, 54, 4]);
    bootp.extend(TO);
    bootp.extend([1, 4, 255, 255, 255, 0, 12, 4]);
    bootp.extend(b"web1");
    bootp.extend([&[61, 7, 1][..], &MAC, &[255, 0, 0]].concat());
    let data = redacted(&frame(0x0800, &udp(TO, FROM, (67, 68), &bootp)));
    let dhcp = &data[42..];
    assert_eq!((&dhcp[16..20], &dhcp[20..24], &dhcp[28..34]), (&v4(FROM)[..], &v4(TO)[..], &mac(MAC)[..]));
    assert_eq!(dhcp[240..243], [53, 1, 5]);
    assert_eq!(dhcp[245..249], v4(TO));
    assert_eq!(dhcp[249..255], [1, 4, 255, 255, 255, 0]);
    assert!(has(dhcp, &mac(MAC)) && dhcp[255..261] == [12, 4, 0, 0, 0, 0]);
    assert!(!has(&data, b"web1") && !has(&data, b"acme"));
}

/// pcap with one packet, and pcapng with an interface, a packet, its remark and a block of names.
fn files() -> [Vec<u8>; 2] {
    let packet = frame(0x0800, &udp(FROM, TO, (4711, 53), b"secret"));
    let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
    let head = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0xff, 0xff, 0, 0, 1, 0, 0, 0]].concat();
    let pcap = [&head, &[1, 0, 0, 0, 2, 0, 0, 0][..], &length, &length, &packet].concat();

    let mut pcapng = Vec::new();
    let order = Order::Little;
    put(
        order,
        u32::from_be_bytes(SECTION),
        &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat(),
        &mut pcapng,
    );
    let named = [
        &[1, 0, 0, 0, 0, 0, 4, 0, 2, 0, 14, 0][..],
        b"tap1234abcd-ef\0\0",
        &[9, 0, 1, 0, 9, 0, 0, 0],
        &[0; 4],
    ]
    .concat();
    put(order, 1, &named, &mut pcapng);
    let mut body = [&[0; 4][..], &[1, 0, 0, 0, 2, 0, 0, 0], &length, &length, &packet].concat();
    pad(&mut body);
    body.extend([&[1, 0, 12, 0][..], b"of 10.0.2.24", &[0; 4]].concat());
    put(order, 6, &body, &mut pcapng);
    put(order, 4, &[&[1, 0, 9, 0][..], &FROM, b"web1\0\0\0\0", &[0; 4]].concat(), &mut pcapng);
    [pcap, pcapng]
}

#[test]
fn files_stay_files_with_as_many_packets() {
    for file in files() {
        assert!(is_one(&file));
        let out = redact(&pseudonyms(), &file);
        assert!(has(&file, &FROM) && has(&file, b"secret"));
        for gone in [&FROM[..], &TO, &MAC, b"secret", b"web1", b"1234abcd", b"10.0.2.24"] {
            assert!(!has(&out, gone), "{gone:?}");
        }
        assert!(has(&out, &v4(FROM)) && has(&out, &mac(MAC)) && is_one(&out));
        let cut = redact(&pseudonyms(), &file[..file.len() - 60]);
        assert!(cut.len() < out.len() && !has(&cut, &FROM), "what is cut off is left out");
    }
    let [pcap, pcapng] = files();
    assert_eq!(redact(&pseudonyms(), &pcap).len(), pcap.len());
    let out = redact(&pseudonyms(), &pcapng);
    let remark = format!("of {}", std::net::Ipv4Addr::from(v4(FROM)));
    assert!(has(&out, remark.as_bytes()) && has(&out, b"tap"));
}

proptest! {
    #[test]
    fn any_packet_keeps_its_length(data: Vec<u8>, link_type in prop::sample::select(vec![1_u32, 101, 113, 276, 7])) {
        let mut out = data.clone();
        packet::redact(&pseudonyms(), link_type, &mut out);
        prop_assert_eq!(out.len(), data.len());
    }

    #[test]
    fn any_damage_to_a_file_is_borne(which in 0..2_usize, at in 0..400_usize, to: u8, end in 0..400_usize) {
        let mut file = files()[which].clone();
        let length = file.len();
        file[at % length] = to;
        file.truncate(end);
        let _ = redact(&pseudonyms(), &file);
    }
}

/// An option of pcapng, filled up to a whole word.
fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut out =
        [&code.to_le_bytes()[..], &u16::try_from(value.len()).unwrap().to_le_bytes(), value].concat();
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
    [&kind.to_le_bytes()[..], &length, body, &length].concat()
}

/// Whether a silence counts hangs on them.
#[test]
fn what_a_capture_tells_of_its_recording_stays() {
    let mut names = Names::default();
    names.add(super::super::names::Kind::Host, "external");
    let p = Pseudonyms::new(Key::of([9; 32], Vec::new()), &names, Known::default());
    let section = block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat());
    let filter = [&[0][..], b"icmp and host 10.0.2.24"].concat();
    let interface =
        [&[1, 0, 0, 0, 0, 0, 4, 0][..], &option(2, b"external//eth0"), &option(11, &filter)].concat();
    let counted =
        [&[0; 12][..], &option(2, &[1; 8]), &option(3, &[2; 8]), &option(5, &[3; 8]), &[0; 4]].concat();
    let file = [section, block(1, &interface), block(5, &counted)].concat();
    let told = redact(&p, &file);
    let holds = |octets: &[u8]| told.windows(octets.len()).any(|found| found == octets);
    let filter = format!("\0icmp and host {}", p.v4(FROM.into()));
    assert!(holds(&option(11, filter.as_bytes())), "the filter, by the pseudonym");
    assert!(holds(&block(5, &counted)), "times and drops");
    let name = format!("{}//eth0", p.name("external"));
    assert!(holds(&option(2, name.as_bytes())) && !holds(b"external"), "a host of a common name");
}

#[test]
fn a_question_for_a_name_and_its_answer_stay_such() {
    let name = b"\x03www\x04acme\x07example\0\0\x01\0\x01";
    let question = [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name].concat();
    let answer =
        [&[0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], name, &[0xc0, 12, 0, 1], &TO].concat();
    let there = redacted(&frame(0x0800, &udp(FROM, TO, (4711, 53), &question)));
    let back = redacted(&frame(0x0800, &udp(TO, FROM, (53, 4711), &answer)));
    let (there, back) = (&there[42..], &back[42..]);
    assert_eq!((&there[..12], &back[..12]), (&question[..12], &answer[..12]), "id and flags");
    assert_eq!(there[12..17], back[12..17], "what is asked for");
    assert_ne!(there[13..17], [0; 4]);
    assert!(![there, back].iter().any(|data| data.windows(4).any(|found| found == b"acme" || found == TO)));
    let other = [&question[..12], b"\x01x\0\0\x01\0\x01"].concat();
    let other = redacted(&frame(0x0800, &udp(FROM, TO, (4711, 53), &other)));
    assert_ne!(there[12..17], other[54..59]);
}

/// A pcap of so many packets, made as it is read; and how far it has been.
struct Endless<'c> {
    left: usize,
    ready: Vec<u8>,
    read: &'c std::cell::Cell<usize>,
}

/// Payload of a packet that a NIC puts together (GRO), unlike every other's.
const LARGE: usize = 60_000;

impl std::io::Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.ready.is_empty() && self.left > 0 {
            self.left -= 1;
            let payload: Vec<u8> = (0..LARGE).map(|at| (at * (self.left + 7)).to_le_bytes()[0]).collect();
            let packet = frame(0x0800, &udp(FROM, TO, (4711, 9), &payload));
            let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
            self.ready = [&[0; 8][..], &length, &length, &packet].concat();
        }
        let length = self.ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.ready[..length]);
        self.ready.drain(..length);
        self.read.set(self.read.get() + length);
        Ok(length)
    }
}

/// What is read and not yet written is what is held.
struct Behind<'c> {
    out: Vec<u8>,
    read: &'c std::cell::Cell<usize>,
    most: usize,
}

impl std::io::Write for Behind<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.most = self.most.max(self.read.get() - self.out.len());
        self.out.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_long_file_is_held_a_packet_at_a_time_and_is_as_long_as_it_was_counted() {
    let through = |packets: Packets| {
        let read = std::cell::Cell::default();
        let head = files()[0][..PCAP_HEAD].to_vec();
        let mut source = Endless { left: 100, ready: head, read: &read };
        let mut out = Behind { out: Vec::new(), read: &read, most: 0 };
        stream(&pseudonyms(), &mut source, packets, &mut out).unwrap();
        assert_eq!(out.out.len(), read.get());
        (out.out, out.most)
    };
    let ((out, most), (counted, _)) = (through(Packets::Rewritten), through(Packets::Counted));
    assert!(most < 4 * LARGE, "{most} octets at once");
    assert_eq!(out.len(), counted.len());
    for file in files() {
        let mut counted = Vec::new();
        stream(&pseudonyms(), &mut &file[..], Packets::Counted, &mut counted).unwrap();
        assert_eq!(counted.len(), redact(&pseudonyms(), &file).len());
    }
    // A reader takes what packs a few hundred times smaller.
    let packed = zstd::encode_all(&out[..], 3).unwrap();
    assert!(out.len() / packed.len() < 300, "{} of {}", packed.len(), out.len());
}
