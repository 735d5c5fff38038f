//! Why a bundle could not be written or read.

use std::io;

/// Writing failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file of the archive could not be written.
    #[error("could not write {file} into the bundle: {source}")]
    File {
        /// Its path in the archive.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something of the model has no JSON: a mistake of ours.
    #[error("{file} cannot be put into words: {source}")]
    Json {
        /// Its path in the archive.
        file: String,
        /// What serde said.
        source: serde_json::Error,
    },
    /// A reader would refuse the bundle for it.
    #[error("{file} is too large for a bundle: {why}")]
    TooLarge {
        /// Its path in the archive.
        file: String,
        /// What it has too much of.
        why: String,
    },
}

/// A bundle is refused as a whole. What only lacks a part is read, and the part is a gap.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It could not be read at all, or not as far as its manifest.
    #[error("it is no bundle, or damaged at its beginning: {source}")]
    Damaged {
        /// What the system or the decoder said.
        source: io::Error,
    },
    /// It ended without a manifest.
    #[error("it is no bundle: the archive holds no manifest.json")]
    NoManifest,
    /// An archive that no plugin of sos left anything in.
    #[error("it is neither a bundle nor a sosreport: it has no folder sos_commands")]
    NoSosreport,
    /// What bzip2(1) packs is not read.
    #[error("it is packed with bzip2, which hopline does not read")]
    Bzip2,
    /// The manifest's JSON is none.
    #[error("its manifest.json cannot be read: {source}")]
    Manifest {
        /// What serde said.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error("its manifest.json has the schema `{found}`, and this version reads `{known}`")]
    Schema {
        /// What stands there.
        found: String,
        /// What would be understood.
        known: &'static str,
    },
    /// A path that leads out of the archive, or is none.
    #[error("it holds a file with the path `{path}`, which leads out of the archive")]
    Path {
        /// As it stands there, bytes that are no text replaced.
        path: String,
    },
    /// A link, a device or something else that is no plain file.
    #[error("it holds `{path}`, which is {kind} and no plain file")]
    NotAFile {
        /// From the archive's root.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two files are called the same.
    #[error("it holds `{path}` twice")]
    Twice {
        /// From the archive's root.
        path: String,
    },
    /// A bound was met.
    #[error("it holds more than {limit} {what}, more than any real bundle")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much may be.
        limit: u64,
    },
    /// It grows beyond measure when unpacked.
    #[error("it unpacks to more than {ratio} times its size: a decompression bomb")]
    Bomb {
        /// How many times larger it may be.
        ratio: u64,
    },
}
