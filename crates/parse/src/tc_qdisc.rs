//! `tc -s qdisc show`: the queueing disciplines of links, with their counters.

use model::queueing::{Qdisc, QdiscPlace, QueueLimit, Rate};

use crate::{Parsed, Problem};

/// Each with the name of its link. Options are read of those kinds that the model reckons with. The limit of a `tbf`
/// that tells how long its queue is in time is the largest of which tc prints the same.
pub fn parse(text: &str) -> Parsed<Vec<(String, Qdisc)>> {
    let mut out = Parsed::<Vec<(String, Qdisc)>>::default();
    // Counters belong to the line above, where that could be read.
    let mut is_known = false;
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["qdisc", kind, handle, "dev", link, rest @ ..] => {
                let read = qdisc(kind, handle, rest);
                is_known = read.is_some();
                if read.is_none() {
                    out.problems.push(Problem::at(index, line, line.trim_start(), "a qdisc without a place"));
                }
                out.value.extend(read.map(|qdisc| ((*link).to_owned(), qdisc)));
            }
            ["Sent" | "backlog", ..] if is_known => {
                if let Some((_, qdisc)) = out.value.last_mut() {
                    count(qdisc, &words);
                }
            }
            // Kinds print counters of their own, indented.
            _ if words.is_empty() || line.starts_with(char::is_whitespace) => {}
            _ => {
                is_known = false;
                let what = "expected `qdisc KIND HANDLE: dev LINK ...`";
                out.problems.push(Problem::at(index, line, line, what));
            }
        }
    }
    out
}

fn qdisc(kind: &str, handle: &str, rest: &[&str]) -> Option<Qdisc> {
    let handle = u32::from_str_radix(handle.strip_suffix(':')?, 16).ok()?.checked_shl(16)?;
    let place = match rest {
        _ if matches!(kind, "clsact" | "ingress") => QdiscPlace::Filters,
        ["root", ..] => QdiscPlace::Root,
        ["parent", parent, ..] => {
            let (major, minor) = parent.split_once(':')?;
            let number = |text: &str| u32::from_str_radix(if text.is_empty() { "0" } else { text }, 16).ok();
            QdiscPlace::Class(number(major)?.checked_shl(16)? | number(minor)?)
        }
        _ => return None,
    };
    let after = |name: &str| {
        let at = rest.iter().position(|word| *word == name)?;
        rest.get(at + 1).copied()
    };
    let limit = match kind {
        "pfifo" => {
            after("limit").and_then(|text| text.strip_suffix('p')?.parse().ok()).map(QueueLimit::Packets)
        }
        "bfifo" | "tbf" => after("limit").and_then(octets).map(QueueLimit::Octets),
        _ => None,
    };
    let rate = after("rate").and_then(rate).zip(after("burst").and_then(octets));
    let rate = rate.filter(|_| kind == "tbf");
    let rate = rate.map(|(octets_per_s, burst)| Rate { octets_per_s, burst_octets: burst.into() });
    let in_time = || Some(QueueLimit::Octets(limit_in_time(rate?, after("lat").and_then(micros_at_most)?)?));
    let limit = limit.or_else(in_time);
    Some(Qdisc { kind: kind.to_owned(), handle, place, limit, rate, ..Qdisc::default() })
}

/// `Sent 588 bytes 7 pkt (dropped 2, overlimits 0 requeues 0)`, `backlog 0b 0p requeues 0`.
fn count(qdisc: &mut Qdisc, words: &[&str]) {
    let number = |text: &str| text.trim_end_matches([',', ')']).parse().unwrap_or(u32::MAX);
    match words {
        ["Sent", _, "bytes", packets, "pkt" | "pkts", "(dropped", drops, "overlimits", overlimits, ..] => {
            qdisc.stats.packets = number(packets);
            qdisc.stats.drops = number(drops);
            qdisc.stats.overlimits = number(overlimits);
        }
        ["backlog", waiting, packets, ..] => {
            qdisc.stats.backlog_octets = octets(waiting).unwrap_or_default();
            qdisc.stats.backlog_packets = number(packets.trim_end_matches('p'));
        }
        _ => {}
    }
}

/// `1600b`, `15Kb`, `1Mb`, with what a burst's cells are behind a slash.
fn octets(text: &str) -> Option<u32> {
    let text = text.split('/').next()?.strip_suffix('b')?;
    let (number, times) = match text.strip_suffix(['K', 'M']) {
        Some(number) => (number, if text.ends_with('K') { 1 << 10 } else { 1 << 20 }),
        None => (text, 1),
    };
    number.parse::<u32>().ok()?.checked_mul(times)
}

/// What waits for so long at this rate, and the burst: tc takes the burst's time off the limit's (tc/q_tbf.c,
/// `tbf_print_opt`). It cuts off less than a thousandth of a rate.
fn limit_in_time(rate: Rate, micros: u64) -> Option<u32> {
    let octets_per_s = rate.octets_per_s.checked_add(rate.octets_per_s / 1000)?;
    let waiting = octets_per_s.checked_mul(micros)?.div_ceil(1_000_000);
    waiting.checked_add(rate.burst_octets)?.try_into().ok()
}

