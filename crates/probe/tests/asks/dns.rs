//! DNS: dnsmasq's answers, a server that is not there, and servers that mean harm.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use model::dns::{Found, Rcode};
use probe::dns::{DnsOutcome, DnsPlan, DnsResult, Question, Strays, Transport, ask, ask_sparingly};
use probe::{Arrival, NotSent};
use sys::netns;

use crate::place::{Chain, PATIENCE, SHORT, dnsmasq, tcp_server, udp_server};

const WEB1: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

fn web1() -> Question {
    Question::Ipv4Of("web1.novalocal".to_owned())
}

fn plan(server: SocketAddr, question: Question) -> DnsPlan {
    DnsPlan {
        question,
        server,
        transport: Transport::Udp,
        id: None,
        own_port: 0,
        timeout: PATIENCE,
        again: None,
    }
}

/// Asks, and demands that it was settled by itself and not by the deadline.
fn promptly(chain: &Chain, plan: &DnsPlan) -> DnsResult {
    let started = Instant::now();
    let result = ask(&chain.asker(), plan).unwrap();
    assert!(started.elapsed() < PATIENCE, "{result:?}");
    result
}

fn found(result: &DnsResult) -> (Rcode, Vec<Found>) {
    match &result.outcome {
        DnsOutcome::Answered(answer) => (answer.rcode, answer.found.clone()),
        other => panic!("{other:?}"),
    }
}

/// An answer that repeats the query's number and question. `flags` are the header's two bytes of them.
fn reply(query: &[u8], flags: [u8; 2], records: &[&[u8]]) -> Vec<u8> {
    let mut bytes = query.to_vec();
    // EDNS's record is no part of it: behind the name are its type and class alone.
    let mut end = 12;
    while bytes[end] != 0 {
        end += usize::from(bytes[end]) + 1;
    }
    bytes.truncate(end + 5);
    bytes[10..12].fill(0);
    bytes[2..4].copy_from_slice(&flags);
    bytes[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    bytes.extend(records.concat());
    bytes
}

/// `A 10.0.0.3` for the name that was asked for, by a pointer to it.
const RECORD: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 3];
/// `A 10.0.0.9` for it.
const OTHER_RECORD: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 9];
/// An answer, recursion desired and available, no error.
const FINE: [u8; 2] = [0x81, 0x80];

fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    socket.send_to(bytes, to).unwrap();
}

#[test]
fn dnsmasq_answers_forward_and_back_over_udp_and_tcp() {
    let chain = Chain::new(2);
    let alias = "--cname=www.novalocal,web1.novalocal";
    let _dnsmasq = dnsmasq(&chain, &["--host-record=web1.novalocal,10.0.0.3,2001:db8::3", alias]);
    let server = SocketAddr::new(chain.far().into(), 53);
    for transport in [Transport::Udp, Transport::Tcp] {
        let with = |question| promptly(&chain, &DnsPlan { transport, ..plan(server, question) });
        let forward = with(web1());
        assert_eq!(found(&forward), (Rcode::NoError, vec![Found::Address(WEB1)]), "{transport:?}");
        assert!(forward.took.unwrap().duration < PATIENCE);
        let name = Found::Name("web1.novalocal.".to_owned());
        assert_eq!(found(&with(Question::NameOf(WEB1))), (Rcode::NoError, vec![name]));
        let v6 = Found::Address("2001:db8::3".parse().unwrap());
        assert_eq!(found(&with(Question::Ipv6Of("WEB1.novalocal".to_owned()))), (Rcode::NoError, vec![v6]));
        let DnsOutcome::Answered(answer) = with(Question::Ipv4Of("www.novalocal".to_owned())).outcome else {
            panic!("no answer")
        };
        assert_eq!((answer.found, answer.beside), (vec![Found::Address(WEB1)], 0));
        assert_eq!(answer.aliases, ["web1.novalocal."]);
    }
    assert_eq!(promptly(&chain, &plan(server, web1())).took.unwrap().arrival, Arrival::Kernel);
}

#[test]
fn dnsmasq_says_no_in_each_of_its_ways() {
    let chain = Chain::new(2);
    let _dnsmasq = dnsmasq(&chain, &["--local=/novalocal/", "--host-record=only6.novalocal,2001:db8::3"]);
    let server = SocketAddr::new(chain.far().into(), 53);
    let code = |name: &str| found(&promptly(&chain, &plan(server, Question::Ipv4Of(name.to_owned()))));
    assert_eq!(code("nobody.novalocal"), (Rcode::NxDomain, vec![]));
    assert_eq!(code("only6.novalocal"), (Rcode::NoError, vec![]));
    // Without an upstream server there is nobody to ask about other names.
    assert_eq!(code("example.org"), (Rcode::Refused, vec![]));
}

