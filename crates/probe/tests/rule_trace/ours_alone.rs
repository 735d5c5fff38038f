//! Only our own packets are traced, and of others' traces nothing is taken for ours.

use std::net::IpAddr;

use probe::rule_trace::{self, Flow, Identity, TraceError};
use sys::netns::NetnsFd;

use crate::wires::{Wires, lines};

const ID: u16 = 0x1dea;
const OTHER: u16 = 0x07e4;

#[test]
fn a_second_flow_beside_it_is_not_traced() {
    let wires = Wires::routed();
    wires.load(
        &["iptables-nft-restore"],
        "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p icmp -j ACCEPT\nCOMMIT\n",
    );
    let trace = wires.trace(&[wires.request(ID)]);
    let of_others = wires.trace(&[wires.request(OTHER + 1)]);
    wires.ping_through(OTHER);
    wires.ping_through(ID);
    wires.ping_through(OTHER);
    assert_eq!(of_others.finish().unwrap().events, []);
    let met = wires.named(&trace.finish().unwrap());
    assert_eq!(lines(&met), ["filter FORWARD #1: -A FORWARD -p icmp -j ACCEPT => accept"]);
}

#[test]
fn what_somebody_else_traces_is_not_taken_for_ours() {
    let wires = Wires::routed();
    wires.load(
        &["nft", "-f", "-"],
        "table ip theirs { chain each { type filter hook prerouting priority -2000; meta nftrace set 1; }; }\n\
         table ip t { chain f { type filter hook forward priority 0; ip protocol icmp accept; }; }\n",
    );
    let trace = wires.trace(&[wires.request(ID)]);
    wires.ping_through(OTHER);
    wires.ping_through(ID);
    wires.ping_through(OTHER);
    let traced = trace.finish().unwrap();
    let met = wires.named(&traced);
    // The reply has our identifier too: it is part of our conversation.
    let one_way = [
        "theirs each #1: meta nftrace set 1 => continue",
        "theirs each #0: :each ACCEPT => accept",
        "t f #1: ip protocol icmp accept => accept",
    ];
    assert_eq!(lines(&met), [one_way, one_way].concat());
}

#[test]
fn flows_that_would_cover_others_are_refused() {
    let here = NetnsFd::current().unwrap();
    let ip: IpAddr = [192, 0, 2, 1].into();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    for flow in [
        Flow { source: None, destination: None, identity: Identity::Echo(1) },
        Flow { source: Some(ip), destination: Some(ip), identity: Identity::Tcp(None, None) },
        Flow { source: None, destination: Some(ip), identity: Identity::Udp(None, None) },
        Flow { source: Some(ip), destination: Some(v6), identity: Identity::Echo(1) },
    ] {
        let error = rule_trace::start(&here, &[flow]).err().unwrap();
        assert!(matches!(error, TraceError::TooWide { .. }), "{error}");
    }
}
