//! Any bytes as a server's frame and as a message for the client that it names: nothing panics, and what is read
//! is no more than the message can hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::addr::Mac;
use probe::dhcp::{Client, framed, read};

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    if let Some(framed) = framed(bytes) {
        assert!(framed.payload.len() < bytes.len(), "a payload larger than its frame");
        look(framed.payload);
    }
});

/// Reads it as whomever it is for.
fn look(message: &[u8]) {
    let transaction = message.get(4..8).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    let mac = message.get(28..34).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    let client = Client { mac: Mac(mac), transaction: u32::from_be_bytes(transaction) };
    match read(message, &client) {
        Ok(reply) => {
            let addresses = reply.routers.len() + reply.dns.len();
            assert!(addresses * 4 + reply.codes.len() <= message.len(), "more than was sent");
            assert!(reply.prefix_bits.is_none_or(|bits| bits <= 32), "no prefix");
        }
        Err(problem) => assert!(!problem.to_string().is_empty(), "a problem without words"),
    }
}
