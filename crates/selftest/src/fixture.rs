//! A disagreement kept: everything that is needed to ask the walk again, without root and without a
//! kernel.

use std::path::Path;
use std::{fs, io};

use model::Snapshot;
use serde::{Deserialize, Serialize};

use crate::judge::{self, Asked, Said};
use crate::wire::Seen;

/// One probe, the site that it was sent through, and what the kernel did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fixture {
    /// `hopline.kernel-fixture/1`.
    pub schema: String,
    /// Release of the kernel that did it.
    pub kernel: String,
    /// Seed of the case that it was shrunk from.
    pub case: u64,
    /// What is to be learned from it; written by people.
    #[serde(default)]
    pub note: String,
    /// The probe.
    pub asked: Asked,
    /// Port that it was sent from.
    pub own_port: u16,
    /// What became of it.
    pub seen: Seen,
    /// The site as it was read before the probe was sent.
    pub snapshot: Snapshot,
}

impl Fixture {
    /// Name of the form.
    pub const SCHEMA: &'static str = "hopline.kernel-fixture/1";

    /// Reads one.
    pub fn read(path: &Path) -> io::Result<Fixture> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Writes it, in the form that `read` takes.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }

    /// Asks the walk again.
    pub fn ask(&self) -> Option<Said> {
        judge::ask(&self.snapshot, std::slice::from_ref(&self.asked)).pop()
    }

    /// Whether what the walk says now is what the kernel did, in every part and without an unknown.
    pub fn holds(&self) -> Result<(), String> {
        let Some(said) = self.ask() else { return Err("nothing was asked".to_owned()) };
        if said.agrees(&self.seen, self.asked.kind, self.own_port) && !said.is_unknown() {
            return Ok(());
        }
        Err(format!("{:?}\n{}", self.asked, told(&said, &self.seen)))
    }
}

/// What was said and what was seen, for people.
pub(crate) fn told(said: &Said, seen: &Seen) -> String {
    format!(
        "  said: {:?}, answered {:?} {:?}, {:?}\n  seen: {:?}, answered {} {:?}, refused {:?}\n    {}",
        said.fate,
        said.answered,
        said.answer,
        said.refused,
        seen.received,
        seen.answered,
        seen.answer,
        seen.refused,
        said.told.join("\n    ")
    )
}
