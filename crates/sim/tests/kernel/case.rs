//! What one case is: links, addresses, routes, sysctls, rules and probes, drawn from a seed.

use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::random::Random;

pub(crate) const GUEST: usize = 0;
pub(crate) const OTHER_GUEST: usize = 1;
pub(crate) const HOST: usize = 2;
pub(crate) const ROUTER: usize = 3;
pub(crate) const SERVER: usize = 4;
pub(crate) const ROLES: [&str; 5] = ["g1", "g2", "h", "r", "s"];

/// Ports that every machine listens on.
pub(crate) const TCP_PORTS: [u16; 2] = [80, 8080];
pub(crate) const UDP_PORTS: [u16; 2] = [53, 5353];

const FLOAT: &str = "203.0.113.101";

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    Tcp(u16),
    Udp(u16),
}

/// One packet to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) from: usize,
    pub(crate) to: Ipv4Addr,
    pub(crate) kind: Kind,
}

/// Everything that a case sets up and sends.
pub(crate) struct Case {
    pub(crate) seed: u64,
    /// `ip -batch` lines, by role. Links are made by the host's and the router's.
    pub(crate) ip: [Vec<String>; 5],
    /// Files under /proc/sys/net and their contents, by role, in order.
    pub(crate) sysctls: Vec<(usize, String, u32)>,
    /// Restore command and what it is fed with, on the host.
    pub(crate) rules: Vec<(&'static str, String)>,
    pub(crate) probes: Vec<Probe>,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (role, lines) in ROLES.iter().zip(&self.ip) {
            lines.iter().try_for_each(|line| writeln!(f, "{role}: ip {line}"))?;
        }
        for (role, name, value) in &self.sysctls {
            writeln!(f, "{}: {name} = {value}", ROLES[*role])?;
        }
        self.rules.iter().try_for_each(|(tool, text)| writeln!(f, "h: {tool}\n{text}"))
    }
}

/// Draws a case. `netns` are the names of the five namespaces, in the order of [`ROLES`].
pub(crate) fn draw(seed: u64, netns: &[String; 5]) -> Case {
    let mut random = Random::new(seed);
    let two_bridges = random.one_in(3);
    let mut case = Case {
        seed,
        ip: links(&mut random, netns, two_bridges),
        sysctls: sysctls(&mut random, two_bridges),
        rules: Vec::new(),
        probes: Vec::new(),
    };
    routes(&mut random, &mut case.ip);
    let backends: &[&str] = match random.below(4) {
        0 => &["iptables-legacy-restore"],
        1 | 2 => &["iptables-nft-restore"],
        _ => &["iptables-nft-restore", "iptables-legacy-restore"],
    };
    for tool in backends {
        case.rules.push((tool, ruleset(&mut random)));
    }
    case.probes = probes(&mut random, two_bridges);
    case
}

