//! The secret that makes pseudonyms: whoever has it gets the same ones again, and nobody else can try names out.
//!
//! It is kept in a file of a few lines, beside the networks whose addresses keep their last bits (see `v4`): bundles
//! of several hosts fit together where they were made with one such file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};

use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

use crate::names::hex;

/// The first line of a key's file that is no comment.
const SCHEMA: &str = "hopline.redact-key/1";

/// Bytes of SHA-256's block (FIPS 180-4) and of the secret.
const BLOCK: usize = 64;
const SECRET: usize = 32;

/// Networks that one file names at most.
const NETWORKS_MAX: usize = 10_000;

/// A secret, and the networks that it was made for.
#[derive(Clone)]
pub struct Key {
    secret: [u8; SECRET],
    /// Hashes that have taken in the padded secret (RFC 2104), so that each use costs two blocks.
    inner: Sha256,
    outer: Sha256,
    /// Shorter than /24, by address.
    networks: Vec<Ipv4Net>,
}

/// Why a key's file is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// It does not begin as one.
    #[error("it does not begin with the line `{SCHEMA}`")]
    Schema,
    /// The line behind is no secret.
    #[error("it holds no secret of 64 hex digits")]
    Secret,
    /// A line is no network.
    #[error("line {line} is no network, as 10.0.0.0/16 is")]
    Network {
        /// Counted from 1.
        line: usize,
    },
}

impl Key {
    /// A key out of the kernel's randomness.
    pub fn draw() -> io::Result<Key> {
        let mut secret = [0; SECRET];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        Ok(Key::of(secret, Vec::new()))
    }

    /// This key, for these networks, or as many as its file may name. Those of /24 and longer keep their last bits
    /// anyway.
    pub(super) fn of(secret: [u8; SECRET], mut networks: Vec<Ipv4Net>) -> Key {
        networks.sort();
        networks.dedup();
        networks.truncate(NETWORKS_MAX);
        let padded = |with: u8| {
            let mut block = [with; BLOCK];
            block.iter_mut().zip(secret).for_each(|(byte, key)| *byte ^= key);
            Sha256::new().chain_update(block)
        };
        Key { secret, inner: padded(0x36), outer: padded(0x5c), networks }
    }

    /// The same secret for other networks.
    pub(super) fn with_networks(&self, networks: Vec<Ipv4Net>) -> Key {
        Key::of(self.secret, networks)
    }

    pub(super) fn networks(&self) -> &[Ipv4Net] {
        &self.networks
    }

    /// HMAC-SHA-256 of some parts, the first of which says what they are.
    pub(super) fn hash(&self, what: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        inner.update(what.as_bytes());
        inner.update([0]);
        for part in parts {
            inner.update(part);
        }
        let outer = self.outer.clone().chain_update(inner.finalize());
        outer.finalize().into()
    }

    /// What tells this key from others and nobody who has it can reckon back: 16 hex digits.
    pub(super) fn print(&self) -> String {
        hex(self.hash("print", &[]).get(..8).unwrap_or_default())
    }

    /// A key's file, read.
    pub fn read(text: &str) -> Result<Key, KeyError> {
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut next = || lines.by_ref().find(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        if next().is_none_or(|(_, line)| line != SCHEMA) {
            return Err(KeyError::Schema);
        }
        let secret = next().and_then(|(_, line)| from_hex(line)).ok_or(KeyError::Secret)?;
        let mut networks = Vec::new();
        while let Some((line, text)) = next() {
            let network: Ipv4Net = text.parse().map_err(|_| KeyError::Network { line })?;
            if networks.len() >= NETWORKS_MAX {
                return Err(KeyError::Network { line });
            }
            networks.push(network.trunc());
        }
        Ok(Key::of(secret, networks))
    }

    /// The file that [`Key::read`] reads.
    pub fn text(&self) -> String {
        let mut out = "# Whoever has this tells who is who in the redacted bundle: it stays with you.\n\
                       # `hopline collect --redact --redact-key` takes it for other hosts of the site.\n"
            .to_owned();
        let _ = writeln!(out, "{SCHEMA}\n{}", hex(&self.secret));
        for network in &self.networks {
            let _ = writeln!(out, "{network}");
        }
        out
    }
}

fn from_hex(text: &str) -> Option<[u8; SECRET]> {
    let mut secret = [0; SECRET];
    if text.len() != 2 * SECRET || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_4231() {
        // Test case 1, whose key of 20 bytes is padded with zeros as ours of 32 is; `what` and its end come before.
        let mut secret = [0; SECRET];
        secret[..20].fill(0x0b);
        let key = Key::of(secret, Vec::new());
        let mut inner = key.inner.clone();
        inner.update(b"Hi There");
        let hash = key.outer.clone().chain_update(inner.finalize()).finalize();
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex(&hash), expected);
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_others_are_refused() {
        let networks = vec!["10.0.0.0/16".parse().unwrap()];
        let key = Key::of([7; SECRET], networks);
        let read = Key::read(&key.text()).unwrap();
        assert_eq!((read.secret, &read.networks), (key.secret, &key.networks));
        let many = (0..20_000).map(|at: u32| Ipv4Net::new((0x1400_0000 + at * 512).into(), 23).unwrap());
        let crowded = Key::of([7; SECRET], many.collect());
        assert_eq!(Key::read(&crowded.text()).unwrap().networks, crowded.networks);
        assert_eq!(Key::read("x").err(), Some(KeyError::Schema));
        assert_eq!(Key::read("hopline.redact-key/1\n12").err(), Some(KeyError::Secret));
        let text = key.text() + "10.0.0.0/33\n";
        assert_eq!(Key::read(&text).err(), Some(KeyError::Network { line: 6 }));
    }
}
