//! Asking for a neighbour by ARP, or neighbour solicitation, as the instance would: until somebody answers, and
//! hearing all who do.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use model::Mac;

use super::guard::ASKED_MAX;
use super::nic::{self, Nic, Seen};
use super::{AsInstanceError, NeighbourResult, Sender, Target};
use crate::neighbour::solicit;
use crate::{arp, ethernet};

/// Between two questions: as the kernel's (`retrans_time_ms`, arp(7)).
const AGAIN: Duration = Duration::from_secs(1);

/// Two are one too many; whoever sends more floods.
const MACS_MAX: usize = 8;

/// One neighbour that is asked for.
pub(super) struct Neighbour<'s> {
    sender: &'s Sender,
    source: IpAddr,
    asked: IpAddr,
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
    pub(super) fn address(&self) -> IpAddr {
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
            let own = self.sender.mac;
            let question = match (self.source, self.asked) {
                (IpAddr::V4(source), IpAddr::V4(asked)) => {
                    arp::who_has(alone.unwrap_or(Mac::BROADCAST), own, source, asked)
                }
                (IpAddr::V6(source), IpAddr::V6(asked)) => {
                    let to = alone.unwrap_or_else(|| solicit::group_mac(asked));
                    solicit::who_has(to, own, source, asked)
                }
                // Nobody has neighbours of the other family.
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
            };
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
        let Some(mac) = self.answer(seen.bytes) else { return };
        if !self.macs.contains(&mac) && self.macs.len() < MACS_MAX {
            self.answered_ns.get_or_insert(seen.time_ns);
            self.macs.push(mac);
        }
    }

    /// The MAC that a frame for the instance says the neighbour has. An address that two machines have is also told of
    /// by a question from it; only answers are counted, since those are what the instance would follow.
    fn answer(&self, bytes: &[u8]) -> Option<Mac> {
        let frame = ethernet::read(bytes).filter(|frame| frame.destination == self.sender.mac)?;
        match (self.source, self.asked) {
            (IpAddr::V4(source), IpAddr::V4(asked)) if frame.ether_type == arp::ETHER_TYPE => {
                let arp = arp::read(frame.payload)?;
                let is_answer = !arp.is_request && arp.sender == asked && arp.target == source;
                is_answer.then_some(arp.sender_mac)
            }
            (IpAddr::V6(source), IpAddr::V6(asked)) => {
                solicit::answer(bytes, source, asked).map(|(mac, _)| mac)
            }
            (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
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
        let Neighbour { asked, source, sent, .. } = self;
        match asked {
            IpAddr::V4(_) => format!("nobody answers ARP who has {asked} tell {source}, asked {sent} times"),
            IpAddr::V6(_) => {
                format!(
                    "nobody answers the neighbour solicitation for {asked} from {source}, asked {sent} times"
                )
            }
        }
    }
}
