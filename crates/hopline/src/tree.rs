//! What was asked, as a tree: below each question those that its silence or its answer made worth asking.
use model::probe::ProbeResult;

use crate::asking::Turn;

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
        for probe in probes.iter().filter(|probe| is_of(probe, turn)) {
            let (wave, told, why) = (turn.wave, checks::told(probe), &turn.why);
            lines.push(format!("asked, wave {wave}: {branch}{told} ({why})"));
        }
    }
    lines
}

/// Those that this one made worth asking, the last first.
fn below(turns: &[Turn], parent: Option<usize>) -> impl Iterator<Item = usize> {
    let children = turns.iter().enumerate().filter(move |(_, turn)| turn.after == parent);
    children.rev().map(|(at, _)| at)
}

fn is_of(probe: &ProbeResult, turn: &Turn) -> bool {
    (&probe.from, probe.to) == (&turn.from, turn.to)
        && (probe.asked.exchange(), probe.asked.octets()) == (turn.exchange, turn.octets)
}

#[cfg(test)]
mod tests {
    use model::path::Exchange;
    use model::probe::{Asked, PING_OCTETS};

    use super::*;

    #[test]
    fn what_a_silence_opened_is_below_it() {
        let to = std::net::IpAddr::from([1, 2, 3, 4]);
        let turn = |wave, after, from: &str| Turn {
            wave,
            after,
            from: from.to_owned(),
            to,
            exchange: Exchange::Icmp,
            octets: Some(PING_OCTETS),
            why: "why".to_owned(),
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
}
