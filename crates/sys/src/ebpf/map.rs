//! Maps: what a program and its owner share.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::{Command, address, bpf, number, open};

/// `BPF_MAP_TYPE_*` (linux/bpf.h).
const HASH: u32 = 1;
const ARRAY: u32 = 2;
const QUEUE: u32 = 22;
/// `BPF_F_RDONLY_PROG`: the program may not write, so that the verifier believes what it reads.
const READ_ONLY: u32 = 1 << 7;

/// A map. It lives as long as this, or a program that uses it.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    key_bytes: usize,
    value_bytes: usize,
}

/// The part of `union bpf_attr` that makes a map. No field is followed by padding.
#[repr(C, align(8))]
#[derive(Default)]
struct Create {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
    zero: u32,
}

/// The part that looks at an entry.
#[repr(C, align(8))]
#[derive(Default)]
struct Entry {
    map: u32,
    zero: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The part that freezes a map.
#[repr(C, align(8))]
#[derive(Default)]
struct Freeze {
    map: u32,
    zero: u32,
}

impl Map {
    /// Values by key, so many at most.
    pub fn hash(key_bytes: usize, value_bytes: usize, entries_max: u32) -> io::Result<Map> {
        create(HASH, key_bytes, value_bytes, (entries_max, 0))
    }

    /// Values in the order of their coming, so many at most: what comes while it is full is refused to the program.
    /// Since Linux 4.20.
    pub fn queue(value_bytes: usize, entries_max: u32) -> io::Result<Map> {
        create(QUEUE, 0, value_bytes, (entries_max, 0))
    }

    /// A text that a program may read and nobody can change any more. Since Linux 5.2.
    pub fn text(text: &[u8]) -> io::Result<Map> {
        let map = create(ARRAY, size_of::<u32>(), text.len(), (1, READ_ONLY))?;
        map.insert(&0_u32.to_ne_bytes(), text)?;
        let mut attributes = Freeze { map: number(&map.fd)?, zero: 0 };
        // SAFETY: the kernel reads `attributes`, which point to nothing.
        #[expect(unsafe_code, reason = "no safe wrapper freezes a map")]
        unsafe { bpf(Command::MapFreeze, (&raw mut attributes).cast(), size_of::<Freeze>()) }?;
        Ok(map)
    }

    /// Sets the value of a key. `InvalidInput` where either has another length than the map's; `E2BIG` where it is
    /// full.
    pub fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if key.len() != self.key_bytes || value.len() != self.value_bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // The kernel wants no address of a key that is none (`bpf_map_update_elem`, kernel/bpf/syscall.c).
        let key = if key.is_empty() { 0 } else { address(key.as_ptr()) };
        let (map, value) = (number(&self.fd)?, address(value.as_ptr()));
        let mut attributes = Entry { map, key, value, ..Entry::default() };
        // SAFETY: the kernel reads `attributes` and, during the call, as many bytes of key and value as the map
        // has, which they are long.
        #[expect(unsafe_code, reason = "no safe wrapper writes to a map")]
        unsafe { bpf(Command::MapUpdate, (&raw mut attributes).cast(), size_of::<Entry>()) }?;
        Ok(())
    }

    /// Takes the first value out of a queue; `None` where it is empty.
    pub fn take(&self) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0_u8; self.value_bytes];
        let (map, address) = (number(&self.fd)?, address(value.as_mut_ptr()));
        let mut attributes = Entry { map, value: address, ..Entry::default() };
        // SAFETY: the kernel reads `attributes` and writes as many bytes to the value as the map's values have,
        // which it is long; a queue has no key.
        #[expect(unsafe_code, reason = "no safe wrapper takes from a map")]
        let taken = unsafe { bpf(Command::MapTake, (&raw mut attributes).cast(), size_of::<Entry>()) };
        match taken {
            Ok(_) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for Map {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn create(kind: u32, key: usize, value: usize, (entries_max, flags): (u32, u32)) -> io::Result<Map> {
    let bytes = |count: usize| u32::try_from(count).map_err(io::Error::other);
    let (key_bytes, value_bytes) = (bytes(key)?, bytes(value)?);
    let mut attributes = Create { kind, key_bytes, value_bytes, entries_max, flags, zero: 0 };
    // SAFETY: the kernel reads `attributes`, which point to nothing.
    #[expect(unsafe_code, reason = "no safe wrapper makes a map")]
    let fd = unsafe { open(Command::MapCreate, (&raw mut attributes).cast(), size_of::<Create>()) }?;
    Ok(Map { fd, key_bytes: key, value_bytes: value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_another_length_are_refused() {
        let map = Map::hash(8, 4, 2).unwrap();
        map.insert(&[1; 8], &[2; 4]).unwrap();
        assert_eq!(map.insert(&[1; 7], &[2; 4]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(map.insert(&[1; 8], &[2; 5]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        map.insert(&[3; 8], &[2; 4]).unwrap();
        assert_eq!(map.insert(&[4; 8], &[2; 4]).unwrap_err().raw_os_error(), Some(libc::E2BIG));
    }

    #[test]
    fn a_queue_gives_back_what_was_put_in_and_a_text_stays() {
        let queue = Map::queue(4, 2).unwrap();
        queue.insert(&[], &[1; 4]).unwrap();
        queue.insert(&[], &[2; 4]).unwrap();
        assert_eq!(queue.take().unwrap(), Some(vec![1; 4]));
        assert_eq!(queue.take().unwrap(), Some(vec![2; 4]));
        assert_eq!(queue.take().unwrap(), None);
        let text = Map::text(b"%pB\0").unwrap();
        let error = text.insert(&0_u32.to_ne_bytes(), b"%pS\0").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
}
