//! Hashers for tables whose keys strangers choose only to their own harm: each table is bounded.

use std::hash::Hasher;

/// For keys that are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.write_u64(u64::from(*octet)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(8) ^ word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// For addresses and small numbers: multiplied and folded word by word.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.write_u64(u64::from(*octet)));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u128(&mut self, word: u128) {
        let octets = word.to_le_bytes();
        let half = |at: usize| {
            octets.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u64::from_le_bytes)
        };
        self.write_u64(half(0));
        self.write_u64(half(8));
    }

    fn write_u64(&mut self, word: u64) {
        let (low, high) = (self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15).carrying_mul(0xd6e8_feb8_6659_fd93, 0);
        self.0 = low ^ high;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
