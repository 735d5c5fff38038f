//! What was asked, as a tree: below each question those that its silence or its answer made worth asking.
use model::Diagnosis;
use model::dns;
use model::finding::Outcome;
use model::path::{Exchange, Place};
use model::probe::{PING_OCTETS, ProbeResult, QuestionId};

use crate::asking::{Open, Turn};

/// A line for each question that was sent: in which wave, what came of it, and why it was asked just then.
pub(crate) fn lines(turns: &[Turn], probes: &[ProbeResult]) -> Vec<String> {
    let mut lines = Vec::new();
    // The last in comes out first.
    let mut open: Vec<(usize, usize)> = below(turns, None).map(|root| (root, 0)).collect();
    while let Some((at, depth)) = open.pop() {
        open.extend(below(turns, Some(at)).map(|child| (child, depth + 1)));
        let Some(turn) = turns.get(at) else { continue };
        let branch =
            if depth == 0 { String::new() } else { format!("{}\u{2514}\u{2500} ", "   ".repeat(depth - 1)) };
        for probe in probes.iter().filter(|probe| probe.id() == turn.question) {
            let (wave, told, why) = (turn.wave, checks::told(probe), &turn.why);
            let left = if turn.left.is_empty() { String::new() } else { format!(": {}", places(&turn.left)) };
            lines.push(format!("asked, wave {wave}: {branch}{told} ({why}{left})"));
        }
    }
    lines
}

/// Devices that are told by name, at most.
const PLACES_MAX: usize = 16;

/// `compute1//br100, compute1//eth0 and 3 more`.
fn places(all: &[Place]) -> String {
    let names: Vec<String> = all.iter().take(PLACES_MAX).map(ToString::to_string).collect();
    let more = match all.len().saturating_sub(PLACES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names.join(", "))
}

/// Why nothing more was asked: what was found to explain it, and where what nobody answered may have been lost, or that
/// it is no loss.
pub(crate) fn left(open: &[Open], diagnosis: &Diagnosis) -> Vec<String> {
    let stopping = diagnosis.findings.iter().filter(|finding| finding.exchange != Exchange::None);
    let codes: Vec<String> = stopping.map(|finding| format!("{} {}", finding.code, finding.hop)).collect();
    let is_loss = |one: &&Open| diagnosis.outcome != Outcome::Healthy && !is_excused(one, diagnosis);
    let (lost, excused): (Vec<&Open>, Vec<&Open>) = open.iter().partition(is_loss);
    let found = match (codes.is_empty(), lost.is_empty()) {
        (true, true) => "nothing, all that was asked is answered or need not be".to_owned(),
        (true, false) => "no explanation that has a name".to_owned(),
        (false, _) => codes.join(", "),
    };
    let lost = lost.into_iter().map(|one| {
        let left = if one.places.is_empty() {
            "nowhere: others were answered on all of its way".to_owned()
        } else {
            places(&one.places)
        };
        format!("of where {} may be lost: {left}", named(one))
    });
    let excused = excused.into_iter().map(named);
    let excused = excused.map(|what| format!("without an answer, which is no fault by itself: {what}"));
    let ends = lost.chain(excused).map(|line| format!("left in the end {line}"));
    std::iter::once(format!("left in the end: {found}")).chain(ends).collect()
}

fn is_excused(one: &Open, diagnosis: &Diagnosis) -> bool {
    diagnosis.excused.contains(&one.question)
}

/// `the ping from web1 to 1.2.3.4`.
fn named(open: &Open) -> String {
    let QuestionId { from, to, exchange, octets, port } = &open.question;
    let asked = match exchange {
        Exchange::Icmp => "ping",
        Exchange::Arp => "ARP",
        Exchange::Dhcp => "DHCP",
        Exchange::Dns => "DNS",
        Exchange::Tcp => "TCP",
        Exchange::Udp => "UDP",
        Exchange::None => "question",
    };
    // What parts it from others of the same two.
    let size = octets.filter(|octets| *octets != PING_OCTETS).map(|octets| format!(" of {octets} octets"));
    let port = port.filter(|port| *port != dns::PORT).map(|port| format!(" port {port}"));
    format!("the {asked}{} from {from} to {to}{}", size.unwrap_or_default(), port.unwrap_or_default())
}

