//! What was asked, as a tree: below each question those that its silence or its answer made worth asking.
use model::Finding;
use model::path::{Exchange, Place};
use model::probe::ProbeResult;

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
        for probe in probes.iter().filter(|probe| is_of(probe, turn)) {
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

/// Why nothing more was asked: what was found to explain it, and where what nobody answered may have been lost.
pub(crate) fn left(open: &[Open], findings: &[Finding]) -> Vec<String> {
    let stopping = findings.iter().filter(|finding| finding.exchange != Exchange::None);
    let codes: Vec<String> = stopping.map(|finding| format!("{} {}", finding.code, finding.hop)).collect();
    let mut lines = vec![match (codes.is_empty(), open.is_empty()) {
        (true, true) => {
            "left in the end: nothing, all that was asked is answered or not to be waited for".to_owned()
        }
        (true, false) => "left in the end: no explanation that has a name".to_owned(),
        (false, _) => format!("left in the end: {}", codes.join(", ")),
    }];
    lines.extend(open.iter().map(|one| {
        let asked = match one.exchange {
            Exchange::Icmp => "ping",
            Exchange::Arp => "ARP",
            Exchange::Dhcp => "DHCP",
            Exchange::Dns => "DNS",
            Exchange::Tcp => "TCP",
            Exchange::Udp => "UDP",
            Exchange::None => "question",
        };
        let Open { from, to, places: left, .. } = one;
        let left = if left.is_empty() {
            "nowhere: others were answered on all of its way".to_owned()
        } else {
            places(left)
        };
        format!("left in the end of where the {asked} from {from} to {to} may be lost: {left}")
    }));
    lines
}

/// Those that this one made worth asking, the last first.
fn below(turns: &[Turn], parent: Option<usize>) -> impl Iterator<Item = usize> {
    let children = turns.iter().enumerate().filter(move |(_, turn)| turn.after == parent);
    children.rev().map(|(at, _)| at)
}

fn is_of(probe: &ProbeResult, turn: &Turn) -> bool {
    (&probe.from, probe.to) == (&turn.from, turn.to)
        && probe.asked.server_port() == turn.server_port
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
            server_port: None,
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
}
