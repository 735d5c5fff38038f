//! A page of a web server over a connection of our own: whether it is served, by the first line of the answer.
//!
//! A service may take connections and never answer, or answer that it failed; a SYN tells neither. One request is sent,
//! of HTTP/1.0, and nothing is read but the status line and the beginning of a page that is served; then the connection
//! is reset, so that neither side keeps any of it.

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
            let failed = || asker.failed("read a page");
            let (answer, came) = ask(&socket, to, path, deadline).map_err(failed())?;
            let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let is_served = answer.code() == Some(SERVED);
            let body = if is_served { body(&socket, came, deadline).map_err(failed())? } else { None };
            Some(Page { path: path.to_owned(), answer, body, took_us })
        }
        TcpOutcome::Refused | TcpOutcome::Unreachable(_) | TcpOutcome::NotSent(_) | TcpOutcome::Silent => {
            None
        }
    };
    tcp::reset(asker, &socket)?;
    Ok((result, page))
}

/// Status of a page that is served.
const SERVED: u16 = 200;
/// How long the rest of a page is waited for: it comes with its head, as a rule.
const BODY_TIME: Duration = Duration::from_millis(300);
/// Octets after which no end of a head is looked for any more.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What the server says, and all that came with it. A request is far below a send buffer: it is taken at once, or the
/// connection is gone.
fn ask(socket: &Socket, to: SocketAddr, path: &str, deadline: Instant) -> io::Result<(HttpAnswer, Vec<u8>)> {
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {}\r\nUser-Agent: hopline\r\nAccept: */*\r\n\r\n", to.ip());
    if let Err(error) = (&mut &*socket).write_all(request.as_bytes())
        && !error.raw_os_error().map(nix::errno::Errno::from_raw).is_some_and(socket::is_by_icmp)
    {
        return Ok((HttpAnswer::HungUp, Vec::new()));
    }
    let heard = tcp::hear(socket, deadline, |came| match http_status::parse(came) {
        Beginning::Line(line) => Some((HttpAnswer::Status(line), came.to_vec())),
        Beginning::Other(text) => Some((HttpAnswer::Unreadable(text), Vec::new())),
        Beginning::Unfinished => None,
    })?;
    Ok(match heard {
        Heard::Said(said) => said,
        Heard::Ended { how, came } => match (http_status::ended(&came), how) {
            (Some(text), _) => (HttpAnswer::Unreadable(text), came),
            (None, Ended::HungUp) => (HttpAnswer::HungUp, came),
            (None, Ended::Silent) => (HttpAnswer::Silent, came),
        },
    })
}

/// The page behind what has come, where it comes whole, or the connection ends behind it.
fn body(socket: &Socket, before: Vec<u8>, deadline: Instant) -> io::Result<Option<String>> {
    let deadline = deadline.min(Instant::now() + BODY_TIME);
    let all = |came: &[u8]| [&before, came].concat();
    let heard = tcp::hear(socket, deadline, |came| {
        let all = all(came);
        match http_status::body(&all) {
            Some(body) if body.is_whole => Some(Some(body.text)),
            None if all.len() >= HEAD_BYTES_MAX => Some(None),
            Some(_) | None => None,
        }
    })?;
    Ok(match heard {
        Heard::Said(text) => text,
        Heard::Ended { how: Ended::HungUp, came } => http_status::body(&all(&came)).map(|body| body.text),
        // Whether more was to come nobody knows.
        Heard::Ended { how: Ended::Silent, .. } => None,
    })
}
