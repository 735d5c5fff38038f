//! Where the kernel says that it freed our packets, and why: each way of losing one is made for real.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use model::path::Exchange;
use probe::drops::{self, PacketDrop};
use probe::{EchoPlan, EchoSize, dns, echo, tcp};

use crate::place::{Chain, PATIENCE, SHORT};

/// The numbers of one test's packets: tests run beside each other, and a program sees all of the machine.
fn own_number() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(257))
}

/// What becomes of one echo request: `PLACE DEVICE REASON FUNCTION` each time that the kernel frees it or its answer,
/// the place being the namespace's number in the chain.
fn of_a_ping(chain: &Chain, to: IpAddr, timeout: Duration) -> Vec<String> {
    let id = own_number();
    let watch = drops::start().unwrap();
    watch.add(Exchange::Icmp, id.into()).unwrap();
    let size = EchoSize { octets: 84, whole: false };
    let plan = EchoPlan { to, scope: 0, count: 1, interval: SHORT, timeout, ttl: None, id: Some(id), size };
    let came = echo(&chain.asker(), &plan).unwrap();
    let told = watch.finish().unwrap();
    assert!(!told.is_full, "{came:?}");
    told.drops.iter().map(|drop| line(chain, drop)).collect()
}

fn ping(to: IpAddr, id: u16, timeout: Duration) -> EchoPlan {
    let (id, interval) = (Some(id), Duration::from_micros(100));
    let size = EchoSize { octets: 84, whole: false };
    EchoPlan { to, scope: 0, count: 1, interval, timeout, ttl: None, id, size }
}

fn line(chain: &Chain, drop: &PacketDrop) -> String {
    let place = chain.fds.iter().position(|netns| Some(netns.inode()) == drop.inode);
    let place = place.map_or_else(|| "elsewhere".to_owned(), |place| place.to_string());
    let device = drop.device.as_ref().map_or("-", |device| &device.name);
    format!("{place} {device} {} {}", drop.reason, drop.function)
}

fn is_lost(chain: &Chain, expected: &str) {
    let told = of_a_ping(chain, chain.far().into(), SHORT);
    assert_eq!(told, [expected]);
}

#[test]
fn rules_of_nft_and_of_legacy_tables() {
    let chain = Chain::new(3);
    chain.rule(1, "forward", "icmp type echo-request drop");
    is_lost(&chain, "1 left NETFILTER_DROP nft_do_chain");
    chain.nft(1, "delete table inet t");
    chain.run(1, "iptables-legacy -A FORWARD -p icmp -j DROP");
    is_lost(&chain, "1 left NETFILTER_DROP nf_hook_slow");
}

#[test]
fn the_answer_on_its_way_back() {
    let chain = Chain::new(3);
    chain.rule(1, "forward", "icmp type echo-reply drop");
    is_lost(&chain, "1 right NETFILTER_DROP nft_do_chain");
    chain.nft(1, "delete table inet t");
    // It has no device yet, and its socket's namespace tells.
    chain.rule(2, "output", "icmp type echo-reply drop");
    is_lost(&chain, "2 - NETFILTER_DROP nft_do_chain");
}

#[test]
fn routes_and_policies() {
    let chain = Chain::new(3);
    chain.ip(1, &format!("route add blackhole {}/32", chain.far()));
    is_lost(&chain, "1 left NOT_SPECIFIED ip_error");
    chain.ip(1, &format!("route del blackhole {}/32", chain.far()));
    chain.ip(1, &format!("xfrm policy add dir fwd src 0.0.0.0/0 dst {}/32 action block", chain.far()));
    is_lost(&chain, "1 left XFRM_POLICY ip_forward");
    chain.ip(1, "xfrm policy flush");
    chain.run(1, "sysctl -qw net.ipv4.ip_forward=0");
    is_lost(&chain, "1 left IP_INADDRERRORS ip_error");
}

#[test]
fn a_source_that_should_have_come_by_another_device() {
    let chain = Chain::new(3);
    chain.run(1, "sysctl -qw net.ipv4.conf.all.rp_filter=1");
    chain.ip(1, "route del 10.77.0.0/24 dev left");
    chain.ip(1, "route add 10.77.0.0/24 dev right");
    is_lost(&chain, "1 left IP_RPFILTER ip_rcv_finish_core");
}

#[test]
fn a_port_that_does_not_forward() {
    let chain = Chain::new(3);
    chain.ip(1, "link add br0 type bridge stp_state 1 forward_delay 3000");
    chain.ip(1, "link set br0 up");
    chain.ip(1, "link set left master br0");
    is_lost(&chain, "1 left BRIDGE_INGRESS_STP_STATE br_handle_frame");
}

