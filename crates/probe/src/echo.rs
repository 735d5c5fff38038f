//! Ping: echo requests of ICMP or ICMPv6 through a raw socket of a namespace, and all that comes back.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use socket2::Socket;
use sys::whole_packets;

use crate::icmp::{self, Echo, Message};
use crate::icmp_error::IcmpError;
use crate::icmp6;
use crate::mark;
use crate::raw_echo::PACKET_BYTES_MIN;
use crate::socket::{self, AskError, Asker, Came, NotSent, SentAt, Took};

/// The headers of IPv4, without options, and of an echo; those of IPv6 and of an echo.
const HEADER_BYTES: u16 = 20 + 8;
pub(crate) const V6_HEADER_BYTES: u16 = 40 + 8;

/// How much longer than the first answer took the others are waited for: so many times, and never less than this. It
/// has shown how far it is, and that neighbours are known.
const REST_TIMES: u32 = 10;
const REST_MIN: Duration = Duration::from_secs(1);

/// How long the rest is waited for, once the first answer took so long and all was sent.
pub(crate) fn rest(first: Duration) -> Duration {
    (first * REST_TIMES).max(REST_MIN)
}

/// How long the packets of an echo are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoSize {
    /// Their length in octets, the IP header included.
    pub octets: u16,
    /// They are to arrive as they were sent or not at all: nobody may fragment them. Once one is answered all is known
    /// of their length, so that no further one is sent.
    pub whole: bool,
}

impl EchoSize {
    /// The length as it is sent over IPv4: our mark takes 44.
    pub(crate) fn octets(self) -> u16 {
        self.octets.max(PACKET_BYTES_MIN)
    }

    /// What lies behind the headers of IPv4.
    pub(crate) fn payload(self, mark: [u8; mark::BYTES]) -> Vec<u8> {
        self.payload_behind(HEADER_BYTES, mark)
    }

    pub(crate) fn payload_behind(self, header_bytes: u16, mark: [u8; mark::BYTES]) -> Vec<u8> {
        let mut payload = mark.to_vec();
        payload.resize(usize::from(self.octets.saturating_sub(header_bytes)).max(mark::BYTES), b'.');
        payload
    }
}

/// What to send, and how long to wait.
#[derive(Debug, Clone)]
pub struct EchoPlan {
    /// Destination.
    pub to: IpAddr,
    /// Index of the link that a link-local IPv6 destination is on; 0 for any other destination.
    pub scope: u32,
    /// Requests to send; lowered to the 65535 that have a number of their own.
    pub count: u32,
    /// Between two requests; zero for all at once, of which each is waited for.
    pub interval: Duration,
    /// From the first request to giving up. Once one was answered and all are sent, the others are given ten times as
    /// long as that took, and no less than a second.
    pub timeout: Duration,
    /// TTL or hop limit of the requests; `None` for the namespace's default.
    pub ttl: Option<u8>,
    /// Identifier of the requests, where somebody must know it beforehand; `None` for a random one.
    pub id: Option<u16>,
    /// How long the requests are, and whether they may be fragmented. Raised to the 44 octets, of IPv6 64, that our
    /// mark takes.
    pub size: EchoSize,
}

/// What came of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoResult {
    /// How long they were in octets, the IP header included.
    pub octets: u16,
    /// Requests sent.
    pub sent: u32,
    /// One for each request that was answered, in the order of the requests.
    pub replies: Vec<Took>,
    /// TTL or hop limit of the last reply.
    pub reply_ttl: Option<u8>,
    /// What ICMP said of one of them; no more are sent then.
    pub error: Option<IcmpError>,
    /// Our own stack did not send one; no more are tried then.
    pub not_sent: Option<NotSent>,
}

impl EchoResult {
    /// The median of the round-trip times.
    pub fn median(&self) -> Option<Took> {
        let mut replies = self.replies.clone();
        replies.sort_unstable_by_key(|took| took.duration);
        replies.get(replies.len() / 2).copied()
    }
}

