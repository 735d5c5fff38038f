//! What a correlation has found, for people and for scripts.

mod json;
mod notes;
mod one;
mod packet;
mod page;
mod pages;
mod sequence;
mod stamp;
mod told;

use std::io::{self, Write};

use correlate::{Journey, Report};

use crate::Style;
use crate::clean::clean;
use crate::json::escape_hidden;

pub use notes::{Copied, Note};
pub(crate) use one::took;
pub use one::{journey_fitting, journey_text};
pub use packet::PacketAt;
pub use pages::{PACKET_CATALOGUE, PacketFinding};
pub use sequence::{Captured, Sequence};
pub use stamp::full as stamp;
pub(crate) use stamp::micros;
pub(crate) use told::packets;

/// A file that could not be read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// As it was given.
    pub file: String,
    /// Octets from its start, unpacked where it is packed; for text, the line.
    pub offset: u64,
    /// What is wrong there.
    pub why: String,
}

/// A correlation with what is needed to tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Journeys<'a> {
    /// What was learned.
    pub report: &'a Report,
    /// Names of the vantages, by their numbers.
    pub names: &'a [String],
    /// Where files broke.
    pub unreadable: &'a [Unreadable],
    /// Journeys are closed after this time, in nanoseconds.
    pub window_ns: i64,
    /// The journeys themselves, where they are few enough to be shown one by one.
    pub few: &'a [Journey],
}

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each value on a line of its own.
    Lines,
    /// Indented.
    Pages,
}

/// One journey as one line of JSON.
pub fn journey_line(journey: &Journey, names: &[String], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escape_hidden(&json::journey(journey, names).to_string()))
}

impl Journeys<'_> {
    /// The one JSON document, `hopline.journeys/1`; on one line where others stand before it.
    pub fn json(&self, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
        let document = json::document(self);
        let text = match layout {
            Layout::Lines => document.to_string(),
            Layout::Pages => format!("{document:#}"),
        };
        writeln!(out, "{}", escape_hidden(&text))
    }

    /// `CODE VANTAGE`, one line a finding.
    pub fn minimal(&self, out: &mut dyn Write) -> io::Result<()> {
        for told in told::all(self) {
            writeln!(out, "{} {}", told.code, clean(self.name(told.vantage)))?;
        }
        Ok(())
    }

    /// The page that people read.
    pub fn terminal(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        page::page(self, style, out)
    }

    /// What is wrong and how long each stretch takes, under another command's own page.
    pub fn findings(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        page::findings(self, style, out)
    }

    /// The JSON document as a value, to stand within another.
    pub fn value(&self) -> serde_json::Value {
        json::document(self)
    }

    /// The contract's exit code: 1 for a fault, 3 where something that matters could not be seen.
    pub fn exit_code(&self) -> u8 {
        let findings = &self.report.findings;
        if findings.is_fault() {
            return 1;
        }
        let is_blind = findings.undecided > 0 || !self.unreadable.is_empty();
        if is_blind { 3 } else { 0 }
    }

    fn name(&self, vantage: u16) -> &str {
        self.names.get(usize::from(vantage)).map_or("?", String::as_str)
    }
}
