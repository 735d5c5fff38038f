//! A bundle, written: what people read is packed as it comes, the manifest and the facts are put before it.

mod room;

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use collect::Machine;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::assemble::Missing;
use crate::captures::CaptureEntry;
use crate::entry;
use crate::error::WriteError;
use crate::limits::Limits;
use crate::manifest::{
    CLOUD, CLOUD_SCHEMA, CloudFacts, DATABASE, FACTS, FACTS_SCHEMA, FactsOf, FileEntry, MANIFEST,
    MANIFEST_SCHEMA, MachineEntry, MachineFacts, Manifest,
};
use crate::{mapped, names, read, secrets};
use room::Room;

/// zstd's own default: three to five times smaller than level 1 would be worth is not to be had for the time.
const LEVEL: i32 = 3;

/// Bytes of facts that are packed at once.
const CHUNK: usize = 64 * 1024;

/// What a bundle is made of, beside the plain files.
#[derive(Debug, Default)]
pub struct Facts {
    /// Its own fields but `schema`, `machines` and `files`, which are filled in.
    pub manifest: Manifest,
    /// Every machine of the site in its order: name, whether it is an instance's inside, and what was read.
    pub machines: Vec<(String, bool, Result<Machine, Missing>)>,
    /// The cloud's records and the site file's entries.
    pub cloud: CloudFacts,
}

/// Takes plain files, from several threads at once, and then the facts. The spool is a file that goes away by itself.
pub struct Writer<S: Write> {
    spool: Mutex<Spool<S>>,
    pub(crate) taken_at: u64,
    pub(crate) limits: Limits,
}

pub(crate) struct Spool<S: Write> {
    pub(crate) packed: zstd::Encoder<'static, S>,
    pub(crate) files: Vec<FileEntry>,
    /// Captures among them.
    pub(crate) captures: Vec<CaptureEntry>,
    /// Their paths, none of which may come twice.
    paths: BTreeSet<String>,
    /// Files that a reader would refuse the bundle for.
    pub(crate) left_out: Vec<String>,
    /// Bytes so far, unpacked.
    pub(crate) out: u64,
    /// The first thing that went wrong; later files are not taken any more.
    failed: Option<WriteError>,
}

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// How long it is.
    pub bytes: u64,
    /// Machines, and the cloud's records, that are not in it though they were read, and why: they are too large.
    pub lacking: Vec<(String, String)>,
}

impl<S: Read + Write + Seek> Writer<S> {
    /// Begins. `taken_at` is the time that all files get, in Unix seconds.
    pub fn new(spool: S, taken_at: u64) -> Result<Writer<S>, WriteError> {
        Writer::within(spool, taken_at, Limits::REAL)
    }

    pub(crate) fn within(spool: S, taken_at: u64, limits: Limits) -> Result<Writer<S>, WriteError> {
        let packed = zstd::Encoder::new(spool, LEVEL).map_err(failed("the first file"))?;
        let (files, captures, paths) = (Vec::new(), Vec::new(), BTreeSet::new());
        let left_out = Vec::new();
        let spool = Mutex::new(Spool { packed, files, captures, paths, left_out, out: 0, failed: None });
        Ok(Writer { spool, taken_at, limits })
    }

    pub(crate) fn spool(&self) -> MutexGuard<'_, Spool<S>> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a plain file of a machine, or of the site where the machine's name is empty. Secrets are taken out.
    /// What fails is told by [`Writer::finish`].
    pub fn add(&self, machine: &str, file: &str, text: &str) {
        let path = names::path(machine, file);
        // A process may name its own file so; it would come twice, and the whole bundle would be refused.
        if path == MANIFEST || read::is_ours(&path) {
            return;
        }
        let text = secrets::scrub_file(&path, text);
        self.put(path, text.as_bytes());
    }

    fn put(&self, path: String, bytes: &[u8]) {
        let listed = listed(&path, bytes);
        let mut spool = self.spool();
        if !spool.is_new(&path) {
            return;
        }
        if !spool.has_room(bytes.len() as u64, &self.limits) {
            spool.left_out.push(path);
            return;
        }
        match entry::write(&mut spool.packed, &path, bytes, self.taken_at) {
            Ok(()) => spool.files.push(listed),
            Err(error) => spool.failed = Some(failed(&path)(error)),
        }
    }

