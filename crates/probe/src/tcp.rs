//! A TCP connection to one address: is the SYN answered, refused, turned away on the road, or lost?
//!
//! [`connect`] sends no byte of payload and leaves no connection behind, on either side.
//!
//! ICMP errors about a SYN are queued for the socket since Linux 5.12 (net/ipv4/tcp_ipv4.c `tcp_v4_err`);
//! before that a rule's port unreachable cannot be told from a reset.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use socket2::{Socket, Type};

use crate::icmp_error::IcmpError;
use crate::socket::{self, AskError, Asker, NotSent, SentAt, Took};

/// What became of a SYN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpOutcome {
    /// Answered with a SYN of its own: somebody listens.
    Answered,
    /// Answered with a reset: the machine is there and nobody listens, or a rule rejects with a reset.
    Refused,
    /// An ICMP error came back.
    Unreachable(IcmpError),
    /// Our own stack did not send it. A rule that drops it on its way out is silence here: TCP tries again
    /// (net/ipv4/tcp_output.c `tcp_connect`).
    NotSent(NotSent),
    /// Nothing until the time was up. Meanwhile the kernel sends the SYN again: since Linux 6.5 four times one second
    /// apart (ip-sysctl.rst, `tcp_syn_linear_timeouts`), then each time after twice as long; before that it doubles
    /// from the first second on.
    Silent,
}

/// An outcome, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpResult {
    /// What became of the SYN.
    pub outcome: TcpOutcome,
    /// Until it was settled; `None` for silence and what was never sent.
    pub took: Option<Took>,
}

/// Connects and closes again with a reset, so that neither side keeps a connection that waits to be forgotten.
pub fn connect(asker: &Asker<'_>, to: SocketAddr, timeout: Duration) -> Result<TcpResult, AskError> {
    connect_from(asker, 0, to, timeout)
}

/// The same from a port of ours, by which the SYN is known on its way; 0 for any. One that is taken is an error.
pub fn connect_from(
    asker: &Asker<'_>,
    own_port: u16,
    to: SocketAddr,
    timeout: Duration,
) -> Result<TcpResult, AskError> {
    let (socket, result) = open(asker, own_port, to, Instant::now() + timeout)?;
    reset(asker, &socket)?;
    Ok(result)
}

/// Has a connection end by a reset, once its socket is dropped.
pub(crate) fn reset(asker: &Asker<'_>, socket: &Socket) -> Result<(), AskError> {
    socket.set_linger(Some(Duration::ZERO)).map_err(asker.failed("close a connection"))
}

/// What came over a connection.
pub(crate) enum Heard<T> {
    /// What was listened for.
    Said(T),
    /// It never was said.
    Ended {
        /// How the waiting ended.
        how: Ended,
        /// What came instead.
        came: Vec<u8>,
    },
}

/// How waiting for what never came ended.
pub(crate) enum Ended {
    /// The connection was closed or reset.
    HungUp,
    /// By the time.
    Silent,
}

/// Octets that are read at once.
const READ_BYTES_MAX: usize = 1024;

/// Reads until `read` knows all that has come so far for what is listened for, and no longer than until the deadline.
/// `read` must come to an end: what comes is kept.
pub(crate) fn hear<T>(
    socket: &Socket,
    deadline: Instant,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<Heard<T>> {
    let mut came = Vec::new();
    loop {
        if let Some(said) = read(&came) {
            return Ok(Heard::Said(said));
        }
        if !socket::wait(socket, PollFlags::POLLIN, deadline)? {
            return Ok(Heard::Ended { how: Ended::Silent, came });
        }
        let mut room = [0; READ_BYTES_MAX];
        match (&mut &*socket).read(&mut room) {
            Ok(0) => return Ok(Heard::Ended { how: Ended::HungUp, came }),
            Ok(read) => came.extend_from_slice(room.get(..read).unwrap_or_default()),
            // Ready without anything to read is an ICMP error in the queue: it is none of a connection that stands.
            Err(error) if socket::is_pending(&error) => drop(socket::take_error(socket)?),
            Err(error) => {
                if !error.raw_os_error().map(Errno::from_raw).is_some_and(socket::is_by_icmp) {
                    return Ok(Heard::Ended { how: Ended::HungUp, came });
                }
            }
        }
    }
}

/// The same, with the connection, which stands only where the SYN was answered.
pub(crate) fn open(
    asker: &Asker<'_>,
    own_port: u16,
    to: SocketAddr,
    deadline: Instant,
) -> Result<(Socket, TcpResult), AskError> {
    let socket = socket::open_from(asker, own_port, to, Type::STREAM)?;
    let sent = SentAt::now();
    let failed = || asker.failed("wait for a connection");
    let outcome = match socket.connect(&to.into()) {
        Ok(()) => TcpOutcome::Answered,
        Err(error) if socket::is_pending(&error) => settle(&socket, deadline).map_err(failed())?,
        // To an own address the handshake is over before connect returns.
        Err(error) => ended(&socket, &error).map_err(failed())?,
    };
    let took = match outcome {
        TcpOutcome::Answered => Some(sent.at_most(sys::tcp::handshake(&socket).ok().flatten())),
        TcpOutcome::Refused | TcpOutcome::Unreachable(_) => Some(sent.until(None)),
        TcpOutcome::NotSent(_) | TcpOutcome::Silent => None,
    };
    Ok((socket, TcpResult { outcome, took }))
}

/// Waits for what settles it. An ICMP error is queued, and wakes us, before the socket's own error is set
/// (net/ipv4/tcp_ipv4.c `tcp_v4_err`), so that neither is there does not yet mean a connection.
fn settle(socket: &Socket, deadline: Instant) -> io::Result<TcpOutcome> {
    while socket::wait(socket, PollFlags::POLLOUT, deadline)? {
        // Asked for first: taking one from the queue resets it (net/core/skbuff.c `sock_dequeue_err_skb`).
        if let Some(error) = socket.take_error()? {
            return ended(socket, &error);
        }
        if socket.peer_addr().is_ok() {
            return Ok(TcpOutcome::Answered);
        }
        if let Some(icmp) = socket::take_error(socket)? {
            return Ok(TcpOutcome::Unreachable(icmp));
        }
    }
    Ok(TcpOutcome::Silent)
}

fn ended(socket: &Socket, error: &io::Error) -> io::Result<TcpOutcome> {
    if let Some(icmp) = socket::take_error(socket)? {
        return Ok(TcpOutcome::Unreachable(icmp));
    }
    Ok(match error.kind() {
        io::ErrorKind::ConnectionRefused => TcpOutcome::Refused,
        // A reset of what stood already (net/ipv4/tcp_input.c `tcp_reset`): the SYN had been answered.
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => TcpOutcome::Answered,
        io::ErrorKind::TimedOut => TcpOutcome::Silent,
        _ => TcpOutcome::NotSent(NotSent::of(error)),
    })
}
