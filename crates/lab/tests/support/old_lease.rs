//! A DHCP client that has kept its address and asks for it again, as one does that reboots (RFC 2131, 4.3.2).

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of BOOTP's fixed part and the options' magic number, in octets.
const FIXED: usize = 240;
const TRANSACTION: [u8; 4] = [0x6c, 0x32, 0x0b, 0x07];

/// The type of the answer to who asks for this address once, from a namespace that has it; `None` for silence.
pub(crate) fn asked_for(ns: &str, mac: [u8; 6], address: Ipv4Addr) -> Option<u8> {
    let netns = sys::netns::NetnsFd::named(ns).unwrap();
    sys::netns::within(&netns, || {
        let client = UdpSocket::bind("0.0.0.0:68").unwrap();
        client.set_broadcast(true).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send_to(&request(mac, address), "255.255.255.255:67").unwrap();
        let mut answer = [0; 1500];
        match client.recv(&mut answer) {
            Ok(length) => kind_of(&answer[..length]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("no answer can be read: {e}"),
        }
    })
    .unwrap()
}

/// REQUEST for an address, of no server in particular, whose answer everybody may hear.
fn request(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0; FIXED];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[4..8].copy_from_slice(&TRANSACTION);
    message[10] = 0x80;
    message[28..34].copy_from_slice(&mac);
    message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, 3, 50, 4]);
    message.extend(address.octets());
    message.push(255);
    message.resize(300, 0);
    message
}

/// dnsmasq's first option is the type.
fn kind_of(answer: &[u8]) -> Option<u8> {
    (answer.get(4..8)? == TRANSACTION).then_some(*answer.get(FIXED + 2)?)
}
