//! Sockets of a namespace against the ones that were opened there.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};
use sys::netns::{self, NetnsFd};

use crate::scratch::Scratch;

#[test]
fn an_unspecified_ipv6_address_takes_ipv4_too_unless_told_not_to() {
    let scratch = Scratch::new("sock");
    let here = NetnsFd::named(&scratch.name).unwrap();
    let any: SocketAddr = "[::]:5353".parse().unwrap();
    let (_tcp, _udp) = netns::within(&here, || {
        let udp = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        udp.set_only_v6(true).unwrap();
        udp.bind(&any.into()).unwrap();
        (TcpListener::bind(any).unwrap(), udp)
    })
    .unwrap();
    let sockets = scratch.read().sockets;
    let told = |protocol| {
        let here = sockets.iter().filter(|s| (s.protocol, s.port) == (protocol, 5353));
        here.map(|s| s.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((told(6), told(17)), (vec!["::".into(), "0.0.0.0".into()], vec!["::".into()]));
}
