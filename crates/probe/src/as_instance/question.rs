//! One question as the instance that is no ping: for an address by DHCP, for a name by DNS, for a connection by TCP.
//!
//! What the instance itself says to the answer is its own affair: as a rule its stack resets the connection that it
//! never asked for and refuses the datagram, and its DHCP client passes over another transaction's OFFER. Its firewall
//! may drop a SYN's answer in silence, and the service would wait for the rest of a handshake: the reset is ours, too.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use etherparse::{
    Icmpv4Slice, Icmpv4Type, IpHeaders, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket,
    TransportSlice, ip_number,
};
use model::Mac;
use model::probe::{Asked, ProbeResult};

use super::heard::{ANSWERS_MAX, Heard};
use super::nic::{self, Nic, Seen};
use super::{AsInstanceError, Asks, Plan, Target};
use crate::dhcp::{self, Client};
use crate::dns::{DnsQuery, Reading, Strays, read_answer};
use crate::icmp;

/// Between two tries: what the kernel waits before it sends a SYN again (`TCP_TIMEOUT_INIT`), and resolvers less.
const AGAIN: Duration = Duration::from_secs(1);
const TCP_WINDOW: u16 = 64240;

/// What is asked, and by what the answer is known.
enum Ask {
    Address { client: Client, heard: Heard },
    Name { query: DnsQuery, read: Option<Reading>, others: Vec<IpAddr>, strays: Strays },
    Connection { port: u16, sequence: u32, accepted: Option<bool>, is_reset: bool },
}

/// One question.
pub(super) struct Question<'p> {
    plan: &'p Plan,
    pub(super) target: &'p Target,
    /// Source and destination.
    ends: (Ipv4Addr, Ipv4Addr),
    ask: Ask,
    frame: Vec<u8>,
    /// What is sent where that is not answered.
    again: Vec<u8>,
    sent: u32,
    next_at: Option<Instant>,
    came_ns: Option<u64>,
    answered_ns: Option<u64>,
    answered_at: Option<Instant>,
    reply_ttl: Option<u8>,
    errors: Vec<(IpAddr, String)>,
}

