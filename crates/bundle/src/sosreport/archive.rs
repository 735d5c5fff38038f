//! A sosreport's archive, read straight through, once, with nothing unpacked to disk.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use tar::{Archive, EntryType};

use super::files::Files;
use super::gap;
use super::long_names::LongNames;
use super::wanted::{self, Keep};
use crate::error::ReadError;
use crate::limits::FILES_MAX;
use crate::read::{Counted, Limited, refusal};

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// xz(1), which sos takes where it is.
    Xz,
    /// gzip(1).
    Gzip,
    /// Not at all.
    Tar,
}

/// How the archive that begins with these octets is packed; `None` where it is no sosreport's. 262 octets tell.
pub fn packing(head: &[u8]) -> Result<Option<Packing>, ReadError> {
    Ok(match head {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [b'B', b'Z', b'h', ..] => return Err(ReadError::Bzip2),
        _ if head.get(257..262) == Some(b"ustar") => Some(Packing::Tar),
        _ => None,
    })
}

/// Memory that a dictionary of xz may take, in KiB: `xz -9` wants 65 MiB.
const XZ_MEMORY_KIB: u32 = 128 << 10;

/// Reads an archive. One that breaks off behind its first files is read in part, and the rest is a gap.
pub(super) fn read(source: impl Read, packing: Packing, name: &str) -> Result<Files, ReadError> {
    let packed = Arc::default();
    let source = BufReader::with_capacity(128 << 10, Counted::new(source, &packed));
    let mut taken = Taken::default();
    let ended = match packing {
        Packing::Xz => {
            let unpacked = XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB);
            take_all(Limited::new(unpacked, packed), &mut taken)
        }
        Packing::Gzip => take_all(Limited::new(MultiGzDecoder::new(source), packed), &mut taken),
        Packing::Tar => take_all(Limited::new(source, packed), &mut taken),
    };
    let Taken { mut files, is_report, .. } = taken;
    match ended {
        Err(Stop::Refused(error)) => return Err(error),
        Err(Stop::Damaged(source)) if !is_report => return Err(ReadError::Damaged { source }),
        Err(Stop::Damaged(error)) => files.gaps.push(gap(
            format!("the rest of {name}"),
            format!("it is damaged, or ends early: {error}"),
            "the whole archive, as sos wrote it",
        )),
        Ok(()) if !is_report => return Err(ReadError::NoSosreport),
        Ok(()) => {}
    }
    Ok(files)
}

/// Why reading ended early.
enum Stop {
    /// What came before it serves.
    Damaged(io::Error),
    Refused(ReadError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match refusal(&error) {
            Some(refusal) => Stop::Refused(refusal),
            None => Stop::Damaged(error),
        }
    }
}

#[derive(Default)]
struct Taken {
    files: Files,
    seen: BTreeSet<String>,
    entries: usize,
    /// Something of `sos_commands` lies in it.
    is_report: bool,
}

fn take_all(unpacked: impl Read, taken: &mut Taken) -> Result<(), Stop> {
    let mut archive = Archive::new(unpacked);
    let mut names = LongNames::default();
    // Raw, so that names are put together here, within bounds.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        taken.entries += 1;
        if taken.entries > FILES_MAX {
            return Err(Stop::Refused(ReadError::TooLarge { what: "files", limit: FILES_MAX as u64 }));
        }
        if names.take(&mut entry)? {
            continue;
        }
        let LongNames { path, target } = std::mem::take(&mut names);
        let header = entry.header();
        let own =
            |bytes: Option<std::borrow::Cow<'_, [u8]>>| Some(String::from_utf8_lossy(&bytes?).into_owned());
        let path = path.or_else(|| own(Some(header.path_bytes()))).unwrap_or_default();
        let path = from_root(&path).ok_or(Stop::Refused(ReadError::Path { path }))?;
        taken.is_report |= path.starts_with("sos_commands/");
        match header.entry_type() {
            EntryType::Symlink => {
                let target = target.or_else(|| own(header.link_name_bytes())).unwrap_or_default();
                taken.files.add_link(&path, &target);
            }
            // A file that the archive has already, by its path in the archive.
            EntryType::Link => {
                let target =
                    target.or_else(|| own(header.link_name_bytes())).and_then(|path| from_root(&path));
                taken.files.add_link(&path, &format!("/{}", target.unwrap_or_default()));
            }
            EntryType::Regular | EntryType::Continuous => {
                let Some(keep) = wanted::keep(&path) else { continue };
                take(path, keep, &mut entry, taken)?;
            }
            // Folders, devices and pipes: nothing that is read.
            _ => {}
        }
    }
    Ok(())
}

fn take(
    path: String,
    keep: Keep,
    entry: &mut tar::Entry<'_, impl Read>,
    taken: &mut Taken,
) -> Result<(), Stop> {
    let (length, mtime) = (entry.header().entry_size()?, entry.header().mtime().unwrap_or(0));
    if !taken.seen.insert(path.clone()) {
        return Err(Stop::Refused(ReadError::Twice { path }));
    }
    Ok(taken.files.add(&path, keep, length, mtime, entry)?)
}

/// Folders that a report has at its root.
const TOP: [&str; 16] = [
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "opt",
    "proc",
    "root",
    "run",
    "sos_commands",
    "sos_logs",
    "sos_reports",
    "sos_strings",
    "sys",
    "usr",
    "var",
];

/// The path from the report's root, which is one folder of any name, or the archive's own. `None` where it leads out.
fn from_root(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return None;
    }
    if parts.first().is_some_and(|first| !TOP.contains(first)) && parts.len() > 1 {
        parts.remove(0);
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_a_folder_of_any_name_or_none() {
        for (path, expected) in [
            ("sosreport-a-2026/sos_commands/a/b", Some("sos_commands/a/b")),
            ("./case7/etc/hostname", Some("etc/hostname")),
            ("./sos_commands/a/b", Some("sos_commands/a/b")),
            ("sosreport-a/", Some("sosreport-a")),
            ("/etc/passwd", None),
            ("sosreport-a/../../etc/passwd", None),
        ] {
            assert_eq!(from_root(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn packings_are_told_by_their_first_octets() {
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let of = |head: &[u8]| packing(head).unwrap();
        assert_eq!(
            [of(b"\xfd7zXZ\0\0"), of(b"\x1f\x8b\x08"), of(&tar)].map(Option::unwrap),
            [Packing::Xz, Packing::Gzip, Packing::Tar]
        );
        assert_eq!([of(b""), of(b"\x28\xb5\x2f\xfd"), of(b"PK")], [None; 3]);
        assert!(matches!(packing(b"BZh9"), Err(ReadError::Bzip2)));
    }
}
