//! One ping as the instance: its requests, once its next hop is known, and what leaves for the instance in answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use model::Mac;
use model::probe::{Asked, ProbeResult};

use super::frame::{self, Carried, Ip};
use super::nic::{self, Nic, Seen};
use super::{AsInstanceError, Plan, Target};
use crate::echo::{self, EchoSize};
use crate::icmp::{self, Echo, Message};
use crate::{icmp6, mark};

/// How much longer than the answer of who is behind them others are waited for, and how long at least.
const OTHERS_TIMES: u32 = 10;
const OTHERS_MIN: Duration = Duration::from_millis(300);
/// The first settles it; whoever sends more floods.
const ERRORS_MAX: usize = 8;

/// A request: the frame, and when it came in and was answered by the kernel's clock.
struct Request {
    frame: Vec<u8>,
    came_ns: Option<u64>,
    answered_ns: Option<u64>,
}

/// One ping.
pub(super) struct Ping<'p> {
    plan: &'p Plan,
    pub(super) target: Target,
    size: EchoSize,
    id: u16,
    mark: [u8; mark::BYTES],
    /// When the first request was sent, and the last one.
    started: Option<Instant>,
    last_at: Option<Instant>,
    /// How long the first answer took.
    first_took: Option<Duration>,
    /// By sequence number.
    requests: BTreeMap<u16, Request>,
    reply_ttl: Option<u8>,
    errors: Vec<(IpAddr, String)>,
}

impl<'p> Ping<'p> {
    pub(super) fn new(plan: &'p Plan, target: Target, size: EchoSize) -> Ping<'p> {
        let (mark, _) = mark::draw((target.to, &plan.sender.name));
        let (requests, errors) = (BTreeMap::new(), Vec::new());
        let id = target.id;
        let (started, last_at, first_took) = (None, None, None);
        Ping { plan, target, size, id, mark, started, last_at, first_took, requests, reply_ttl: None, errors }
    }

    /// Nothing that may still come would change the answer.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let is_answered = |request: &Request| request.answered_ns.is_some();
        let all_answered = self.sent() >= self.plan.count && self.requests.values().all(is_answered);
        let is_over = self.rest_until().is_some_and(|until| now >= until);
        all_answered || is_over || self.is_told() || !self.errors.is_empty()
    }

    /// When to give up on the rest; `None` where nothing was answered, or not all is sent.
    pub(super) fn rest_until(&self) -> Option<Instant> {
        let last = self.last_at.filter(|_| self.sent() >= self.plan.count)?;
        Some(last + echo::rest(self.first_took?))
    }

    /// How long those are waited for whom this one passes, where it was answered.
    pub(super) fn others_until(&self) -> Option<Instant> {
        Some(self.started? + (self.first_took? * OTHERS_TIMES).max(OTHERS_MIN))
    }

    /// A reply has come.
    pub(super) fn is_answered(&self) -> bool {
        self.reply_ttl.is_some()
    }

    /// What became of packets of this length is known by the first answer, unless all go at once: then it counts how
    /// many live.
    fn is_told(&self) -> bool {
        self.size.whole && self.is_answered() && !self.plan.interval.is_zero()
    }

    fn sent(&self) -> u32 {
        u32::try_from(self.requests.len()).unwrap_or(u32::MAX)
    }

