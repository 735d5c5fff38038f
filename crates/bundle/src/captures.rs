//! Captures in a bundle: as they were given, octet by octet, behind everything else.
//!
//! They are large, so they are streamed both ways. Who reads a bundle is told which it holds, and reads each one
//! straight out of the archive when it is wanted: [`open_capture`].

use std::io::{self, BufWriter, Read, Seek, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::Archive;

use crate::error::WriteError;
use crate::limits::Limits;
use crate::manifest::FileEntry;
use crate::names;
use crate::read;
use crate::write::{Spool, Writer, failed};

/// Bytes of all captures of a bundle, as they are given: a quarter of what a bundle may hold unpacked.
pub const CAPTURES_BYTES_MAX: u64 = 1 << 30;
/// Captures of a bundle.
pub const CAPTURES_MAX: usize = 64;

/// The folder that they lie in.
const FOLDER: &str = "captures";
const CHUNK: usize = 64 * 1024;

/// A capture in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureEntry {
    /// From the archive's root.
    pub path: String,
    /// Where it was made, as it was said when it was given; `None` where it tells that itself.
    pub vantage: Option<String>,
}

impl<S: Read + Write + Seek> Writer<S> {
    /// Takes a capture of so many bytes. Of a file that has grown meanwhile, its beginning; one that has shrunk is an
    /// error, as whatever else fails.
    pub fn add_capture(
        &self,
        name: &str,
        vantage: Option<&str>,
        (bytes, source): (u64, &mut dyn Read),
    ) -> Result<(), WriteError> {
        let mut spool = self.spool();
        let path = format!("{FOLDER}/{}-{}", spool.captures.len() + 1, names::part(name));
        if !spool.may_grow(bytes, &self.limits) {
            let why = format!("{bytes} bytes are more than there is room for");
            return Err(WriteError::TooLarge { file: path, why });
        }
        let fill = &mut |out: &mut dyn Write| io::copy(&mut source.take(bytes), out).map(|_| ());
        let sha256 = spool.stream(&path, bytes, fill, (self.taken_at, &self.limits))?;
        spool.files.push(FileEntry { path: path.clone(), bytes, sha256 });
        spool.captures.push(CaptureEntry { path, vantage: vantage.map(str::to_owned) });
        Ok(())
    }

    /// Takes a file of the site that is no text, of so many bytes, as `fill` writes it. Where a reader has no room for
    /// it, it is left out, with a gap.
    pub(crate) fn add_stream(&self, file: &str, bytes: u64, fill: &mut Fill<'_>) -> Result<(), WriteError> {
        let path = names::path("", file);
        let mut spool = self.spool();
        if !spool.is_new(&path) {
            return Ok(());
        }
        if !spool.may_grow(bytes, &self.limits) {
            spool.left_out.push(path);
            return Ok(());
        }
        let sha256 = spool.stream(&path, bytes, fill, (self.taken_at, &self.limits))?;
        spool.files.push(FileEntry { path, bytes, sha256 });
        Ok(())
    }
}

/// Writes a file's octets.
pub(crate) type Fill<'f> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'f;

impl<S: Read + Write + Seek> Spool<S> {
    /// There is room for a file of so many bytes, if it packs well enough and not too well.
    fn may_grow(&self, bytes: u64, limits: &Limits) -> bool {
        let out = self.out.saturating_add(crate::entry::length(bytes));
        self.files.len() < limits.plain_files() && out <= limits.plain_bytes()
    }

    /// Writes a file as it comes; returns its hash. Nobody knows beforehand how small it packs, so it may turn out on
    /// the way that a reader would refuse it.
    fn stream(
        &mut self,
        path: &str,
        bytes: u64,
        fill: &mut Fill<'_>,
        (mtime, limits): (u64, &Limits),
    ) -> Result<String, WriteError> {
        let cannot = failed(path);
        crate::entry::begin(&mut self.packed, path, bytes, mtime).map_err(&cannot)?;
        self.out += crate::entry::length(0);
        let streamed =
            Streamed { spool: self, limits: *limits, hash: Sha256::new(), missing: bytes, repeats: false };
        let mut chunks = BufWriter::with_capacity(CHUNK, streamed);
        let filled = fill(&mut chunks).and_then(|()| chunks.flush());
        let (Streamed { hash, missing, repeats, .. }, _) = chunks.into_parts();
        if repeats {
            let why = "it repeats itself so that it would be taken for a decompression bomb: give it beside";
            return Err(WriteError::TooLarge { file: path.to_owned(), why: why.to_owned() });
        }
        filled.map_err(&cannot)?;
        if missing > 0 {
            return Err(cannot(io::ErrorKind::UnexpectedEof.into()));
        }
        self.out = self.out.next_multiple_of(crate::entry::length(0));
        crate::entry::fill(&mut self.packed, bytes).map_err(&cannot)?;
        Ok(names::hex(&hash.finalize()))
    }
}

