//! Listening to the kernel's trace events, on a thread of its own: the buffer of a socket holds some
//! hundred at most.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use socket2::SockRef;

use super::TraceError;
use super::event::{self, TraceEvent};
use super::sieve::Sieve;

/// `NFNLGRP_NFTRACE` (`linux/netfilter/nfnetlink.h`).
const GROUP: u32 = 9;
/// Asked for; the kernel gives `net.core.rmem_max` at most.
const BUFFER_BYTES: libc::c_int = 4 * 1024 * 1024;
/// More than any event takes: two headers, three names of at most 256 bytes and some numbers.
const DATAGRAM_BYTES_MAX: usize = 16 * 1024;
/// How often the listener looks whether it may stop.
const TICK: Duration = Duration::from_millis(10);

/// A socket that the kernel sends trace events to.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
}

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) events: Vec<TraceEvent>,
    /// There was more than this.
    pub(super) lost: bool,
    /// What ended it before its time.
    pub(super) failed: Option<io::Error>,
}

impl Listener {
    /// Listens in the calling thread's namespace from now on.
    pub(super) fn open() -> Result<Listener, TraceError> {
        let failed = |step| move |source| TraceError::Listen { step, source };
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            // Nobody multicasts to a socket without a port (`netlink_broadcast_filtered`); one that is
            // connected to the kernel takes nothing from other processes.
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_rx_buf_sz(BUFFER_BYTES)?;
            SockRef::from(&socket).set_read_timeout(Some(TICK))?;
            Ok(socket)
        };
        let socket = open().map_err(failed("open a netlink socket for trace events"))?;
        socket.add_membership(GROUP).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => TraceError::Privilege { source },
            _ => failed("listen to the kernel's trace events")(source),
        })?;
        Ok(Listener { socket })
    }

    /// Gathers what the sieve keeps, until `stopped` has no sender any more and nothing is left to read.
    pub(super) fn hear(self, stopped: &Receiver<()>, mut sieve: Sieve, events_max: usize) -> Heard {
        let mut heard = Heard::default();
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            // Asked before reading: whatever was sent before the end was announced is then read.
            let is_last = matches!(stopped.try_recv(), Err(TryRecvError::Disconnected));
            match self.socket.recv(&mut datagram.as_mut_slice(), libc::MSG_TRUNC) {
                Ok(length) => {
                    let Some(bytes) = datagram.get(..length) else {
                        heard.lost = true;
                        continue;
                    };
                    let (events, damaged) = event::decode(bytes);
                    heard.lost |= damaged;
                    for event in events.into_iter().filter(|event| sieve.keeps(event)) {
                        if heard.events.len() < events_max {
                            heard.events.push(event);
                        } else {
                            heard.lost = true;
                        }
                    }
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) if is_last => return heard,
                    Some(libc::EAGAIN | libc::EINTR) => {}
                    // The buffer ran over (netlink(7)).
                    Some(libc::ENOBUFS) => heard.lost = true,
                    _ => {
                        heard.failed = Some(error);
                        return heard;
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::sync::mpsc;

    use sys::netns;

    use super::super::{Flow, own, table};
    use super::*;

    /// Runs a program in a namespace with this input; it must succeed.
    fn run(netns: &str, argv: &[&str], input: &str) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns]).args(argv).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{argv:?}");
    }

    /// What is heard of one echo through so many rules, with a buffer of so many bytes, read only when all
    /// is over.
    fn heard(label: &str, rules: usize, buffer_bytes: libc::c_int, events_max: usize) -> Heard {
        let name = format!("ht-rt-{label}-{}", std::process::id());
        let netns = netns::create(&name).unwrap();
        run(&name, &["ip", "link", "set", "lo", "up"], "");
        let rules = "-A OUTPUT -p icmp\n".repeat(rules);
        run(&name, &["iptables-nft-restore"], &format!("*filter\n{rules}COMMIT\n"));
        let ip = [127, 0, 0, 1].into();
        let (flow, table) = (Flow::echo(ip, ip, 7), table::unique_name());
        let (listener, owner) = netns::within(&netns, || {
            let listener = Listener::open().unwrap();
            listener.socket.set_rx_buf_sz(buffer_bytes).unwrap();
            (listener, own(&table, &[flow]).unwrap())
        })
        .unwrap();
        run(&name, &["ping", "-q", "-c", "1", "-e", "7", "127.0.0.1"], "");
        drop(owner);
        netns::delete(&name).unwrap();
        let (stop, stopped) = mpsc::channel();
        drop(stop);
        let heard = listener.hear(&stopped, Sieve::new(table, vec![flow]), events_max);
        assert!(heard.failed.is_none(), "{:?}", heard.failed);
        heard
    }

    #[test]
    fn a_buffer_that_ran_over_is_told_and_what_it_held_is_kept() {
        let heard = heard("overrun", 500, 64 * 1024, 1000);
        assert!(heard.lost);
        assert!((1..500).contains(&heard.events.len()), "{}", heard.events.len());
    }

    #[test]
    fn more_events_than_are_kept_is_told() {
        let few = heard("bound", 20, BUFFER_BYTES, 10);
        assert_eq!((few.events.len(), few.lost), (10, true));
        // Request and reply in OUTPUT, each with the end of its chain and its policy.
        let all = heard("all", 20, BUFFER_BYTES, 44);
        assert_eq!((all.events.len(), all.lost), (44, false));
    }
}
