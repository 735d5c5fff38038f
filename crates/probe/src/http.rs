//! A page of a web server over a connection of our own: whether it is served, by the first line of the answer.
//!
//! A service may take connections and never answer, or answer that it failed; a SYN tells neither. One request is sent,
//! of HTTP/1.0, and nothing is read but the status line; then the connection is reset, so that neither side keeps any
//! of it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use model::http::{HttpAnswer, Page};
use parse::http_status::{self, Beginning};
use socket2::Socket;

use crate::socket::{self, AskError, Asker};
use crate::tcp::{self, Ended, Heard, TcpOutcome, TcpResult};

/// Connects from a port of ours, by which the connection is known on its way, and asks for the page at this path.
/// `connected` is told when the SYN is answered; without that there is no page. Blocks until the status line or the
/// time-out, which the connection and the answer share.
pub fn get(
    asker: &Asker<'_>,
    (own_port, to): (u16, SocketAddr),
    path: &str,
    timeout: Duration,
    connected: impl FnOnce(),
) -> Result<(TcpResult, Option<Page>), AskError> {
    let deadline = Instant::now() + timeout;
    let (socket, result) = tcp::open(asker, own_port, to, deadline)?;
    let page = match result.outcome {
        TcpOutcome::Answered => {
            connected();
            let begun = Instant::now();
            let answer = ask(&socket, to, path, deadline).map_err(asker.failed("read a page"))?;
            let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            Some(Page { path: path.to_owned(), answer, took_us })
        }
        TcpOutcome::Refused | TcpOutcome::Unreachable(_) | TcpOutcome::NotSent(_) | TcpOutcome::Silent => {
            None
        }
    };
    tcp::reset(asker, &socket)?;
    Ok((result, page))
}

/// A request is far below a send buffer: it is taken at once, or the connection is gone.
fn ask(socket: &Socket, to: SocketAddr, path: &str, deadline: Instant) -> io::Result<HttpAnswer> {
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {}\r\nUser-Agent: hopline\r\nAccept: */*\r\n\r\n", to.ip());
    if let Err(error) = (&mut &*socket).write_all(request.as_bytes())
        && !error.raw_os_error().map(nix::errno::Errno::from_raw).is_some_and(socket::is_by_icmp)
    {
        return Ok(HttpAnswer::HungUp);
    }
    let heard = tcp::hear(socket, deadline, |came| match http_status::parse(came) {
        Beginning::Line(line) => Some(HttpAnswer::Status(line)),
        Beginning::Other(text) => Some(HttpAnswer::Unreadable(text)),
        Beginning::Unfinished => None,
    })?;
    Ok(match heard {
        Heard::Said(answer) => answer,
        Heard::Ended { how, came } => match (http_status::ended(&came), how) {
            (Some(text), _) => HttpAnswer::Unreadable(text),
            (None, Ended::HungUp) => HttpAnswer::HungUp,
            (None, Ended::Silent) => HttpAnswer::Silent,
        },
    })
}
