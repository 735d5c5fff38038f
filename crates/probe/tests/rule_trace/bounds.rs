//! Many flows, many events.

use probe::rule_trace::{self, EVENTS_MAX, FLOWS_MAX, TraceError};
use sys::netns::NetnsFd;

use crate::wires::{Wires, lines};

#[test]
fn as_many_flows_as_allowed_and_no_more() {
    let wires = Wires::routed();
    wires.load(
        &["iptables-nft-restore"],
        "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p icmp -j ACCEPT\nCOMMIT\n",
    );
    let flows: Vec<_> = (1..=u16::try_from(FLOWS_MAX).unwrap()).map(|id| wires.request(id)).collect();
    let trace = wires.trace(&flows);
    for id in [1, 2, 127, 128, 129] {
        wires.ping_through(id);
    }
    let met = wires.named(&trace.finish().unwrap());
    assert_eq!(lines(&met), vec!["filter FORWARD #1: -A FORWARD -p icmp -j ACCEPT => accept"; 4]);
    let more = [flows, vec![wires.request(129)]].concat();
    let error = rule_trace::start(&NetnsFd::named(&wires.r).unwrap(), &more).err().unwrap();
    assert!(matches!(error, TraceError::TooMany { count: 129 }), "{error}");
}

/// A flood of our own flow through many rules: what is kept is bounded, and that more was is said.
#[test]
fn events_beyond_the_bound_are_counted_as_lost() {
    let wires = Wires::routed();
    let rules = "-A FORWARD -p icmp\n".repeat(1000);
    wires.load(&["iptables-nft-restore"], &format!("*filter\n:FORWARD ACCEPT [0:0]\n{rules}COMMIT\n"));
    let trace = wires.trace(&[wires.request(7)]);
    for _ in 0..25 {
        wires.ping_through(7);
    }
    let traced = trace.finish().unwrap();
    assert!(traced.lost);
    assert!(traced.events.len() <= EVENTS_MAX, "{}", traced.events.len());
    // What could be heard is still named, as far as it goes.
    let met = rule_trace::met(&traced.events, &wires.ruleset(), &traced.handles);
    assert!(met.iter().any(|met| met.rule.is_ok()));
}
