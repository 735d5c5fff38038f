//! Ping: echo requests through a raw socket of a namespace, and all that comes back.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use model::probe::{Asked, ProbeResult};
use socket2::{Domain, Protocol, Socket, Type};
use sys::netns::{self, NetnsFd};
use sys::whole_packets;

use crate::icmp::{self, Echo, Message};
use crate::mark;
use crate::raw_echo::PACKET_BYTES_MIN;

/// The headers of IPv4, without options, and of an echo.
const HEADER_BYTES: u16 = 20 + 8;

/// How long the packets of an echo are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoSize {
    /// Their length in octets, the IPv4 header included.
    pub octets: u16,
    /// They are to arrive as they were sent or not at all: nobody may fragment them. Once one is answered all is known
    /// of their length, so that no further one is sent.
    pub whole: bool,
}

impl EchoSize {
    /// The length as it is sent: our mark takes 44.
    pub(crate) fn octets(self) -> u16 {
        self.octets.max(PACKET_BYTES_MIN)
    }

    /// What lies behind the headers.
    pub(crate) fn payload(self, mark: [u8; mark::BYTES]) -> Vec<u8> {
        let mut payload = mark.to_vec();
        payload.resize(usize::from(self.octets() - HEADER_BYTES), b'.');
        payload
    }
}

/// What to send, from where, and how long to wait.
#[derive(Debug)]
pub struct EchoPlan {
    /// Who sends, for the result: a host's or an instance's name.
    pub from: String,
    /// The namespace to send from.
    pub netns: NetnsFd,
    /// Source address; `None` for what the routing table gives.
    pub source: Option<Ipv4Addr>,
    /// Destination.
    pub to: Ipv4Addr,
    /// Requests to send.
    pub count: u32,
    /// Between two requests.
    pub interval: Duration,
    /// From the first request to giving up.
    pub timeout: Duration,
    /// TTL of the requests; `None` for the namespace's default.
    pub ttl: Option<u8>,
    /// Identifier of the requests, where somebody must know it beforehand; `None` for a random one.
    pub id: Option<u16>,
    /// How long the requests are, and whether they may be fragmented.
    pub size: EchoSize,
}

/// The probe itself could not be made; what the network does with it is a result, not an error.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The namespace could not be entered.
    #[error("cannot enter the network namespace of {from} to send from it")]
    Enter {
        /// Who was to send.
        from: String,
        /// Why.
        source: netns::NetnsError,
    },
    /// No raw socket was given.
    #[error(
        "cannot open a raw ICMP socket as {from}: {source}; it needs root or CAP_NET_RAW (or use --passive)"
    )]
    Open {
        /// Who was to send.
        from: String,
        /// Why.
        source: io::Error,
    },
    /// The source address, the TTL or what forbids fragments was refused.
    #[error("cannot set the {what} of the echo from {from}: {source}")]
    Configure {
        /// `source address 10.0.2.24`, `TTL`.
        what: String,
        /// Who was to send.
        from: String,
        /// Why.
        source: io::Error,
    },
    /// Reading the socket failed.
    #[error("cannot read answers to the echo from {from}: {source}")]
    Receive {
        /// Who sent.
        from: String,
        /// Why.
        source: io::Error,
    },
}

/// Sends the requests and gathers what comes back, until each is answered, an ICMP error or the
/// socket's own refusal settles it, or the time is up.
pub fn echo(plan: &EchoPlan) -> Result<ProbeResult, ProbeError> {
    echo_and_tell(plan, || ())
}

/// The same, and tells as soon as the first reply is there.
pub fn echo_and_tell(plan: &EchoPlan, answered: impl FnOnce()) -> Result<ProbeResult, ProbeError> {
    let socket = open(plan)?;
    let mut session = Session::new(plan);
    let deadline = session.started + plan.timeout;
    let mut answered = Some(answered);
    while !session.is_settled() {
        if !session.rtts_us.is_empty()
            && let Some(answered) = answered.take()
        {
            answered();
        }
        let now = Instant::now();
        if now >= deadline {
            break;
        }
        let next = session.next_at();
        if next.is_some_and(|at| at <= now) {
            session.send(&socket);
            continue;
        }
        let until = next.map_or(deadline, |at| at.min(deadline));
        session.receive(&socket, until - now)?;
    }
    if !session.rtts_us.is_empty()
        && let Some(answered) = answered.take()
    {
        answered();
    }
    Ok(session.result())
}

/// Opened inside, used from anywhere: a socket belongs to the namespace that it was made in.
fn open(plan: &EchoPlan) -> Result<Socket, ProbeError> {
    let from = || plan.from.clone();
    let made = netns::within(&plan.netns, || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)));
    let socket = made
        .map_err(|source| ProbeError::Enter { from: from(), source })?
        .map_err(|source| ProbeError::Open { from: from(), source })?;
    if let Some(address) = plan.source {
        socket.bind(&SocketAddrV4::new(address, 0).into()).map_err(|source| ProbeError::Configure {
            what: format!("source address {address}"),
            from: from(),
            source,
        })?;
    }
    if let Some(ttl) = plan.ttl {
        socket.set_ttl_v4(u32::from(ttl)).map_err(|source| ProbeError::Configure {
            what: "TTL".to_owned(),
            from: from(),
            source,
        })?;
    }
    if plan.size.whole {
        whole_packets::probe_path_mtu(&socket).map_err(|source| ProbeError::Configure {
            what: "ban on fragments".to_owned(),
            from: from(),
            source,
        })?;
    }
    Ok(socket)
}

