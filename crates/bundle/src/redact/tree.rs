//! A permutation of numbers that keeps prefixes: two numbers share as many leading bits after it as before.
//!
//! Each bit is turned, or not, by what the bits before it are (Xu, Fan, Ammar, Moon: Crypto-PAn, 2002). Here one hash
//! of the octets before decides for all 255 places that a bit of the next octet can be at.

use super::key::Key;

/// Whether a bit is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Never,
    /// As the key's hash of the bits before it has it.
    ByKey,
    Always,
}

/// Passes the octets through. `turns` tells of the bit at a depth, given the original's bits before it, left-aligned;
/// `back` undoes what was done.
pub(super) fn permute<const N: usize>(
    key: &Key,
    what: &str,
    octets: [u8; N],
    back: bool,
    turns: impl Fn(usize, &[u8; N]) -> Turn,
) -> [u8; N] {
    // The original, as far as it is known.
    let mut known = [0; N];
    let mut out = [0; N];
    for (at, given) in octets.into_iter().enumerate() {
        let mut hash = None;
        let mut place = 1_usize;
        for bit in 0..8_usize {
            let depth = 8 * at + bit;
            let turned = match turns(depth, &known) {
                Turn::Never => false,
                Turn::Always => true,
                Turn::ByKey => {
                    let before = known.get(..at).unwrap_or_default();
                    let hash = hash.get_or_insert_with(|| key.hash(what, &[before]));
                    hash.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
                }
            };
            let given = given >> (7 - bit) & 1;
            let other = given ^ u8::from(turned);
            let (original, result) = if back { (other, other) } else { (given, other) };
            if let (Some(known), Some(out)) = (known.get_mut(at), out.get_mut(at)) {
                *known |= original << (7 - bit);
                *out |= result << (7 - bit);
            }
            place = place << 1 | usize::from(original);
        }
    }
    out
}
