//! The Internet's checksum (RFC 1071).

/// The sum of these octets, in words, to be added to others.
pub(super) fn add(octets: &[u8], sum: u64) -> u64 {
    let mut pairs = octets.chunks_exact(2);
    let words = pairs.by_ref().map(|pair| match pair {
        [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let sum = sum + words.sum::<u64>();
    match pairs.remainder() {
        [last] => sum + (u64::from(*last) << 8),
        _ => sum,
    }
}

/// The checksum that makes the whole add up.
pub(super) fn finish(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}
