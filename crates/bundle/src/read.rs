//! A bundle, read: straight through, once, with nothing unpacked to disk.
//!
//! What is no bundle, or tries to be more than one, is refused. A bundle that lacks a part, or of which a part was
//! changed, is read for the rest, and the part is a gap.

mod bounded;
mod path;
mod said;

use std::collections::BTreeMap;
use std::io::{self, Read};

use collect::Machine;
use model::snapshot::Gap;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tar::{Archive, Entry};

use crate::assemble::{Member, Missing};
use crate::captures::{CAPTURES_MAX, CaptureEntry};
use crate::error::ReadError;
use crate::limits::{ALL_FACTS_MAX, FACTS_MAX, Limits, UNPACKED_MAX};
use crate::manifest::{
    CLOUD, CLOUD_SCHEMA, CloudFacts, DATABASE, FACTS, FACTS_SCHEMA, FileEntry, MANIFEST, MANIFEST_SCHEMA,
    MachineFacts, Manifest, RECORDS,
};
use crate::names::hex;
use crate::weighed::Scales;

pub(crate) use bounded::{Counted, Limited, refusal, zstd};
pub(crate) use said::plainly;

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    /// As it stands there.
    pub manifest: Manifest,
    /// Every machine of its site.
    pub members: Vec<Member>,
    /// The cloud's records.
    pub cloud: CloudFacts,
    /// Captures that are as they were put in.
    pub captures: Vec<CaptureEntry>,
    /// It is a sosreport: of one host, which calls itself as it likes.
    pub is_sosreport: bool,
    /// There are records of the cloud, and they are not here: nothing is known to be as it should.
    pub lacks_cloud: bool,
    /// What the collector could not learn of the site, and what of the bundle could not be read.
    pub gaps: Vec<Gap>,
}

/// Reads a bundle. `name` is what its gaps call it.
pub fn read(source: impl Read, name: &str) -> Result<Bundle, ReadError> {
    read_within(source, name, &Limits::REAL)
}

