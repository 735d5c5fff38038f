//! What a bundle's own JSON files say. The schema's number rises when an older reader would misread them.

use std::collections::BTreeMap;

use cloud::{Contradictions, InstanceEntry, Records};
use model::Netns;
use model::snapshot::{Gap, Host};
use serde::{Deserialize, Serialize};

use crate::assemble::Missing;
use crate::captures::CaptureEntry;

/// The first file of a bundle.
pub(crate) const MANIFEST: &str = "manifest.json";
/// What the cloud's records and the site file say.
pub(crate) const CLOUD: &str = "cloud.json";
/// What a gap of the manifest calls the database that could not be read.
pub const DATABASE: &str = "the cloud's database";
/// How the gap of an archive begins in which what the database told is missing or damaged.
pub const RECORDS: &str = "the cloud's records";
/// In each machine's folder.
pub(crate) const FACTS: &str = "facts.json";

pub(crate) const MANIFEST_SCHEMA: &str = "hopline.bundle/1";
pub(crate) const CLOUD_SCHEMA: &str = "hopline.cloud/1";
pub(crate) const FACTS_SCHEMA: &str = "hopline.facts/1";

/// `manifest.json`: what lies in the bundle, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// `hopline.bundle/1`.
    pub schema: String,
    /// Version of hopline that made it.
    pub hopline: String,
    /// When the machines were read, in Unix seconds.
    pub taken_at: u64,
    /// Names the running kernel (/proc/sys/kernel/random/boot_id): numbers of namespaces mean something within it.
    pub boot_id: String,
    /// As whom it was read: `root`, or a user's number.
    pub read_as: String,
    /// What the kernel and the programs that networks are made of call themselves, where it was read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Names, addresses and MACs are pseudonyms.
    pub redacted: bool,
    /// Tells keys of pseudonyms apart, and nothing of them: bundles with the same one fit together. `None` where it is
    /// not redacted, or by a hopline that did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_by: Option<String>,
    /// Every machine of the site, also those that are not in the bundle.
    pub machines: Vec<MachineEntry>,
    /// Every other file, in the archive's order.
    pub files: Vec<FileEntry>,
    /// Captures among them.
    pub captures: Vec<CaptureEntry>,
    /// What could not be learned of the site beyond its machines.
    pub gaps: Vec<Gap>,
}

/// A machine of the site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineEntry {
    /// Its name in the site.
    pub name: String,
    /// Its folder in the archive.
    pub folder: String,
    /// It is the inside of an instance.
    pub inside: bool,
    /// Its place in the site file, counted from 0.
    pub position: usize,
    /// Why its facts are not here; `None` where they are.
    pub missing: Option<Missing>,
    /// What of it could not be learned, as its facts have it: for who reads the manifest alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileEntry {
    /// From the archive's root.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// `cloud.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudFacts {
    /// `hopline.cloud/1`.
    pub schema: String,
    /// nova's database, where there is one.
    pub records: Option<Records>,
    /// What contradicts in the rows of these instances; `None` where that was not asked.
    pub contradictions: Option<Contradictions>,
    /// What the site file tells of instances.
    pub entries: Vec<InstanceEntry>,
}

/// `FOLDER/facts.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MachineFacts {
    /// `hopline.facts/1`.
    pub(crate) schema: String,
    /// Its main namespace.
    pub(crate) netns: Netns,
    /// What it runs and keeps; `None` for the inside of an instance.
    pub(crate) host: Option<Host>,
    /// What of it could not be learned.
    pub(crate) gaps: Vec<Gap>,
}

/// The same as it is written: the same fields, borrowed.
#[derive(Serialize)]
pub(crate) struct FactsOf<'m> {
    pub(crate) schema: &'static str,
    pub(crate) netns: &'m Netns,
    pub(crate) host: &'m Option<Host>,
    pub(crate) gaps: &'m [Gap],
}