/// One running ping.
struct Session<'a> {
    plan: &'a EchoPlan,
    id: u16,
    tag: [u8; mark::BYTES],
    payload: Vec<u8>,
    started: Instant,
    sent_at: BTreeMap<u16, Instant>,
    /// Round-trip times by sequence number; a duplicate reply is not counted twice.
    rtts_us: BTreeMap<u16, u64>,
    reply_ttl: Option<u8>,
    errors: Vec<(IpAddr, String)>,
    send_error: Option<String>,
}

impl<'a> Session<'a> {
    fn new(plan: &'a EchoPlan) -> Session<'a> {
        let (tag, random) = mark::draw((plan.to, &plan.from));
        let payload = plan.size.payload(tag);
        Session {
            plan,
            id: plan.id.unwrap_or(random),
            tag,
            payload,
            started: Instant::now(),
            sent_at: BTreeMap::new(),
            rtts_us: BTreeMap::new(),
            reply_ttl: None,
            errors: Vec::new(),
            send_error: None,
        }
    }

    /// Nothing that may still come would change the answer.
    fn is_settled(&self) -> bool {
        let all_answered = self.sent() >= self.plan.count && self.rtts_us.len() >= self.sent_at.len();
        let one_is_enough = self.plan.size.whole && !self.rtts_us.is_empty();
        all_answered || one_is_enough || !self.errors.is_empty() || self.send_error.is_some()
    }

    fn sent(&self) -> u32 {
        u32::try_from(self.sent_at.len()).unwrap_or(u32::MAX)
    }

    /// When the next request is due; `None` once all are sent.
    fn next_at(&self) -> Option<Instant> {
        let sent = self.sent();
        (sent < self.plan.count).then(|| self.started + self.plan.interval * sent)
    }

    fn send(&mut self, socket: &Socket) {
        let sequence = u16::try_from(self.sent() + 1).unwrap_or(u16::MAX);
        let request = icmp::request(Echo { id: self.id, sequence }, &self.payload);
        let now = Instant::now();
        match socket.send_to(&request, &SocketAddrV4::new(self.plan.to, 0).into()) {
            Ok(_) => {
                self.sent_at.insert(sequence, now);
            }
            // EPERM: a rule of OUTPUT or POSTROUTING dropped it; ENETUNREACH: no route (raw(7)).
            Err(error) => self.send_error = Some(error.to_string()),
        }
    }

    /// Waits for one packet, at most this long. A raw socket hears all ICMP of its namespace, so
    /// most of what comes may be others'.
    fn receive(&mut self, socket: &Socket, wait: Duration) -> Result<(), ProbeError> {
        let failed = |source| ProbeError::Receive { from: self.plan.from.clone(), source };
        // A zero timeout would mean none at all (SO_RCVTIMEO, socket(7)).
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).map_err(failed)?;
        let mut buffer = vec![0; 2048.max(self.payload.len() + 128)];
        let length = match (&mut &*socket).read(&mut buffer) {
            Ok(length) => length,
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                return Ok(());
            }
            Err(e) => return Err(failed(e)),
        };
        match icmp::parse(buffer.get(..length).unwrap_or_default()) {
            Some(Message::Reply { ttl, echo, payload })
                if echo.id == self.id && payload.starts_with(&self.tag) =>
            {
                if let Some(sent) = self.sent_at.get(&echo.sequence) {
                    let rtt_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.rtts_us.entry(echo.sequence).or_insert(rtt_us);
                    self.reply_ttl = Some(ttl);
                }
            }
            Some(Message::Error { from, kind, code, quoted_to, quoted })
                if quoted.id == self.id && quoted_to == self.plan.to =>
            {
                self.errors.push((IpAddr::V4(from), icmp::describe(kind, code)));
            }
            Some(Message::Reply { .. } | Message::Error { .. }) | None => {}
        }
        Ok(())
    }

    fn result(self) -> ProbeResult {
        let mut rtts_us: Vec<u64> = self.rtts_us.values().copied().collect();
        rtts_us.sort_unstable();
        ProbeResult {
            sent: self.sent(),
            from: self.plan.from.clone(),
            by_host: false,
            to: self.plan.to,
            asked: Asked::Echo { octets: self.plan.size.octets() },
            received: u32::try_from(rtts_us.len()).unwrap_or(u32::MAX),
            reply_ttl: self.reply_ttl,
            rtt_us: rtts_us.get(rtts_us.len() / 2).copied(),
            errors: self.errors,
            send_error: self.send_error,
        }
    }
}
