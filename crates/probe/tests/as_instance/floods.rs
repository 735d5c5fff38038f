//! Answers that nobody should believe, and more of them than anybody needs.

use std::net::UdpSocket;
use std::thread::JoinHandle;

use model::dhcp::{HeardReply, UnreadableReply};
use probe::dns::Question;

use super::questions::only;
use super::*;

const ANSWERS: u32 = 10_000;
/// What a DISCOVER may say before its options, and the first of them.
const FIXED: usize = 240;

/// A hostile server next door: it waits for a DISCOVER, and answers it by all of these, in turn.
fn hostile(cloud: &Cloud, answer: impl Fn(u32, &mut Vec<u8>) + Send + 'static) -> JoinHandle<()> {
    let netns = NetnsFd::named(&cloud.netns("J")).unwrap();
    let socket = netns::within(&netns, || {
        let socket = UdpSocket::bind("0.0.0.0:67")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok::<_, std::io::Error>(socket)
    });
    let socket = socket.unwrap().unwrap();
    std::thread::spawn(move || {
        let mut asked = [0; 1500];
        let (length, _) = socket.recv_from(&mut asked).unwrap();
        assert!(length > FIXED);
        for nth in 0..ANSWERS {
            let mut message = asked[..FIXED].to_vec();
            message[0] = 2;
            message[16..20].copy_from_slice(&[10, 0, 2, 99]);
            answer(nth, &mut message);
            // A queue that is full is no concern.
            let _ = socket.send_to(&message, (SOURCE, 68));
        }
    })
}

/// Asks for an address, and returns what came: in bounded time.
fn asked(cloud: &Cloud) -> (Vec<HeardReply>, Vec<UnreadableReply>) {
    let started = Instant::now();
    let answers = ask(&Plan { timeout: Duration::from_secs(3), ..cloud.discover() }).unwrap();
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    match &only(&answers).asked {
        Asked::Address { offers, unreadable } => (offers.clone(), unreadable.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flood_of_offers_is_bounded_and_told() {
    let cloud = Cloud::up();
    let server = hostile(&cloud, |nth, message| {
        message.extend([53, 1, 2, 54, 4, 10, 1]);
        message.extend(nth.to_be_bytes().get(2..).unwrap());
        message.push(255);
    });
    let (offers, unreadable) = asked(&cloud);
    server.join().unwrap();
    assert_eq!(offers.len(), 8);
    let [reply] = unreadable.as_slice() else { panic!("{unreadable:?}") };
    assert_eq!(reply.from, NEIGHBOUR);
    assert!(reply.why.ends_with("more answers came than are looked at"), "{reply:?}");
}

#[test]
fn options_that_lie_are_read_by_nobody_and_the_right_server_is_heard_beside_them() {
    let cloud = Cloud::up();
    let _dnsmasq = cloud.novas_dnsmasq();
    let server = hostile(&cloud, |nth, message| match nth % 6 {
        // Longer than what is left; without an end; overload that leads to itself; a mask with holes; no addresses;
        // all there can be, of one option again and again.
        0 => message.extend([53, 1, 2, 54, 255, 10]),
        1 => message.extend([53, 1, 2, 54, 4, 10, 0, 2, 25]),
        2 => message.extend([53, 1, 2, 52, 1, 3, 255]),
        3 => message.extend([53, 1, 2, 1, 4, 255, 0, 255, 0, 255]),
        4 => message.extend([53, 1, 2, 3, 3, 10, 0, 2, 255]),
        _ => {
            message.extend([53, 1, 2]);
            for _ in 0..4 {
                message.push(6);
                message.push(252);
                message.extend([7; 252]);
            }
            message.extend([26, 1, 9, 255]);
        }
    });
    let (offers, unreadable) = asked(&cloud);
    server.join().unwrap();
    assert!(offers.iter().any(|offer| offer.from == GATEWAY), "{offers:?}");
    assert!((1..=9).contains(&unreadable.len()), "{unreadable:?}");
    assert!(unreadable.iter().all(|reply| reply.from == NEIGHBOUR), "{unreadable:?}");
}

#[test]
fn a_name_that_another_answers_for_is_no_answer_and_is_told() {
    let cloud = Cloud::up();
    // Its address is that of the host's other side: what it sends is for who asked the gateway.
    cloud.run("ip -n $H addr add 10.0.2.2/24 dev br100");
    let netns = NetnsFd::named(&cloud.netns("H")).unwrap();
    let socket = |address: &'static str| {
        let bound = netns::within(&netns, || UdpSocket::bind(address)).unwrap().unwrap();
        bound.set_read_timeout(Some(PATIENCE)).unwrap();
        bound
    };
    let (meant, other) = (socket("10.0.2.1:53"), socket("10.0.2.2:53"));
    let server = std::thread::spawn(move || {
        let mut asked = [0; 512];
        let (length, from) = meant.recv_from(&mut asked).unwrap();
        // The question itself, flagged as an answer without any record.
        asked[2] |= 0x80;
        for _ in 0..100 {
            other.send_to(&asked[..length], from).unwrap();
        }
    });
    let mut plan = cloud.plan(&[GATEWAY]);
    plan.targets[0].asks = Asks::Name(Question::Version);
    let answers = ask(&Plan { timeout: Duration::from_secs(1), count: 1, ..plan }).unwrap();
    server.join().unwrap();
    let probe = only(&answers);
    assert_eq!(probe.received, 0, "{probe:?}");
    let told = ("10.0.2.2".parse().unwrap(), "the answer, though it was not asked".to_owned());
    assert_eq!(probe.errors, [told]);
}