/// Sends the requests and gathers what comes back, until each is answered, an ICMP error or the
/// socket's own refusal settles it, or the time is up.
///
/// Errors: [`AskError`], also for a source address that is not the namespace's or of the other family, for a TTL of
/// 0, and for a link-local destination without its link.
pub fn echo(asker: &Asker<'_>, plan: &EchoPlan) -> Result<EchoResult, AskError> {
    echo_and_tell(asker, plan, || ())
}

/// The same, and tells as soon as the first reply is there.
pub fn echo_and_tell(
    asker: &Asker<'_>,
    plan: &EchoPlan,
    answered: impl FnOnce(),
) -> Result<EchoResult, AskError> {
    let mut session = Session::open(asker, plan)?;
    let end = session.started + plan.timeout;
    let mut answered = Some(answered);
    while !session.is_settled() {
        let now = Instant::now();
        let deadline = session.rest_until().map_or(end, |rest| rest.min(end));
        if now >= deadline {
            break;
        }
        let next = session.next_at();
        if next.is_some_and(|at| at <= now) {
            session.send();
            continue;
        }
        let until = next.map_or(deadline, |at| at.min(deadline));
        session.receive(until).map_err(asker.failed("read what came of an echo"))?;
        if !session.replies.is_empty()
            && let Some(answered) = answered.take()
        {
            answered();
        }
    }
    Ok(session.result())
}

/// One running ping.
struct Session<'a> {
    plan: &'a EchoPlan,
    to: SocketAddr,
    socket: Socket,
    id: u16,
    mark: [u8; mark::BYTES],
    octets: u16,
    payload: Vec<u8>,
    buffer: Vec<u8>,
    started: Instant,
    /// By sequence number.
    sent_at: BTreeMap<u16, SentAt>,
    /// When the last one was sent.
    last_at: Option<Instant>,
    /// By sequence number; a duplicate reply is not counted twice.
    replies: BTreeMap<u16, Took>,
    reply_ttl: Option<u8>,
    error: Option<IcmpError>,
    not_sent: Option<NotSent>,
}