/// `175ms`, `1.5s`, `50us`: the longest time that is printed so, where half of the last place is rounded away.
fn micros_at_most(text: &str) -> Option<u64> {
    let (number, unit) = [("us", 1_u64), ("ms", 1_000), ("s", 1_000_000)]
        .into_iter()
        .find_map(|(unit, micros)| Some((text.strip_suffix(unit)?, micros)))?;
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let digits: u64 = format!("{whole}{places}").parse().ok()?;
    let divisor = 10_u64.checked_pow(places.len().try_into().ok()?)?.checked_mul(2)?;
    Some(digits.checked_mul(2)?.checked_add(1)?.checked_mul(unit)?.div_ceil(divisor))
}

/// `64Kbit`, `1Gbit`, in octets a second.
fn rate(text: &str) -> Option<u64> {
    let text = text.strip_suffix("bit")?;
    let times = match text.chars().last()? {
        'K' => 1_000,
        'M' => 1_000_000,
        'G' => 1_000_000_000,
        _ => 1,
    };
    text.trim_end_matches(['K', 'M', 'G']).parse::<u64>().ok()?.checked_mul(times).map(|bits| bits / 8)
}

#[cfg(test)]
mod tests {
    use QdiscPlace::{Class, Filters, Root};
    use model::queueing::QdiscStats;

    use super::*;

    const TEXT: &str = "\
qdisc noqueue 0: dev lo root refcnt 2\x20
 Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0)\x20
 backlog 0b 0p requeues 0
qdisc mq 0: dev eth0 root\x20
 Sent 2556102 bytes 35966 pkt (dropped 0, overlimits 0 requeues 0)\x20
 backlog 0b 0p requeues 0
qdisc fq_codel 0: dev eth0 parent :1 limit 10240p flows 1024 quantum 1514 target 5.0ms ecn\x20
 Sent 2556102 bytes 35966 pkt (dropped 0, overlimits 0 requeues 0)\x20
 backlog 0b 0p requeues 0
  maxpacket 0 drop_overlimit 0 new_flow_count 0 ecn_mark 0
  new_flows_len 0 old_flows_len 0
qdisc tbf 8001: dev vnet0 root refcnt 2 rate 64Kbit burst 1600b lat 400ms\x20
 Sent 588 bytes 7 pkt (dropped 12, overlimits 3 requeues 0)\x20
 backlog 3Kb 2p requeues 0
qdisc clsact ffff: dev vnet0 parent ffff:fff1\x20
 Sent 0 bytes 0 pkt (dropped 4, overlimits 0 requeues 0)\x20
 backlog 0b 0p requeues 0
qdisc pfifo 8002: dev vnet1 root refcnt 2 limit 1p
qdisc bfifo 8003: dev vnet2 parent 1:10 limit 500b
";

    #[test]
    fn each_is_read_with_its_counters() {
        let Parsed { value, problems } = parse(TEXT);
        assert_eq!(problems, []);
        let told: Vec<String> = value.iter().map(|(link, qdisc)| format!("{link} {qdisc}")).collect();
        let expected = [
            "lo noqueue 0:",
            "eth0 mq 0:",
            "eth0 fq_codel 0:",
            "vnet0 tbf 8001: rate 64000bit burst 1600b limit 4808b",
            "vnet0 clsact ffff:",
            "vnet1 pfifo 8002: limit 1p",
            "vnet2 bfifo 8003: limit 500b",
        ];
        assert_eq!(told, expected);
        let places: Vec<QdiscPlace> = value.iter().map(|(_, qdisc)| qdisc.place).collect();
        assert_eq!(places, [Root, Root, Class(1), Root, Filters, Root, Class(0x1_0010)]);
        let stats =
            QdiscStats { packets: 7, drops: 12, overlimits: 3, backlog_packets: 2, backlog_octets: 3072 };
        assert_eq!((value[3].1.stats, value[4].1.stats.drops), (stats, 4));
    }

    /// tc prints these of limits that were given: never less, and not much more.
    #[test]
    fn a_limit_that_is_told_in_time_is_never_told_too_small() {
        for (told, limit) in [
            ("rate 64Kbit burst 1600b lat 175ms", 3_000),
            ("rate 64Kbit burst 1600b lat 175.0ms", 3_000),
            ("rate 1234Kbit burst 1600b lat 54.5ms", 10_000),
            ("rate 1Mbit burst 2Kb lat 1.5s", 189_548),
            ("rate 1Gbit burst 15Kb lat 50us", 21_610),
        ] {
            let text = format!("qdisc tbf 8001: dev vnet0 root refcnt 2 {told}\n");
            let read = parse(&text).value.remove(0).1.limit;
            let Some(QueueLimit::Octets(read)) = read else { panic!("{told}: {read:?}") };
            assert!((limit..limit + limit / 20).contains(&read), "{told}: {read}");
        }
        for untold in
            ["lat", "lat 5", "lat ms", "lat -5ms", "lat 1e+03ms", "lat 99999999999999999999s", "lat é"]
        {
            let text = format!("qdisc tbf 8001: dev vnet0 root rate 64Kbit burst 1600b {untold}\n");
            assert_eq!(parse(&text).value.remove(0).1.limit, None, "{untold}");
        }
    }

    #[test]
    fn what_is_none_is_told() {
        let Parsed { value, problems } =
            parse("Operation not permitted\nqdisc tbf x: dev a root\n Sent 1 bytes 9 pkt\n");
        assert_eq!((value.len(), problems.len(), problems[1].line), (0, 2, 2));
        for text in ["qdisc", "qdisc a 1: dev", "qdisc pfifo fffff: dev a parent :", "Sent", "backlog"] {
            let _ = parse(text);
        }
    }
}
