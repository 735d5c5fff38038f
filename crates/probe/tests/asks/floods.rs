//! A machine that answers pings again and again: what it says two thousand times counts once, and what it says of
//! nothing that was asked not at all, in bounded time.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use probe::trace::{HopOutcome, trace};
use probe::{EchoPlan, EchoResult, EchoSize, echo};
use socket2::{Domain, Protocol, Socket, Type};
use sys::netns;

use crate::place::{Chain, PATIENCE, SHORT};

/// To each question.
const ANSWERS: u32 = 2_000;
const IP_BYTES: usize = 20;
/// Behind it: where the sequence number is, and what follows all numbers.
const SEQUENCE: usize = 6;
const DATA: usize = 8;

/// Answers in the stead of a kernel that answers no pings.
struct Flood {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    answers: JoinHandle<()>,
}

impl Flood {
    /// The far end answers each question by what `change` makes of the right answer.
    fn at_far_end(chain: &Chain, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> Flood {
        chain.run(chain.fds.len() - 1, "sysctl -qw net.ipv4.icmp_echo_ignore_all=1");
        let socket = netns::within(chain.far_netns(), || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            Ok::<_, std::io::Error>(socket)
        });
        let mut socket = socket.unwrap().unwrap();
        let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (is_enough, count) = (is_over.clone(), sent.clone());
        let answers = std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while !is_enough.load(Ordering::Relaxed) {
                let Ok(length) = socket.read(&mut packet) else { continue };
                let (header, request) = packet[..length].split_at(IP_BYTES);
                if request[0] != 8 {
                    continue;
                }
                let asker = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
                let mut answer = request.to_vec();
                answer[0] = 0;
                change(&mut answer);
                set_checksum(&mut answer);
                for _ in (0..ANSWERS).take_while(|_| !is_enough.load(Ordering::Relaxed)) {
                    // A queue that is full is no concern.
                    let _ = socket.send_to(&answer, &SocketAddr::new(asker.into(), 0).into());
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Flood { is_over, sent, answers }
    }

    /// Ends it, and tells how much it has sent.
    fn over(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.answers.join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

/// The Internet checksum (RFC 1071).
fn set_checksum(message: &mut [u8]) {
    message[2..4].fill(0);
    let words =
        message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    message[2..4].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}

/// Asks the far end three times, and returns what came: in bounded time.
fn asked(chain: &Chain, timeout: Duration) -> EchoResult {
    let plan = EchoPlan {
        to: chain.far().into(),
        scope: 0,
        count: 3,
        interval: Duration::from_millis(100),
        timeout,
        ttl: None,
        id: None,
        size: EchoSize { octets: 84, whole: false },
    };
    let started = Instant::now();
    let result = echo(&chain.asker(), &plan).unwrap();
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    result
}

#[test]
fn an_answer_that_comes_two_thousand_times_counts_once() {
    let chain = Chain::new(2);
    let flood = Flood::at_far_end(&chain, |_| ());
    let result = asked(&chain, 6 * PATIENCE);
    assert!(flood.over() > 100, "a flood");
    assert_eq!((result.sent, result.replies.len(), result.error), (3, 3, None));
}

#[test]
fn the_first_answer_again_and_again_is_none_to_the_others() {
    let chain = Chain::new(2);
    let flood = Flood::at_far_end(&chain, |answer| answer[SEQUENCE..SEQUENCE + 2].copy_from_slice(&[0, 1]));
    let result = asked(&chain, 6 * PATIENCE);
    assert!(flood.over() > 100, "a flood");
    // To the second and third the answer has the mark of all of them, and the number of the first.
    assert_eq!((result.sent, result.replies.len(), result.error), (3, 1, None));
}

#[test]
fn answers_to_what_nobody_asked_are_silence() {
    let chain = Chain::new(2);
    let wrong: [fn(&mut Vec<u8>); 3] = [
        // Another number than any that was sent, another mark, and no mark.
        |answer| answer[SEQUENCE] = 7,
        |answer| answer[DATA..].fill(0),
        |answer| answer.truncate(DATA),
    ];
    for change in wrong {
        let flood = Flood::at_far_end(&chain, change);
        let started = Instant::now();
        let result = asked(&chain, 3 * SHORT);
        assert!(started.elapsed() >= 3 * SHORT && flood.over() > 100);
        assert_eq!((result.sent, result.replies, result.error), (3, vec![], None));
    }
}

/// The router says nothing, so that it is waited for while the flood comes in.
#[test]
fn a_trace_through_a_flood_ends_and_tells_its_end_once() {
    let chain = Chain::new(3);
    chain.rule(1, "output", "icmp type time-exceeded drop");
    let flood = Flood::at_far_end(&chain, |_| ());
    let far = chain.far();
    let started = Instant::now();
    let trace = trace(&chain.asker(), (far, None), 6, 6 * PATIENCE).unwrap();
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert!(flood.over() > 100, "a flood");
    let outcomes: Vec<HopOutcome> = trace.hops.iter().map(|hop| hop.outcome.clone()).collect();
    assert_eq!(outcomes, [HopOutcome::Silent, HopOutcome::Reached { from: far }]);
}