/// A file on its way into the archive.
struct Streamed<'s, S: Write> {
    spool: &'s mut Spool<S>,
    limits: Limits,
    hash: Sha256,
    /// Octets that its header promises and that have not come yet.
    missing: u64,
    /// A reader would refuse it.
    repeats: bool,
}

impl<S: Read + Write + Seek> Write for Streamed<'_, S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let length = octets.len() as u64;
        self.missing = self.missing.checked_sub(length).ok_or(io::ErrorKind::FileTooLarge)?;
        self.spool.out += length;
        let packed = self.spool.packed.get_mut().stream_position()?;
        if !self.limits.let_grow(self.spool.out + crate::entry::length(0), packed) {
            self.repeats = true;
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.hash.update(octets);
        self.spool.packed.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The octets of a capture that a bundle holds, within the bounds of all reading.
///
/// # Errors
/// What of the archive could not be read; `NotFound` where it has no such file.
pub fn open_capture<R: Read>(source: R, path: &str) -> io::Result<impl Read + use<R>> {
    let mut archive = Archive::new(read::zstd(source, &Limits::REAL)?);
    let mut length = None;
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        if entry.path_bytes().as_ref() == path.as_bytes() {
            length = Some(entry.header().entry_size()?);
            break;
        }
    }
    // The archive has been read up to the first octet of the file.
    let length = length.ok_or(io::ErrorKind::NotFound)?;
    Ok(archive.into_inner().take(length))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::{Facts, read};

    fn written(captures: &[&[u8]]) -> Vec<u8> {
        let writer = Writer::new(Cursor::new(Vec::new()), 0).unwrap();
        writer.add("compute1", "a.txt", "before");
        for octets in captures {
            let mut source: &[u8] = octets;
            writer.add_capture("a b.pcap", Some("br100"), (octets.len() as u64, &mut source)).unwrap();
        }
        let mut out = Vec::new();
        writer.finish(&Facts::default(), &mut out).unwrap();
        out
    }

    #[test]
    fn captures_come_out_as_they_went_in() {
        let long = (0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
        let bundle = written(&[b"one", &long, b""]);
        let listed = read(&bundle[..], "x").unwrap();
        let vantages: Vec<_> = listed.captures.iter().filter_map(|entry| entry.vantage.as_deref()).collect();
        assert_eq!((vantages, listed.gaps), (vec!["br100"; 3], Vec::new()));
        for (entry, expected) in listed.captures.iter().zip([&b"one"[..], &long, b""]) {
            let mut octets = Vec::new();
            open_capture(&bundle[..], &entry.path).unwrap().read_to_end(&mut octets).unwrap();
            assert!(octets == expected, "{}", entry.path);
        }
        assert!(open_capture(&bundle[..], "captures/none").is_err());
    }

    #[test]
    fn one_that_has_changed_or_is_cut_off_is_not_used() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let noise: Vec<u8> = (0..100_000).map(|_| next()).collect();
        let bundle = written(&[&noise]);
        let cut = read(&bundle[..bundle.len() - 20_000], "x").unwrap();
        assert_eq!((cut.captures.len(), cut.gaps.len()), (0, 1), "{:?}", cut.gaps);
        // What lies there under its name is another file.
        let mut unpacked = zstd::decode_all(&bundle[..]).unwrap();
        let at = unpacked.windows(64).position(|octets| octets == &noise[..64]).unwrap();
        unpacked[at] ^= 1;
        let changed = read(&zstd::encode_all(&unpacked[..], 1).unwrap()[..], "x").unwrap();
        assert_eq!(changed.captures, []);
        assert!(changed.gaps[0].why.contains("captures/1-a_b.pcap"), "{:?}", changed.gaps);
    }

    #[test]
    fn one_that_shrinks_meanwhile_fails() {
        let writer = Writer::new(Cursor::new(Vec::new()), 0).unwrap();
        let mut source: &[u8] = b"short";
        assert!(writer.add_capture("a", None, (10, &mut source)).is_err());
    }
}
