//! The plain files of a bundle, which are read several times over: for the names in them, for how long captures become,
//! and to be written anew. Texts are held one at a time, and captures a packet at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom, Write};

use model::snapshot::Gap;

use super::captures::{self, Packets};
use super::gather::Gathered;
use super::{Pseudonyms, RedactError};
use crate::captures::CaptureEntry;
use crate::error::WriteError;
use crate::names;
use crate::read::{self, Bundle};
use crate::write::Writer;

/// What is known of a bundle's files.
pub(super) struct Files {
    /// Names of machines by their folders.
    folders: BTreeMap<String, String>,
    /// Captures that the manifest lists, and those of them that are as they were put in.
    listed: BTreeSet<String>,
    whole: BTreeSet<String>,
    /// Captures that are rewritten, whether the manifest lists them or not.
    rewritten: BTreeSet<String>,
    /// Captures that cannot be, and texts that are too long.
    left_out: BTreeSet<String>,
    too_long: BTreeSet<String>,
    /// Longest text in bytes.
    text_max: u64,
}

impl Files {
    pub(super) fn of(bundle: &Bundle, text_max: u64) -> Files {
        let machines = bundle.manifest.machines.iter();
        let paths = |entries: &[CaptureEntry]| entries.iter().map(|entry| entry.path.clone()).collect();
        Files {
            folders: machines.map(|entry| (entry.folder.clone(), entry.name.clone())).collect(),
            listed: paths(&bundle.manifest.captures),
            whole: paths(&bundle.captures),
            rewritten: BTreeSet::new(),
            left_out: BTreeSet::new(),
            too_long: BTreeSet::new(),
            text_max,
        }
    }

    /// Reads all texts, and looks at how captures begin.
    pub(super) fn gather(
        &mut self,
        source: &mut (impl Read + Seek),
        gathered: &mut Gathered,
    ) -> Result<(), RedactError> {
        let mut shown = BTreeSet::new();
        each(source, &mut |path, length, octets| {
            let (is_capture, mut octets) = begun(octets)?;
            let is_listed = self.listed.contains(path);
            if is_listed {
                shown.insert(path.to_owned());
            }
            // What is packed, or no format that is rewritten, may say anything.
            if is_listed && !(is_capture && self.whole.contains(path)) {
                self.left_out.insert(path.to_owned());
            } else if is_capture {
                self.rewritten.insert(path.to_owned());
            } else if length > self.text_max {
                self.too_long.insert(path.to_owned());
            } else {
                gathered.file(path, &text(&mut octets)?);
            }
            Ok(())
        })?;
        self.left_out.extend(self.listed.difference(&shown).cloned());
        Ok(())
    }

    /// A capture that is in the redacted bundle, too.
    pub(super) fn stays(&self, entry: &CaptureEntry) -> bool {
        !self.left_out.contains(&entry.path)
    }

    /// What is not.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Gap> {
        let captures = self.left_out.iter().map(|path| Gap {
            what: format!("the packets in {path}"),
            why: "a capture in this format, or a damaged one, cannot be redacted, and was left out"
                .to_owned(),
            would_need: "it whole, and as plain pcapng: editcap -F pcapng FILE NEW".to_owned(),
        });
        let mib = self.text_max >> 20;
        let texts = self.too_long.iter().map(move |path| Gap {
            what: format!("what {path} says"),
            why: format!("a text of more than {mib} MiB cannot be redacted, and was left out"),
            would_need: "the file itself".to_owned(),
        });
        captures.chain(texts)
    }

    /// Writes them all under other names.
    pub(super) fn write<S: Read + Write + Seek>(
        &self,
        source: &mut (impl Read + Seek),
        pseudonyms: &Pseudonyms,
        writer: &Writer<S>,
    ) -> Result<(), RedactError> {
        let lengths = self.lengths(source, pseudonyms)?;
        let mut failed: Option<WriteError> = None;
        each(source, &mut |path, _, octets| {
            if self.left_out.contains(path) || self.too_long.contains(path) || failed.is_some() {
                return Ok(());
            }
            let new = self.renamed(pseudonyms, path);
            let Some(length) = lengths.get(path) else {
                writer.add("", &new, &pseudonyms.text(&text(octets)?));
                return Ok(());
            };
            let fill =
                &mut |out: &mut dyn Write| captures::stream(pseudonyms, octets, Packets::Rewritten, out);
            failed = writer.add_stream(&new, *length, fill).err();
            Ok(())
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// How long captures become, which an archive tells before their first octet.
    fn lengths(
        &self,
        source: &mut (impl Read + Seek),
        pseudonyms: &Pseudonyms,
    ) -> Result<BTreeMap<String, u64>, RedactError> {
        let mut lengths = BTreeMap::new();
        if self.rewritten.is_empty() {
            return Ok(lengths);
        }
        each(source, &mut |path, _, octets| {
            if self.rewritten.contains(path) {
                let mut count = Count(0);
                captures::stream(pseudonyms, octets, Packets::Counted, &mut count)?;
                lengths.insert(path.to_owned(), count.0);
            }
            Ok(())
        })?;
        Ok(lengths)
    }

    /// A file's path: a machine's folder is called as the machine is.
    fn renamed(&self, pseudonyms: &Pseudonyms, path: &str) -> String {
        match path.split_once('/').and_then(|(folder, file)| Some((self.folders.get(folder)?, file))) {
            Some((machine, file)) => {
                format!("{}/{}", names::part(&pseudonyms.name(machine)), pseudonyms.text(file))
            }
            None => pseudonyms.text(path).into_owned(),
        }
    }
}

/// Shows each file, from the bundle's beginning on.
fn each(source: &mut (impl Read + Seek), see: &mut read::SeePlain<'_>) -> Result<(), RedactError> {
    source.seek(SeekFrom::Start(0)).map_err(|source| RedactError::Again { source })?;
    Ok(read::plain_files(source, see)?)
}

/// Whether a file begins as a capture does, and all of it.
fn begun(octets: &mut dyn Read) -> io::Result<(bool, impl Read)> {
    let mut first = Vec::new();
    octets.take(captures::MAGIC).read_to_end(&mut first)?;
    Ok((captures::is_one(&first), io::Cursor::new(first).chain(octets)))
}

fn text(octets: &mut dyn Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    octets.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Counts what is written, and forgets it.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