#[test]
fn other_codes_are_told_as_they_are() {
    let chain = Chain::new(2);
    let failing = udp_server(chain.far_netns(), chain.far(), |socket, query, from| {
        send(socket, &reply(query, [0x81, 0x82], &[]), from);
    });
    assert_eq!(found(&promptly(&chain, &plan(failing.at, web1()))), (Rcode::ServFail, vec![]));
    // A server that cannot read the question need not repeat it.
    let puzzled = udp_server(chain.far_netns(), chain.far(), |socket, query, from| {
        send(socket, &[query[0], query[1], 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0], from);
    });
    assert_eq!(found(&promptly(&chain, &plan(puzzled.at, web1()))), (Rcode::Other(1), vec![]));
}

#[test]
fn what_is_truncated_over_udp_is_asked_for_over_tcp() {
    let chain = Chain::new(2);
    let records: Vec<String> = (1..=60).map(|i| format!("--host-record=web1.novalocal,10.0.0.{i}")).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let _dnsmasq = dnsmasq(&chain, &records);
    let server = SocketAddr::new(chain.far().into(), 53);
    let result = promptly(&chain, &plan(server, web1()));
    assert!(result.is_truncated);
    assert_eq!(found(&result).1.len(), 60);
    // Unless that is too much.
    let short = ask_sparingly(&chain.asker(), &plan(server, web1()), || false).unwrap();
    assert_eq!((short.is_truncated, &short.outcome), (true, &DnsOutcome::CutShort));
    assert!(short.took.unwrap().duration < PATIENCE);
    // And where TCP is turned away, that is what is told.
    chain.rule(1, "input", "tcp dport 53 reject with tcp reset");
    let result = promptly(&chain, &plan(server, web1()));
    assert_eq!((result.is_truncated, result.outcome), (true, DnsOutcome::PortClosed(None)));
}

#[test]
fn a_server_that_is_not_there_is_told_by_its_machine() {
    let chain = Chain::new(2);
    let server = SocketAddr::new(chain.far().into(), 53);
    let DnsOutcome::PortClosed(Some(icmp)) = promptly(&chain, &plan(server, web1())).outcome else {
        panic!("no ICMP")
    };
    assert_eq!(icmp.from, IpAddr::V4(chain.far()));
    let over_tcp = DnsPlan { transport: Transport::Tcp, ..plan(server, web1()) };
    assert_eq!(promptly(&chain, &over_tcp).outcome, DnsOutcome::PortClosed(None));
}

#[test]
fn what_stands_in_the_way_is_told_with_its_address() {
    let chain = Chain::new(3);
    let server = SocketAddr::new(chain.far().into(), 53);
    chain.rule(1, "forward", "meta l4proto { tcp, udp } reject with icmp admin-prohibited");
    for transport in [Transport::Udp, Transport::Tcp] {
        let result = promptly(&chain, &DnsPlan { transport, ..plan(server, web1()) });
        let DnsOutcome::Unreachable(icmp) = result.outcome else { panic!("{transport:?}: {result:?}") };
        assert_eq!((icmp.from, icmp.kind, icmp.code), ("10.77.0.2".parse().unwrap(), 3, 13));
        assert!(result.took.is_some());
    }
    chain.ip(0, "route del default");
    for transport in [Transport::Udp, Transport::Tcp] {
        let result = promptly(&chain, &DnsPlan { transport, ..plan(server, web1()) });
        assert_eq!((result.outcome, result.took), (DnsOutcome::NotSent(NotSent::NoRoute), None));
    }
}

#[test]
fn silence_lasts_until_the_time_is_up() {
    let chain = Chain::new(2);
    chain.rule(1, "input", "meta l4proto { tcp, udp } drop");
    let server = SocketAddr::new(chain.far().into(), 53);
    for transport in [Transport::Udp, Transport::Tcp] {
        let started = Instant::now();
        let short = DnsPlan { transport, timeout: SHORT, ..plan(server, web1()) };
        let result = ask(&chain.asker(), &short).unwrap();
        assert_eq!((result.outcome, result.took), (DnsOutcome::Silent, None));
        assert!(started.elapsed() >= SHORT);
    }
}

