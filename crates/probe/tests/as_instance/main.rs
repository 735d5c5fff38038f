//! Being an instance, in a cloud of a handful of namespaces `ht-as-PID-N-...`: a host with a bridge, NAT and
//! br_netfilter, two instances, and the outside. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use model::Mac;
use model::probe::Asked;
use probe::EchoSize;
use probe::as_instance::{Answers, AsInstanceError, Asks, Plan, Refusal, Seat, Sender, Target};
use sys::netns::{self, NetnsFd};
use sys::tap;

mod floods;
mod outside;
mod questions;

const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x11]);
const OTHER: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x12]);
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 24);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 25);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(1, 2, 3, 4);
/// Longer than anything that is answered; only silence takes it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the namespaces hold. `$H` is the host, `$I` and `$J` are the instances, `$O` is the outside.
const CLOUD: &str = "
    ip -n $H link add br100 type bridge
    ip -n $H link set br100 address fa:16:3e:00:00:01 up
    ip -n $H addr add 10.0.2.1/24 dev br100
    ip -n $H link add vnet0 type veth peer name eth0 netns $I
    ip -n $H link add vnet1 type veth peer name eth0 netns $J
    ip -n $H link set vnet0 master br100 up
    ip -n $H link set vnet1 master br100 up
    ip -n $I link set eth0 address fa:16:3e:00:00:11 up
    ip -n $I addr add 10.0.2.24/24 dev eth0
    ip -n $J link set eth0 address fa:16:3e:00:00:12 up
    ip -n $J addr add 10.0.2.25/24 dev eth0
    ip -n $H link add eth0 type veth peer name eth0 netns $O
    ip -n $H link set eth0 up
    ip -n $H addr add 203.0.113.2/24 dev eth0
    ip -n $H route add default via 203.0.113.1
    ip -n $O link set eth0 up
    ip -n $O link set lo up
    ip -n $O addr add 203.0.113.1/24 dev eth0
    ip -n $O addr add 1.2.3.4/32 dev lo
    ip netns exec $H sysctl -q -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
    ip netns exec $H iptables -w -t nat -A POSTROUTING -s 10.0.2.0/24 -o eth0 -j MASQUERADE
    ip netns exec $I ping -q -n -c 1 -W 5 10.0.2.25
    ip -n $I route add default via 10.0.2.1
    ip netns exec $I ping -q -n -c 1 -W 5 1.2.3.4
";

struct Cloud {
    name: String,
}

