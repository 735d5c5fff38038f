//! The mark in every payload that we send: whose packet it is, and which.

use std::hash::{BuildHasher, Hash, RandomState};

/// Starts every payload, so that whoever meets the packet in a capture knows whose it is; a random
/// number follows, by which a reply is known as ours.
const MARK: &[u8; 8] = b"hopline ";
/// The mark's length in bytes.
pub(crate) const BYTES: usize = 16;

/// A mark that no other probe has, and a random number besides.
pub(crate) fn draw(of: impl Hash) -> ([u8; BYTES], u16) {
    // The standard library draws its hasher's keys at random once a thread and counts one of them up for every
    // RandomState: what comes of it is another each time.
    let random = RandomState::new().hash_one(of).to_be_bytes();
    let mut mark = [0; BYTES];
    for (to, byte) in mark.iter_mut().zip(MARK.iter().chain(&random)) {
        *to = *byte;
    }
    (mark, u16::from_be_bytes([random[0], random[1]]))
}

/// The mark begins somewhere in these bytes of a packet.
pub fn is_marked(packet: &[u8]) -> bool {
    packet.windows(MARK.len()).any(|window| window == MARK)
}