/// Those that this one made worth asking, the last first.
fn below(turns: &[Turn], parent: Option<usize>) -> impl Iterator<Item = usize> {
    let children = turns.iter().enumerate().filter(move |(_, turn)| turn.after == parent);
    children.rev().map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use model::finding::Coverage;
    use model::probe::Asked;

    use std::net::IpAddr;

    use super::*;

    fn ping(from: &str, to: IpAddr, octets: u16) -> QuestionId {
        QuestionId { from: from.to_owned(), to, exchange: Exchange::Icmp, octets: Some(octets), port: None }
    }

    #[test]
    fn what_a_silence_opened_is_below_it() {
        let to = IpAddr::from([1, 2, 3, 4]);
        let turn = |wave, after, from: &str| Turn {
            wave,
            after,
            question: ping(from, to, PING_OCTETS),
            why: "why".to_owned(),
            left: Vec::new(),
        };
        let probe = |from: &str| ProbeResult {
            from: from.to_owned(),
            by_host: false,
            to,
            asked: Asked::Echo { octets: PING_OCTETS },
            sent: 2,
            received: 0,
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: None,
        };
        let turns = [
            turn(1, None, "a"),
            turn(1, None, "b"),
            turn(2, Some(0), "c"),
            turn(3, Some(2), "d"),
            turn(2, Some(0), "e"),
        ];
        let probes: Vec<ProbeResult> = ["a", "b", "c", "d", "e"].map(probe).to_vec();
        let shown: Vec<String> = lines(&turns, &probes)
            .iter()
            .map(|line| line.replace("ping 1.2.3.4 from ", "").replace(": 0 of 2 answered (why)", ""))
            .collect();
        let expected = [
            "wave 1: a",
            "wave 2: \u{2514}\u{2500} c",
            "wave 3:    \u{2514}\u{2500} d",
            "wave 2: \u{2514}\u{2500} e",
            "wave 1: b",
        ];
        assert_eq!(shown, expected.map(|line| format!("asked, {line}")));
    }

    /// A guest that ignores pings is not where a broken site loses them.
    #[test]
    fn only_what_is_a_loss_is_said_to_be_lost_somewhere() {
        let to = |last| IpAddr::from([10, 0, 0, last]);
        let asked = |last| ping("compute1", to(last), PING_OCTETS);
        let open = |question| Open { question, places: Vec::new() };
        let diagnosis = |outcome, excused: &[QuestionId]| Diagnosis {
            command: String::new(),
            subject: String::new(),
            outcome,
            findings: Vec::new(),
            paths: Vec::new(),
            seen: Vec::new(),
            excused: excused.to_vec(),
            coverage: Coverage::default(),
        };
        let nothing = "left in the end: nothing, all that was asked is answered or need not be";
        let no_loss = |last| {
            format!(
                "left in the end without an answer, which is no fault by itself: \
                 the ping from compute1 to 10.0.0.{last}"
            )
        };
        let all = [open(asked(1)), open(asked(2))];
        let healthy = left(&all, &diagnosis(Outcome::Healthy, &[asked(1)]));
        assert_eq!(healthy, [nothing.to_owned(), no_loss(1), no_loss(2)]);
        let drifted = left(&all[..1], &diagnosis(Outcome::Fault, &[asked(1)]));
        assert_eq!(drifted, [nothing.to_owned(), no_loss(1)]);
        let lost = "left in the end of where the ping from compute1 to 10.0.0.2 may be lost: \
                    nowhere: others were answered on all of its way";
        let unknown = "left in the end: no explanation that has a name";
        let undetermined = left(&all, &diagnosis(Outcome::Undetermined, &[asked(1)]));
        assert_eq!(undetermined, [unknown.to_owned(), lost.to_owned(), no_loss(1)]);
        // Another question of the same two is another one, for all that the first is no loss.
        let large = [open(ping("compute1", to(1), 1500))];
        let lossy = left(&large, &diagnosis(Outcome::Fault, &[asked(1)]));
        assert!(
            lossy[1].contains("where the ping of 1500 octets from compute1 to 10.0.0.1 may be lost"),
            "{lossy:?}"
        );
    }
}