impl<'a> Session<'a> {
    fn open(asker: &Asker<'_>, plan: &'a EchoPlan) -> Result<Session<'a>, AskError> {
        let to = match plan.to {
            IpAddr::V4(to) => SocketAddr::new(to.into(), 0),
            // The kernel would say EINVAL, as it does of a blackhole.
            IpAddr::V6(to) if to.is_unicast_link_local() && plan.scope == 0 => {
                let why =
                    io::Error::new(ErrorKind::InvalidInput, "a link-local address needs its link's index");
                return Err(asker.failed(&format!("send an echo to {to}"))(why));
            }
            IpAddr::V6(to) => SocketAddrV6::new(to, 0, 0, plan.scope).into(),
        };
        let socket = socket::open_echo(asker, to)?;
        if plan.size.whole {
            let set = match plan.to {
                IpAddr::V4(_) => whole_packets::probe_path_mtu(&socket),
                IpAddr::V6(_) => whole_packets::probe_path_mtu_v6(&socket),
            };
            set.map_err(asker.failed("forbid fragments"))?;
        }
        if let Some(ttl) = plan.ttl {
            let set = match plan.to {
                IpAddr::V4(_) => socket.set_ttl_v4(ttl.into()),
                IpAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into()),
            };
            set.map_err(asker.failed(&format!("use the TTL {ttl}")))?;
        }
        let (mark, random) = mark::draw((plan.to, asker.name));
        let header_bytes = if plan.to.is_ipv4() { HEADER_BYTES } else { V6_HEADER_BYTES };
        let payload = plan.size.payload_behind(header_bytes, mark);
        Ok(Session {
            plan,
            to,
            socket,
            id: plan.id.unwrap_or(random),
            mark,
            octets: u16::try_from(payload.len()).unwrap_or(u16::MAX).saturating_add(header_bytes),
            buffer: vec![0; 2048.max(payload.len() + 128)],
            payload,
            started: Instant::now(),
            sent_at: BTreeMap::new(),
            last_at: None,
            replies: BTreeMap::new(),
            reply_ttl: None,
            error: None,
            not_sent: None,
        })
    }

    /// Nothing that may still come would change the answer.
    fn is_settled(&self) -> bool {
        let all_answered = self.next_at().is_none() && self.replies.len() >= self.sent_at.len();
        let is_at_once = self.plan.interval.is_zero();
        let one_is_enough = self.plan.size.whole && !self.replies.is_empty() && !is_at_once;
        all_answered || one_is_enough || self.error.is_some() || self.not_sent.is_some()
    }

    fn sent(&self) -> u32 {
        u32::try_from(self.sent_at.len()).unwrap_or(u32::MAX)
    }

    /// When the next request is due; `None` once all are sent.
    fn next_at(&self) -> Option<Instant> {
        let sent = self.sent();
        (sent < self.plan.count.min(u16::MAX.into())).then(|| self.started + self.plan.interval * sent)
    }

    /// When to give up on the rest; `None` where nothing was answered, or not all is sent.
    fn rest_until(&self) -> Option<Instant> {
        let first = self.replies.values().map(|took| took.duration).min()?;
        let last = self.last_at.filter(|_| self.next_at().is_none())?;
        Some(last + rest(first))
    }

    fn send(&mut self) {
        let sequence = u16::try_from(self.sent() + 1).unwrap_or(u16::MAX);
        let echo = Echo { id: self.id, sequence };
        let request = match self.to {
            SocketAddr::V4(_) => icmp::request(echo, &self.payload),
            SocketAddr::V6(_) => icmp6::request(echo, &self.payload),
        };
        let now = SentAt::now();
        match self.socket.send_to(&request, &self.to.into()) {
            Ok(_) => {
                self.sent_at.insert(sequence, now);
                self.last_at = Some(Instant::now());
            }
            Err(error) => self.not_sent = Some(NotSent::of(&error)),
        }
    }

    /// Waits for one packet. A raw socket hears all ICMP of its namespace, so most of what comes may be others'.
    fn receive(&mut self, until: Instant) -> io::Result<()> {
        let Came::Datagram { from, length, stamped, hop_limit } =
            socket::next(&self.socket, &mut self.buffer, until)?
        else {
            return Ok(());
        };
        let packet = self.buffer.get(..length).unwrap_or_default();
        let message = match from {
            Some(SocketAddr::V6(from)) => icmp6::parse(*from.ip(), hop_limit, packet),
            Some(SocketAddr::V4(_)) | None => icmp::parse(packet),
        };
        match message {
            Some(Message::Reply { ttl, echo, payload }) if payload.starts_with(&self.mark) => {
                if let Some(sent) = self.sent_at.get(&echo.sequence) {
                    self.replies.entry(echo.sequence).or_insert(sent.until(stamped));
                    self.reply_ttl = ttl;
                }
            }
            Some(Message::Error { error, quoted }) if quoted.is_of(&self.mark, self.id) => {
                self.error = Some(error);
            }
            Some(Message::Reply { .. } | Message::Error { .. }) | None => {}
        }
        Ok(())
    }

    fn result(self) -> EchoResult {
        EchoResult {
            octets: self.octets,
            sent: self.sent(),
            replies: self.replies.into_values().collect(),
            reply_ttl: self.reply_ttl,
            error: self.error,
            not_sent: self.not_sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Arrival;

    #[test]
    fn the_median_is_no_outliers() {
        let took = |ms| Took { duration: Duration::from_millis(ms), arrival: Arrival::Kernel };
        let of = |replies: Vec<Took>| {
            EchoResult { octets: 84, sent: 5, replies, reply_ttl: None, error: None, not_sent: None }.median()
        };
        assert_eq!(of(vec![took(900), took(1), took(3)]), Some(took(3)));
        assert_eq!(of(Vec::new()), None);
    }
}