pub(crate) fn read_within(source: impl Read, name: &str, limits: &Limits) -> Result<Bundle, ReadError> {
    let mut taken = Taken { limits: *limits, scales: Scales::of(limits), ..Taken::default() };
    let ended = match bounded::zstd(source, limits) {
        Ok(unpacked) => take_all(unpacked, &mut taken),
        Err(source) => Err(Stop::Damaged(source)),
    };
    let damage = match ended {
        Ok(()) => None,
        Err(Stop::Refused(error)) => return Err(error),
        Err(Stop::Damaged(source)) => Some(source),
    };
    let Some(bytes) = taken.kept.remove(MANIFEST) else {
        return Err(damage.map_or(ReadError::NoManifest, |source| ReadError::Damaged { source }));
    };
    let manifest = manifest(&bytes, limits)?;
    Ok(put_together(name, manifest, taken, damage.as_ref()))
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

/// What was taken out of an archive.
#[derive(Default)]
struct Taken {
    limits: Limits,
    /// The bytes of our own files.
    kept: BTreeMap<String, Vec<u8>>,
    kept_bytes: u64,
    /// Length and hash of each file.
    seen: BTreeMap<String, (u64, String)>,
    /// What its facts may weigh.
    scales: Scales,
}

fn take_all(unpacked: impl Read, taken: &mut Taken) -> Result<(), Stop> {
    let mut archive = Archive::new(unpacked);
    // Raw, so that no extension's long name or sparse map is put together in memory: none of our files has one.
    for entry in archive.entries()?.raw(true) {
        if let Some((path, mut entry)) = path::plain_file(entry?).map_err(Stop::Refused)? {
            take(&path, &mut entry, taken)?;
        }
    }
    Ok(())
}

fn take(path: &str, entry: &mut Entry<'_, impl Read>, taken: &mut Taken) -> Result<(), Stop> {
    let limits = taken.limits;
    if taken.seen.len() >= limits.files {
        return Err(too_large("files", limits.files as u64));
    }
    if taken.seen.contains_key(path) {
        return Err(Stop::Refused(ReadError::Twice { path: path.to_owned() }));
    }
    let limit = match path {
        MANIFEST => limits.manifest_bytes,
        _ if is_ours(path) => limits.facts_bytes,
        _ => 0,
    };
    let length = entry.header().entry_size()?;
    if limit == 0 {
        let mut hash = Hash::default();
        io::copy(entry, &mut hash)?;
        taken.seen.insert(path.to_owned(), (hash.bytes, hex(&hash.sha256.finalize())));
        return whole(hash.bytes, length);
    }
    taken.kept_bytes = taken.kept_bytes.saturating_add(length);
    if length > limit || taken.kept_bytes > limits.all_facts_bytes {
        return Err(too_large("bytes of facts", limit));
    }
    let mut bytes = Vec::new();
    entry.take(limit).read_to_end(&mut bytes)?;
    whole(bytes.len() as u64, length)?;
    taken.seen.insert(path.to_owned(), (length, hex(&Sha256::digest(&bytes))));
    taken.kept.insert(path.to_owned(), bytes);
    Ok(())
}

/// Longest plain file that is read as a whole: beyond what any of ours may be.
pub(crate) const PLAIN_MAX: u64 = FACTS_MAX;

/// Sees a plain file: its path, its length, and its octets, which may be left where they are.
pub(crate) type SeePlain<'s> = dyn FnMut(&str, u64, &mut dyn Read) -> io::Result<()> + 's;

/// Shows every plain file of a bundle that [`read()`] took, one after the other. What lies behind damage is left out.
pub(crate) fn plain_files(source: impl Read, see: &mut SeePlain<'_>) -> Result<(), ReadError> {
    let shown = || -> Result<(), Stop> {
        let mut archive = Archive::new(bounded::zstd(source, &Limits::REAL)?);
        for entry in archive.entries()?.raw(true) {
            let Some((path, mut entry)) = path::plain_file(entry?).map_err(Stop::Refused)? else { continue };
            if path == MANIFEST || is_ours(&path) {
                continue;
            }
            let length = entry.header().entry_size()?;
            see(&path, length, &mut Whole { inner: &mut entry, missing: length })?;
        }
        Ok(())
    };
    match shown() {
        Err(Stop::Refused(error)) => Err(error),
        Ok(()) | Err(Stop::Damaged(_)) => Ok(()),
    }
}

/// A file's octets, of which none may be missing at the end.
struct Whole<R> {
    inner: R,
    missing: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.missing = self.missing.saturating_sub(read as u64);
        if read == 0 && !buffer.is_empty() && self.missing > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

/// The archive must not end within a file.
fn whole(read: u64, length: u64) -> Result<(), Stop> {
    if read == length { Ok(()) } else { Err(Stop::Damaged(io::ErrorKind::UnexpectedEof.into())) }
}

fn too_large(what: &'static str, limit: u64) -> Stop {
    Stop::Refused(ReadError::TooLarge { what, limit })
}

/// How many lists and objects JSON has at most: the marks within texts count too.
pub(crate) fn parts(json: &[u8]) -> usize {
    json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count()
}

/// A bundle's own file, beside the manifest.
pub(crate) fn is_ours(path: &str) -> bool {
    path == CLOUD || path.split_once('/').is_some_and(|(_, file)| file == FACTS)
}

#[derive(Default)]
struct Hash {
    sha256: Sha256,
    bytes: u64,
}

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn manifest(bytes: &[u8], limits: &Limits) -> Result<Manifest, ReadError> {
    #[derive(serde::Deserialize)]
    struct Schema {
        #[serde(default)]
        schema: String,
    }
    if parts(bytes) > limits.manifest_parts {
        let limit = limits.manifest_parts as u64;
        return Err(ReadError::TooLarge { what: "parts of the manifest", limit });
    }
    let wrong = |source| ReadError::Manifest { source };
    // First the schema alone: another version's fields may be of other types.
    let Schema { schema } = serde_json::from_slice(bytes).map_err(wrong)?;
    if schema != MANIFEST_SCHEMA {
        return Err(ReadError::Schema { found: schema, known: MANIFEST_SCHEMA });
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(wrong)?;
    let counted = [
        ("machines", manifest.machines.len(), limits.machines),
        ("captures", manifest.captures.len(), CAPTURES_MAX),
    ];
    if let Some((what, _, limit)) = counted.into_iter().find(|(_, count, limit)| count > limit) {
        return Err(ReadError::TooLarge { what, limit: limit as u64 });
    }
    Ok(manifest)
}

fn put_together(name: &str, manifest: Manifest, mut taken: Taken, damage: Option<&io::Error>) -> Bundle {
    let mut gaps = manifest.gaps.clone();
    if let Some(error) = damage {
        gaps.push(Gap {
            what: format!("the rest of {name}"),
            why: format!("it is damaged, or ends early: {error}"),
            would_need: "the whole file, as `hopline collect` wrote it".to_owned(),
        });
    }
    let mut lacks_cloud = manifest.gaps.iter().any(|gap| gap.what == DATABASE);
    let listed = listed(&manifest);
    let cloud = match part::<CloudFacts>(&listed, &mut taken, CLOUD, CLOUD_SCHEMA) {
        Ok(cloud) => cloud,
        Err(Missing { why, would_need }) => {
            gaps.push(Gap { what: format!("{RECORDS} in {name}"), why, would_need });
            lacks_cloud = true;
            CloudFacts::default()
        }
    };
    // Two bundles that do not tell it are not of one kernel.
    let boot_id =
        Some(&manifest.boot_id).filter(|id| !id.is_empty()).cloned().unwrap_or(format!("of {name}"));
    let members = manifest.machines.iter().map(|entry| {
        let outcome = match &entry.missing {
            Some(missing) => Err(missing.clone()),
            None => {
                let path = format!("{}/{FACTS}", entry.folder);
                part(&listed, &mut taken, &path, FACTS_SCHEMA).map(|facts: MachineFacts| Machine {
                    netns: facts.netns,
                    host: facts.host,
                    gaps: facts.gaps,
                })
            }
        };
        Member {
            name: entry.name.clone(),
            inside: entry.inside,
            position: entry.position,
            boot_id: boot_id.clone(),
            taken_at: manifest.taken_at,
            outcome: outcome.and_then(|machine| called(&entry.name, machine)).and_then(plainly),
        }
    });
    let members = members.collect();
    gaps.extend(changed(name, &manifest, &listed, &taken, damage.is_some()));
    let captures = whole_captures(&manifest, &listed, &taken);
    Bundle { manifest, members, cloud, captures, is_sosreport: false, lacks_cloud, gaps }
}

/// A machine's facts must be of the machine that the manifest names.
fn called(name: &str, machine: Machine) -> Result<Machine, Missing> {
    let named = machine.host.as_ref().map_or(&machine.netns.machine, |host| &host.name);
    if named == name && machine.netns.machine == name {
        return Ok(machine);
    }
    Err(Missing { why: format!("its facts are those of `{named}`"), would_need: again() })
}

pub(crate) fn again() -> String {
    "the bundle as `hopline collect` wrote it".to_owned()
}

/// What the manifest says of files, by their paths. Of two with one path, the first is meant.
type Listed<'m> = BTreeMap<&'m str, &'m FileEntry>;

fn listed(manifest: &Manifest) -> Listed<'_> {
    manifest.files.iter().rev().map(|file| (file.path.as_str(), file)).collect()
}

/// One of our own JSON files, whose hash must be the manifest's.
fn part<T: DeserializeOwned>(
    listed: &Listed<'_>,
    taken: &mut Taken,
    path: &str,
    schema: &str,
) -> Result<T, Missing> {
    #[derive(serde::Deserialize)]
    struct Schema {
        #[serde(default)]
        schema: String,
    }
    let missing = |why: String| Missing { why, would_need: again() };
    let bytes = taken.kept.remove(path).ok_or_else(|| missing(format!("{path} is not in the bundle")))?;
    if listed.get(path).map(|file| &file.sha256) != taken.seen.get(path).map(|(_, hash)| hash) {
        return Err(missing(format!("{path} was changed after it was collected: its SHA-256 is another")));
    }
    let unread = |error: serde_json::Error| missing(format!("{path} cannot be read: {error}"));
    let Schema { schema: found } = serde_json::from_slice(&bytes).map_err(unread)?;
    if found != schema {
        let why = format!("{path} has the schema `{found}`, and this version reads `{schema}`");
        return Err(Missing { why, would_need: "the version of hopline that made the bundle".to_owned() });
    }
    taken.scales.read(&bytes).map_err(unread)
}

/// The captures whose octets are those that were put in.
fn whole_captures(manifest: &Manifest, listed: &Listed<'_>, taken: &Taken) -> Vec<CaptureEntry> {
    let is_whole = |entry: &&CaptureEntry| {
        let seen = taken.seen.get(&entry.path);
        listed.get(&*entry.path).zip(seen).is_some_and(|(listed, (bytes, hash))| {
            (listed.bytes, &listed.sha256) == (*bytes, hash) && !is_ours(&entry.path)
        })
    };
    manifest.captures.iter().filter(is_whole).cloned().collect()
}

/// Most files that a gap names.
const NAMED_MAX: usize = 5;

/// Plain files that are not as they were. Nothing is concluded from them, so it is told and no more.
fn changed(
    name: &str,
    manifest: &Manifest,
    listed: &Listed<'_>,
    taken: &Taken,
    damaged: bool,
) -> Option<Gap> {
    let is_other = |file: &&FileEntry| match taken.seen.get(&file.path) {
        Some((bytes, hash)) => (*bytes, hash) != (file.bytes, &file.sha256),
        // What is missing behind the damage is told of already.
        None => !damaged,
    };
    let others = manifest.files.iter().filter(|file| !is_ours(&file.path)).filter(is_other);
    let added =
        taken.seen.keys().map(String::as_str).filter(|path| *path != MANIFEST && !listed.contains_key(*path));
    let names: Vec<&str> = others.map(|file| file.path.as_str()).chain(added).collect();
    if names.is_empty() {
        return None;
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut shown = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    Some(Gap {
        what: format!("some files of {name} as they were collected"),
        why: format!("changed, missing or added since: {shown}"),
        would_need: again(),
    })
}

/// Longest archive, for who tells of it.
const _: () = assert!(ALL_FACTS_MAX < UNPACKED_MAX, "facts are a part of it");

#[cfg(test)]
mod tests;
