//! A small cloud made by hand, as [`model`] values:
//!
//! ```text
//! g1 eth0 10.0.0.11 -- tap1 \                    10.0.0.0/24
//!                            h br1 10.0.0.1 ... up0 203.0.113.34 -- eth1 203.0.113.1 r eth0 198.51.100.1
//!                                                                             -- eth0 198.51.100.10 s
//! g2 eth0 10.0.0.12 -- tap2 /
//! ```

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::link::{Bridge, BridgePort, FdbEntry, FdbKind, Link, LinkKind, Peer};
use model::netfilter::{Dialect, Family};
use model::path::{Direction, Disposition, Path, Stop};
use model::route::{Address, FibRule, Neighbour, NeighbourState, Nexthop, Route, RouteKind, RuleAction};
use model::route::{TABLE_LOCAL, TABLE_MAIN, default_rules};
use model::{Intent, Mac, Netns, Snapshot};
use sim::{Answer, Endpoint, Protocol, Question, World};

pub(crate) struct Cloud {
    pub(crate) snapshot: Snapshot,
}

pub(crate) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub(crate) fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

impl Cloud {
    pub(crate) fn new() -> Cloud {
        let mut cloud = Cloud { snapshot: Snapshot::default() };
        for name in ["g1", "g2", "h", "r", "s"] {
            cloud.machine(name);
        }
        cloud.ns("g1").instance = true;
        cloud.ns("g2").instance = true;
        cloud.bridge("h", "br1", "02:00:00:00:01:01");
        cloud.cable(("h", "tap1", "fe:16:3e:00:00:11"), ("g1", "eth0", "fa:16:3e:00:00:11"));
        cloud.cable(("h", "tap2", "fe:16:3e:00:00:12"), ("g2", "eth0", "fa:16:3e:00:00:12"));
        cloud.cable(("h", "up0", "02:00:00:00:00:34"), ("r", "eth1", "02:00:00:00:00:01"));
        cloud.cable(("r", "eth0", "02:00:00:00:10:01"), ("s", "eth0", "02:00:00:00:10:10"));
        cloud.enslave("h", "tap1", "br1");
        cloud.enslave("h", "tap2", "br1");
        for (name, link, net) in [
            ("g1", "eth0", "10.0.0.11/24"),
            ("g2", "eth0", "10.0.0.12/24"),
            ("h", "br1", "10.0.0.1/24"),
            ("h", "up0", "203.0.113.34/24"),
            ("r", "eth1", "203.0.113.1/24"),
            ("r", "eth0", "198.51.100.1/24"),
            ("s", "eth0", "198.51.100.10/24"),
        ] {
            cloud.address(name, link, net);
        }
        for (name, to, via, link) in [
            ("g1", "0.0.0.0/0", "10.0.0.1", "eth0"),
            ("g2", "0.0.0.0/0", "10.0.0.1", "eth0"),
            ("h", "0.0.0.0/0", "203.0.113.1", "up0"),
            ("r", "10.0.0.0/24", "203.0.113.34", "eth1"),
            ("s", "0.0.0.0/0", "198.51.100.1", "eth0"),
        ] {
            cloud.route(name, to, Some(via), link);
        }
        cloud.sysctl("h", "ipv4.ip_forward", 1);
        cloud.sysctl("r", "ipv4.ip_forward", 1);
        cloud
    }

    pub(crate) fn machine(&mut self, name: &str) {
        let inode = Some(self.snapshot.netns.len() as u64 + 1);
        let lo = Link { index: 1, name: "lo".into(), kind: LinkKind::Loopback, mac: Some(Mac::ZERO), ..up() };
        self.snapshot.netns.push(Netns {
            machine: name.to_owned(),
            inode,
            links: vec![lo],
            rules: default_rules(),
            ..Netns::default()
        });
        self.route_in(name, TABLE_LOCAL, "127.0.0.0/8", RouteKind::Local, None, Some("lo"));
    }

    pub(crate) fn ns(&mut self, name: &str) -> &mut Netns {
        self.snapshot.netns.iter_mut().find(|n| n.machine == name).unwrap()
    }

    pub(crate) fn link(&mut self, name: &str, link: &str) -> &mut Link {
        self.ns(name).links.iter_mut().find(|l| l.name == link).unwrap()
    }

