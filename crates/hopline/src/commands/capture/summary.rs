//! What a capture comes to, as text and as JSON.

use std::io::{self, Write};
use std::time::Instant;

use capture::filter::LinkLayer;
use capture::session::Counts;
use report::{Style, Watched};
use serde_json::json;

use super::story::Story;
use super::{Aim, Unwatched, shown};
use crate::failure::Failure;
use crate::output;
use crate::plan::{CaptureQuestion, Format};

/// Some packets may be missing from what was seen, so that silence proves nothing.
const EXIT_INCOMPLETE: u8 = 3;

/// What a capture comes to.
pub(super) struct Summary<'s> {
    pub(super) question: &'s CaptureQuestion,
    pub(super) aim: &'s Aim,
    pub(super) names: &'s [(String, LinkLayer)],
    pub(super) counts: &'s [Counts],
    pub(super) unwatched: &'s [Unwatched],
    /// `None` where it was not asked for, or could not be told.
    pub(super) story: Option<&'s Story>,
}

impl Summary<'_> {
    fn is_complete(&self) -> bool {
        let whole = |counts: &Counts| counts.drops == 0 && counts.ended.is_none();
        self.counts.iter().all(whole) && self.unwatched.is_empty()
    }

    /// A fault is one however much else was not seen; a capture with holes proves no health.
    pub(super) fn exit_code(&self) -> u8 {
        match self.story.map_or(0, |story| story.journeys().exit_code()) {
            0 if !self.is_complete() => EXIT_INCOMPLETE,
            code => code,
        }
    }

    pub(super) fn print(&self, format: Format, started: Instant) -> Result<(), Failure> {
        match format {
            Format::Json => output::json(&self.json(started)),
            Format::Minimal => output::print(|out| match self.story {
                Some(story) => story.journeys().minimal(out),
                None => Ok(()),
            }),
            Format::Terminal(style) => output::print(|out| self.text(&style, out)),
        }
    }

    fn json(&self, started: Instant) -> serde_json::Value {
        let vantages: Vec<_> = self
            .names
            .iter()
            .zip(self.counts)
            .map(|((name, _), counts)| {
                let Counts { packets, bytes, drops, ended } = counts;
                json!({ "name": name, "packets": packets, "bytes": bytes, "kernel_drops": drops, "ended": ended })
            })
            .collect();
        let unwatched: Vec<_> = self
            .unwatched
            .iter()
            .map(|Unwatched { name, why }| json!({ "name": name, "why": why }))
            .collect();
        let nat: Vec<_> = self
            .aim
            .added
            .iter()
            .flat_map(|(address, others)| others.iter().map(move |other| (address, other)))
            .map(|(address, other)| json!({ "address": address.to_string(), "also": other.to_string() }))
            .collect();
        json!({
            "schema": "hopline.capture/1",
            "filter": shown(&self.aim.selection),
            "nat": nat,
            "file": self.question.file.as_ref().map(|path| path.display().to_string()),
            "vantages": vantages,
            "unwatched": unwatched,
            "packets": self.counts.iter().map(|counts| counts.packets).sum::<u64>(),
            "kernel_drops": self.counts.iter().map(|counts| counts.drops).sum::<u64>(),
            "complete": self.is_complete(),
            "journeys": self.story.map(|story| story.journeys().value()),
            "under_way": self.story.map_or(0, |story| story.under_way),
            "elapsed_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn text(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let watched = self.names.iter().zip(self.counts).map(|((name, _), counts)| {
            let Counts { packets, bytes, drops, ended } = counts;
            Watched { name, packets: *packets, bytes: *bytes, drops: *drops, ended: ended.as_deref() }
        });
        let unwatched = self.unwatched.iter().map(|Unwatched { name, why }| (name.as_str(), why.as_str()));
        report::counts(&watched.collect::<Vec<_>>(), &unwatched.collect::<Vec<_>>(), style, out)?;
        let Some(story) = self.story else { return Ok(()) };
        writeln!(out)?;
        story.journeys().findings(style, out)?;
        match story.under_way {
            0 => Ok(()),
            count => writeln!(out, "{count} more were on their way when the capture began or ended."),
        }
    }
}