#[test]
fn a_neighbour_that_does_not_answer() {
    let chain = Chain::new(3);
    chain.ip(2, "link set left arp off");
    chain.run(1, "sysctl -qw net.ipv4.neigh.right.mcast_solicit=1");
    chain.run(1, "sysctl -qw net.ipv4.neigh.right.retrans_time_ms=50");
    chain.ip(1, "neigh flush dev right");
    // It waits for an ICMP error, which is sent for what is dropped, and right after.
    let told = of_a_ping(&chain, chain.far().into(), PATIENCE);
    assert_eq!(told, ["1 right NEIGH_FAILED neigh_invalidate"]);
}

#[test]
fn the_question_for_a_neighbour_and_the_answer() {
    let chain = Chain::new(3);
    for (at, hook, expected) in [
        (1, "output", "1 right NETFILTER_DROP nft_do_chain"),
        (2, "input", "2 left NETFILTER_DROP nft_do_chain"),
        (2, "output", "2 left NETFILTER_DROP nft_do_chain"),
        (1, "input", "1 right NETFILTER_DROP nft_do_chain"),
    ] {
        chain.nft(at, "add table arp t");
        chain.nft(
            at,
            &format!("add chain arp t {hook} {{ type filter hook {hook} priority 0; policy drop; }}"),
        );
        chain.ip(1, "neigh flush dev right");
        let watch = drops::start().unwrap();
        watch.add_address(chain.far()).unwrap();
        echo(&chain.asker(), &ping(chain.far().into(), own_number(), SHORT)).unwrap();
        let told = watch.finish().unwrap();
        let lines: Vec<String> = told.drops.iter().map(|drop| line(&chain, drop)).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line == expected), "{hook} of {at}: {lines:?}");
        chain.nft(at, "delete table arp t");
    }
}

#[test]
fn over_ipv6_too() {
    let chain = Chain::new(3).with_ipv6();
    chain.rule(1, "forward", "icmpv6 type echo-request drop");
    let told = of_a_ping(&chain, chain.far_v6().into(), SHORT);
    assert_eq!(told, ["1 left NETFILTER_DROP nft_do_chain"]);
}

#[test]
fn questions_for_names_and_connections() {
    let chain = Chain::new(3);
    chain.rule(1, "forward", "meta l4proto { tcp, udp } drop");
    let watch = drops::start().unwrap();
    let (id, port) = (own_number(), 33_000 + own_number() % 20_000);
    watch.add(Exchange::Dns, id.into()).unwrap();
    watch.add(Exchange::Tcp, port.into()).unwrap();
    let at = |port| SocketAddr::new(chain.far().into(), port);
    let (question, transport) = (dns::Question::Version, dns::Transport::Udp);
    let plan = dns::DnsPlan {
        question,
        server: at(53),
        transport,
        id: Some(id),
        own_port: 0,
        timeout: SHORT,
        again: None,
    };
    dns::ask(&chain.asker(), &plan).unwrap();
    tcp::connect_from(&chain.asker(), port, at(22), SHORT).unwrap();
    let told = watch.finish().unwrap();
    let lines: Vec<String> = told.drops.iter().map(|drop| line(&chain, drop)).collect();
    assert!(lines.iter().all(|line| line == "1 left NETFILTER_DROP nft_do_chain"), "{lines:?}");
    let mut protocols: Vec<u8> = told.drops.iter().map(|drop| drop.packet[9]).collect();
    protocols.dedup();
    assert_eq!(protocols, [17, 6]);
}

#[test]
fn what_is_answered_and_what_others_lose_is_not_told() {
    let chain = Chain::new(3);
    let answered: Vec<String> = of_a_ping(&chain, chain.far().into(), PATIENCE);
    // The kernel's own socket for pings has nobody who waits for this one.
    assert!(answered.iter().all(|line| line.starts_with("0 right ")), "{answered:?}");
    chain.rule(1, "forward", "icmp type echo-request drop");
    let watch = drops::start().unwrap();
    watch.add(Exchange::Icmp, own_number().into()).unwrap();
    let output = Command::new("ip")
        .args([
            "netns",
            "exec",
            &chain.names[0],
            "ping",
            "-q",
            "-c",
            "1",
            "-W",
            "0.2",
            &chain.far().to_string(),
        ])
        .output();
    assert!(!output.unwrap().status.success());
    assert_eq!(watch.finish().unwrap(), drops::Told::default());
}

#[test]
fn more_than_is_kept_is_told() {
    let chain = Chain::new(2);
    chain.rule(1, "input", "icmp type echo-request drop");
    let id = own_number();
    let watch = drops::start().unwrap();
    watch.add(Exchange::Icmp, id.into()).unwrap();
    let pings = EchoPlan { count: drops::DROPS_MAX + 10, ..ping(chain.far().into(), id, SHORT) };
    echo(&chain.asker(), &pings).unwrap();
    let told = watch.finish().unwrap();
    assert_eq!((told.drops.len(), told.is_full), (drops::DROPS_MAX as usize, true));
}
