//! A UDP datagram to one address, and what comes back: an answer, an ICMP error with its sender, nothing.
//!
//! [`exchange`] sends one datagram and no second; [`crate::dns`] may send it again by the same socket, so that an
//! answer to the first that comes after the second is heard as well.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::Type;

use crate::icmp_error::IcmpError;
use crate::socket::{self, AskError, Asker, Came, NotSent, SentAt, Took};

/// Datagrams that are no answer, after which waiting on is pointless: somebody floods us.
const STRAYS_MAX: u32 = 10_000;
/// What a UDP datagram can hold.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What became of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UdpOutcome<T> {
    /// The answer.
    Answered(T),
    /// An ICMP error came back; port unreachable is one of them.
    Unreachable(IcmpError),
    /// Our own stack did not send it.
    NotSent(NotSent),
    /// Nothing until the time was up.
    Silent,
    /// 10000 datagrams came that are no answer; the rest is not looked at.
    Flooded,
}

/// An outcome, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpResult<T> {
    /// What became of the datagram.
    pub outcome: UdpOutcome<T>,
    /// Until the answer, the error, or the giving up on a flood; `None` where nothing came.
    pub took: Option<Took>,
    /// Datagrams from any other address or port than was asked.
    pub other_senders: u32,
    /// Datagrams from the address asked that are no answer to this question.
    pub strays: u32,
    /// How often it was sent.
    pub sent: u32,
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait<'b> {
    /// From the first datagram to giving up.
    pub(crate) timeout: Duration,
    /// From the first datagram to a second that asks the same, where nothing has settled it until then, and that one.
    pub(crate) again: Option<(Duration, &'b [u8])>,
}

/// Sends one datagram from a port chosen at random, and waits for the first that comes from where it went.
pub fn exchange(
    asker: &Asker<'_>,
    to: SocketAddr,
    payload: &[u8],
    timeout: Duration,
) -> Result<UdpResult<Vec<u8>>, AskError> {
    exchange_until(asker, to, payload, Wait { timeout, again: None }, |bytes| Some(bytes.to_vec()))
}

/// The same, and the first datagram that `read` knows as the answer.
///
/// The socket is left unconnected: a connected one would hide answers that come from another address, which is
/// what NAT gone wrong and a server with two addresses look like. An unbound one gets a random port from the
/// kernel (net/ipv4/udp.c `udp_lib_get_port`).
pub(crate) fn exchange_until<T>(
    asker: &Asker<'_>,
    to: SocketAddr,
    payload: &[u8],
    wait: Wait<'_>,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<UdpResult<T>, AskError> {
    let socket = socket::open(asker, to, Type::DGRAM)?;
    let mut result =
        UdpResult { outcome: UdpOutcome::Silent, took: None, other_senders: 0, strays: 0, sent: 1 };
    let sent = SentAt::now();
    let deadline: Instant = sent.steady + wait.timeout;
    let again = wait.again.map(|(again, payload)| (sent.steady + again, payload));
    let mut again = again.filter(|(again, _)| *again < deadline);
    if let Err(error) = socket.send_to(payload, &to.into()) {
        result.outcome = UdpOutcome::NotSent(NotSent::of(&error));
        return Ok(result);
    }
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let until = again.map_or(deadline, |(again, _)| again);
        let came = socket::next(&socket, &mut buffer, until).map_err(asker.failed("read an answer"))?;
        match came {
            Came::Nothing => {
                let Some((_, payload)) = again.take() else { return Ok(result) };
                // To the first an answer may still come, wherever this one ends.
                result.sent += u32::from(socket.send_to(payload, &to.into()).is_ok());
            }
            Came::Error(error) => {
                result.took = Some(sent.until(None));
                result.outcome = UdpOutcome::Unreachable(error);
                return Ok(result);
            }
            Came::Datagram { from, length, stamped, hop_limit: _ } => {
                if !from.is_some_and(|from| is_same(from, to)) {
                    result.other_senders += 1;
                } else if let Some(answer) = read(buffer.get(..length).unwrap_or_default()) {
                    result.took = Some(sent.until(stamped));
                    result.outcome = UdpOutcome::Answered(answer);
                    return Ok(result);
                } else {
                    result.strays += 1;
                }
            }
        }
        if result.other_senders + result.strays >= STRAYS_MAX {
            result.took = Some(sent.until(None));
            result.outcome = UdpOutcome::Flooded;
            return Ok(result);
        }
    }
}

/// Address and port: an IPv6 address's scope and flow label are ours to choose, not the sender's to repeat.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    (a.ip(), a.port()) == (b.ip(), b.port())
}