    /// Writes the whole bundle. What a reader would refuse is left out, with a gap.
    pub fn finish(self, facts: &Facts, out: impl Write) -> Result<Written, WriteError> {
        let Writer { spool, taken_at, limits } = self;
        let Spool { mut packed, files, captures, left_out, failed: earlier, .. } =
            spool.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = earlier {
            return Err(error);
        }
        entry::end(&mut packed).map_err(failed("the archive's end"))?;
        let mut spool = packed.finish().map_err(failed("the archive's end"))?;

        let mut manifest = facts.manifest.clone();
        MANIFEST_SCHEMA.clone_into(&mut manifest.schema);
        manifest.files.clear();
        manifest.captures.extend(captures);
        manifest.gaps.extend(room::left_out(&left_out));
        let mut cloud = CloudFacts { schema: CLOUD_SCHEMA.to_owned(), ..facts.cloud.clone() };
        let mut room = Room::of(&limits);
        let mut lacking = Vec::new();
        if let Err(why) = room.take::<CloudFacts>(&json(CLOUD, &cloud)?) {
            (cloud.records, cloud.contradictions) = (None, None);
            room.take::<CloudFacts>(&json(CLOUD, &cloud)?).map_err(|why| too_large(CLOUD, &why))?;
            manifest.gaps.push(room::gap(DATABASE, &why));
            lacking.push((DATABASE.to_owned(), why));
        }
        // Facts are told with their hashes before they are written, so they are put into words twice: that costs less
        // memory than to keep those of all machines.
        let mut count = |path: String, bytes: &[u8]| manifest.files.push(listed(&path, bytes));
        count(CLOUD.to_owned(), &json(CLOUD, &cloud)?);
        let (mut entries, mut untold) = (Vec::new(), room::Untold::of(&limits));
        for (position, (name, inside, outcome)) in facts.machines.iter().enumerate() {
            let folder = names::part(name);
            let mut missing = outcome.as_ref().err().cloned();
            if let Ok(machine) = outcome {
                let path = format!("{folder}/{FACTS}");
                let bytes = json(&path, &of_machine(machine))?;
                match room.take::<MachineFacts>(&bytes) {
                    Ok(()) => count(path, &bytes),
                    Err(why) => {
                        lacking.push((name.clone(), why.clone()));
                        missing = Some(room::missing(name, why));
                    }
                }
            }
            let read = outcome.as_ref().ok().filter(|_| missing.is_none());
            let gaps = read.map_or_else(Vec::new, |machine| untold.take(&machine.gaps));
            let name = name.clone();
            entries.push(MachineEntry { name, folder, inside: *inside, position, missing, gaps });
        }
        manifest.machines = entries;
        manifest.files.extend(files);

        let first = pretty(&manifest)?;
        room::is_manifest_read(&manifest, &first, &limits).map_err(|why| too_large(MANIFEST, &why))?;
        let unfinished = failed(MANIFEST);
        let counted = Counted { out, bytes: 0 };
        let mut head = zstd::Encoder::new(counted, LEVEL).map_err(unfinished)?;
        let mut unpacked = 0;
        let mut put = |path: &str, bytes: &[u8]| {
            entry::begin(&mut head, path, bytes.len() as u64, taken_at).map_err(failed(path))?;
            unpacked += entry::length(0);
            // How small it packs is seen while it does.
            for chunk in bytes.chunks(CHUNK) {
                unpacked += chunk.len() as u64;
                if !limits.let_grow(unpacked + entry::length(0), head.get_ref().bytes) {
                    return Err(too_large(
                        path,
                        "it repeats itself so that it would be taken for a decompression bomb",
                    ));
                }
                head.write_all(chunk).map_err(failed(path))?;
            }
            unpacked = unpacked.next_multiple_of(entry::length(0));
            entry::fill(&mut head, bytes.len() as u64).map_err(failed(path))
        };
        put(MANIFEST, &first)?;
        put(CLOUD, &json(CLOUD, &cloud)?)?;
        for (name, _, outcome) in &facts.machines {
            if let Ok(machine) = outcome
                && !lacking.iter().any(|(lacks, _)| lacks == name)
            {
                let path = format!("{}/{FACTS}", names::part(name));
                put(&path, &json(&path, &of_machine(machine))?)?;
            }
        }
        // A stream of zstd may be several, one behind the other (RFC 8878, 3.1), and tar sees one archive.
        let mut out = head.finish().map_err(failed("the plain files"))?;
        spool.seek(SeekFrom::Start(0)).map_err(failed("the plain files"))?;
        io::copy(&mut spool, &mut out).map_err(failed("the plain files"))?;
        out.flush().map_err(failed("the plain files"))?;
        Ok(Written { bytes: out.bytes, lacking })
    }
}

impl<S: Read + Write + Seek> Spool<S> {
    /// Nothing went wrong so far, and no file is called so.
    pub(crate) fn is_new(&mut self, path: &str) -> bool {
        self.failed.is_none() && self.paths.insert(path.to_owned())
    }

    /// A file of so many bytes may follow; counts it.
    pub(crate) fn has_room(&mut self, bytes: u64, limits: &Limits) -> bool {
        let out = self.out.saturating_add(entry::length(bytes));
        // What the encoder has not given out yet is missing here, so that less is let in, and never more.
        let packed = self.packed.get_mut().stream_position().unwrap_or_default();
        let has = self.files.len() < limits.plain_files()
            && out <= limits.plain_bytes()
            && limits.let_grow(out, packed);
        if has {
            self.out = out;
        }
        has
    }
}

fn too_large(file: &str, why: &str) -> WriteError {
    WriteError::TooLarge { file: file.to_owned(), why: why.to_owned() }
}

pub(crate) fn failed(file: &str) -> impl Fn(io::Error) -> WriteError {
    let file = file.to_owned();
    move |source| WriteError::File { file: file.clone(), source }
}

fn listed(path: &str, bytes: &[u8]) -> FileEntry {
    let sha256 = names::hex(&Sha256::digest(bytes));
    FileEntry { path: path.to_owned(), bytes: bytes.len() as u64, sha256 }
}

fn of_machine(machine: &Machine) -> FactsOf<'_> {
    FactsOf { schema: FACTS_SCHEMA, netns: &machine.netns, host: &machine.host, gaps: &machine.gaps }
}

/// JSON without secrets.
fn json(file: &str, value: &impl Serialize) -> Result<Vec<u8>, WriteError> {
    let wrong = |source| WriteError::Json { file: file.to_owned(), source };
    mapped::to_vec(value, &secrets::Scrub::default()).map_err(wrong)
}

fn pretty(manifest: &Manifest) -> Result<Vec<u8>, WriteError> {
    let wrong = |source| WriteError::Json { file: MANIFEST.to_owned(), source };
    serde_json::to_vec_pretty(manifest).map_err(wrong)
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
