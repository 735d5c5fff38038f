//! One DNS question to one server from one namespace, timed, and everything that can come of it told apart.
//!
//! [`ask`] blocks until the answer or the time-out. An answer is one to this very question, with its number, from
//! the address that was asked; whether it is the *right* one is for the caller to say, who knows what the database
//! means the name to be. The look-up that sshd waits for is [`Question::NameOf`] with the client's address, from
//! where the instance stands.

mod answer;
mod query;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use model::dns::DnsAnswer;
use nix::errno::Errno;
use nix::poll::PollFlags;
use socket2::Socket;

pub use answer::{Reading, read as read_answer};
pub use model::dns::Strays;
pub use query::{DnsQuery, NameError, Question};

use crate::icmp_error::IcmpError;
use crate::socket::{self, AskError, Asker, NotSent, SentAt, Took};
use crate::tcp::{self, TcpOutcome};
use crate::udp::{self, UdpOutcome, Wait};

/// Messages over one TCP connection that are no answer, after which the server is taken to make fun of us.
const STRAY_MESSAGES_MAX: u32 = 64;

/// What to ask, whom, how, and for how long.
#[derive(Debug, Clone)]
pub struct DnsPlan {
    /// The question.
    pub question: Question,
    /// The server; its port is 53 unless somebody meant otherwise.
    pub server: SocketAddr,
    /// What to ask over.
    pub transport: Transport,
    /// Number by which the answer is known; `None` for a random one.
    pub id: Option<u16>,
    /// The port at our end over TCP, by which the connection is known on its way; 0 for any, as where it is taken.
    pub own_port: u16,
    /// From the question to giving up; for each transport where both are tried.
    pub timeout: Duration,
    /// From the question over UDP to the same once more, where nothing has come until then: UDP may be lost. An answer
    /// to either is one.
    pub again: Option<Duration>,
}

/// What to ask over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// UDP, and TCP where the answer is truncated, as resolvers do.
    Udp,
    /// TCP alone.
    Tcp,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsResult {
    /// What came of it, over the transport that was used last.
    pub outcome: DnsOutcome,
    /// Until then, by the transport that was used last; `None` where nothing came.
    pub took: Option<Took>,
    /// The answer over UDP was truncated: `outcome` and `took` are TCP's.
    pub is_truncated: bool,
    /// What came and was no answer, over both transports.
    pub strays: Strays,
    /// How often it was asked over UDP.
    pub sent: u32,
}

/// What can come of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsOutcome {
    /// The server answered, were it to say no: see its [`Rcode`](model::dns::Rcode).
    Answered(DnsAnswer),
    /// The beginning of its answer came over UDP, and over TCP nobody asked: see [`ask_sparingly`].
    CutShort,
    /// It answered what cannot be read: why.
    Malformed(String),
    /// Nobody listens there: a reset (TCP), or port unreachable from this machine or rule (UDP, TCP).
    PortClosed(Option<IcmpError>),
    /// Another ICMP error came back.
    Unreachable(IcmpError),
    /// Our own stack did not send it.
    NotSent(NotSent),
    /// TCP: the server closed or reset the connection before its answer was whole.
    HungUp,
    /// Nothing until the time was up. An ICMP error about a TCP connection that stands is passed over: TCP itself
    /// tries again, and the kernel does not say who sent it (net/ipv4/tcp_ipv4.c `tcp_v4_err`).
    Silent,
    /// So much came that is no answer that waiting was given up.
    Flooded,
}

/// The question could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No socket, or not there.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// Asks, and waits for what comes of it. Blocks until then.
pub fn ask(asker: &Asker<'_>, plan: &DnsPlan) -> Result<DnsResult, DnsError> {
    ask_sparingly(asker, plan, || true)
}

