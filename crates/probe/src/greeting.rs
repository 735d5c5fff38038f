//! What an ssh server says first over a connection of our own: whether one answers there, or only the kernel for it.
//!
//! A kernel takes connections for a process that hangs; a SYN does not tell. Nothing is sent, nothing is read but the
//! greeting, and the connection is reset, so that neither side keeps any of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use model::ssh::{Greeted, Greeting};
use parse::ssh_greeting::{self, Beginning};

use crate::socket::{AskError, Asker};
use crate::tcp::{self, Ended, Heard, TcpOutcome, TcpResult};

/// Connects from a port of ours, by which the connection is known on its way, and waits for the greeting. `connected`
/// is told when the SYN is answered; without that there is no greeting. Blocks until the greeting or the time-out,
/// which the connection and the greeting share.
pub fn hear(
    asker: &Asker<'_>,
    (own_port, to): (u16, SocketAddr),
    timeout: Duration,
    connected: impl FnOnce(),
) -> Result<(TcpResult, Option<Greeting>), AskError> {
    let deadline = Instant::now() + timeout;
    let (socket, result) = tcp::open(asker, own_port, to, deadline)?;
    let greeting = match result.outcome {
        TcpOutcome::Answered => {
            connected();
            let begun = Instant::now();
            let heard = tcp::hear(&socket, deadline, |came| match ssh_greeting::parse(came) {
                Beginning::Version(line) => Some(Greeted::Version(line)),
                Beginning::Other(text) => Some(Greeted::Other(text)),
                Beginning::Unfinished => None,
            });
            let said = match heard.map_err(asker.failed("read a greeting"))? {
                Heard::Said(said) => said,
                Heard::Ended { how, came } => match (ssh_greeting::ended(&came), how) {
                    (Beginning::Version(line), _) => Greeted::Version(line),
                    (Beginning::Other(text), _) => Greeted::Other(text),
                    (Beginning::Unfinished, Ended::HungUp) => Greeted::HungUp,
                    (Beginning::Unfinished, Ended::Silent) => Greeted::Silent,
                },
            };
            Some(Greeting { said, took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX) })
        }
        TcpOutcome::Refused | TcpOutcome::Unreachable(_) | TcpOutcome::NotSent(_) | TcpOutcome::Silent => {
            None
        }
    };
    tcp::reset(asker, &socket)?;
    Ok((result, greeting))
}
