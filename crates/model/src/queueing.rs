//! Traffic control of a link: the queueing disciplines that its packets wait in, and the filters that see them
//! (`RTM_GETQDISC`, `RTM_GETTFILTER`, tc(8)).

use std::fmt;

use serde::{Deserialize, Serialize};

/// One queueing discipline.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Qdisc {
    /// The kernel's word: `pfifo`, `tbf`, `clsact`.
    pub kind: String,
    /// Its number, major part in the upper half; 0 for those that the kernel attaches by itself.
    pub handle: u32,
    /// Where it stands.
    pub place: QdiscPlace,
    /// What it holds at most, where that was read.
    pub limit: Option<QueueLimit>,
    /// The rate that it lets pass, of a `tbf`.
    pub rate: Option<Rate>,
    /// Counters since it was made.
    pub stats: QdiscStats,
}

/// Where a queueing discipline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QdiscPlace {
    /// All that leaves by the link waits in it.
    #[default]
    Root,
    /// It queues nothing, and holds the filters of what comes and goes (`clsact`, `ingress`).
    Filters,
    /// In a class of another one, by that one's number.
    Class(u32),
}

/// What a queue holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueLimit {
    /// Packets.
    Packets(u32),
    /// Octets of frames.
    Octets(u32),
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rate {
    /// Octets of frames a second.
    pub octets_per_s: u64,
    /// What may pass at once after a pause, in octets of frames, rounded up: no frame larger than it ever passes.
    pub burst_octets: u64,
}

/// What a queueing discipline has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QdiscStats {
    /// Packets sent on.
    pub packets: u32,
    /// Packets dropped, those of its filters included.
    pub drops: u32,
    /// Times that a packet had to wait for its rate.
    pub overlimits: u32,
    /// Packets that wait.
    pub backlog_packets: u32,
    /// Their octets.
    pub backlog_octets: u32,
}

/// Segments that a TCP connection sends before it hears of any (RFC 6928).
const FIRST_WINDOW: u64 = 10;
/// 100 Mbit a second.
const SLOW_ARRIVAL_OCTETS_PER_S: u64 = 12_500_000;

impl Qdisc {
    /// No frame of this many octets ever passes, however idle the link is: what it says of itself.
    ///
    /// `pfifo_enqueue`, `bfifo_enqueue` (net/sched/sch_fifo.c), `blackhole_enqueue` (sch_blackhole.c), `tbf_enqueue`
    /// (sch_tbf.c), whose own queue is a bfifo of its limit.
    pub fn refuses(&self, frame_octets: u64) -> bool {
        let is_over = |limit| match limit {
            QueueLimit::Packets(most) => most == 0,
            QueueLimit::Octets(most) => frame_octets > u64::from(most),
        };
        let fits = || self.limit.is_none_or(|limit| !is_over(limit));
        match self.kind.as_str() {
            "blackhole" => true,
            "pfifo" | "bfifo" => !fits(),
            "tbf" => !fits() || self.rate.is_some_and(|rate| frame_octets > rate.burst_octets),
            _ => false,
        }
    }

    /// It drops some of ten frames of this many octets that come in one go, as a TCP connection's first segments do
    /// (RFC 6928), however idle the link is. What is sent on while they come is reckoned at 100 Mbit a second, which
    /// is slow for who sends to an instance; so this errs towards room.
    ///
    /// `tbf_enqueue`, `tbf_dequeue` (net/sched/sch_tbf.c): the burst passes at once, and a bfifo of the limit holds the
    /// rest. Of one that was given another queue the limit says nothing: see [`crate::link::Link::qdiscs`].
    pub fn loses_first_window(&self, frame_octets: u64) -> bool {
        let (Some(rate), Some(QueueLimit::Octets(limit))) = (self.rate, self.limit) else { return false };
        let window = frame_octets.saturating_mul(FIRST_WINDOW);
        let meanwhile =
            u128::from(rate.octets_per_s) * u128::from(window) / u128::from(SLOW_ARRIVAL_OCTETS_PER_S);
        let room = u128::from(rate.burst_octets) + u128::from(limit) + meanwhile;
        self.kind == "tbf" && u128::from(window) > room
    }

