//! Any bytes as what the network answers, for each reader that is handed it: the beginning of a web server's answer
//! and of an ssh server's greeting, ICMP and ICMPv6, ARP, and neighbour discovery. Nothing panics, what is found is no
//! more than was sent, and a line that has its end means the same however much comes behind it.

#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use parse::{http_status, neighbour, ssh_greeting};

const ASKER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const ASKED: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x24);
const MAC: [u8; 6] = [0xfa, 0x16, 0x3e, 0, 2, 0x24];

fuzz_target!(|bytes: &[u8]| {
    of_lines(bytes);
    of_packets(bytes);
    if bytes.len() < 2_000 {
        of_packets(&advertisement(bytes));
        of_packets(&[&MAC[..], &MAC, &[0x81, 0, 0, 100, 0x08, 0x06], bytes].concat());
    }
    neighbour::read(bytes);
});

/// What servers say first.
fn of_lines(bytes: &[u8]) {
    let is_within = |text: &str, most: usize| {
        // What is no UTF-8 is replaced, by three octets for each at most.
        assert!(text.len() <= 3 * bytes.len().min(most), "more than was sent");
    };
    match http_status::parse(bytes) {
        http_status::Beginning::Line(line) => {
            assert!((100..1000).contains(&line.code), "no code");
            is_within(&line.text, http_status::LINE_BYTES_MAX);
            let longer = [bytes, b"more\n"].concat();
            assert_eq!(http_status::parse(&longer), http_status::Beginning::Line(line), "it had its end");
        }
        http_status::Beginning::Other(text) => is_within(&text, http_status::LINE_BYTES_MAX),
        http_status::Beginning::Unfinished => {}
    }
    if let Some(body) = http_status::body(bytes) {
        is_within(&body.text, http_status::BODY_BYTES_MAX);
    }
    if let Some(text) = http_status::ended(bytes) {
        is_within(&text, http_status::LINE_BYTES_MAX);
    }
    let greeting = ssh_greeting::parse(bytes);
    if let ssh_greeting::Beginning::Version(line) = &greeting {
        assert!(line.starts_with("SSH-"), "no version");
        // Behind the octets that are looked at a line may end that has not in them.
        if bytes.len() < ssh_greeting::GREETING_BYTES_MAX {
            assert_eq!(ssh_greeting::parse(&[bytes, b"more\n"].concat()), greeting, "it had its end");
        }
    }
    match ssh_greeting::ended(bytes) {
        ssh_greeting::Beginning::Version(text) | ssh_greeting::Beginning::Other(text) => {
            is_within(&text, ssh_greeting::GREETING_BYTES_MAX);
        }
        ssh_greeting::Beginning::Unfinished => assert!(bytes.is_empty(), "no more is to come"),
    }
}

/// What sockets hand over.
fn of_packets(octets: &[u8]) {
    let read = probe::received(octets, ASKER, ASKED);
    assert!(read.payloads.iter().all(|length| length + 8 <= octets.len()), "more than was sent");
    assert!(read.meanings.iter().all(|meaning| !meaning.is_empty()), "an error without words");
}

/// A frame that answers the question, with these bytes as its flags and options, and a checksum that is right.
fn advertisement(bytes: &[u8]) -> Vec<u8> {
    let (flags, options) = bytes.split_first().unwrap_or((&0x60, &[]));
    let message = [&[136, 0, 0, 0, *flags, 0, 0, 0][..], &ASKED.octets(), options].concat();
    let length = u16::try_from(message.len()).expect("bounded").to_be_bytes();
    let ends = [ASKED.octets(), ASKER.octets()].concat();
    let pseudo = [&ends[..], &[0, 0], &length, &[0, 0, 0, 58], &message].concat();
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u64 = pseudo.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let sum = (!u16::try_from(sum).expect("folded")).to_be_bytes();
    let header = [&[0x60, 0, 0, 0][..], &length, &[58, 255]].concat();
    let head = [&MAC[..], &MAC, &[0x86, 0xdd], &header, &ends, &[136, 0], &sum].concat();
    [head.as_slice(), message.get(4..).unwrap_or_default()].concat()
}
