//! Being somebody outside, whose packets the host receives by its uplink.

use std::net::Ipv4Addr;
use std::time::Duration;

use model::Mac;
use model::probe::Asked;
use probe::EchoSize;
use probe::as_instance::{Asks, Plan, Refusal, Seat, Sender, Target, Then};

use crate::{Cloud, PATIENCE, assert_same, promptly, refusal};

const FLOATING: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 30);
/// Nobody's (RFC 5737).
const ANYWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// For documentation (RFC 7042, 2.1.2).
const ROUTER: Mac = Mac([0x00, 0x00, 0x5e, 0x00, 0x53, 0xfe]);

/// A cloud whose first instance has a floating address.
fn floating() -> Cloud {
    let cloud = Cloud::up();
    cloud.run("ip -n $H addr add 203.0.113.30/32 dev eth0");
    cloud.iptables("H", "-t nat -A PREROUTING -d 203.0.113.30 -j DNAT --to 10.0.2.24");
    // Whoever is asked first has its neighbours asked for first.
    cloud.run("ip netns exec $H ping -q -n -c 1 -W 5 203.0.113.1");
    cloud.run("ip netns exec $H ping -q -n -c 1 -W 5 10.0.2.24");
    cloud.age_fast();
    cloud
}

fn plan(cloud: &Cloud, asks: Asks) -> Plan {
    let own = cloud.run("ip netns exec $H cat /sys/class/net/eth0/address");
    let target = Target {
        source: ANYWHERE.into(),
        to: FLOATING.into(),
        asks,
        next_hop: FLOATING.into(),
        next_hop_mac: Some(own.trim().parse().unwrap()),
        id: 0x1234,
        patience: PATIENCE,
        needless_once: None,
    };
    let sender = Sender {
        name: "the outside".to_owned(),
        device: "eth0".to_owned(),
        mac: ROUTER,
        addresses: vec![ANYWHERE.into()],
        seat: Seat::Uplink,
    };
    Plan { sender, targets: vec![target], ..cloud.plan(&[]) }
}

fn ping() -> Asks {
    Asks::Echo(EchoSize { octets: 84, whole: false })
}

#[test]
fn a_floating_address_answers_the_outside_and_nothing_is_left() {
    let cloud = floating();
    cloud.iptables("H", "-A FORWARD -i eth0 -d 10.0.2.24 -p icmp -j ACCEPT");
    let (before, tracked) = (cloud.state(), cloud.connections());
    let answers = promptly(&plan(&cloud, ping()));
    let pinged = &answers.probes[0];
    assert_eq!((pinged.from.as_str(), pinged.by_host), ("the outside", true), "{answers:?}");
    assert_eq!((pinged.sent, pinged.received, pinged.reply_ttl), (2, 2, Some(63)), "{answers:?}");
    assert!(answers.neighbours.is_empty() && answers.changed.is_empty(), "{answers:?}");
    assert_eq!(cloud.counted("H", "-i eth0"), 2, "they came in by the uplink, translated");
    let answers = promptly(&plan(&cloud, Asks::Connection { port: 22, then: Then::Nothing }));
    let Asked::Connection { accepted, .. } = answers.probes[0].asked else { panic!("{answers:?}") };
    assert!(!accepted && answers.probes[0].received == 1, "nobody listens there: {answers:?}");
    assert_same(&before, &cloud.state());
    cloud.assert_only_ours_were_tracked(&tracked, |line| line.contains("src=192.0.2.1 dst=203.0.113.30 "));
}

#[test]
fn what_keeps_the_outside_out_is_a_silence() {
    let cloud = floating();
    cloud.iptables("H", "-A FORWARD -d 10.0.2.24 -j DROP");
    let mut silent = plan(&cloud, ping());
    silent.targets[0].patience = Duration::from_millis(300);
    let answers = promptly(&silent);
    assert_eq!((answers.probes[0].sent, answers.probes[0].received), (2, 0), "{answers:?}");
    assert_eq!(cloud.counted("H", "-d 10.0.2.24"), 2);
}

#[test]
fn by_a_link_that_brings_the_host_nothing_nothing_is_sent() {
    let cloud = floating();
    let because = |plan: &Plan| match refusal(plan) {
        Refusal::NoWayIn { name, device, because, .. } => (name, device, because),
        other => panic!("{other}"),
    };
    let no_way = |because| ("the outside".to_owned(), "eth0".to_owned(), because);
    cloud.run("ip -n $O link set eth0 down");
    assert_eq!(because(&plan(&cloud, ping())), no_way("has no carrier"));
    cloud.run("ip -n $H link set eth0 down");
    assert_eq!(because(&plan(&cloud, ping())), no_way("is down"));
    cloud.run("ip -n $O link set eth0 up");
    cloud.run("ip -n $H link set eth0 up");
    cloud.run("ip -n $H link add br200 type bridge");
    cloud.run("ip -n $H link set eth0 master br200");
    assert_eq!(because(&plan(&cloud, ping())), no_way("is a port of another link"));
    // Nor in another's name.
    let foreign = Plan {
        sender: Sender { addresses: vec![FLOATING.into()], ..plan(&cloud, ping()).sender },
        ..plan(&cloud, ping())
    };
    assert!(matches!(refusal(&foreign), Refusal::NotItsAddress { .. }), "{foreign:?}");
}