    /// A usual queue with room for all that a TCP connection sends at first (RFC 6928: ten segments), at whatever rate
    /// the link has. Of kinds whose options are not read the kernel's defaults are believed.
    pub fn is_roomy(&self) -> bool {
        match (self.kind.as_str(), self.limit) {
            ("pfifo", Some(QueueLimit::Packets(most))) => most >= 100,
            ("bfifo", Some(QueueLimit::Octets(most))) => most >= 150_000,
            ("noqueue" | "pfifo_fast" | "mq" | "fq_codel" | "fq" | "clsact" | "ingress", _) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Qdisc {
    /// As `tc qdisc` prints it: `tbf 8001: rate 64Kbit burst 1600b limit 3000b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:x}:", self.kind, self.handle >> 16)?;
        if let Some(Rate { octets_per_s, burst_octets }) = self.rate {
            write!(f, " rate {}bit burst {burst_octets}b", octets_per_s.saturating_mul(8))?;
        }
        match self.limit {
            Some(QueueLimit::Packets(most)) => write!(f, " limit {most}p"),
            Some(QueueLimit::Octets(most)) => write!(f, " limit {most}b"),
            None => Ok(()),
        }
    }
}

/// A filter of a link's packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcFilter {
    /// Whose packets it sees.
    pub side: TcSide,
    /// The kernel's word: `bpf`, `u32`, `flower`.
    pub kind: String,
    /// Its place among the others, `pref` in tc's words.
    pub priority: u16,
    /// The program, of a `bpf`.
    pub program: Option<TcProgram>,
    /// Kinds of the actions that it takes: `mirred`, `gact`.
    pub actions: Vec<String>,
}

/// Whose packets a filter sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TcSide {
    /// Of what comes in, after captures have seen it.
    Ingress,
    /// Of what leaves, before captures see it.
    Egress,
    /// Of what leaves, in the root queueing discipline, which asks it for a class.
    Root,
}

impl TcSide {
    /// To follow `tc filter show dev eth0`.
    pub fn word(self) -> &'static str {
        match self {
            TcSide::Ingress => "ingress",
            TcSide::Egress => "egress",
            TcSide::Root => "root",
        }
    }
}

/// A BPF program as a filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TcProgram {
    /// As who attached it called it.
    pub name: String,
    /// The kernel's number for it.
    pub id: Option<u32>,
    /// What it returns is done: `da` in tc's words.
    pub decides: bool,
}

/// Actions that change a packet or its marks, and let it pass (tc-actions(8)).
const PASSING: [&str; 8] = ["skbedit", "vlan", "csum", "sample", "skbmod", "connmark", "tunnel_key", "mpls"];

/// The action that drops what is over its rate, and lets everything else pass.
const BY_RATE: &str = "police";

impl TcFilter {
    /// It may drop any packet; one that only holds to a rate, as libvirt's outbound quota does, drops none that comes
    /// alone.
    pub fn decides(&self) -> bool {
        self.may_drop_but_by(&[BY_RATE])
    }

    /// It may drop packets, or lead them elsewhere: as far as its kind tells, for what it does is not read.
    pub fn may_drop(&self) -> bool {
        self.may_drop_but_by(&[])
    }

    /// The same, these actions left out of account.
    fn may_drop_but_by(&self, others: &[&str]) -> bool {
        let passes = |action: &str| PASSING.contains(&action) || others.contains(&action);
        if !self.actions.iter().all(|action| passes(action)) {
            return true;
        }
        match (self.kind.as_str(), &self.program) {
            ("bpf", Some(program)) => program.decides,
            // These only choose a class where no action is given.
            ("u32" | "flower" | "matchall" | "basic" | "fw" | "route" | "flow" | "cgroup", _) => false,
            _ => true,
        }
    }
}

