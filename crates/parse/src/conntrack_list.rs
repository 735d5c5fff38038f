//! Tracked connections: lines of `/proc/net/nf_conntrack`, and of `conntrack -L` with or without
//! `-o extended` (`ct_seq_show` in `net/netfilter/nf_conntrack_standalone.c`).
//!
//! ```text
//! ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.2 dst=10.0.0.3 sport=4 dport=22 src=… [ASSURED] mark=0 use=2
//! ```

use std::net::IpAddr;

use model::conntrack::{CtEntry, Tuple};

use crate::{Parsed, Problem};

/// Reads a whole list.
pub fn parse(text: &str) -> Parsed<Vec<CtEntry>> {
    let mut out = Parsed::<Vec<CtEntry>>::default();
    for (index, line) in text.lines().enumerate() {
        // What the tool says of itself behind its list.
        if line.trim().is_empty() || line.starts_with("conntrack v") {
            continue;
        }
        match entry(line) {
            Ok(entry) => out.value.push(entry),
            Err((part, what)) => out.problems.push(Problem::at(index, line, part, what)),
        }
    }
    out
}

/// A tuple as far as it was read.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    id: Option<u16>,
    kind: Option<u8>,
    code: Option<u8>,
}

impl Reading {
    fn tuple(self) -> Option<Tuple> {
        Some(Tuple {
            source: self.source?,
            destination: self.destination?,
            // An ICMP identifier stands where others have ports.
            source_port: self.source_port.or(self.id).unwrap_or(0),
            destination_port: self.destination_port.or(self.id).unwrap_or(0),
            icmp: self.kind.zip(self.code),
        })
    }
}

fn entry(line: &str) -> Result<CtEntry, (&str, String)> {
    let mut words = line.split_whitespace().peekable();
    if words.peek().is_some_and(|word| matches!(*word, "ipv4" | "ipv6")) {
        words.next();
        words.next();
    }
    let _name = words.next();
    let number = words.next().unwrap_or_default();
    let protocol = number.parse().map_err(|_| (line, "expected a protocol's name and number".to_owned()))?;
    let timeout_s = words.peek().and_then(|word| word.parse().ok());
    if timeout_s.is_some() {
        words.next();
    }
    let is_state = |word: &&str| !word.contains(['=', '[']);
    let state = words.next_if(is_state).map(str::to_owned);
    let mut tuples = [Reading::default(); 2];
    let mut at = 0;
    let (mut unreplied, mut assured) = (false, false);
    let (mut mark, mut zone) = (0, 0);
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let wrong = || (word, format!("`{word}` is not understood"));
        match key {
            "[UNREPLIED]" => unreplied = true,
            "[ASSURED]" => assured = true,
            "mark" => mark = value.parse().map_err(|_| wrong())?,
            "zone" => zone = value.parse().map_err(|_| wrong())?,
            "zone-orig" | "zone-reply" => {
                return Err((word, "a zone of one direction only is not modelled".to_owned()));
            }
            _ => {
                let starts_second = key == "src" && tuples[0].source.is_some();
                at = if starts_second { 1 } else { at };
                if let Some(reading) = tuples.get_mut(at) {
                    part(reading, key, value).ok_or_else(wrong)?;
                }
            }
        }
    }
    let [original, reply] = tuples.map(Reading::tuple);
    let (Some(original), Some(reply)) = (original, reply) else {
        return Err((line, "expected two tuples, each with src= and dst=".to_owned()));
    };
    Ok(CtEntry { protocol, original, reply, unreplied, assured, state, mark, zone, timeout_s })
}

/// Reads a part of a tuple. Other words (counters, use, helper, labels) are left alone; so is a second
/// `id=`, which is the entry's own.
fn part(reading: &mut Reading, key: &str, value: &str) -> Option<()> {
    match key {
        "src" => reading.source = Some(value.parse().ok()?),
        "dst" => reading.destination = Some(value.parse().ok()?),
        "sport" => reading.source_port = Some(value.parse().ok()?),
        "dport" => reading.destination_port = Some(value.parse().ok()?),
        "type" => reading.kind = Some(value.parse().ok()?),
        "code" => reading.code = Some(value.parse().ok()?),
        "id" if reading.kind.is_some() && reading.id.is_none() => reading.id = Some(value.parse().ok()?),
        _ => {}
    }
    Some(())
}
