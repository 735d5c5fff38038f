//! A buffer that slides over a file: as many octets as are asked for lie side by side.

use std::io::{self, Read};

use super::{Damage, why};

/// Octets asked of the file at a time.
const CHUNK: usize = 256 << 10;

pub(super) struct Window<R> {
    reader: R,
    octets: Vec<u8>,
    /// Where the part taken last begins, and where it ends and the next begins.
    taken: usize,
    next: usize,
    filled: usize,
    /// Position in the file of `octets[0]`.
    base: u64,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R, head: Vec<u8>) -> Window<R> {
        let filled = head.len();
        let mut octets = head;
        octets.resize(CHUNK, 0);
        Window { reader, octets, taken: 0, next: 0, filled, base: 0 }
    }

    /// What has been read and not taken, and the reader.
    pub(super) fn into_parts(self) -> (Vec<u8>, R) {
        (self.octets.get(self.next..self.filled).unwrap_or_default().to_vec(), self.reader)
    }

    /// Position in the file of what is taken next.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.next as u64
    }

    /// The next octets without taking them: fewer than `length` only at the end of the file.
    pub(super) fn peek(&mut self, length: usize) -> Result<&[u8], Damage> {
        if self.filled - self.next < length {
            self.fill(length)?;
        }
        let end = self.filled.min(self.next + length);
        Ok(self.octets.get(self.next..end).unwrap_or_default())
    }

    /// Takes what [`Window::peek`] has shown.
    pub(super) fn take(&mut self, length: usize) {
        self.taken = self.next;
        self.next = self.filled.min(self.next + length);
    }

    /// A stretch of the part taken last.
    pub(super) fn taken(&self, skip: usize, length: usize) -> &[u8] {
        let start = self.taken + skip;
        self.octets.get(start..self.next.min(start + length)).unwrap_or_default()
    }

    fn fill(&mut self, length: usize) -> Result<(), Damage> {
        self.octets.copy_within(self.next..self.filled, 0);
        self.base += self.next as u64;
        self.filled -= self.next;
        (self.taken, self.next) = (0, 0);
        if self.octets.len() < length {
            self.octets.resize(length, 0);
        }
        while self.filled < length {
            let Some(room) = self.octets.get_mut(self.filled..) else { break };
            match self.reader.read(room) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let offset = self.base + self.filled as u64;
                    return Err(Damage { offset, why: why(&error) });
                }
            }
        }
        Ok(())
    }
}
