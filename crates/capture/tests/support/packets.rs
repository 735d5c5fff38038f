//! Packets of every kind that filters tell apart, of few addresses and ports, so that filters of the same
//! ones meet them.

/// What the filters of the tests ask for, too.
pub(crate) const V4: [&str; 4] = ["10.0.2.24", "10.0.2.25", "1.2.3.4", "203.0.113.30"];
pub(crate) const V6: [&str; 3] = ["2001:db8::24", "2001:db8::25", "2001:db8:1::1"];
pub(crate) const PORTS: [u16; 4] = [22, 53, 67, 8080];
pub(crate) const MACS: [&str; 3] = ["fa:16:3e:00:00:11", "fa:16:3e:00:00:12", "02:00:00:00:00:01"];
pub(crate) const VLANS: [u16; 3] = [5, 100, 4095];

fn mac(text: &str) -> Vec<u8> {
    text.parse::<model::Mac>().unwrap().0.to_vec()
}

fn v4(text: &str) -> Vec<u8> {
    text.parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec()
}

fn v6(text: &str) -> Vec<u8> {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()
}

pub(crate) fn frame(to: &str, from: &str, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&mac(to)[..], &mac(from), &ether_type.to_be_bytes(), payload].concat()
}

/// An IPv4 packet; `options` are whole words of padding, `fragment` is what stands in that field.
pub(crate) fn ip(from: &str, to: &str, protocol: u8, options: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + usize::from(options) * 4 + payload.len()).unwrap();
    let mut packet = vec![0x45 + options, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(v4(from));
    packet.extend(v4(to));
    packet.extend(std::iter::repeat_n(1, usize::from(options) * 4));
    packet.extend(payload);
    packet
}

pub(crate) fn ip6(from: &str, to: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(v6(from));
    packet.extend(v6(to));
    packet.extend(payload);
    packet
}

pub(crate) fn arp(reply: bool, from: &str, to: &str) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1 + u8::from(reply)];
    packet.extend(mac(MACS[0]));
    packet.extend(v4(from));
    packet.extend([0; 6]);
    packet.extend(v4(to));
    packet.extend([0; 18]);
    packet
}

/// A header with ports in front, long enough for whatever a filter looks at.
pub(crate) fn ports(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 40]].concat()
}

/// With a tag in its bytes.
pub(crate) fn tagged(frame: &[u8], ether_type: u16, tag: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &ether_type.to_be_bytes(), &tag.to_be_bytes(), rest].concat()
}

/// Whole frames without a tag.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let pairs = |n: usize| (0..n).flat_map(move |a| (0..n).map(move |b| (a, b)));
    for (a, b) in pairs(V4.len()) {
        let (from, to) = (V4[a], V4[b]);
        let (port, other) = (PORTS[a], PORTS[b]);
        let end = |nth: usize| MACS[nth % MACS.len()];
        let mut put = |ether_type: u16, payload: Vec<u8>| {
            frames.push(frame(end(b), end(a + 1), ether_type, &payload));
        };
        for protocol in [1, 6, 17, 132, 47] {
            put(0x0800, ip(from, to, protocol, 0, 0, &ports(port, other)));
        }
        put(0x0800, ip(from, to, 6, 3, 0, &ports(other, port)));
        put(0x0800, ip(from, to, 17, 0, 0x2000, &ports(port, other)));
        put(0x0800, ip(from, to, 17, 0, 0x00b9, &ports(port, other)));
        put(0x0806, arp(a % 2 == 0, from, to));
        put(0x8035, arp(false, from, to));
        put(0x88cc, vec![2; 60]);
    }
    for (a, b) in pairs(V6.len()) {
        let (port, other) = (PORTS[a], PORTS[b]);
        for next in [58, 6, 17, 132, 44, 0] {
            // Behind a fragment header the next one's number stands first.
            let mut payload = ports(port, other);
            if next == 44 {
                payload = [&[[58, 6, 17][b], 0, 0, 0, 0, 0, 0, 1][..], &payload].concat();
            }
            frames.push(frame(MACS[a], MACS[b], 0x86dd, &ip6(V6[a], V6[b], next, &payload)));
        }
    }
    frames
}
