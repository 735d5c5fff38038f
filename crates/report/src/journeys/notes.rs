//! What is to be said at single packets of a capture, for those who open it elsewhere.

use std::collections::BTreeMap;

use correlate::Example;

use super::Journeys;
use super::packet::mac;

/// A word at one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Index of the packet's source.
    pub source: u16,
    /// Its 1-based position there.
    pub frame: u32,
    /// What is to be said.
    pub text: String,
}

/// A packet of which there are more at one vantage than at the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Index of the source.
    pub source: u16,
    /// 1-based position there, of the first of them.
    pub frame: u32,
    /// How many there are.
    pub copies: u16,
    /// How many there were at the vantage before; 0 where this is the first.
    pub before: u16,
    /// Its sender may have sent it more than once.
    pub may_repeat: bool,
}

impl Journeys<'_> {
    /// By source and position, one note a packet. Of findings that are told by their first example, that packet
    /// has one; of losses and copies, each.
    pub fn notes(&self, copied: &[Copied]) -> Vec<Note> {
        let findings = &self.report.findings;
        let mut notes: BTreeMap<(u16, u32), String> = BTreeMap::new();
        let mut add = |source: u16, frame: u32, text: String| {
            let note = notes.entry((source, frame)).or_default();
            note.push_str(if note.is_empty() { "" } else { "; " });
            note.push_str(&text);
        };
        let source = |packet: &Example| {
            self.report.vantages.get(usize::from(packet.stop.vantage)).map(|vantage| vantage.source)
        };
        let mut at = |packet: &Example, text: String| {
            if let Some(source) = source(packet) {
                add(source, packet.stop.frame, text);
            }
        };
        for lost in &findings.lost {
            at(&lost.packet, format!("last seen here; expected at {}", self.name(lost.expected_at)));
        }
        if let Some((second, one, _)) = &findings.second_answer {
            at(second, format!("a second answer to one request; the first came from {}", mac(*one)));
        }
        let examples = [
            (&findings.loop_at, findings.looping, "comes by again and again, with a lower TTL each time"),
            (&findings.delay, findings.delayed, "took more than ten times as long as most"),
            (&findings.reordering, findings.reordered, "overtaken by a later packet of its flow"),
            (&findings.way, findings.other_way, "came back by another way than the request went"),
        ];
        for (packet, count, what) in examples {
            if let Some(packet) = packet {
                let more = if count > 1 { format!(", the first of {count}") } else { String::new() };
                at(packet, format!("{what}{more}"));
            }
        }
        for Copied { source, frame, copies, before, may_repeat } in copied {
            if *may_repeat {
                let what = "sent again by the sender, or duplicated before";
                add(*source, *frame, format!("{what}: seen {copies} times here, without an IP id"));
                continue;
            }
            let before = match before {
                0 => String::new(),
                1 => ", once at the vantage before".to_owned(),
                before => format!(", {before} times at the vantage before"),
            };
            add(*source, *frame, format!("duplicated: seen {copies} times here{before}"));
        }
        notes.into_iter().map(|((source, frame), text)| Note { source, frame, text }).collect()
    }
}
