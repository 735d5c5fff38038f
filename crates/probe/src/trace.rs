//! Which routers a packet passes: echo requests with TTL 1, 2, 3, ... all in flight at once, and what each
//! machine on the way says of the one that it drops.
//!
//! A router quotes the request as it had it in hand: where the quoted addresses are others than were sent, NAT
//! lies before that hop and translates no errors back, see [`Trace::first_rewritten`].
//!
//! IPv4 only, as the echo is. Packets sent: as many as TTLs are tried, which is at most 64.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::icmp_error::IcmpError;
pub use crate::raw_echo::Quoted;
use crate::raw_echo::{self, Heard, PACKET_BYTES_MIN, RawEcho};
use crate::socket::{AskError, Asker, NotSent, SentAt, Took};

/// More hops than any path of ours has; traceroute(8) tries 30.
const TTL_MAX: u8 = 64;

/// What came of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Source that the requests bore; `None` where routing gave none, and nothing was sent.
    pub from: Option<Ipv4Addr>,
    /// Destination that they bore.
    pub to: Ipv4Addr,
    /// By TTL, from 1 to the one that ended it: the first that was answered or turned away; to the last one
    /// tried where none was.
    pub hops: Vec<Hop>,
}

/// What became of the request with one TTL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The TTL.
    pub ttl: u8,
    /// What became of it.
    pub outcome: HopOutcome,
    /// Until that was known; `None` for silence and what was never sent.
    pub took: Option<Took>,
}

/// What can become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HopOutcome {
    /// Its TTL ran out here.
    Passed {
        /// The router, by the address that it answers with.
        router: Ipv4Addr,
        /// The request as the router had it.
        quoted: Quoted,
    },
    /// It was answered. Another address than was asked is NAT that does not translate back.
    Reached {
        /// Who answered.
        from: Ipv4Addr,
    },
    /// It was turned away: no route, a rule that rejects, too large.
    TurnedAway {
        /// Who said so, and what.
        error: IcmpError,
        /// The request as they had it.
        quoted: Quoted,
    },
    /// Our own stack did not send it.
    NotSent(NotSent),
    /// Nobody said anything.
    Silent,
}

impl Trace {
    /// The first hop that had other addresses in hand than were sent: NAT lies before it.
    pub fn first_rewritten(&self) -> Option<&Hop> {
        self.hops.iter().find(|hop| match &hop.outcome {
            HopOutcome::Passed { quoted, .. } | HopOutcome::TurnedAway { quoted, .. } => {
                Some(quoted.from) != self.from || quoted.to != self.to
            }
            HopOutcome::Reached { .. } | HopOutcome::NotSent(_) | HopOutcome::Silent => false,
        })
    }
}

/// Sends all requests, by this identifier or one of its own, each with its TTL as sequence number, and gathers what
/// is said of them, until the way is known or the time is up. Once the end has answered, the silent ones before it
/// are given ten times as long as that took, and no less than 200 ms.
pub fn trace(
    asker: &Asker<'_>,
    (to, id): (Ipv4Addr, Option<u16>),
    ttl_max: u8,
    timeout: Duration,
) -> Result<Trace, AskError> {
    let ttl_max = ttl_max.clamp(1, TTL_MAX);
    let mut socket = match raw_echo::open(asker, to, id)? {
        Ok(socket) => socket,
        Err(why) => {
            let hop = Hop { ttl: 1, outcome: HopOutcome::NotSent(why), took: None };
            return Ok(Trace { from: None, to, hops: vec![hop] });
        }
    };
    let (mut hops, sent): (Vec<Hop>, Vec<SentAt>) = (1..=ttl_max).map(|ttl| send(&socket, ttl)).unzip();
    let mut deadline = Instant::now() + timeout;
    let mut is_ended = false;
    while !is_known(&hops) {
        let (sequence, outcome, stamped) =
            match socket.next(deadline).map_err(asker.failed("read what routers say"))? {
                Heard::Nothing => break,
                Heard::Reply { sequence, from, stamped } => (sequence, HopOutcome::Reached { from }, stamped),
                Heard::Error { sequence, error, quoted, stamped } => (sequence, told(error, quoted), stamped),
            };
        // The sequence number is the TTL. What is said twice is believed once.
        let Some(at) = usize::from(sequence).checked_sub(1) else { continue };
        let (Some(hop), Some(sent)) = (hops.get_mut(at), sent.get(at)) else { continue };
        if hop.outcome == HopOutcome::Silent {
            let took = sent.until(stamped);
            *hop = Hop { ttl: hop.ttl, outcome, took: Some(took) };
            if ends(&hop.outcome) && !is_ended {
                is_ended = true;
                deadline = raw_echo::rest_deadline(took.duration, deadline);
            }
        }
    }
    if let Some(end) = hops.iter().position(|hop| ends(&hop.outcome)) {
        hops.truncate(end + 1);
    }
    Ok(Trace { from: Some(socket.source), to, hops })
}

fn send(socket: &RawEcho, ttl: u8) -> (Hop, SentAt) {
    let sent = SentAt::now();
    let outcome = match socket.send(u16::from(ttl), ttl, PACKET_BYTES_MIN) {
        Ok(()) => HopOutcome::Silent,
        Err(why) => HopOutcome::NotSent(why),
    };
    (Hop { ttl, outcome, took: None }, sent)
}

/// Time exceeded is ICMP's type 11; anything else that comes back is about another fault.
fn told(error: IcmpError, quoted: Quoted) -> HopOutcome {
    match (error.kind, error.from) {
        (11, std::net::IpAddr::V4(router)) => HopOutcome::Passed { router, quoted },
        _ => HopOutcome::TurnedAway { error, quoted },
    }
}

/// Nothing lies behind it.
fn ends(outcome: &HopOutcome) -> bool {
    match outcome {
        HopOutcome::Reached { .. } | HopOutcome::TurnedAway { .. } | HopOutcome::NotSent(_) => true,
        HopOutcome::Passed { .. } | HopOutcome::Silent => false,
    }
}

/// Every hop up to the end has spoken.
fn is_known(hops: &[Hop]) -> bool {
    let spoken = hops.iter().take_while(|hop| hop.outcome != HopOutcome::Silent);
    let mut all = 0;
    for hop in spoken {
        if ends(&hop.outcome) {
            return true;
        }
        all += 1;
    }
    all == hops.len()
}
