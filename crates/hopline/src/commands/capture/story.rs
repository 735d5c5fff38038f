//! What became of the packets, once a capture has ended; and that put into its file as comments.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use ::correlate::{Options, Report};
use capture::pcapng;
use capture::replace::Replacement;
use capture::session::Outcome;
use report::{Journeys, Note, Sequence};

use super::live::WINDOW;
use super::warn;
use crate::commands::correlate;
use crate::progress;
use crate::vantages::Onward;

/// How long a packet may be under way where no other was seen on that stretch.
const UNDER_WAY: Duration = Duration::from_millis(10);

/// What became of the packets.
pub(super) struct Story {
    pub(super) report: Report,
    /// Names of the vantages, by the report's numbers.
    pub(super) names: Vec<String>,
    /// Packets that were on their way when the capture began or ended, so that nothing is known of their ends.
    pub(super) under_way: u64,
    /// What was kept for a picture, where one was asked for.
    pub(super) sequence: Option<Sequence>,
}

impl Story {
    /// To be told of.
    pub(super) fn journeys(&self) -> Journeys<'_> {
        let Story { report, names, .. } = self;
        Journeys { report, names, unreadable: &[], window_ns: window_ns(), few: &[] }
    }
}

fn window_ns() -> i64 {
    i64::try_from(WINDOW.as_nanos()).unwrap_or(i64::MAX)
}

/// Between which times all vantages saw all there was, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
}

/// Takes back losses that the capture itself may have made: of packets under way when it began or ended, which
/// are counted; and at vantages that the kernel had no room for or that ended early, which are undecided.
pub(super) fn settle(report: &mut Report, outcome: &Outcome, span: Span) -> u64 {
    let (mut under_way, mut unsure) = (0, 0);
    let Report { findings, vantages, stretches, .. } = report;
    let is_blind = |vantage: u16| {
        let local = vantages.get(usize::from(vantage)).map_or(0, |vantage| usize::from(vantage.local));
        outcome.counts.get(local).is_none_or(|counts| counts.drops > 0 || counts.ended.is_some())
    };
    findings.lost.retain(|lost| {
        let stop = &lost.packet.stop;
        let usual = stretches.get(&(stop.vantage, lost.expected_at)).map_or(0, |s| s.latency.max());
        let usual = Duration::from_nanos(usual.saturating_mul(10)).max(UNDER_WAY);
        let margin = u64::try_from(usual.as_nanos()).unwrap_or(u64::MAX);
        let time = u64::try_from(stop.time_ns).unwrap_or_default();
        if time < span.begin_ns || time > span.end_ns.saturating_sub(margin) {
            under_way += 1;
            return false;
        }
        if is_blind(lost.expected_at) {
            unsure += 1;
            return false;
        }
        true
    });
    findings.lost_count = findings.lost_count.saturating_sub(under_way + unsure);
    findings.undecided += unsure;
    under_way
}

/// Reads the file that was written, tells what became of its packets, and puts a comment at each that matters. A
/// file that cannot be read or changed stays as it is, which is said.
pub(super) fn of_file(
    path: &Path,
    outcome: &Outcome,
    (span, onward): (Span, &[Onward]),
    sequence: Option<Sequence>,
) -> Option<Story> {
    // What a pipe or device was given cannot be read again.
    if !std::fs::metadata(path).is_ok_and(|about| about.is_file()) {
        return None;
    }
    let _progress = progress::start("reading the capture again, for what became of its packets");
    let options = Options { window_ns: window_ns(), ..Options::default() };
    let mut joined = match correlate::captured(path, options, onward, sequence) {
        Ok(joined) => joined,
        Err(failure) => {
            warn(&format!("what became of the packets is not told: {failure}"));
            return None;
        }
    };
    let under_way = settle(&mut joined.report, outcome, span);
    let notes = joined.journeys(window_ns()).notes(&joined.seen.copies);
    if !notes.is_empty()
        && let Err(error) = annotate(path, &notes)
    {
        let path = path.display();
        warn(&format!("{path} has no comments on packets that matter, and is whole without: {error}"));
    }
    let sequence = joined.seen.sequence;
    Some(Story { report: joined.report, names: joined.names, under_way, sequence })
}