    /// When the next request is due, once its next hop is known; `None` where none is.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        let is_due = self.sent() < self.plan.count && !self.is_told() && self.errors.is_empty();
        is_due.then(|| self.started.map_or(now, |started| started + self.plan.interval * self.sent()))
    }

    /// Sends the requests through its next hop that it is time for.
    pub(super) fn send(
        &mut self,
        nic: &mut Nic<'_>,
        next_hop: Mac,
        now: Instant,
    ) -> Result<(), AsInstanceError> {
        while self.next_at(now).is_some_and(|at| at <= now) {
            self.send_one(nic, next_hop, now)?;
        }
        Ok(())
    }

    fn send_one(&mut self, nic: &mut Nic<'_>, next_hop: Mac, now: Instant) -> Result<(), AsInstanceError> {
        let sequence = u16::try_from(self.sent() + 1).unwrap_or(u16::MAX);
        let asks = Echo { id: self.id, sequence };
        let (own, ttl) = (self.plan.sender.mac, self.plan.ttl);
        let frame = match (self.target.source, self.target.to) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ip = Ip { source, destination, ttl };
                frame::icmp(next_hop, own, ip, &icmp::request(asks, &self.size.payload(self.mark)))
            }
            (IpAddr::V6(source), IpAddr::V6(to)) => {
                let payload = self.size.payload_behind(echo::V6_HEADER_BYTES, self.mark);
                frame::icmp6((next_hop, own), (source, to), ttl, &icmp6::request(asks, &payload))
            }
            // What the guard lets nobody ask.
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        };
        nic.receive(&frame)?;
        self.started.get_or_insert(now);
        self.last_at = Some(now);
        self.requests.insert(sequence, Request { frame, came_ns: None, answered_ns: None });
        Ok(())
    }

    /// Notes a reply, an error, or that a request came in.
    pub(super) fn note(&mut self, seen: Seen<'_>) {
        if seen.is_from_instance {
            let same = |request: &&mut Request| nic::is_same(&request.frame, seen.bytes);
            if let Some(request) = self.requests.values_mut().find(same) {
                request.came_ns.get_or_insert(seen.time_ns);
            }
            return;
        }
        let Some(frame) = frame::read(seen.bytes) else { return };
        let (destination, said) = match frame.carried {
            Carried::Ipv4 { source: _, destination, packet } => {
                (IpAddr::V4(destination), icmp::parse(packet))
            }
            Carried::Icmp6 { source, destination, hop_limit, message } => {
                (IpAddr::V6(destination), icmp6::parse(source, Some(hop_limit), message))
            }
            Carried::Arp(_) => return,
        };
        if destination != self.target.source || !self.plan.is_to_sender(frame.destination) {
            return;
        }
        match said {
            Some(Message::Reply { ttl, echo, payload })
                if echo.id == self.id && payload.starts_with(&self.mark) =>
            {
                if let Some(request) = self.requests.get_mut(&echo.sequence) {
                    let answered_ns = *request.answered_ns.get_or_insert(seen.time_ns);
                    let took = request.came_ns.map(|came| answered_ns.saturating_sub(came));
                    self.first_took.get_or_insert(Duration::from_nanos(took.unwrap_or_default()));
                    self.reply_ttl = ttl;
                }
            }
            Some(Message::Error { error, quoted })
                if quoted.echo.id == self.id
                    && quoted.to == self.target.to
                    && self.errors.len() < ERRORS_MAX =>
            {
                self.errors.push((error.from, error.meaning()));
            }
            Some(Message::Reply { .. } | Message::Error { .. }) | None => {}
        }
    }

    /// A request of ours was seen to come in.
    pub(super) fn is_received(&self) -> bool {
        self.requests.values().any(|request| request.came_ns.is_some())
    }

    /// `silence` is why nothing was sent, where nothing was.
    pub(super) fn result(&self, silence: Option<String>) -> ProbeResult {
        let times = self.requests.values().filter_map(|request| {
            let ns = request.answered_ns?.saturating_sub(request.came_ns?);
            Some(ns / 1000)
        });
        let mut rtts_us: Vec<u64> = times.collect();
        rtts_us.sort_unstable();
        let received = self.requests.values().filter(|request| request.answered_ns.is_some()).count();
        ProbeResult {
            from: self.plan.sender.name.clone(),
            by_host: true,
            to: self.target.to,
            asked: Asked::Echo { octets: self.size.octets() },
            sent: self.sent(),
            received: u32::try_from(received).unwrap_or(u32::MAX),
            reply_ttl: self.reply_ttl,
            rtt_us: rtts_us.get(rtts_us.len() / 2).copied(),
            errors: self.errors.clone(),
            send_error: silence.filter(|_| self.requests.is_empty()),
            recorded: None,
        }
    }
}