/// The same, and what is truncated over UDP is asked for over TCP only where that may be: it takes several packets
/// more.
pub fn ask_sparingly(
    asker: &Asker<'_>,
    plan: &DnsPlan,
    may_go_on: impl FnOnce() -> bool,
) -> Result<DnsResult, DnsError> {
    // The standard library draws its hasher's keys at random once a thread and counts one of them up for every
    // RandomState: the number is another each time and cannot be guessed.
    let [high, low, ..] = RandomState::new().hash_one(plan.server).to_be_bytes();
    let query = DnsQuery::new(&plan.question, plan.id.unwrap_or(u16::from_be_bytes([high, low])))?;
    let bytes = query.to_bytes()?;
    // Once as dig asks, to whom failures are told, and once as programs do.
    let first = if plan.question.is_of_others() { query.to_bytes_as_dig()? } else { bytes.clone() };
    match plan.transport {
        Transport::Tcp => Ok(over_tcp(asker, plan, &query, &bytes, Strays::default())?),
        Transport::Udp => match over_udp(asker, plan, &query, (&first, &bytes))? {
            Ok(result) => Ok(result),
            Err(Truncated { strays, sent, took }) if !may_go_on() => {
                Ok(DnsResult { outcome: DnsOutcome::CutShort, took, is_truncated: true, strays, sent })
            }
            Err(Truncated { strays, sent, took: _ }) => {
                let result = over_tcp(asker, plan, &query, &bytes, strays)?;
                Ok(DnsResult { is_truncated: true, sent, ..result })
            }
        },
    }
}

/// An answer came that was truncated, and before it what was none.
struct Truncated {
    strays: Strays,
    sent: u32,
    took: Option<Took>,
}

fn over_udp(
    asker: &Asker<'_>,
    plan: &DnsPlan,
    query: &DnsQuery,
    (first, again): (&[u8], &[u8]),
) -> Result<Result<DnsResult, Truncated>, AskError> {
    let mut strays = Strays::default();
    let wait = Wait { timeout: plan.timeout, again: plan.again.map(|after| (after, again)) };
    let said = udp::exchange_until(asker, plan.server, first, wait, |bytes| {
        sift(&mut strays, answer::read(bytes, query))
    })?;
    strays.other_server = said.other_senders;
    let outcome = match said.outcome {
        UdpOutcome::Answered(Sifted::Truncated) => {
            return Ok(Err(Truncated { strays, sent: said.sent, took: said.took }));
        }
        UdpOutcome::Answered(Sifted::Settled(outcome)) => outcome,
        UdpOutcome::Unreachable(icmp) => of_icmp(icmp),
        UdpOutcome::NotSent(why) => DnsOutcome::NotSent(why),
        UdpOutcome::Silent => DnsOutcome::Silent,
        UdpOutcome::Flooded => DnsOutcome::Flooded,
    };
    Ok(Ok(DnsResult { outcome, took: said.took, is_truncated: false, strays, sent: said.sent }))
}

/// An answer, as the transport sees it.
enum Sifted {
    Settled(DnsOutcome),
    Truncated,
}

/// Counts what is no answer.
fn sift(strays: &mut Strays, reading: Reading) -> Option<Sifted> {
    match reading {
        Reading::Answer(answer) => Some(Sifted::Settled(DnsOutcome::Answered(answer))),
        Reading::Malformed(why) => Some(Sifted::Settled(DnsOutcome::Malformed(why))),
        Reading::Truncated => Some(Sifted::Truncated),
        Reading::WrongId => {
            strays.wrong_id += 1;
            None
        }
        Reading::WrongQuestion => {
            strays.wrong_question += 1;
            None
        }
    }
}

fn of_icmp(icmp: IcmpError) -> DnsOutcome {
    if icmp.is_port_unreachable() {
        DnsOutcome::PortClosed(Some(icmp))
    } else {
        DnsOutcome::Unreachable(icmp)
    }
}

/// The time taken is the whole of it, handshake included: that is what waits.
fn over_tcp(
    asker: &Asker<'_>,
    plan: &DnsPlan,
    query: &DnsQuery,
    bytes: &[u8],
    mut strays: Strays,
) -> Result<DnsResult, AskError> {
    let sent = SentAt::now();
    let deadline = sent.steady + plan.timeout;
    let opened = tcp::open(asker, plan.own_port, plan.server, deadline);
    let (socket, connected) = match opened {
        Err(_) if plan.own_port != 0 => tcp::open(asker, 0, plan.server, deadline)?,
        opened => opened?,
    };
    // Neither side keeps a connection that waits to be forgotten.
    socket.set_linger(Some(Duration::ZERO)).map_err(asker.failed("close a connection"))?;
    let outcome = match connected.outcome {
        TcpOutcome::Answered => converse(&socket, query, bytes, deadline, &mut strays)
            .map_err(asker.failed("read an answer over TCP"))?,
        TcpOutcome::Refused => DnsOutcome::PortClosed(None),
        TcpOutcome::Unreachable(icmp) => of_icmp(icmp),
        TcpOutcome::NotSent(why) => DnsOutcome::NotSent(why),
        TcpOutcome::Silent => DnsOutcome::Silent,
    };
    let took = match outcome {
        DnsOutcome::NotSent(_) | DnsOutcome::Silent => None,
        DnsOutcome::Answered(_)
        | DnsOutcome::CutShort
        | DnsOutcome::Malformed(_)
        | DnsOutcome::PortClosed(_)
        | DnsOutcome::Unreachable(_)
        | DnsOutcome::HungUp
        | DnsOutcome::Flooded => Some(sent.until(None)),
    };
    Ok(DnsResult { outcome, took, is_truncated: false, strays, sent: 0 })
}

