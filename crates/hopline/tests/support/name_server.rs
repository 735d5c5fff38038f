//! A server for names outside that answers as a test wants it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sys::netns::{self, NetnsFd};

use super::test_lab::TestLab;
use super::{eventually, run};

/// Another address of the external server's.
pub(crate) const ELSEWHERE: &str = "1.2.3.5";
/// The names' server of the outside, as the lab has it.
const SERVER: &str = "1.2.3.4:53";

/// What a server for names does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// The code of RFC 1035, 4.1.1, and nothing else.
    Code(u8),
    Nothing,
    /// That there is nothing of the kind, this much later.
    Late(Duration),
    /// The same, from another address than was asked.
    FromElsewhere,
    /// There is nothing of the kind, and of IPv6 addresses not a word.
    NothingOfIpv6,
    /// There is nothing of the kind, and of names of addresses not a word.
    NothingOfNames,
    /// There is nothing of the kind, and of IPv6 addresses this code.
    OfIpv6(u8),
    /// There is nothing of the kind, and of what is in the cloud's own domain this code, or not a word.
    OfTheCloud(Option<u8>),
    /// SERVFAIL, and of the root that there is nothing of the kind.
    FailsButAtTheRoot,
    /// The beginning of an answer, whose whole would be had over TCP.
    CutShort,
    /// An answer whose name goes round in a circle.
    Unreadable,
    /// An answer to another number than was asked by.
    WithAnotherNumber,
}

/// A server of ours, until it is dropped.
pub(crate) struct NameServer {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// In place of the lab's.
    pub(crate) fn in_place_of(lab: &TestLab, says: Says) -> NameServer {
        let pid = std::fs::read_to_string(lab.state().join("external/dns.pid")).unwrap();
        run(&["kill", pid.trim()]);
        NameServer::at(lab, SERVER, says)
    }

    /// A server of ours at this address and port of the outside.
    pub(crate) fn at(lab: &TestLab, server: &str, says: Says) -> NameServer {
        let netns = NetnsFd::named(&lab.netns("ext")).unwrap();
        let bind = |at: &str| {
            let at: SocketAddr = at.parse().unwrap();
            netns::within(&netns, || UdpSocket::bind(at)).unwrap()
        };
        let mut own = None;
        eventually("whoever had the port to let go of it", || {
            own = bind(server).ok();
            own.is_some()
        });
        let own = own.unwrap();
        own.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let other = (says == Says::FromElsewhere).then(|| bind(&format!("{ELSEWHERE}:53")).unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut bytes = [0; 512];
            while !told.load(Ordering::Relaxed) {
                let Ok((length, from)) = own.recv_from(&mut bytes) else { continue };
                let answer = |code| answer(&bytes[..length], code);
                // Whoever asked may be gone by now.
                let _ = match says {
                    Says::Nothing => Ok(0),
                    Says::Code(code) => own.send_to(&answer(code), from),
                    // Each by itself, so that none waits for those before it.
                    Says::Late(late) => {
                        let (own, answer) = (own.try_clone().unwrap(), answer(0));
                        thread::spawn(move || {
                            thread::sleep(late);
                            own.send_to(&answer, from)
                        });
                        Ok(0)
                    }
                    Says::FromElsewhere => other.as_ref().unwrap().send_to(&answer(0), from),
                    Says::NothingOfIpv6 if is_of_ipv6(&bytes[..length]) => Ok(0),
                    Says::NothingOfNames if is_of_names(&bytes[..length]) => Ok(0),
                    Says::OfIpv6(code) if is_of_ipv6(&bytes[..length]) => own.send_to(&answer(code), from),
                    Says::OfTheCloud(said) if is_of_the_cloud(&bytes[..length]) => {
                        said.map_or(Ok(0), |code| own.send_to(&answer(code), from))
                    }
                    Says::NothingOfIpv6 | Says::NothingOfNames | Says::OfIpv6(_) | Says::OfTheCloud(_) => {
                        own.send_to(&answer(3), from)
                    }
                    Says::FailsButAtTheRoot => {
                        let is_of_root = bytes[12] == 0;
                        own.send_to(&answer(if is_of_root { 0 } else { 2 }), from)
                    }
                    Says::CutShort => own.send_to(&with(answer(0), |bytes| bytes[2] |= 2), from),
                    Says::Unreadable => own.send_to(&with(answer(0), go_round), from),
                    Says::WithAnotherNumber => own.send_to(&with(answer(0), |bytes| bytes[0] ^= 0xff), from),
                };
            }
        });
        NameServer { is_over, thread: Some(thread) }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// The question as a response with nothing in it but this code.
fn answer(question: &[u8], code: u8) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2] |= 0x80;
    bytes[3] = 0x80 | code;
    // EDNS's record is no part of it.
    bytes[10..12].fill(0);
    bytes.truncate(end_of_name(&bytes) + 4);
    bytes
}

fn with(mut bytes: Vec<u8>, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    bytes
}

/// Adds an address under a name that is a pointer to itself (RFC 1035, 4.1.4).
fn go_round(bytes: &mut Vec<u8>) {
    let here = u16::try_from(bytes.len()).unwrap();
    bytes[7] = 1;
    bytes.extend((0xc000 | here).to_be_bytes());
    bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 9]);
}

/// It is for a name's IPv6 addresses (AAAA, RFC 3596).
fn is_of_ipv6(question: &[u8]) -> bool {
    question[end_of_name(question)..].starts_with(&[0, 28])
}

/// It is for the name of an address (PTR, RFC 1035, 3.3.12).
fn is_of_names(question: &[u8]) -> bool {
    question[end_of_name(question)..].starts_with(&[0, 12])
}

/// It is for a name in the domain of the lab's instances, `novalocal`.
fn is_of_the_cloud(question: &[u8]) -> bool {
    question[..end_of_name(question)].ends_with(b"\x09novalocal\0")
}

fn end_of_name(question: &[u8]) -> usize {
    let mut end = 12;
    while question[end] != 0 {
        end += usize::from(question[end]) + 1;
    }
    end + 1
}
