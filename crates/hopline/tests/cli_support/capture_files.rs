//! Captures written octet by octet.

/// Link type and, of each packet, nanoseconds and contents.
pub(crate) fn pcap(link_type: u32, packets: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut file = words(&[0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, link_type]);
    for (time_ns, data) in packets {
        let seconds = u32::try_from(time_ns.div_euclid(1_000_000_000)).unwrap();
        let rest = u32::try_from(time_ns.rem_euclid(1_000_000_000)).unwrap();
        let length = u32::try_from(data.len()).unwrap();
        file.extend(words(&[seconds, rest, length, length]));
        file.extend(data);
    }
    file
}

/// Ethernet interfaces by name, with stamps of nanoseconds; of each packet the interface's index, nanoseconds and
/// contents.
pub(crate) fn pcapng(interfaces: &[&str], packets: &[(u32, i64, Vec<u8>)]) -> Vec<u8> {
    let mut file = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    for name in interfaces {
        let length = u32::try_from(name.len()).unwrap();
        let mut body = words(&[1, 0, 2 | length << 16]);
        body.extend(name.as_bytes());
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(words(&[9 | 1 << 16, 9, 0]));
        file.extend(block(1, &body));
    }
    for (interface, time_ns, data) in packets {
        let high = u32::try_from(time_ns >> 32).unwrap();
        let low = u32::try_from(time_ns & 0xffff_ffff).unwrap();
        let length = u32::try_from(data.len()).unwrap();
        let mut body = words(&[*interface, high, low, length, length]);
        body.extend(data);
        file.extend(block(6, &body));
    }
    file
}

/// A block of pcapng with its two lengths.
pub(crate) fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut padded = body.to_vec();
    padded.resize(body.len().next_multiple_of(4), 0);
    let length = u32::try_from(padded.len() + 12).unwrap();
    [words(&[kind, length]), padded, words(&[length])].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
