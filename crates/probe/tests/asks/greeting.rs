//! Greetings: an ssh server's, another's, none.

use std::cell::Cell;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Instant;

use model::ssh::{Greeted, Greeting};
use probe::greeting;
use probe::tcp::TcpOutcome;

use crate::place::{Chain, PATIENCE, SHORT};

fn listener(chain: &Chain) -> (TcpListener, SocketAddr) {
    let at = SocketAddr::new(chain.far().into(), 22);
    (sys::netns::within(chain.far_netns(), || TcpListener::bind(at)).unwrap().unwrap(), at)
}

/// What is heard of a server that says this and closes.
fn heard(chain: &Chain, says: &'static [u8]) -> Greeted {
    let (listener, at) = listener(chain);
    let server = thread::spawn(move || listener.accept().map(|(mut taken, _)| taken.write_all(says)));
    let (started, told) = (Instant::now(), Cell::new(false));
    let (tcp, greeting) = greeting::hear(&chain.asker(), (0, at), PATIENCE, || told.set(true)).unwrap();
    assert!(started.elapsed() < PATIENCE, "{greeting:?}");
    assert_eq!((tcp.outcome, told.get()), (TcpOutcome::Answered, true));
    // It may be cut off in the middle of all that it has to say.
    drop(server.join().unwrap());
    greeting.unwrap().said
}

static ENDLESS: [u8; 1 << 20] = [b'a'; 1 << 20];

#[test]
fn each_kind_of_greeting_is_told_from_the_others() {
    let chain = Chain::new(2);
    let version = || Greeted::Version("SSH-2.0-OpenSSH_9.2".to_owned());
    assert_eq!(heard(&chain, b"SSH-2.0-OpenSSH_9.2\r\n"), version());
    assert_eq!(heard(&chain, b"Welcome.\r\nSSH-2.0-OpenSSH_9.2"), version());
    assert_eq!(heard(&chain, b"220 mail\r\n"), Greeted::Other("220 mail".to_owned()));
    assert_eq!(heard(&chain, b""), Greeted::HungUp);
    let Greeted::Other(text) = heard(&chain, &ENDLESS) else { panic!("no end of it") };
    assert_eq!(text.len(), 1024);
}

/// The kernel takes a connection for a process that never does.
#[test]
fn a_server_that_hangs_is_waited_for_until_the_time_is_up() {
    let chain = Chain::new(2);
    let (listener, at) = listener(&chain);
    let started = Instant::now();
    let (tcp, greeting) = greeting::hear(&chain.asker(), (0, at), SHORT, || {}).unwrap();
    let said = greeting.map(|Greeting { said, .. }| said);
    assert_eq!((tcp.outcome, said), (TcpOutcome::Answered, Some(Greeted::Silent)));
    assert!(started.elapsed() >= SHORT);
    drop(listener);
    let (tcp, greeting) = greeting::hear(&chain.asker(), (0, at), SHORT, || {}).unwrap();
    assert_eq!((tcp.outcome, greeting), (TcpOutcome::Refused, None));
}
