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
    /// By source and position, one note a packet. Where a finding is of more packets than are told one by one, its
    /// first note says so.
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
        for (number, lost) in findings.lost.iter().enumerate() {
            let beyond = beyond(number, findings.lost.len(), findings.lost_count);
            at(&lost.packet, format!("last seen here; expected at {}{beyond}", self.name(lost.expected_at)));
        }
        for (number, (second, one, _)) in findings.second_answers.iter().enumerate() {
            let rank = rank("first", number, findings.second_answers.len(), findings.answered_twice);
            at(second, format!("a second answer to one request; the first came from {}{rank}", mac(*one)));
        }
        let (loops, delays) = (&findings.loops, &findings.delays);
        let (overtakers, ways) = (&findings.overtakers, &findings.other_ways);
        let lists = [
            (loops, findings.looping, "first", "comes by again and again, with a lower TTL each time"),
            (delays, findings.delayed, "slowest", "took more than ten times as long as most"),
            (overtakers, findings.reordered, "first", "has overtaken an earlier packet of its flow"),
            (ways, findings.other_way, "first", "came back by another way than the request went"),
        ];
        for (packets, count, which, what) in lists {
            for (number, packet) in packets.iter().enumerate() {
                at(packet, format!("{what}{}", rank(which, number, packets.len(), count)));
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

/// `, the first of 5000; 1000 of 5000 have a comment`, at the first of more than one.
fn rank(which: &str, number: usize, listed: usize, count: u64) -> String {
    let rank = if number == 0 && count > 1 { format!(", the {which} of {count}") } else { String::new() };
    rank + &beyond(number, listed, count)
}

/// At the first of them, where not all are told one by one.
fn beyond(number: usize, listed: usize, count: u64) -> String {
    if number == 0 && count > listed as u64 {
        format!("; {listed} of {count} have a comment")
    } else {
        String::new()
    }
}
