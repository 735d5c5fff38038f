//! A page of a web server over a connection of our own: whether it is served, by the first line of the answer.
//!
//! A service may take connections and never answer, or answer that it failed; a SYN tells neither. One request is sent,
//! of HTTP/1.0, and nothing is read but the status line; then the connection is reset, so that neither side keeps any
//! of it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use model::http::{HttpAnswer, Page};
use nix::poll::PollFlags;
use parse::http_status::{self, Beginning, LINE_BYTES_MAX};
use socket2::Socket;

use crate::socket::{self, AskError, Asker};
use crate::tcp::{self, TcpOutcome, TcpResult};

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
    socket.set_linger(Some(Duration::ZERO)).map_err(asker.failed("close a connection"))?;
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
    let mut came = Vec::new();
    loop {
        match http_status::parse(&came) {
            Beginning::Line(line) => return Ok(HttpAnswer::Status(line)),
            Beginning::Other(text) => return Ok(HttpAnswer::Unreadable(text)),
            Beginning::Unfinished => {}
        }
        if !socket::wait(socket, PollFlags::POLLIN, deadline)? {
            return Ok(HttpAnswer::Silent);
        }
        let mut room = [0; LINE_BYTES_MAX];
        match (&mut &*socket).read(&mut room) {
            Ok(0) => return Ok(HttpAnswer::HungUp),
            Ok(read) => came.extend_from_slice(room.get(..read).unwrap_or_default()),
            // Ready without anything to read is an ICMP error in the queue: it is none of a connection that stands.
            Err(error) if socket::is_pending(&error) => drop(socket::take_error(socket)?),
            Err(error) => {
                if !error.raw_os_error().map(nix::errno::Errno::from_raw).is_some_and(socket::is_by_icmp) {
                    return Ok(HttpAnswer::HungUp);
                }
            }
        }
    }
}
