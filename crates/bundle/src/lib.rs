//! A site's facts as one file that can be sent to somebody else: a tar of plain files, packed with zstd.
//!
//! Two kinds of file lie in it. `HOST/facts.json` and `cloud.json` hold what the engine works on, as the model
//! serialises it, so that a diagnosis from the file is the diagnosis that the machines themselves would give. All
//! others are for people and for other tools, and are never read here but to see that they are whole.
//! `manifest.json` comes first and names every file with its hash, so that what is cut off, changed or added is
//! noticed. The facts come next: a file that breaks off behind them still serves.
//!
//! [`write`] streams: what people read is packed as it comes, into a spool, and copied behind the facts. [`read`]
//! trusts nothing: lengths, counts and ratios are bounded, links and paths that lead out are refused, and nothing
//! is ever unpacked to disk. [`assemble`] makes one site of the machines of several files.
//!
//! What somebody else's tool collected serves too: [`sosreport`] reads it into the same [`Bundle`].

mod assemble;
mod captures;
mod entry;
mod error;
mod limits;
mod manifest;
mod mapped;
mod names;
mod plain;
mod read;
mod redact;
mod secrets;
pub mod sosreport;
mod weighed;
mod write;

pub use assemble::{Assembled, Member, Missing, assemble};
pub use captures::{CAPTURES_BYTES_MAX, CAPTURES_MAX, CaptureEntry, open_capture};
pub use error::{ReadError, WriteError};
pub use manifest::{CloudFacts, DATABASE, MachineEntry, Manifest, RECORDS};
pub use plain::add_plain;
pub use read::{Bundle, read};
pub use redact::{Key, KeyError, Pseudonyms, RedactError, Redacted, redact, redact_capture, table};
pub use secrets::scrub;
pub use write::{Facts, Writer, Written};
