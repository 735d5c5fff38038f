//! How large a packet may be: echo requests of several sizes at once that nobody may fragment, the largest that
//! lives and the smallest that dies, and whether the one who drops it says so.
//!
//! [`sized`] tells of each size what became of it, [`PathSizes::conclude`] what they say together. A stretch where
//! large packets die in silence is what hangs ssh after its greeting.
//!
//! Only the way there is measured: Linux lets its replies be fragmented (net/ipv4/icmp.c `icmp_init`). IPv4
//! only. An error about size makes the asking namespace's kernel remember the path's MTU for that destination, as
//! any packet's would, for ten minutes: our own raw socket is what it does so for (net/ipv4/raw.c `raw_err`,
//! `ipv4_sk_update_pmtu`). Nothing else stays.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::icmp_error::IcmpError;
use crate::raw_echo::{self, Heard, PACKET_BYTES_MIN};
use crate::socket::{AskError, Asker, NotSent, SentAt, Took};

/// No more sizes than this are tried at once; those beyond are left out.
const SIZES_MAX: usize = 16;
/// Linux's default for what it sends.
const TTL: u8 = 64;

/// What became of each size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSizes {
    /// By size, ascending, each once.
    pub probes: Vec<SizedProbe>,
}

/// What became of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizedProbe {
    /// The IP packet's length in bytes.
    pub packet_bytes: u16,
    /// What became of it.
    pub outcome: SizedOutcome,
    /// Until that was known; `None` for silence and what was never sent.
    pub took: Option<Took>,
}

/// What can become of a packet of some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SizedOutcome {
    /// It was answered.
    Lived,
    /// A router could not pass it on whole, and says how large it may be if it knows.
    TooBig(IcmpError),
    /// Another error came back: not about its size.
    Unreachable(IcmpError),
    /// Our own stack did not send it; [`NotSent::TooBig`] is the link that it would leave by.
    NotSent(NotSent),
    /// Nobody said anything.
    Silent,
}

/// What the sizes say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMtu {
    /// All of them lived; this is the largest, in bytes.
    AtLeast(u16),
    /// Sizes up to one live, and from another one on they die.
    Between {
        /// The largest that lives, in bytes.
        lives: u16,
        /// The smallest beyond it, which dies, in bytes.
        dies: u16,
        /// Who drops it, and whether they say so.
        limit: Limit,
    },
    /// None lived, and the smallest died of its size: smaller ones than were tried may live.
    Below {
        /// The smallest that was tried, in bytes.
        dies: u16,
        /// Who drops it: [`Limit::OwnLink`] or [`Limit::Told`].
        limit: Limit,
    },
    /// None lived, and nobody says that the smallest is too large: size is not known to be what is wrong. Or none
    /// was tried.
    NothingLives,
}

/// What keeps large packets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The link that they would leave by.
    OwnLink,
    /// A router that says so: senders learn of it.
    Told(IcmpError),
    /// Somebody who says nothing, or whose word is dropped: senders go on sending what never arrives.
    Silence,
    /// Something else that came with the larger one: an error not about size, a rule of our own machine.
    Other,
}

impl PathSizes {
    /// The limit between what lives and what dies. A size that lives above one that dies is a packet lost by
    /// accident: it counts for all below it.
    pub fn conclude(&self) -> PathMtu {
        let lived = self.probes.iter().rposition(|probe| probe.outcome == SizedOutcome::Lived);
        let Some((at, largest)) = lived.and_then(|at| Some((at, self.probes.get(at)?))) else {
            return self.conclude_of_the_dead();
        };
        let Some(dead) = self.probes.get(at + 1) else { return PathMtu::AtLeast(largest.packet_bytes) };
        let limit = limit(&dead.outcome);
        PathMtu::Between { lives: largest.packet_bytes, dies: dead.packet_bytes, limit }
    }

    /// What the smallest says where none lived.
    fn conclude_of_the_dead(&self) -> PathMtu {
        let Some(smallest) = self.probes.first() else { return PathMtu::NothingLives };
        match limit(&smallest.outcome) {
            limit @ (Limit::OwnLink | Limit::Told(_)) => {
                PathMtu::Below { dies: smallest.packet_bytes, limit }
            }
            Limit::Silence | Limit::Other => PathMtu::NothingLives,
        }
    }
}

fn limit(dead: &SizedOutcome) -> Limit {
    match dead {
        SizedOutcome::TooBig(error) => Limit::Told(*error),
        SizedOutcome::NotSent(NotSent::TooBig) => Limit::OwnLink,
        SizedOutcome::Silent => Limit::Silence,
        SizedOutcome::Unreachable(_) | SizedOutcome::NotSent(_) | SizedOutcome::Lived => Limit::Other,
    }
}

/// Sends one request of each size, smallest first, by this identifier or one of its own and numbered from 0, and
/// gathers what is said of them, until all is known or the time is up. Once one was answered, the others are given
/// ten times as long as that took, and no less than 200 ms. Sizes are IP packets' lengths in bytes, raised to the 44
/// that our mark takes.
pub fn sized(
    asker: &Asker<'_>,
    (to, id): (Ipv4Addr, Option<u16>),
    sizes: &[u16],
    timeout: Duration,
) -> Result<PathSizes, AskError> {
    let mut sizes: Vec<u16> = sizes.iter().map(|size| (*size).max(PACKET_BYTES_MIN)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.truncate(SIZES_MAX);
    let mut socket = match raw_echo::open(asker, to, id)? {
        Ok(socket) => socket,
        Err(why) => {
            let outcome = SizedOutcome::NotSent(why);
            let unsent = |packet_bytes| SizedProbe { packet_bytes, outcome: outcome.clone(), took: None };
            return Ok(PathSizes { probes: sizes.into_iter().map(unsent).collect() });
        }
    };
    let mut probes = Vec::new();
    let mut sent = Vec::new();
    for (packet_bytes, sequence) in sizes.into_iter().zip(0..) {
        sent.push(SentAt::now());
        let outcome = match socket.send(sequence, TTL, packet_bytes) {
            Ok(()) => SizedOutcome::Silent,
            Err(why) => SizedOutcome::NotSent(why),
        };
        probes.push(SizedProbe { packet_bytes, outcome, took: None });
    }
    let mut deadline = Instant::now() + timeout;
    let mut is_first = true;
    while probes.iter().any(|probe| probe.outcome == SizedOutcome::Silent) {
        let (sequence, outcome, stamped) =
            match socket.next(deadline).map_err(asker.failed("read what came of the sizes"))? {
                Heard::Nothing => break,
                Heard::Reply { sequence, stamped, from: _ } => (sequence, SizedOutcome::Lived, stamped),
                Heard::Error { sequence, error, stamped, quoted: _ } => (sequence, told(error), stamped),
            };
        let at = usize::from(sequence);
        let (Some(probe), Some(sent)) = (probes.get_mut(at), sent.get(at)) else { continue };
        if probe.outcome == SizedOutcome::Silent {
            let took = sent.until(stamped);
            if outcome == SizedOutcome::Lived && is_first {
                is_first = false;
                deadline = raw_echo::rest_deadline(took.duration, deadline);
            }
            (probe.outcome, probe.took) = (outcome, Some(took));
        }
    }
    Ok(PathSizes { probes })
}

/// Fragmentation needed is type 3, code 4 (RFC 792).
fn told(error: IcmpError) -> SizedOutcome {
    if (error.kind, error.code) == (3, 4) {
        SizedOutcome::TooBig(error)
    } else {
        SizedOutcome::Unreachable(error)
    }
}