impl Cloud {
    fn up() -> Cloud {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ht-as-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cloud = Cloud { name };
        for place in ["H", "I", "J", "O"] {
            // No IPv6: its own traffic would come and go between two looks at the state.
            cloud.run(&format!("ip netns add ${place}"));
            cloud.run(&format!("ip netns exec ${place} sysctl -q -w net.ipv6.conf.default.disable_ipv6=1"));
        }
        CLOUD.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| {
            cloud.run(line);
        });
        cloud
    }

    /// Runs a command, in which `$H` and its like stand for namespaces, and returns what it printed.
    fn run(&self, command: &str) -> String {
        let word = |word: &str| match word.strip_prefix('$') {
            Some(place) => self.netns(place),
            None => word.to_owned(),
        };
        let words: Vec<String> = command.split_whitespace().map(word).collect();
        let output = Command::new(&words[0]).args(&words[1..]).output().expect("it is installed");
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn iptables(&self, place: &str, rule: &str) {
        self.run(&format!("ip netns exec ${place} iptables -w {rule}"));
    }

    fn netns(&self, place: &str) -> String {
        format!("{}-{}", self.name, place.to_lowercase())
    }

    fn plan(&self, targets: &[Ipv4Addr]) -> Plan {
        let next_hop = |to: Ipv4Addr| if to == OUTSIDE { GATEWAY } else { to };
        let target = |to: &Ipv4Addr| Target {
            source: SOURCE.into(),
            to: (*to).into(),
            next_hop: next_hop(*to).into(),
            next_hop_mac: None,
            id: 0x1234,
            asks: Asks::Echo(EchoSize { octets: 84, whole: false }),
            patience: PATIENCE,
            needless_once: None,
        };
        Plan {
            netns: NetnsFd::named(&self.netns("H")).unwrap(),
            sender: Sender {
                name: "web1".to_owned(),
                device: "vnet0".to_owned(),
                mac: OWN,
                addresses: vec![SOURCE.into()],
                seat: Seat::Port("br100".to_owned()),
            },
            targets: targets.iter().map(target).collect(),
            count: 2,
            interval: Duration::from_millis(20),
            timeout: PATIENCE,
            listeners: Vec::new(),
            late_server: PATIENCE,
            ttl: 64,
        }
    }

    /// In place of the veth of the first instance, a tap whose other end is ours and says nothing: a machine that
    /// hangs. The bridge does not know its MAC yet.
    fn with_tap(&self) -> OwnedFd {
        self.run("ip -n $H link del vnet0");
        let tap = tap::open(&NetnsFd::named(&self.netns("H")).unwrap(), "vnet0").unwrap();
        self.run("ip -n $H link set vnet0 master br100 up");
        tap
    }

    /// Packets that a rule of FORWARD, INPUT or OUTPUT has counted, by a word that only it has.
    fn counted(&self, place: &str, word: &str) -> u64 {
        let listing = self.run(&format!("ip netns exec ${place} iptables-save -c"));
        let line = listing.lines().find(|line| line.contains(word)).expect(word);
        line.trim_start_matches('[').split(':').next().unwrap().parse().unwrap()
    }

    /// Connections that the host tracks, without what only counts or ages.
    fn connections(&self) -> BTreeSet<String> {
        let printed = self.run("ip netns exec $H conntrack -L");
        // The kernel's own reports of multicast groups (IGMP) come when they will.
        printed.lines().filter(|line| !line.contains("dst=224.0.0.22 ")).map(of_connection).collect()
    }

    /// From here on what the host tracks is forgotten a second after it was last used.
    fn age_fast(&self) {
        for kind in ["icmp", "udp", "udp_stream", "tcp_close", "tcp_syn_sent", "tcp_syn_recv", "generic"] {
            let name = format!("net.netfilter.nf_conntrack_{}=1", aged(kind));
            self.run(&format!("ip netns exec $H sysctl -q -w {name}"));
        }
    }

    /// Demands that what is tracked and was not before are questions of ours, and that those are forgotten.
    #[track_caller]
    fn assert_only_ours_were_tracked(&self, before: &BTreeSet<String>, is_ours: impl Fn(&str) -> bool) {
        let now = self.connections();
        let new: Vec<&String> = now.difference(before).collect();
        assert!(new.iter().all(|line| is_ours(line)), "{new:#?}");
        let started = Instant::now();
        while !self.connections().is_subset(before) {
            assert!(started.elapsed() < PATIENCE, "not forgotten: {new:#?}");
        }
    }

    /// All that must be the same before and after, but connections.
    fn state(&self) -> Vec<String> {
        let commands = [
            "ip -n $H -d link",
            "ip -n $H addr",
            "ip -n $H route show table all",
            "bridge -n $H fdb show",
            "tc -n $H qdisc show",
            "tc -n $H filter show dev vnet0",
            "ip netns exec $H nft list ruleset",
            "ip netns exec $H ebtables-save",
        ];
        let printed = commands.iter().map(|command| self.run(command)).collect::<String>();
        let mut state: Vec<String> = printed.lines().map(without_what_moves).collect();
        // How fresh an entry is changes by itself; whom it names must not.
        let neighbours = self.run("ip -n $H neigh show");
        state.extend(neighbours.lines().map(|line| line.split(' ').take(5).collect::<Vec<_>>().join(" ")));
        state.sort();
        state
    }
}

/// `udp_timeout_stream`, `tcp_timeout_close`.
fn aged(kind: &str) -> String {
    match kind.split_once('_') {
        Some((protocol, state)) => format!("{protocol}_timeout_{state}"),
        None => format!("{kind}_timeout"),
    }
}

/// Protocol, addresses and ports of both directions.
fn of_connection(line: &str) -> String {
    let is_kept = |word: &&str| {
        ["src=", "dst=", "sport=", "dport=", "id=", "type="].iter().any(|key| word.starts_with(key))
    };
    let protocol = line.split_whitespace().next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().filter(is_kept).collect();
    format!("{protocol} {}", words.join(" "))
}

/// A line without timers and counters.
fn without_what_moves(line: &str) -> String {
    let is_timer = |word: &&str| word.contains('.') && word.parse::<f64>().is_ok();
    let words: Vec<&str> = line.split_whitespace().filter(|word| !is_timer(word)).collect();
    match words.iter().position(|word| *word == "packets") {
        Some(at) => {
            words[..at].iter().chain(words.iter().skip(at + 4)).copied().collect::<Vec<_>>().join(" ")
        }
        None => words.join(" "),
    }
}

