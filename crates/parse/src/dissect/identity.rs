//! The hash by which a packet is known again.

/// A running hash of 64 bits: the same words give the same hash on every machine.
///
/// Multiply and fold, as wyhash does. Not keyed: who sends packets may make two of them collide, and gains
/// that they are taken for one.
#[derive(Debug, Clone, Copy)]
pub struct Hash(u64);

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

impl Hash {
    /// Of nothing but a kind of packet.
    pub fn of(kind: u64) -> Hash {
        Hash(SEED).word(kind)
    }

    /// With one word more.
    #[must_use]
    pub fn word(self, word: u64) -> Hash {
        let (low, high) = (self.0 ^ word ^ SEED).carrying_mul(FACTOR, 0);
        Hash(low ^ high ^ self.0.rotate_left(23))
    }

    /// With octets more, and how many they are.
    #[must_use]
    pub fn octets(self, octets: &[u8]) -> Hash {
        let mut hash = self.word(octets.len() as u64);
        let mut words = octets.chunks_exact(8);
        for word in words.by_ref() {
            hash = hash.word(word.first_chunk::<8>().copied().map_or(0, u64::from_le_bytes));
        }
        let rest = words.remainder();
        if rest.is_empty() {
            return hash;
        }
        let word = rest.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet));
        hash.word(word)
    }

    /// The hash; never 0, which stands for none.
    pub fn finish(self) -> u64 {
        self.0.max(1)
    }
}
