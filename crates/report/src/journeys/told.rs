//! Each finding in one sentence, in the order of their weight.

use super::Journeys;
use super::packet::{line, mac};
use super::stamp::clock;

/// A finding.
pub(super) struct Told {
    /// Stable for ever.
    pub(super) code: &'static str,
    /// Where.
    pub(super) vantage: u16,
    /// What a person would say.
    pub(super) sentence: String,
    /// Something is wrong with the network, and not only worth a word.
    pub(super) is_fault: bool,
}

/// All of a run; of those that have many examples the first, with how many there are.
pub(super) fn all(journeys: &Journeys<'_>) -> Vec<Told> {
    let mut told = lost(journeys);
    told.extend(faults(journeys));
    told.extend(words(journeys));
    told.extend(incomplete(journeys));
    told
}

/// One finding for each stretch that loses packets.
fn lost(journeys: &Journeys<'_>) -> Vec<Told> {
    let mut stretches = std::collections::BTreeMap::new();
    for lost in &journeys.report.findings.lost {
        let ends = (lost.packet.stop.vantage, lost.expected_at);
        stretches.entry(ends).or_insert((0_u64, lost)).0 += 1;
    }
    let told = stretches.into_iter().map(|((last, expected), (count, first))| Told {
        code: "packet-lost",
        vantage: last,
        sentence: format!(
            "{} last seen here and expected at {}, which saw {} packets; first frame {} at {}, {}",
            packets(count),
            journeys.name(expected),
            journeys.report.vantages.get(usize::from(expected)).map_or(0, |v| v.packets),
            first.packet.stop.frame,
            clock(first.packet.stop.time_ns),
            line(&first.packet),
        ),
        is_fault: true,
    });
    told.collect()
}

fn faults(journeys: &Journeys<'_>) -> Vec<Told> {
    let findings = &journeys.report.findings;
    let mut told = Vec::new();
    if let Some(first) = &findings.duplicate {
        let count = packets(findings.duplicates);
        told.push(Told {
            code: "packet-duplicated",
            vantage: first.stop.vantage,
            sentence: format!("{count} duplicated; first frame {}, {}", first.stop.frame, line(first)),
            is_fault: true,
        });
    }
    if let Some(first) = findings.loops.first() {
        let count = packets(findings.looping);
        told.push(Told {
            code: "packet-looping",
            vantage: first.stop.vantage,
            sentence: format!(
                "{count} came by again and again, with a lower TTL each time; first frame {}, {}",
                first.stop.frame,
                line(first)
            ),
            is_fault: true,
        });
    }
    if let Some((second, one, other)) = findings.second_answers.first() {
        told.push(Told {
            code: "answered-twice",
            vantage: second.stop.vantage,
            sentence: format!(
                "{} requests were answered by two machines; first by {} and {}, {}",
                findings.answered_twice,
                mac(*one),
                mac(*other),
                line(second)
            ),
            is_fault: true,
        });
    }
    told
}

/// What may be as it should.
fn words(journeys: &Journeys<'_>) -> Vec<Told> {
    let findings = &journeys.report.findings;
    let delayed = "took more than ten times as long as most; the slowest is";
    let reordered = "overtaken by a later one of the flow; first by";
    let other_way = "came back by another way than the request went; first";
    let repeated = "seen once more where first seen, without an IP id: sent again by the sender, or duplicated \
                    before; first";
    let kinds = [
        ("packet-repeated", findings.repeated.as_ref(), findings.repeats, repeated),
        ("packet-delayed", findings.delays.first(), findings.delayed, delayed),
        ("packet-reordered", findings.overtakers.first(), findings.reordered, reordered),
        ("reply-other-way", findings.other_ways.first(), findings.other_way, other_way),
    ];
    let told = kinds.into_iter().filter_map(|(code, example, count, what)| {
        let example = example?;
        let sentence = format!("{} {what} frame {}, {}", packets(count), example.stop.frame, line(example));
        Some(Told { code, vantage: example.stop.vantage, sentence, is_fault: false })
    });
    told.collect()
}

fn incomplete(journeys: &Journeys<'_>) -> Vec<Told> {
    let report = journeys.report;
    let mut told = Vec::new();
    for (vantage, count) in &report.findings.request_missing {
        told.push(Told {
            code: "capture-incomplete",
            vantage: *vantage,
            sentence: format!(
                "{} seen here without the request, which was seen elsewhere: the capture is incomplete, or \
                 the request takes another way",
                if *count == 1 { "1 reply".to_owned() } else { format!("{count} replies") },
            ),
            is_fault: false,
        });
    }
    for (vantage, seen) in (0_u16..).zip(&report.vantages) {
        if seen.missed > 0 {
            told.push(Told {
                code: "capture-incomplete",
                vantage,
                sentence: format!(
                    "{} seen before and after and not here: the capture is incomplete",
                    packets(seen.missed)
                ),
                is_fault: false,
            });
        }
    }
    told
}

/// `1 packet`, `2 packets`.
pub(crate) fn packets(count: u64) -> String {
    if count == 1 { "1 packet".to_owned() } else { format!("{count} packets") }
}
