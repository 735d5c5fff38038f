//! Asking for a neighbour by ARP as the instance would: until somebody answers, and hearing all who do.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::Mac;

use super::frame::{self, Carried};
use super::guard::ASKED_MAX;
use super::nic::{self, Nic, Seen};
use super::{AsInstanceError, NeighbourResult, Sender, Target};
use crate::arp;

/// Between two questions: as the kernel's (`retrans_time_ms`, arp(7)).
const AGAIN: Duration = Duration::from_secs(1);

/// Two are one too many; whoever sends more floods.
const MACS_MAX: usize = 8;

/// One neighbour that is asked for.
pub(super) struct Neighbour<'s> {
    sender: &'s Sender,
    source: Ipv4Addr,
    asked: Ipv4Addr,
    /// Whom to ask alone first.
    expected: Option<Mac>,
    /// The first question.
    question: Vec<u8>,
    sent: u32,
    next_at: Instant,
    asked_ns: Option<u64>,
    answered_ns: Option<u64>,
    macs: Vec<Mac>,
}

impl<'s> Neighbour<'s> {
    /// Who is the next hop of a target.
    pub(super) fn of(sender: &'s Sender, target: &Target, now: Instant) -> Neighbour<'s> {
        Neighbour {
            sender,
            source: target.source,
            asked: target.next_hop,
            expected: target.next_hop_mac,
            question: Vec::new(),
            sent: 0,
            next_at: now,
            asked_ns: None,
            answered_ns: None,
            macs: Vec::new(),
        }
    }

    /// Whose neighbour it is.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.asked
    }

    /// Who answered first.
    pub(super) fn mac(&self) -> Option<Mac> {
        self.macs.first().copied()
    }

    /// Nobody has answered, and the last question is long enough ago.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        self.macs.is_empty() && self.sent >= ASKED_MAX && now >= self.next_at
    }

    /// When something is to be done next; `None` where nothing is.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        (self.macs.is_empty() && !self.is_given_up(now)).then_some(self.next_at)
    }

    /// Asks, where it is time to.
    pub(super) fn send(&mut self, nic: &mut Nic<'_>, now: Instant) -> Result<(), AsInstanceError> {
        if self.macs.is_empty() && self.sent < ASKED_MAX && now >= self.next_at {
            let alone = self.expected.filter(|_| self.sent == 0);
            let to = alone.unwrap_or(Mac::BROADCAST);
            let question = arp::who_has(to, self.sender.mac, self.source, self.asked);
            nic.receive(&question)?;
            if self.sent == 0 {
                self.question = question;
            }
            self.sent += 1;
            self.next_at = now + AGAIN;
        }
        Ok(())
    }

    /// Notes an answer, or that a question came in.
    pub(super) fn note(&mut self, seen: Seen<'_>) {
        if seen.is_from_instance {
            if self.asked_ns.is_none() && self.sent > 0 && nic::is_same(&self.question, seen.bytes) {
                self.asked_ns = Some(seen.time_ns);
            }
            return;
        }
        let Some(frame) = frame::read(seen.bytes) else { return };
        let Carried::Arp(arp) = frame.carried else { return };
        // An address that two machines have is also told of by a question from it; only answers are counted, since
        // those are what the instance would follow.
        let is_answer = !arp.is_request && arp.sender == self.asked && arp.target == self.source;
        let is_new = !self.macs.contains(&arp.sender_mac) && self.macs.len() < MACS_MAX;
        if is_answer && frame.destination == self.sender.mac && is_new {
            self.answered_ns.get_or_insert(seen.time_ns);
            self.macs.push(arp.sender_mac);
        }
    }

    /// A question of ours was seen to come in.
    pub(super) fn is_received(&self) -> bool {
        self.asked_ns.is_some()
    }

    pub(super) fn result(&self) -> NeighbourResult {
        let took_ns = self.asked_ns.zip(self.answered_ns).map(|(from, to)| to.saturating_sub(from));
        NeighbourResult {
            asked: self.asked,
            sent: self.sent,
            macs: self.macs.clone(),
            answered_us: took_ns.map(|ns| ns / 1000),
        }
    }

    /// Why nothing was sent through it.
    pub(super) fn silence(&self) -> String {
        format!("nobody answers ARP who has {} tell {}, asked {} times", self.asked, self.source, self.sent)
    }
}