/// Failures are told to who asks as dig does, and whoever does not like that is asked as programs ask.
#[test]
fn addresses_of_names_are_asked_for_as_dig_does_and_then_as_programs_do() {
    let chain = Chain::new(2);
    let server = udp_server(chain.far_netns(), chain.far(), |socket, query, from| {
        let additional = u16::from_be_bytes([query[10], query[11]]);
        if additional == 0 {
            send(socket, &reply(query, FINE, &[RECORD]), from);
        }
    });
    let result = promptly(&chain, &DnsPlan { again: Some(SHORT), ..plan(server.at, web1()) });
    assert_eq!((found(&result), result.sent), ((Rcode::NoError, vec![Found::Address(WEB1)]), 2));
    let of_address = DnsPlan { again: Some(SHORT), ..plan(server.at, Question::NameOf(WEB1)) };
    assert_eq!(promptly(&chain, &of_address).sent, 1, "sshd asks without");
}

/// Who waits for a name takes what comes first, whichever question it is to.
#[test]
fn an_answer_to_the_first_question_is_heard_after_the_second() {
    let chain = Chain::new(2);
    let first = RefCell::new(None::<(Vec<u8>, SocketAddr)>);
    let server = udp_server(chain.far_netns(), chain.far(), move |socket, query, from| match first.take() {
        None => drop(first.replace(Some((query.to_vec(), from)))),
        Some((query, from)) => send(socket, &reply(&query, FINE, &[RECORD]), from),
    });
    let result = promptly(&chain, &DnsPlan { again: Some(SHORT), ..plan(server.at, web1()) });
    assert_eq!(found(&result), (Rcode::NoError, vec![Found::Address(WEB1)]));
    assert_eq!(result.sent, 2);
    assert!(result.took.unwrap().duration >= SHORT, "from the first on: {result:?}");
}

#[test]
fn what_is_no_answer_is_counted_and_waited_through() {
    let chain = Chain::new(2);
    let server = udp_server(chain.far_netns(), chain.far(), |socket, query, from| {
        send(socket, &reply(&[&[!query[0], query[1]], &query[2..]].concat(), FINE, &[RECORD]), from);
        let mut other = query.to_vec();
        other[13] ^= 0x01;
        send(socket, &reply(&other, FINE, &[RECORD]), from);
        send(socket, &query[..1], from);
        send(socket, &reply(query, FINE, &[RECORD]), from);
    });
    let result = promptly(&chain, &plan(server.at, web1()));
    assert_eq!(found(&result), (Rcode::NoError, vec![Found::Address(WEB1)]));
    assert_eq!(result.strays, Strays { other_server: 0, wrong_id: 2, wrong_question: 1 });
}

#[test]
fn what_came_before_a_truncated_answer_is_counted_too() {
    let chain = Chain::new(2);
    let server = udp_server(chain.far_netns(), chain.far(), |socket, query, from| {
        send(socket, &[!query[0], query[1]], from);
        send(socket, &reply(query, [0x83, 0x80], &[]), from);
    });
    // The server has no TCP.
    let result = promptly(&chain, &plan(server.at, web1()));
    assert_eq!((result.is_truncated, result.outcome), (true, DnsOutcome::PortClosed(None)));
    assert_eq!(result.strays, Strays { wrong_id: 1, ..Strays::default() });
}