fn annotate(path: &Path, notes: &[Note]) -> io::Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut input = BufReader::with_capacity(CHUNK, File::open(path)?);
    let replacement = Replacement::of(path)?;
    let mut output = BufWriter::with_capacity(CHUNK, &replacement.file);
    let mut notes = notes.iter().peekable();
    let comment = |number| notes.next_if(|note| note.frame == number).map(|note| note.text.as_str());
    pcapng::annotate(&mut input, &mut output, comment)?;
    output.flush()?;
    drop(output);
    replacement.commit()
}

#[cfg(test)]
mod tests {
    use ::correlate::{Correlator, Merge};
    use capture::session::Counts;
    use model::sighting::{Address, Kind, Sighting};

    use super::*;

    const MS: u64 = 1_000_000;

    /// Forty packets at two vantages, one each millisecond; the one at 20 ms only at the first.
    fn report() -> Report {
        let seen = |vantage: u16, number: u32| Sighting {
            source: Address::v4([10, 0, 0, 1]),
            destination: Address::v4([10, 0, 0, 2]),
            identity: u64::from(number) + 1,
            ask: 0,
            answer: 0,
            time_ns: i64::from(number) * 1_000_000 + i64::from(vantage) * 1_000,
            sender: 0,
            detail: number,
            quoted: 0,
            frame: number * 2 + u32::from(vantage),
            vantage,
            source_port: 1,
            destination_port: 2,
            ip_id: 0,
            length: 100,
            ttl: 64,
            tos: 0,
            protocol: 17,
            kind: Kind::Udp,
        };
        let mut merge = Merge::new(1);
        let all = (0..40).flat_map(|number| [seen(0, number), seen(1, number)]);
        merge.give(0, all.filter(|s| (s.detail, s.vantage) != (20, 1)).collect());
        merge.give(0, Vec::new());
        let mut correlator = Correlator::new(Options::default(), vec![false]);
        correlator.drain(&mut merge, &mut |_, _| ());
        let report = correlator.finish(&merge, &mut |_, _| ());
        assert_eq!(report.findings.lost_count, 1);
        report
    }

    /// What remains of the loss: lost, undecided, under way.
    fn settled(counts: [Counts; 2], begin_ns: u64, end_ns: u64) -> (u64, u64, u64) {
        let mut report = report();
        let outcome = Outcome { counts: counts.into(), closed_ns: None };
        let under_way = settle(&mut report, &outcome, Span { begin_ns, end_ns });
        assert_eq!(report.findings.lost.len() as u64, report.findings.lost_count);
        (report.findings.lost_count, report.findings.undecided, under_way)
    }

    #[test]
    fn a_loss_is_one_only_where_the_capture_cannot_have_made_it() {
        let whole = Counts::default;
        assert_eq!(settled([whole(), whole()], 0, 40 * MS), (1, 0, 0));
        let drops = || Counts { drops: 1, ..Counts::default() };
        assert_eq!(settled([whole(), drops()], 0, 40 * MS), (0, 1, 0), "where it was expected");
        assert_eq!(settled([drops(), whole()], 0, 40 * MS), (1, 0, 0), "elsewhere");
        let ended = Counts { ended: Some("the device has gone".to_owned()), ..Counts::default() };
        assert_eq!(settled([whole(), ended], 0, 40 * MS), (0, 1, 0));
        assert_eq!(settled([whole(), whole()], 21 * MS, 40 * MS), (0, 0, 1), "before all were watched");
        assert_eq!(settled([whole(), whole()], 0, 29 * MS), (0, 0, 1), "it might have come yet");
    }
}