/// Why a TCP conversation ended without an answer.
enum Cut {
    TimeUp,
    HungUp,
}

impl Cut {
    fn outcome(&self) -> DnsOutcome {
        match self {
            Cut::TimeUp => DnsOutcome::Silent,
            Cut::HungUp => DnsOutcome::HungUp,
        }
    }

    /// What an error of a connection that stood means; `None` where the connection goes on standing: an ICMP error
    /// shows once as the socket's own and ends nothing (net/ipv4/tcp_ipv4.c `tcp_v4_err`).
    fn of(error: &io::Error) -> Option<Cut> {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) if socket::is_by_icmp(errno) => None,
            Some(Errno::ETIMEDOUT) => Some(Cut::TimeUp),
            // A reset, or what follows one.
            _ => Some(Cut::HungUp),
        }
    }
}

fn converse(
    socket: &Socket,
    query: &DnsQuery,
    bytes: &[u8],
    deadline: Instant,
    strays: &mut Strays,
) -> io::Result<DnsOutcome> {
    // Two bytes of length stand before each message (RFC 1035, 4.2.2). A query is far below a send buffer.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    if let Err(cut) = say(socket, &[&length, bytes].concat(), deadline) {
        return Ok(cut.outcome());
    }
    for _ in 0..STRAY_MESSAGES_MAX {
        let message = match message(socket, deadline)? {
            Ok(message) => message,
            Err(cut) => return Ok(cut.outcome()),
        };
        match sift(strays, answer::read(&message, query)) {
            Some(Sifted::Settled(outcome)) => return Ok(outcome),
            Some(Sifted::Truncated) => {
                return Ok(DnsOutcome::Malformed("truncated, and that over TCP".to_owned()));
            }
            None => {}
        }
    }
    Ok(DnsOutcome::Flooded)
}

fn say(socket: &Socket, bytes: &[u8], deadline: Instant) -> Result<(), Cut> {
    while Instant::now() < deadline {
        let Err(error) = (&mut &*socket).write_all(bytes) else { return Ok(()) };
        if let Some(cut) = Cut::of(&error) {
            return Err(cut);
        }
    }
    Err(Cut::TimeUp)
}

fn message(socket: &Socket, deadline: Instant) -> io::Result<Result<Vec<u8>, Cut>> {
    let mut length = [0; 2];
    if let Err(cut) = fill(socket, &mut length, deadline)? {
        return Ok(Err(cut));
    }
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    Ok(fill(socket, &mut bytes, deadline)?.map(|()| bytes))
}

/// Reads as many bytes as there is room for, drop by drop if they come so, until the deadline.
fn fill(socket: &Socket, mut room: &mut [u8], deadline: Instant) -> io::Result<Result<(), Cut>> {
    while !room.is_empty() {
        if !socket::wait(socket, PollFlags::POLLIN, deadline)? {
            return Ok(Err(Cut::TimeUp));
        }
        match (&mut &*socket).read(room) {
            Ok(0) => return Ok(Err(Cut::HungUp)),
            Ok(read) => room = room.get_mut(read..).unwrap_or_default(),
            // Ready without anything to read is an ICMP error in the queue: it is none of a connection that stands.
            Err(error) if socket::is_pending(&error) => drop(socket::take_error(socket)?),
            Err(error) => {
                if let Some(cut) = Cut::of(&error) {
                    return Ok(Err(cut));
                }
            }
        }
    }
    Ok(Ok(()))
}