fn links(random: &mut Random, netns: &[String; 5], two_bridges: bool) -> [Vec<String>; 5] {
    let [g1, g2, _, router, server] = netns;
    let second = if two_bridges { "br2" } else { "br1" };
    let other_net = i32::from(two_bridges);
    // A bridge that snoops joins a group of its own and says so (`br_multicast_join_snoopers`), seconds later; rules
    // drawn by chance may make of that report a packet that teaches an instance what the walk knows nothing of.
    let mut host: Vec<String> = vec![
        "link set lo up".into(),
        "link add br1 address 02:00:00:00:01:01 type bridge mcast_snooping 0".into(),
        "link add br2 address 02:00:00:00:01:02 type bridge mcast_snooping 0".into(),
        format!("link add tap1 address fe:16:3e:00:00:11 type veth peer name eth0 netns {g1}"),
        format!("link add tap2 address fe:16:3e:00:00:12 type veth peer name eth0 netns {g2}"),
        format!("link add up0 address 02:00:00:00:00:34 type veth peer name eth1 netns {router}"),
        "link set tap1 master br1".into(),
        format!("link set tap2 master {second}"),
        "addr add 10.0.0.1/24 dev br1".into(),
        "addr add 10.0.1.1/24 dev br2".into(),
        "addr add 203.0.113.34/24 dev up0".into(),
        format!("addr add {FLOAT}/32 dev up0"),
    ];
    host.extend(["br1", "br2", "tap1", "tap2", "up0"].map(|link| format!("link set {link} up")));
    host.push("route add default via 203.0.113.1".into());
    if random.one_in(4) {
        host.push("link set tap1 type bridge_slave hairpin on".into());
    }
    if random.one_in(6) {
        host.push("link set tap1 type bridge_slave isolated on".into());
        host.push("link set tap2 type bridge_slave isolated on".into());
    }
    let guest = |nth: i32, net: i32| {
        vec![
            "link set lo up".to_owned(),
            format!("link set eth0 address fa:16:3e:00:00:1{nth}"),
            format!("addr add 10.0.{net}.1{nth}/24 dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add default via 10.0.{net}.1"),
        ]
    };
    let router = vec![
        "link set lo up".to_owned(),
        format!("link add eth0 type veth peer name eth0 netns {server}"),
        "addr add 203.0.113.1/24 dev eth1".to_owned(),
        "addr add 198.51.100.1/24 dev eth0".to_owned(),
        "link set eth0 up".to_owned(),
        "link set eth1 up".to_owned(),
    ];
    let server = vec![
        "link set lo up".to_owned(),
        "addr add 198.51.100.10/24 dev eth0".to_owned(),
        "link set eth0 up".to_owned(),
        "route add default via 198.51.100.1".to_owned(),
    ];
    [guest(1, 0), guest(2, other_net), host, router, server]
}

fn sysctls(random: &mut Random, two_bridges: bool) -> Vec<(usize, String, u32)> {
    let mut sysctls = Vec::new();
    let mut set = |role: usize, name: String, value: u32| sysctls.push((role, name, value));
    set(HOST, "ipv4/ip_forward".into(), u32::from(!random.one_in(8)));
    set(ROUTER, "ipv4/ip_forward".into(), 1);
    for role in [HOST, ROUTER] {
        set(role, "ipv4/conf/all/rp_filter".into(), *random.of(&[0, 0, 0, 1, 2]));
        let link = if role == HOST { "up0" } else { "eth1" };
        set(role, format!("ipv4/conf/{link}/rp_filter"), *random.of(&[0, 0, 1, 2]));
    }
    set(HOST, "bridge/bridge-nf-call-iptables".into(), u32::from(random.one_in(2)));
    if random.one_in(5) {
        let role = *random.of(&[GUEST, OTHER_GUEST, HOST, SERVER]);
        set(role, "ipv4/conf/all/arp_ignore".into(), *random.of(&[1, 2, 3, 8]));
    }
    if random.one_in(8) {
        set(HOST, "ipv4/conf/up0/proxy_arp".into(), 1);
    }
    if random.one_in(8) {
        set(HOST, "ipv4/conf/br1/forwarding".into(), 0);
    }
    if random.one_in(8) {
        set(HOST, "ipv4/conf/all/accept_local".into(), 1);
    }
    if random.one_in(6) {
        set(HOST, "ipv4/conf/all/src_valid_mark".into(), 1);
    }
    if two_bridges && random.one_in(4) {
        set(HOST, "ipv4/conf/br2/rp_filter".into(), 1);
    }
    sysctls
}

fn routes(random: &mut Random, ip: &mut [Vec<String>; 5]) {
    let mut rule = None;
    if random.one_in(2) {
        ip[ROUTER].push("route add 10.0.0.0/23 via 203.0.113.34".into());
    }
    if random.one_in(5) {
        let kind = *random.of(&["blackhole", "unreachable", "prohibit", "throw"]);
        let to = *random.of(&["198.51.100.10/32", "198.51.100.0/24", "10.0.0.12/32"]);
        ip[HOST].push(format!("route add {kind} {to}"));
    }
    if random.one_in(4) {
        let selector = *random.of(&[
            "from 10.0.0.0/24",
            "not from 10.0.0.0/24",
            "iif br1",
            "to 198.51.100.0/24",
            "fwmark 0x1/0x1",
            "fwmark 0x2",
            "not fwmark 0x1/0x3",
        ]);
        let action = *random.of(&["lookup 100", "lookup 100", "blackhole", "prohibit", "goto 32766"]);
        let route = *random.of(&[
            "default via 203.0.113.1",
            "blackhole default",
            "throw default",
            "unreachable 198.51.100.0/24",
            "198.51.100.0/24 via 203.0.113.1 src 203.0.113.101",
        ]);
        let (first, rest) = route.split_once(' ').unwrap_or((route, ""));
        ip[HOST].push(format!("route add {first} {rest} table 100"));
        // Last: a rule may refuse the gateways of routes made after it.
        rule = Some(format!("rule add {selector} priority 100 {action}"));
    }
    if random.one_in(8) {
        ip[HOST].push("neigh add 203.0.113.1 lladdr 02:00:00:00:00:99 dev up0".into());
    }
    if random.one_in(8) {
        ip[HOST].push("addr add 198.51.100.10/32 dev lo".into());
    }
    ip[HOST].extend(rule);
}