#[track_caller]
fn assert_same(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(before == after, "gone: {gone:#?}\nnew: {new:#?}");
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for place in ["H", "I", "J", "O"] {
            // A failure here cannot be reported better than by the namespace that stays.
            let _ = Command::new("ip").args(["netns", "del", &self.netns(place)]).status();
        }
    }
}

/// Asks, and demands that who has answered was told of meanwhile.
fn ask(plan: &Plan) -> Result<Answers, AsInstanceError> {
    let mut told = Vec::new();
    let answers = probe::as_instance::ask(plan, &mut |number| told.push(number))?;
    let is_answered =
        |id: u16| plan.targets.iter().zip(&answers.probes).any(|(t, p)| t.id == id && p.received > 0);
    assert!(told.iter().all(|number| is_answered(*number)), "{told:?} {answers:?}");
    if plan.targets.len() == 1 {
        assert_eq!(told.len(), usize::from(answers.probes[0].received > 0), "{answers:?}");
    }
    Ok(answers)
}

/// Sends, and demands that the answers came by themselves and not by the deadline.
fn promptly(plan: &Plan) -> Answers {
    let started = Instant::now();
    let answers = ask(plan).unwrap();
    assert!(started.elapsed() < PATIENCE, "{answers:?}");
    answers
}

fn refusal(plan: &Plan) -> Refusal {
    match ask(plan).unwrap_err() {
        AsInstanceError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

#[track_caller]
fn all_are_answered(answers: &Answers) {
    let told = answers.probes.iter().map(|e| (e.to, e.sent, e.received, e.reply_ttl)).collect::<Vec<_>>();
    let expected = [(GATEWAY, 2, 2, Some(64)), (OUTSIDE, 2, 2, Some(63)), (NEIGHBOUR, 2, 2, Some(64))];
    let expected = expected.map(|(to, sent, received, ttl)| (IpAddr::V4(to), sent, received, ttl));
    assert_eq!(told, expected, "{answers:?}");
    for echo in &answers.probes {
        assert!(echo.rtt_us.is_some_and(|us| us > 0 && us < 5_000_000), "{echo:?}");
        assert!(echo.errors.is_empty() && echo.send_error.is_none(), "{echo:?}");
    }
    let bridge = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
    let told: Vec<_> = answers.neighbours.iter().map(|n| (n.asked, n.sent, n.macs.clone())).collect();
    // The gateway is asked for once, though two pings go through it.
    assert_eq!(told, [(GATEWAY.into(), 1, vec![bridge]), (NEIGHBOUR.into(), 1, vec![OTHER])]);
    assert!(answers.neighbours.iter().all(|n| n.answered_us.is_some()), "{answers:?}");
}

#[test]
fn an_answer_that_nobody_expects_is_not_waited_for_as_long_as_others() {
    let cloud = Cloud::up();
    cloud.iptables("H", "-A FORWARD -d 1.2.3.4 -j DROP");
    let mut plan = cloud.plan(&[GATEWAY, OUTSIDE]);
    plan.targets[1].patience = Duration::from_millis(200);
    let answers = promptly(&plan);
    let received: Vec<u32> = answers.probes.iter().map(|echo| echo.received).collect();
    assert_eq!(received, [2, 0], "{answers:?}");
}

#[test]
fn gateway_outside_and_neighbour_answer_and_nothing_is_left() {
    let cloud = Cloud::up();
    cloud.iptables("H", "-A FORWARD -m physdev --physdev-in vnet0 -d 10.0.2.25 -j ACCEPT");
    cloud.iptables("O", "-A INPUT -s 203.0.113.2 -p icmp -j ACCEPT");
    cloud.age_fast();
    let (before, tracked) = (cloud.state(), cloud.connections());
    all_are_answered(&promptly(&cloud.plan(&[GATEWAY, OUTSIDE, NEIGHBOUR])));
    assert_same(&before, &cloud.state());
    // 0x1234, by which the pings are known; what passes between two ports is tracked too, by br_netfilter.
    cloud.assert_only_ours_were_tracked(&tracked, |line| {
        line.starts_with("icmp src=10.0.2.24 ") && line.contains("id=4660")
    });
    // They came in by the port, as bridged packets do, and went out translated.
    assert_eq!(cloud.counted("H", "--physdev-in vnet0"), 2);
    assert_eq!(cloud.counted("O", "203.0.113.2"), 2);
}

#[test]
fn a_packet_as_long_as_the_nic_takes_is_answered_or_spoken_of() {
    let cloud = Cloud::up();
    let whole = |octets| {
        let mut plan = cloud.plan(&[OUTSIDE]);
        plan.targets[0].asks = Asks::Echo(EchoSize { octets, whole: true });
        plan
    };
    let told = |answers: &Answers| {
        let echo = &answers.probes[0];
        (echo.asked.clone(), echo.sent, echo.received, echo.errors.clone())
    };
    let asked = Asked::Echo { octets: 1500 };
    assert_eq!(told(&promptly(&whole(1500))), (asked.clone(), 1, 1, Vec::new()), "one answer is enough");
    let refused = refusal(&whole(1501));
    assert_eq!(refused, Refusal::TooMuch { what: "the length of a packet", asked: 1501, most: 1500 });
    cloud.run("ip -n $H link set eth0 mtu 1400");
    let errors = vec![(IpAddr::V4(GATEWAY), "fragmentation needed".to_owned())];
    let answers = promptly(&whole(1500));
    assert_eq!(told(&answers), (asked, answers.probes[0].sent, 0, errors));
}

#[test]
fn a_machine_that_hangs_is_spoken_for_all_the_same() {
    let cloud = Cloud::up();
    let _tap = cloud.with_tap();
    all_are_answered(&promptly(&cloud.plan(&[GATEWAY, OUTSIDE, NEIGHBOUR])));
    let learned = cloud.run("bridge -n $H fdb show dev vnet0");
    assert!(learned.lines().any(|line| line.starts_with(&OWN.to_string())), "as if it had spoken: {learned}");
}

#[test]
fn a_rule_that_drops_what_the_instance_sends_drops_this() {
    let cloud = Cloud::up();
    cloud.iptables("H", "-A FORWARD -s 10.0.2.24 -o eth0 -j DROP");
    let plan = Plan { timeout: Duration::from_secs(1), ..cloud.plan(&[GATEWAY, OUTSIDE]) };
    let answers = ask(&plan).unwrap();
    let told: Vec<_> = answers.probes.iter().map(|e| (e.sent, e.received)).collect();
    assert_eq!(told, [(2, 2), (2, 0)], "{answers:?}");
    assert_eq!(cloud.counted("H", "-j DROP"), 2);
}

#[test]
fn a_refusal_is_told_with_who_refused() {
    let cloud = Cloud::up();
    cloud.iptables("O", "-A INPUT -p icmp -j REJECT --reject-with icmp-admin-prohibited");
    let answers = promptly(&cloud.plan(&[OUTSIDE]));
    let expected = (IpAddr::V4(OUTSIDE), "communication administratively prohibited".to_owned());
    assert_eq!(answers.probes[0].errors.first(), Some(&expected), "{answers:?}");
    assert_eq!(answers.probes[0].received, 0);
}

#[test]
fn a_gateway_that_nobody_answers_for_is_asked_thrice_and_nothing_else_is_sent() {
    let cloud = Cloud::up();
    cloud.run("ip netns exec $H ebtables -A INPUT -i vnet0 -p ARP -j DROP");
    let answers = promptly(&cloud.plan(&[OUTSIDE, NEIGHBOUR]));
    assert_eq!((answers.neighbours[0].sent, answers.neighbours[0].macs.len()), (3, 0), "{answers:?}");
    let [outside, neighbour] = answers.probes.as_slice() else { panic!("{answers:?}") };
    assert_eq!((outside.sent, outside.received), (0, 0));
    let said = outside.send_error.as_deref().unwrap();
    assert_eq!(said, "nobody answers ARP who has 10.0.2.1 tell 10.0.2.24, asked 3 times");
    assert_eq!((neighbour.sent, neighbour.received), (2, 2));
    let listing = cloud.run("ip netns exec $H ebtables -L INPUT --Lc");
    // The question for the neighbour went to all, too.
    assert!(listing.contains("pcnt = 4 "), "{listing}");
}

#[test]
fn who_is_silent_and_was_passed_is_not_waited_for() {
    let cloud = Cloud::up();
    cloud.iptables("H", "-A INPUT -p icmp -d 10.0.2.1 -j DROP");
    let mut plan = cloud.plan(&[GATEWAY, OUTSIDE]);
    plan.targets[1].id += 1;
    plan.targets[0].needless_once = Some(plan.targets[1].id);
    let answers = promptly(&plan);
    let told: Vec<_> = answers.probes.iter().map(|echo| (echo.sent, echo.received)).collect();
    assert_eq!(told, [(2, 0), (2, 2)], "{answers:?}");
}

#[test]
fn two_machines_with_the_gateways_address_both_answer() {
    let cloud = Cloud::up();
    cloud.run("ip -n $J addr add 10.0.2.1/32 dev eth0");
    let answers = promptly(&cloud.plan(&[GATEWAY]));
    let mut macs = answers.neighbours[0].macs.clone();
    macs.sort();
    let bridge = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
    assert_eq!(macs, [bridge, OTHER], "{answers:?}");
    // Who is known is asked alone, and the instance is told nothing else.
    cloud.run("ip -n $I neigh replace 10.0.2.1 lladdr fa:16:3e:00:00:01 nud stale dev eth0");
    let mut plan = cloud.plan(&[GATEWAY]);
    plan.targets[0].next_hop_mac = Some(bridge);
    assert_eq!(promptly(&plan).neighbours[0].macs, [bridge]);
    let known = cloud.run("ip -n $I neigh show 10.0.2.1");
    assert!(known.contains("fa:16:3e:00:00:01"), "{known}");
    // Where it is silent all are asked, as the instance would by and by.
    plan.targets[0].next_hop_mac = Some(Mac([0xfa, 0x16, 0x3e, 0, 0, 0x99]));
    let answers = promptly(&plan);
    assert_eq!((answers.neighbours[0].sent, answers.neighbours[0].macs.len()), (2, 2), "{answers:?}");
}

#[test]
fn what_the_bridge_knows_of_others_is_not_touched() {
    let cloud = Cloud::up();
    let before = cloud.state();
    // As the neighbour, through this instance's NIC.
    let as_other = Plan { sender: Sender { mac: OTHER, ..cloud.plan(&[]).sender }, ..cloud.plan(&[GATEWAY]) };
    let refused = refusal(&as_other);
    let expected = Refusal::Elsewhere { mac: OTHER, port: "vnet1".to_owned(), device: "vnet0".to_owned() };
    assert_eq!(refused, expected);
    // A MAC that nobody has, where the instance has been heard with another.
    let unknown = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x77]);
    let foreign =
        Plan { sender: Sender { mac: unknown, ..cloud.plan(&[]).sender }, ..cloud.plan(&[GATEWAY]) };
    assert_eq!(
        refusal(&foreign),
        Refusal::AnotherStation { device: "vnet0".to_owned(), known: OWN, mac: unknown }
    );
    let mut stolen = cloud.plan(&[GATEWAY]);
    stolen.targets[0].source = NEIGHBOUR.into();
    let not_its = Refusal::NotItsAddress { address: NEIGHBOUR.into(), name: "web1".to_owned() };
    assert_eq!(refusal(&stolen), not_its);
    // Nothing was learned from what was refused.
    assert_same(&before, &cloud.state());
}