impl fmt::Display for TcFilter {
    /// As `tc filter` prints it: `bpf prog.o:[cls] id 7 direct-action`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(TcProgram { name, id, decides }) = &self.program {
            if !name.is_empty() {
                write!(f, " {name}")?;
            }
            if let Some(id) = id {
                write!(f, " id {id}")?;
            }
            if *decides {
                f.write_str(" direct-action")?;
            }
        }
        self.actions.iter().try_for_each(|action| write!(f, " action {action}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qdisc(kind: &str, limit: Option<QueueLimit>, rate: Option<Rate>) -> Qdisc {
        Qdisc { kind: kind.to_owned(), limit, rate, ..Qdisc::default() }
    }

    #[test]
    fn what_never_passes_is_told_by_kind_limit_and_burst() {
        let small = Rate { octets_per_s: 8000, burst_octets: 1600 };
        for (qdisc, refused) in [
            (qdisc("pfifo", Some(QueueLimit::Packets(0)), None), [true, true]),
            (qdisc("pfifo", Some(QueueLimit::Packets(1)), None), [false, false]),
            (qdisc("bfifo", Some(QueueLimit::Octets(500)), None), [false, true]),
            (qdisc("blackhole", None, None), [true, true]),
            (qdisc("tbf", Some(QueueLimit::Octets(3000)), Some(small)), [false, false]),
            (qdisc("tbf", Some(QueueLimit::Octets(300)), Some(small)), [false, true]),
            (qdisc("tbf", None, Some(Rate { burst_octets: 500, ..small })), [false, true]),
            (qdisc("fq_codel", Some(QueueLimit::Packets(0)), None), [false, false]),
        ] {
            assert_eq!([98, 1514].map(|octets| qdisc.refuses(octets)), refused, "{qdisc}");
        }
    }

    #[test]
    fn a_bucket_loses_some_of_ten_frames_where_neither_burst_nor_limit_nor_rate_makes_room() {
        let tbf = |octets_per_s, burst_octets, limit| {
            qdisc("tbf", Some(QueueLimit::Octets(limit)), Some(Rate { octets_per_s, burst_octets }))
        };
        for (qdisc, lost) in [
            (tbf(8000, 1600, 3000), true),
            (tbf(8000, 1600, 13_530), true),
            (tbf(8000, 1600, 13_540), false),
            (tbf(8000, 15_140, 0), false),
            (tbf(12_500_000, 1600, 3000), false),
            (tbf(u64::MAX, u64::MAX, u32::MAX), false),
            (qdisc("bfifo", Some(QueueLimit::Octets(3000)), None), false),
            (qdisc("pfifo", Some(QueueLimit::Packets(1)), None), false),
            (qdisc("tbf", None, Some(Rate { octets_per_s: 8000, burst_octets: 1600 })), false),
        ] {
            assert_eq!(qdisc.loses_first_window(1514), lost, "{qdisc}");
        }
    }

    #[test]
    fn a_filter_that_only_chooses_a_class_drops_nothing() {
        let filter = |kind: &str, decides: Option<bool>, actions: &[&str]| TcFilter {
            side: TcSide::Ingress,
            kind: kind.to_owned(),
            priority: 1,
            program: decides.map(|decides| TcProgram { decides, ..TcProgram::default() }),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        };
        assert!(filter("bpf", Some(true), &[]).may_drop());
        assert!(!filter("bpf", Some(false), &[]).may_drop());
        assert!(filter("u32", None, &["mirred"]).may_drop());
        assert!(!filter("u32", None, &[]).may_drop());
        assert!(filter("of-tomorrow", None, &[]).may_drop());
        let quota = filter("u32", None, &["police"]);
        assert!(quota.may_drop() && !quota.decides());
        assert!(filter("u32", None, &["police", "mirred"]).decides());
    }
}