    pub(crate) fn port(&mut self, link: &str) -> &mut BridgePort {
        self.link("h", link).port.as_mut().unwrap()
    }

    pub(crate) fn add(&mut self, name: &str, link: Link) -> u32 {
        let links = &mut self.ns(name).links;
        let index = links.len() as u32 + 1;
        links.push(Link { index, ..link });
        index
    }

    pub(crate) fn bridge(&mut self, name: &str, link: &str, own: &str) {
        let bridge = Some(Bridge::default());
        let kind = LinkKind::Bridge;
        self.add(name, Link { name: link.into(), kind, bridge, mac: Some(mac(own)), ..up() });
    }

    pub(crate) fn cable(&mut self, near: (&str, &str, &str), far: (&str, &str, &str)) {
        let mut ends = [near, far].map(|(name, link, own)| {
            let veth = Link { name: link.into(), kind: LinkKind::Veth, mac: Some(mac(own)), ..up() };
            let index = self.add(name, veth);
            (name.to_owned(), link.to_owned(), Peer { index, netns: self.ns(name).inode })
        });
        let peers = [ends[1].2, ends[0].2];
        for ((name, link, _), peer) in ends.iter_mut().zip(peers) {
            self.link(name, link).peer = Some(peer);
        }
    }

    pub(crate) fn index(&mut self, name: &str, link: &str) -> u32 {
        self.link(name, link).index
    }

    pub(crate) fn enslave(&mut self, name: &str, link: &str, bridge: &str) {
        let master = self.index(name, bridge);
        let link = self.link(name, link);
        link.master = Some(master);
        link.port = Some(BridgePort::default());
    }

    /// The host's uplink becomes a port of its bridge.
    pub(crate) fn enslave_up0(&mut self) {
        self.enslave("h", "up0", "br1");
    }

    /// An address with the routes that the kernel makes for it.
    pub(crate) fn address(&mut self, name: &str, link: &str, net: &str) {
        let index = self.index(name, link);
        let net: IpNet = net.parse().unwrap();
        self.ns(name).addresses.push(Address::global(index, net));
        let own = format!("{}/32", net.addr());
        self.route_in(name, TABLE_LOCAL, &own, RouteKind::Local, None, Some(link));
        if net.prefix_len() < 32 {
            let whole = net.trunc().to_string();
            self.route_in(name, TABLE_MAIN, &whole, RouteKind::Unicast, None, Some(link));
            self.ns(name).routes.last_mut().unwrap().preferred_source = Some(net.addr());
        }
    }

    pub(crate) fn route(&mut self, name: &str, to: &str, via: Option<&str>, link: &str) -> &mut Route {
        self.route_in(name, TABLE_MAIN, to, RouteKind::Unicast, via, Some(link))
    }

    pub(crate) fn route_in(
        &mut self,
        name: &str,
        table: u32,
        to: &str,
        kind: RouteKind,
        via: Option<&str>,
        link: Option<&str>,
    ) -> &mut Route {
        let index = link.map(|link| self.index(name, link));
        let hop = |link| Nexthop {
            via: via.map(|v| IpAddr::V4(ip(v))),
            link,
            weight: 1,
            onlink: false,
            dead: false,
            linkdown: false,
        };
        let nexthops = index.map(hop).into_iter().collect();
        let route = Route { nexthops, ..Route::new(table, to.parse().unwrap(), kind) };
        let routes = &mut self.ns(name).routes;
        routes.push(route);
        routes.last_mut().unwrap()
    }

    /// A FIB rule, put in its place by priority.
    pub(crate) fn rule(&mut self, name: &str, priority: u32, action: RuleAction) -> &mut FibRule {
        let rules = &mut self.ns(name).rules;
        let at = rules.partition_point(|r| r.priority <= priority);
        rules.insert(at, FibRule { priority, action, ..FibRule::default() });
        &mut rules[at]
    }

    pub(crate) fn neighbour(&mut self, name: &str, link: &str, of: &str, own: &str, state: NeighbourState) {
        let (link, own) = (self.index(name, link), Some(mac(own)));
        let entry = Neighbour { link, ip: IpAddr::V4(ip(of)), mac: own, state, proxy: false };
        self.ns(name).neighbours.push(entry);
    }