#[test]
fn a_nic_through_which_the_instance_cannot_send_is_refused_as_it_is() {
    let cloud = Cloud::up();
    let plan = cloud.plan(&[GATEWAY]);
    cloud.run("ip -n $I link set eth0 down");
    assert!(matches!(refusal(&plan), Refusal::NoCarrier { .. }));
    cloud.run("ip -n $I link set eth0 up");
    cloud.run("ip -n $H link set vnet0 nomaster");
    assert!(matches!(refusal(&plan), Refusal::NoBridge { .. }));
    cloud.run("ip -n $H link add br200 type bridge");
    cloud.run("ip -n $H link set vnet0 master br200");
    assert!(matches!(refusal(&plan), Refusal::AnotherBridge { .. }));
    cloud.run("ip -n $H link set vnet0 master br100 down");
    assert!(matches!(refusal(&plan), Refusal::Down { .. }));
    cloud.run("ip -n $H link del vnet0");
    assert!(matches!(refusal(&plan), Refusal::NoDevice { .. }));
}

#[test]
fn the_thread_that_asks_stays_at_home() {
    let cloud = Cloud::up();
    let home = NetnsFd::current().unwrap().inode();
    promptly(&cloud.plan(&[GATEWAY]));
    assert_eq!(NetnsFd::current().unwrap().inode(), home);
    let names = netns::list_named();
    assert!(names.contains(&cloud.netns("H")), "{names:?}");
}