impl<'p> Question<'p> {
    /// What a target is asked for; `None` where that is an echo, a name that cannot be asked for, or over IPv6, where
    /// nothing else is asked.
    pub(super) fn of(plan: &'p Plan, target: &'p Target) -> Option<Question<'p>> {
        let (IpAddr::V4(source), IpAddr::V4(to)) = (target.source, target.to) else { return None };
        let ask = match &target.asks {
            Asks::Echo(_) => return None,
            Asks::Address => {
                let client = Client { mac: plan.sender.mac, transaction: super::transaction(target.id) };
                Ask::Address { client, heard: Heard::default() }
            }
            Asks::Name(question) => {
                let query = DnsQuery::new(question, target.id).ok()?;
                Ask::Name { query, read: None, others: Vec::new(), strays: Strays::default() }
            }
            Asks::Connection { port, then: _ } => {
                Ask::Connection { port: *port, sequence: target.id.into(), accepted: None, is_reset: false }
            }
        };
        Some(Question {
            plan,
            target,
            ends: (source, to),
            ask,
            frame: Vec::new(),
            again: Vec::new(),
            sent: 0,
            next_at: None,
            came_ns: None,
            answered_ns: None,
            answered_at: None,
            reply_ttl: None,
            errors: Vec::new(),
        })
    }

    /// Nothing that may still come would change the answer; of DHCP another server's is waited for so much longer.
    pub(super) fn is_settled(&self, now: Instant, second_server: Duration) -> bool {
        let heard_out = match self.ask {
            Ask::Address { .. } => second_server,
            Ask::Name { .. } | Ask::Connection { .. } => Duration::ZERO,
        };
        let is_heard_out = self.answered_at.is_some_and(|at| now >= at + heard_out);
        (is_heard_out || !self.errors.is_empty()) && !self.is_to_be_reset()
    }

    /// The service has answered our SYN, and waits.
    fn is_to_be_reset(&self) -> bool {
        match self.ask {
            Ask::Connection { accepted, is_reset, .. } => accepted == Some(true) && !is_reset,
            Ask::Address { .. } | Ask::Name { .. } => false,
        }
    }

    /// An answer has come.
    pub(super) fn is_answered(&self) -> bool {
        self.answered_at.is_some()
    }

    /// When something is to be done next, once its next hop is known; `None` where nothing is.
    pub(super) fn next_at(&self, now: Instant, second_server: Duration) -> Option<Instant> {
        if self.is_to_be_reset() {
            return Some(now);
        }
        if let Some(at) = self.answered_at {
            return (!self.is_settled(now, second_server)).then_some(at + second_server);
        }
        self.is_due_at(now)
    }

    /// When it is asked next, while nothing has answered.
    fn is_due_at(&self, now: Instant) -> Option<Instant> {
        let is_due = self.sent < self.plan.count && self.errors.is_empty();
        is_due.then(|| self.next_at.unwrap_or(now))
    }

    /// Asks, where it is time to, through the next hop; of DHCP, where there is none, everybody.
    pub(super) fn send(
        &mut self,
        nic: &mut Nic<'_>,
        next_hop: Mac,
        now: Instant,
    ) -> Result<(), AsInstanceError> {
        self.take_back(nic, next_hop)?;
        if self.answered_at.is_some() || self.is_due_at(now).is_none_or(|at| at > now) {
            return Ok(());
        }
        if self.sent == 0 {
            [self.frame, self.again] = self.frames(next_hop).unwrap_or_default();
        }
        nic.receive(if self.sent == 0 { &self.frame } else { &self.again })?;
        self.sent += 1;
        self.next_at = Some(now + AGAIN);
        Ok(())
    }

    /// Takes a connection back that was answered, at the number that the service expects next (RFC 9293, 3.10.7.4).
    pub(super) fn take_back(&mut self, nic: &mut Nic<'_>, next_hop: Mac) -> Result<(), AsInstanceError> {
        if !self.is_to_be_reset() {
            return Ok(());
        }
        let Ask::Connection { sequence, is_reset, .. } = &mut self.ask else { return Ok(()) };
        *is_reset = true;
        let next = sequence.wrapping_add(1);
        let tcp = self.ip(next_hop).tcp(self.target.own_port(), self.target.port(), next, 0).rst();
        let mut frame = Vec::new();
        if tcp.write(&mut frame, &[]).is_ok() {
            nic.receive(&frame)?;
        }
        Ok(())
    }

    /// The headers below the question's own.
    fn ip(&self, next_hop: Mac) -> PacketBuilderStep<IpHeaders> {
        let (source, to) = (self.ends.0.octets(), self.ends.1.octets());
        PacketBuilder::ethernet2(self.plan.sender.mac.0, next_hop.0).ipv4(source, to, self.plan.ttl)
    }

    /// What is sent first, and what is sent again. `None` for what a frame cannot hold, which nothing of ours is.
    fn frames(&self, next_hop: Mac) -> Option<[Vec<u8>; 2]> {
        let target = self.target;
        let ip = || self.ip(next_hop);
        let twice = |frame: Vec<u8>| [frame.clone(), frame];
        match &self.ask {
            Ask::Address { client, .. } => Some(twice(dhcp::discover_frame(client))),
            Ask::Name { query, .. } => {
                let frame = |message: Vec<u8>| {
                    let mut frame = Vec::new();
                    let udp = ip().udp(target.own_port(), target.port());
                    udp.write(&mut frame, &message).is_ok().then_some(frame)
                };
                let plain = frame(query.to_bytes().ok()?)?;
                // Once as dig asks, to whom failures are told, and once as programs do.
                let is_of_others = matches!(&target.asks, Asks::Name(question) if question.is_of_others());
                let first = if is_of_others { frame(query.to_bytes_as_dig().ok()?)? } else { plain.clone() };
                Some([first, plain])
            }
            Ask::Connection { sequence, .. } => {
                let mut frame = Vec::new();
                let tcp = ip().tcp(target.own_port(), target.port(), *sequence, TCP_WINDOW).syn();
                tcp.write(&mut frame, &[]).is_ok().then(|| twice(frame))
            }
        }
    }

    /// Notes an answer, an error, or that the question came in.
    pub(super) fn note(&mut self, seen: Seen<'_>, now: Instant) {
        if self.sent == 0 {
            return;
        }
        if seen.is_from_instance {
            if nic::is_same(&self.frame, seen.bytes) {
                self.came_ns.get_or_insert(seen.time_ns);
            }
            return;
        }
        if self.is_answered_by(seen.bytes) {
            self.answered_ns.get_or_insert(seen.time_ns);
            self.answered_at.get_or_insert(now);
        }
    }

    fn is_answered_by(&mut self, bytes: &[u8]) -> bool {
        if let Ask::Address { client, heard } = &mut self.ask {
            return heard.note(bytes, client);
        }
        let target = self.target;
        let Ok(packet) = SlicedPacket::from_ethernet(bytes) else { return false };
        let Some(NetSlice::Ipv4(ip)) = &packet.net else { return false };
        let header = ip.header();
        let (source, asked) = self.ends;
        if header.destination_addr() != source {
            return false;
        }
        let ours = |from: u16, to: u16| {
            header.source_addr() == asked && from == target.port() && to == target.own_port()
        };
        let answered = match (&packet.transport, &mut self.ask) {
            (Some(TransportSlice::Icmpv4(icmp)), _) => {
                let is_ours = quotes(icmp, target, asked);
                if let Some((kind, code)) = is_ours.filter(|_| self.errors.len() < ANSWERS_MAX) {
                    let from = IpAddr::V4(header.source_addr());
                    self.errors.push((from, icmp::describe(kind, code)));
                }
                false
            }
            (Some(TransportSlice::Udp(udp)), Ask::Name { query, read, strays, .. })
                if ours(udp.source_port(), udp.destination_port()) && read.is_none() =>
            {
                match read_answer(udp.payload(), query) {
                    Reading::WrongId => {
                        strays.wrong_id = strays.wrong_id.saturating_add(1);
                        false
                    }
                    Reading::WrongQuestion => {
                        strays.wrong_question = strays.wrong_question.saturating_add(1);
                        false
                    }
                    answer @ (Reading::Answer(_) | Reading::Truncated | Reading::Malformed(_)) => {
                        *read = Some(answer);
                        true
                    }
                }
            }
            (Some(TransportSlice::Udp(udp)), Ask::Name { query, read, others, strays })
                if (udp.source_port(), udp.destination_port()) == (target.port(), target.own_port())
                    && read.is_none() =>
            {
                strays.other_server = strays.other_server.saturating_add(1);
                let from = IpAddr::V4(header.source_addr());
                let is_answer = matches!(
                    read_answer(udp.payload(), query),
                    Reading::Answer(_) | Reading::Truncated | Reading::Malformed(_)
                );
                if from != target.to && is_answer && !others.contains(&from) && others.len() < ANSWERS_MAX {
                    others.push(from);
                }
                false
            }
            (Some(TransportSlice::Tcp(tcp)), Ask::Connection { sequence, accepted, .. })
                if ours(tcp.source_port(), tcp.destination_port())
                    && tcp.ack()
                    && tcp.acknowledgment_number() == sequence.wrapping_add(1) =>
            {
                *accepted = Some(tcp.syn() && !tcp.rst());
                true
            }
            _ => false,
        };
        if answered {
            self.reply_ttl = Some(header.ttl());
        }
        answered
    }

    /// A question of ours was seen to come in.
    pub(super) fn is_received(&self) -> bool {
        self.came_ns.is_some()
    }

    /// `silence` is why nothing was sent, where nothing was.
    pub(super) fn result(self, silence: Option<String>) -> ProbeResult {
        let took_ns = self.came_ns.zip(self.answered_ns).map(|(from, to)| to.saturating_sub(from));
        let mut received = u32::from(self.answered_ns.is_some());
        let mut errors = self.errors;
        let asked = match self.ask {
            Ask::Address { heard, .. } => {
                let (offers, unreadable) = heard.told();
                received = u32::try_from(offers.len()).unwrap_or(u32::MAX);
                Asked::Address { offers, unreadable }
            }
            Ask::Name { read, others, strays, .. } => {
                if read.is_none() {
                    // Who answers by another address than was asked: no resolver takes that.
                    let stray = |from| (from, "the answer, though it was not asked".to_owned());
                    errors.extend(others.into_iter().map(stray));
                }
                let question = match &self.target.asks {
                    Asks::Name(question) => question.to_string(),
                    Asks::Echo(_) | Asks::Address | Asks::Connection { .. } => String::new(),
                };
                let cut_short = matches!(read, Some(Reading::Truncated));
                let (answer, unreadable) = match read {
                    Some(Reading::Answer(answer)) => (Some(answer), None),
                    Some(Reading::Malformed(why)) => (None, Some(why)),
                    Some(Reading::Truncated) => {
                        (None, Some("it is cut short, and is had over TCP".to_owned()))
                    }
                    Some(Reading::WrongId | Reading::WrongQuestion) | None => (None, None),
                };
                Asked::Name {
                    question,
                    server_port: self.target.port(),
                    over_tcp: false,
                    cut_short,
                    answer,
                    unreadable,
                    strays,
                }
            }
            Ask::Connection { port, accepted, .. } => {
                Asked::Connection { port, accepted: accepted == Some(true), page: None, greeting: None }
            }
        };
        ProbeResult {
            from: self.plan.sender.name.clone(),
            by_host: true,
            to: self.target.to,
            asked,
            sent: self.sent,
            received,
            reply_ttl: self.reply_ttl,
            rtt_us: took_ns.map(|ns| ns / 1000),
            errors,
            send_error: silence.filter(|_| self.sent == 0),
            recorded: None,
        }
    }
}

/// Type and code of an error that quotes our question: an IPv4 header and at least the ports (RFC 792).
fn quotes(icmp: &Icmpv4Slice<'_>, target: &Target, asked: Ipv4Addr) -> Option<(u8, u8)> {
    match icmp.icmp_type() {
        Icmpv4Type::DestinationUnreachable(_) | Icmpv4Type::TimeExceeded(_) => {}
        _ => return None,
    }
    let quoted = icmp.payload();
    let header_bytes = usize::from(quoted.first()? & 0x0f) * 4;
    let protocol = match target.asks {
        Asks::Name(_) => ip_number::UDP.0,
        Asks::Connection { .. } => ip_number::TCP.0,
        Asks::Echo(_) | Asks::Address => return None,
    };
    let to = quoted.get(16..)?.first_chunk::<4>()?;
    let ports = quoted.get(header_bytes..)?.first_chunk::<4>()?;
    let [a, b] = target.own_port().to_be_bytes();
    let [c, d] = target.port().to_be_bytes();
    let is_ours = *quoted.get(9)? == protocol && *to == asked.octets() && *ports == [a, b, c, d];
    is_ours.then(|| (icmp.type_u8(), icmp.code_u8()))
}