    pub(crate) fn fdb(&mut self, own: &str, port: &str, kind: FdbKind) -> &mut FdbEntry {
        let link = self.index("h", port);
        let entry =
            FdbEntry { mac: mac(own), link, vlan: None, kind, sticky: false, remote: None, on_self: false };
        let fdb = &mut self.ns("h").fdb;
        fdb.push(entry);
        fdb.last_mut().unwrap()
    }

    pub(crate) fn sysctl(&mut self, name: &str, key: &str, value: i64) {
        self.ns(name).sysctls.insert(key.to_owned(), value.to_string());
    }

    /// The host's rules of one back end, as its save command prints them.
    pub(crate) fn iptables(&mut self, dialect: Dialect, text: &str) {
        let read = parse::iptables_save::parse(text, dialect, Family::Ip);
        assert_eq!(read.problems, []);
        self.ns("h").ruleset.tables.extend(read.value);
    }

    /// Adds native tables to the host's rules, as `nft list ruleset` prints them.
    pub(crate) fn nft(&mut self, text: &str) {
        let parsed = parse::nft_text::parse(text, &|_, _| false);
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        self.ns("h").ruleset.tables.extend(parsed.value);
    }

    /// Rules of the host's filter table.
    pub(crate) fn filter(&mut self, rules: &str) {
        let text = format!("*filter\n{rules}\nCOMMIT\n");
        self.iptables(Dialect::IptablesNft, &text);
    }

    /// Rules of its nat table.
    pub(crate) fn nat(&mut self, rules: &str) {
        let built_in = ":PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT";
        let text = format!("*nat\n{built_in}\n{rules}\nCOMMIT\n");
        self.iptables(Dialect::IptablesNft, &text);
    }

    pub(crate) fn ask(&self, from: &str, to: &str, protocol: Protocol) -> Answer {
        let intent = Intent::default();
        let world = World::new(&self.snapshot, &intent);
        let from = Endpoint::Machine(world.main_ns(from).unwrap());
        let answer = sim::ask(&world, &Question { from, to: ip(to).into(), protocol, reply: true });
        for path in &answer.paths {
            assert!(!path.hops.is_empty(), "{path:?}");
        }
        answer
    }

    pub(crate) fn ping(&self, from: &str, to: &str) -> Answer {
        self.ask(from, to, Protocol::Icmp)
    }

    /// The ping is received and answered.
    pub(crate) fn passes(&self, from: &str, to: &str) {
        let answer = self.ping(from, to);
        assert!(answer.answered, "{answer:#?}");
    }

    /// Why the ping's request stops; it must stop.
    pub(crate) fn stop(&self, from: &str, to: &str) -> Stop {
        stop_of(&self.ping(from, to), Direction::Request)
    }
}

/// The path of one direction, ARP apart.
pub(crate) fn way(answer: &Answer, direction: Direction) -> &Path {
    let exchange = answer.paths.last().unwrap().exchange;
    answer.paths.iter().find(|p| p.exchange == exchange && p.direction == direction).unwrap()
}

pub(crate) fn stop_of(answer: &Answer, direction: Direction) -> Stop {
    match &way(answer, direction).disposition {
        Disposition::Dropped(stop) => stop.clone(),
        other => panic!("it was to be dropped: {other:?}"),
    }
}

/// The text of the rule that stops it.
pub(crate) fn rule_of(stop: Stop) -> String {
    match stop {
        Stop::Rule(rule) => format!("{} {}", rule.chain_path(), rule.number),
        Stop::Policy(rule) => format!("policy of {}", rule.chain()),
        other => panic!("a rule was to stop it: {other:?}"),
    }
}

/// Why it cannot be told; it must be so.
pub(crate) fn unknown(answer: &Answer) -> String {
    match &way(answer, Direction::Request).disposition {
        Disposition::Unknown { why, .. } => why.clone(),
        other => panic!("it was to be unknown: {other:?}"),
    }
}

/// The packet as its receiver sees it.
pub(crate) fn received(answer: &Answer) -> String {
    let path = way(answer, Direction::Request);
    assert!(matches!(path.disposition, Disposition::Delivered { .. }), "{path:#?}");
    path.hops.last().unwrap().packet.clone()
}

pub(crate) fn up() -> Link {
    Link { admin_up: true, carrier: true, ..Link::default() }
}