fn probes(random: &mut Random, two_bridges: bool) -> Vec<Probe> {
    let from = *random.of(&[GUEST, GUEST, GUEST, HOST, SERVER, ROUTER]);
    let other = if two_bridges { "10.0.1.12" } else { "10.0.0.12" };
    let targets = ["198.51.100.10", other, "10.0.0.1", FLOAT, "203.0.113.1", "203.0.113.34", "10.0.0.11"];
    let mut probes = Vec::new();
    for to in targets {
        for kind in [Kind::Echo, Kind::Tcp(*random.of(&TCP_PORTS)), Kind::Udp(*random.of(&UDP_PORTS))] {
            if kind == Kind::Echo || random.one_in(2) {
                probes.push(Probe { from, to: to.parse().expect("an address"), kind });
            }
        }
    }
    probes
}

/// A table: its name, its built-in chains, and whether it may drop.
const TABLES: [(&str, &[&str]); 4] = [
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
];

fn ruleset(random: &mut Random) -> String {
    let mut text = String::new();
    for (table, chains) in TABLES {
        let wanted = match table {
            "filter" | "nat" => !random.one_in(4),
            _ => random.one_in(3),
        };
        if !wanted {
            continue;
        }
        writeln!(text, "*{table}").unwrap();
        for chain in chains {
            let policy = if table == "filter" && random.one_in(6) { "DROP" } else { "ACCEPT" };
            writeln!(text, ":{chain} {policy} [0:0]").unwrap();
        }
        text.push_str(":u1 - [0:0]\n:u2 - [0:0]\n");
        for chain in chains.iter().chain(&["u1", "u2"]) {
            let most = if chain.starts_with('u') { 3 } else { 4 };
            for _ in 0..random.below(most) {
                writeln!(text, "-A {chain} {}", rule(random, table, chain)).unwrap();
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

fn rule(random: &mut Random, table: &str, chain: &str) -> String {
    let mut words = Vec::new();
    let protocol = random.one_in(3).then(|| *random.of(&["icmp", "tcp", "udp"]));
    let target = target(random, table, chain);
    let protocol = if target.contains("10.0.0.12:") || target.starts_with("REDIRECT --") {
        Some("tcp")
    } else {
        protocol
    };
    if let Some(protocol) = protocol {
        words.push(format!("-p {protocol}"));
        words.extend(random.one_in(2).then(|| of_protocol(random, protocol)));
    }
    for _ in 0..random.below(3) {
        let word = condition(random, chain);
        let option = |w: &str| w.trim_start_matches("! ").split(' ').take(2).next().map(str::to_owned);
        let twice = words.iter().any(|w| option(w) == option(&word) && !word.starts_with("-m"));
        if !twice && !words.contains(&word) {
            words.push(word);
        }
    }
    words.push(format!(
        "-{} {}",
        if target.starts_with("goto ") { "g" } else { "j" },
        target.trim_start_matches("goto ")
    ));
    words.join(" ")
}

fn of_protocol(random: &mut Random, protocol: &str) -> String {
    let words: &[&str] = match protocol {
        "icmp" => &["-m icmp --icmp-type 8", "-m icmp --icmp-type 0", "-m icmp ! --icmp-type 8"],
        "tcp" => &[
            "-m tcp --dport 80",
            "-m tcp ! --dport 80",
            "-m tcp --sport 80",
            "-m tcp --tcp-flags SYN,ACK SYN",
            "-m tcp ! --tcp-flags SYN,ACK,RST SYN",
            "-m multiport --dports 80,8080",
            "-m multiport ! --ports 1:100",
        ],
        _ => &["-m udp --dport 53", "-m udp ! --dport 50:60", "-m multiport --dports 53,5353"],
    };
    (*random.of(words)).to_owned()
}

fn condition(random: &mut Random, chain: &str) -> String {
    let mut words = vec![
        "-s 10.0.0.0/24",
        "! -s 10.0.0.11/32",
        "-s 198.51.100.0/24",
        "-d 10.0.0.0/23",
        "-d 198.51.100.10/32",
        "! -d 198.51.100.0/24",
        "-d 203.0.113.101/32",
        "-m conntrack --ctstate NEW",
        "-m conntrack --ctstate RELATED,ESTABLISHED",
        "-m conntrack --ctstate INVALID",
        "-m conntrack ! --ctstate NEW,UNTRACKED",
        "-m conntrack --ctstate DNAT",
        "-m mark --mark 0x1/0x3",
        "-m mark ! --mark 0x2",
        "-m iprange --src-range 10.0.0.11-10.0.0.20",
        "-m iprange ! --dst-range 198.51.100.0-198.51.100.9",
        "-m addrtype --dst-type LOCAL",
        "-m addrtype ! --src-type LOCAL",
        "-m comment --comment hello",
    ];
    if matches!(chain, "PREROUTING" | "INPUT" | "FORWARD") {
        words.extend(["-i br1", "-i br+", "-i up0", "! -i up0", "! -i br+", "-i tap1"]);
        words.extend(["-m mac --mac-source fa:16:3e:00:00:11", "-m mac ! --mac-source fa:16:3e:00:00:11"]);
        words.extend(["-m physdev --physdev-in tap1", "-m physdev ! --physdev-in tap1"]);
        words.extend(["-m physdev --physdev-is-in", "-m physdev ! --physdev-is-in"]);
    }
    if matches!(chain, "FORWARD" | "OUTPUT" | "POSTROUTING") {
        words.extend(["-o br1", "-o br+", "-o up0", "! -o up0", "! -o br+"]);
    }
    if chain == "FORWARD" {
        words.extend(["-m physdev --physdev-is-bridged", "-m physdev ! --physdev-is-bridged"]);
        words.extend(["-m physdev --physdev-out tap2", "-m physdev ! --physdev-out tap2"]);
    }
    if random.one_in(40) {
        return "-m statistic --mode nth --every 2 --packet 0".to_owned();
    }
    (*random.of(&words)).to_owned()
}

fn target(random: &mut Random, table: &str, chain: &str) -> String {
    let mut targets = vec!["ACCEPT", "ACCEPT", "RETURN"];
    match chain {
        "u1" => targets.extend(["u2", "goto u2"]),
        "u2" => {}
        _ => targets.extend(["u1", "u2", "goto u1"]),
    }
    match (table, chain) {
        ("filter", _) => targets.extend(["ACCEPT", "DROP", "DROP", "REJECT"]),
        ("mangle", _) => targets.extend([
            "DROP",
            "MARK --set-xmark 0x1/0xffffffff",
            "MARK --set-xmark 0x1/0x1",
            "MARK --or-mark 0x2",
        ]),
        ("raw", _) => targets.extend(["DROP", "CT --notrack"]),
        ("nat", "PREROUTING" | "OUTPUT") => targets.extend([
            "DNAT --to-destination 10.0.0.12",
            "DNAT --to-destination 10.0.0.11",
            "DNAT --to-destination 10.0.0.12:80",
            "DNAT --to-destination 198.51.100.10",
            "REDIRECT",
            "REDIRECT --to-ports 80",
        ]),
        ("nat", "POSTROUTING") => {
            let source = "SNAT --to-source 203.0.113.101";
            targets.extend([source, source, "SNAT --to-source 10.0.0.1", "MASQUERADE", "MASQUERADE"]);
        }
        _ => {}
    }
    (*random.of(&targets)).to_owned()
}