#[test]
fn an_icmp_error_does_not_end_a_connection_that_stands() {
    let chain = Chain::new(3);
    let server = tcp_server(chain.far_netns(), chain.far(), |query| {
        let answer = reply(&query[2..], FINE, &[RECORD]);
        [&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat()
    });
    // The question is lost, then turned away, then passes. What is turned away at once would not show: while we
    // write, the kernel does not tell the socket of it (net/ipv4/tcp_ipv4.c tcp_v4_err, sock_owned_by_user).
    for verdict in ["drop", "reject with icmp admin-prohibited"] {
        let question = "tcp flags & psh == psh limit rate 1/hour burst 1 packets";
        chain.rule(1, "forward", &format!("{question} {verdict}"));
    }
    let result = promptly(&chain, &DnsPlan { transport: Transport::Tcp, ..plan(server.at, web1()) });
    assert_eq!(found(&result), (Rcode::NoError, vec![Found::Address(WEB1)]));
}

#[test]
fn an_answer_from_another_address_is_not_taken() {
    let chain = Chain::new(2);
    chain.ip(1, "addr add 10.77.0.3/24 dev left");
    let far = chain.far_netns();
    let other = netns::within(far, || UdpSocket::bind("10.77.0.3:0")).unwrap().unwrap();
    let server = udp_server(far, chain.far(), move |socket, query, from| {
        send(&other, &reply(query, FINE, &[OTHER_RECORD]), from);
        send(socket, &reply(query, FINE, &[RECORD]), from);
    });
    let result = promptly(&chain, &plan(server.at, web1()));
    assert_eq!(found(&result), (Rcode::NoError, vec![Found::Address(WEB1)]));
    assert_eq!(result.strays, Strays { other_server: 1, ..Strays::default() });
}

#[test]
fn a_flood_of_no_answers_ends_before_the_time_is_up() {
    let chain = Chain::new(2);
    let is_over = Arc::new(AtomicBool::new(false));
    let is_enough = is_over.clone();
    let server = udp_server(chain.far_netns(), chain.far(), move |socket, query, from| {
        let started = Instant::now();
        while !is_enough.load(Ordering::Relaxed) && started.elapsed() < PATIENCE {
            send(socket, &[!query[0], query[1]], from);
        }
    });
    let result = promptly(&chain, &DnsPlan { timeout: 6 * PATIENCE, ..plan(server.at, web1()) });
    is_over.store(true, Ordering::Relaxed);
    assert!(result.took.is_some());
    assert_eq!((result.outcome, result.strays.wrong_id), (DnsOutcome::Flooded, 10_000));
}

#[test]
fn what_cannot_be_read_is_malformed_and_why() {
    let chain = Chain::new(2);
    // A name that points at itself, a record that is longer than the message, a name without an end.
    let hostile: [fn(&UdpSocket, &[u8], SocketAddr); 4] = [
        |socket, query, from| {
            let at = query.len() as u8;
            let own = [0xc0, at, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 3];
            send(socket, &reply(query, FINE, &[&own]), from);
        },
        |socket, query, from| {
            let lying = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 10, 0, 0, 3];
            send(socket, &reply(query, FINE, &[&lying]), from);
        },
        |socket, query, from| {
            let endless = b"\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(700);
            send(socket, &reply(query, FINE, &[&endless]), from);
        },
        |socket, query, from| send(socket, query, from),
    ];
    for answer in hostile {
        let server = udp_server(chain.far_netns(), chain.far(), answer);
        let result = promptly(&chain, &plan(server.at, web1()));
        assert!(matches!(&result.outcome, DnsOutcome::Malformed(why) if !why.is_empty()), "{result:?}");
    }
}

#[test]
fn a_tcp_server_may_lie_dawdle_or_hang_up() {
    let chain = Chain::new(2);
    let over_tcp = |at, timeout| {
        let plan = DnsPlan { transport: Transport::Tcp, timeout, ..plan(at, web1()) };
        ask(&chain.asker(), &plan).unwrap().outcome
    };
    let far = chain.far_netns();
    let (holding, held) = mpsc::channel::<()>();
    let silent = tcp_server(far, chain.far(), move |_| {
        // It says nothing until the other end of the channel is dropped.
        let _ = held.recv_timeout(PATIENCE);
        Vec::new()
    });
    let outcome = over_tcp(silent.at, SHORT);
    drop(holding);
    assert_eq!(outcome, DnsOutcome::Silent);
    let short = tcp_server(far, chain.far(), |_| vec![0xff, 0xff, 1, 2, 3]);
    assert_eq!(over_tcp(short.at, PATIENCE), DnsOutcome::HungUp);
    let empty = tcp_server(far, chain.far(), |_| vec![0; 1000]);
    assert_eq!(over_tcp(empty.at, PATIENCE), DnsOutcome::Flooded);
    let truncated = tcp_server(far, chain.far(), |query| {
        let answer = reply(&query[2..], [0x83, 0x80], &[]);
        [&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat()
    });
    assert!(matches!(over_tcp(truncated.at, PATIENCE), DnsOutcome::Malformed(_)));
    // A name without an end, as long as a message over TCP can be.
    let endless = tcp_server(far, chain.far(), |query| {
        let mut answer = reply(&query[2..], [0x81, 0x80], &[]);
        // One record is said to follow.
        answer[7] = 1;
        let label = [b"\x3f".as_slice(), &[b'a'; 63]].concat();
        answer.extend(label.iter().cycle().take(usize::from(u16::MAX) - answer.len()));
        [u16::MAX.to_be_bytes().as_slice(), &answer].concat()
    });
    let outcome = over_tcp(endless.at, PATIENCE);
    assert!(matches!(&outcome, DnsOutcome::Malformed(why) if !why.is_empty()), "{outcome:?}");
}

#[test]
fn a_name_that_is_none_is_not_asked_for() {
    let chain = Chain::new(2);
    let server = SocketAddr::new(chain.far().into(), 53);
    for name in ["a..b", &"x".repeat(64), &"x.".repeat(200)] {
        let plan = DnsPlan { timeout: Duration::ZERO, ..plan(server, Question::Ipv4Of(name.to_owned())) };
        let error = ask(&chain.asker(), &plan).unwrap_err().to_string();
        assert!(error.contains("no name that DNS could be asked for"), "{error}");
    }
}
