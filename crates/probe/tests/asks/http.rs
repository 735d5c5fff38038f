//! Pages: served, refused with a status, cut off, not served at all, and what is no web server.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Instant;

use model::http::{HttpAnswer, Page};
use probe::http;
use probe::tcp::TcpOutcome;

use crate::place::{Chain, PATIENCE, SHORT, tcp_server};

/// Asks, with how it went with the connection, and whether we were told when it stood.
fn get(chain: &Chain, to: SocketAddr) -> (TcpOutcome, Option<Page>, bool) {
    let told = Cell::new(false);
    let (tcp, page) = http::get(&chain.asker(), (0, to), "/a/page", PATIENCE, || told.set(true)).unwrap();
    (tcp.outcome, page, told.get())
}

fn answer(chain: &Chain, says: &'static [u8]) -> HttpAnswer {
    let server = tcp_server(chain.far_netns(), chain.far(), |_| says.to_vec());
    let started = Instant::now();
    let (outcome, page, told) = get(chain, server.at);
    assert!(started.elapsed() < PATIENCE, "{page:?}");
    assert_eq!((outcome, told), (TcpOutcome::Answered, true));
    page.unwrap().answer
}

static ENDLESS: [u8; 1 << 20] = [b'a'; 1 << 20];

#[test]
fn each_kind_of_answer_is_told_from_the_others() {
    let chain = Chain::new(2);
    let line = |code, text: &str| HttpAnswer::Status(model::http::StatusLine { code, text: text.to_owned() });
    assert_eq!(answer(&chain, b"HTTP/1.0 200 OK\r\n\r\ni-00000001"), line(200, "HTTP/1.0 200 OK"));
    assert_eq!(answer(&chain, b"HTTP/1.1 500 Oh\r\n"), line(500, "HTTP/1.1 500 Oh"));
    assert_eq!(answer(&chain, b"SSH-2.0-OpenSSH\r\n"), HttpAnswer::Unreadable("SSH-2.0-OpenSSH".to_owned()));
    assert_eq!(answer(&chain, b"HTTP/1.1 2"), HttpAnswer::HungUp);
    assert_eq!(answer(&chain, b""), HttpAnswer::HungUp);
    assert_eq!(answer(&chain, b"no line"), HttpAnswer::Unreadable("no line".to_owned()));
    let page = |says: &'static [u8]| {
        let server = tcp_server(chain.far_netns(), chain.far(), |_| says.to_vec());
        get(&chain, server.at).1.unwrap().body
    };
    assert_eq!(page(b"HTTP/1.0 200 OK\r\n\r\ni-00000001").as_deref(), Some("i-00000001"));
    assert_eq!(page(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").as_deref(), Some(""));
    assert_eq!((page(b"HTTP/1.0 200 OK\r\n"), page(b"HTTP/1.0 404 No\r\n\r\ni-1")), (None, None));
    let HttpAnswer::Unreadable(text) = answer(&chain, &ENDLESS) else { panic!("no end of it") };
    assert_eq!(text.len(), 1024);
}

#[test]
fn where_nobody_listens_there_is_no_page() {
    let chain = Chain::new(2);
    let closed = SocketAddr::new(chain.far().into(), 9);
    assert_eq!(get(&chain, closed), (TcpOutcome::Refused, None, false));
}

/// The kernel takes a connection for a process that never does.
#[test]
fn a_service_that_hangs_is_waited_for_until_the_time_is_up() {
    let chain = Chain::new(2);
    let at = SocketAddr::new(chain.far().into(), 80);
    let listener =
        sys::netns::within(chain.far_netns(), || std::net::TcpListener::bind(at)).unwrap().unwrap();
    let started = Instant::now();
    let (tcp, page) = http::get(&chain.asker(), (0, at), "/", SHORT, || {}).unwrap();
    assert_eq!((tcp.outcome, page.unwrap().answer), (TcpOutcome::Answered, HttpAnswer::Silent));
    assert!(started.elapsed() >= SHORT);
    drop(listener);
}

/// Nothing of the connection stays on either side.
#[test]
fn the_connection_is_gone_when_the_answer_is_there() {
    let chain = Chain::new(2);
    let server = tcp_server(chain.far_netns(), chain.far(), |_| b"HTTP/1.0 200 OK\r\n\r\n".to_vec());
    get(&chain, server.at);
    let sockets = || {
        let mut ss = std::process::Command::new("ss");
        let child = sys::netns::spawn_in(
            chain.asker().netns,
            ss.args(["-Htan", "state", "connected"]).stdout(std::process::Stdio::piped()),
        );
        String::from_utf8(child.unwrap().wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(sockets(), "");
}
