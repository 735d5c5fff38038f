//! Any bytes as a server's answer, under the number that was asked with: nothing panics, aliases end, and what is
//! found is no more than the message can hold.

#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use probe::dns::{DnsQuery, Question, Reading, read_answer};

const ID: u16 = 0x1234;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if let Some(id) = bytes.first_chunk_mut() {
        *id = ID.to_be_bytes();
    }
    let name = "web1.novalocal".to_owned();
    let address = Ipv4Addr::new(10, 0, 0, 3).into();
    for question in [Question::Ipv4Of(name.clone()), Question::Ipv6Of(name), Question::NameOf(address)] {
        let query = DnsQuery::new(&question, ID).expect("a name");
        if let Reading::Answer(answer) = read_answer(&bytes, &query) {
            assert!(answer.aliases.len() <= 16, "aliases that go round");
            // A record takes 11 bytes before its data.
            assert!((answer.found.len() + answer.beside) * 11 <= bytes.len(), "more than was sent");
        }
    }
});
