//! Rules one at a time: whether the walk lets a rule take a packet, and whether the kernel counts it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use collect::{At, MachinePlan};
use model::netfilter::{Action, Family, NfRule, Table};
use model::path::Stop;
use model::{Intent, Snapshot};
use sim::{Endpoint, Protocol, Question, World};
use sys::netns::{self, NetnsFd};

/// A namespace of a test, deleted when dropped.
pub(crate) struct Scratch {
    pub(crate) role: &'static str,
    pub(crate) name: String,
    netns: NetnsFd,
}

impl Scratch {
    pub(crate) fn new(label: &str, role: &'static str) -> Scratch {
        let name = format!("ht-sim-{}-{label}-{role}", std::process::id());
        let netns = netns::create(&name).expect("this test makes network namespaces, which needs root");
        Scratch { role, name, netns }
    }

    pub(crate) fn run(&self, argv: &str, input: &str) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(argv.split(' '));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{argv}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
    }

    /// Packets that the first rule of its INPUT chain has counted.
    pub(crate) fn received(&self) -> u64 {
        let argv = ["netns", "exec", &self.name, "iptables", "-nvxL", "INPUT"];
        let listed = String::from_utf8(Command::new("ip").args(argv).output().unwrap().stdout).unwrap();
        let rule = listed.lines().nth(2).unwrap();
        rule.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sends one packet, whether anybody answers or not; of ARP, an echo follows the question.
    pub(crate) fn send(&self, to: SocketAddr, protocol: Protocol) {
        if protocol == Protocol::Arp {
            self.run(&format!("ip neigh del {} dev up0", to.ip()), "");
        }
        if matches!(protocol, Protocol::Icmp | Protocol::Arp) {
            let ping = ["netns", "exec", &self.name, "ping", "-c", "1", "-W", "0.05", &to.ip().to_string()];
            Command::new("ip").args(ping).output().unwrap();
            return;
        }
        let sent = netns::within(&self.netns, || match protocol {
            Protocol::Tcp(_) => {
                let _ = TcpStream::connect_timeout(&to, Duration::from_millis(20));
                Ok(())
            }
            _ => {
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                UdpSocket::bind(any).and_then(|socket| socket.send_to(&[0; 56], to)).map(|_| ())
            }
        });
        sent.unwrap().unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = netns::delete(&self.name);
    }
}

/// The namespaces as hopline reads them, in this order.
pub(crate) fn read(places: &[&Scratch]) -> Snapshot {
    let plan = |place: &&Scratch| MachinePlan {
        name: place.role.to_owned(),
        role: String::new(),
        at: At::Netns(place.name.clone()),
        instance: false,
        nova_conf: None,
        libvirt: None,
        dnsmasq_log: None,
        console_logs: None,
    };
    let collected = collect::site(&places.iter().map(plan).collect::<Vec<_>>());
    assert_eq!(collected.snapshot.gaps, []);
    collected.snapshot
}

/// What becomes of the rules before the one that is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Kept,
    LeftOut,
}

/// A chain of one of the namespaces.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) ns: usize,
    pub(crate) table: &'static str,
    pub(crate) chain: &'static str,
    pub(crate) family: Family,
}

impl Place {
    fn is_of(self, table: &Table) -> bool {
        table.name == self.table && table.family == self.family
    }
}

/// iptables' family for an address.
pub(crate) fn family(to: SocketAddr) -> Family {
    if to.is_ipv6() { Family::Ip6 } else { Family::Ip }
}

pub(crate) fn rules(snapshot: &Snapshot, place: Place) -> Vec<NfRule> {
    let table = snapshot.netns[place.ns].ruleset.tables.iter().find(|table| place.is_of(table)).unwrap();
    table.chain(place.chain).unwrap().rules.clone()
}

/// Whether the walk lets the rule take the packet, were it alone in its chain, or behind those before it,
/// and to drop; `None` where it cannot tell. The packet is sent from the last of the namespaces.
pub(crate) fn holds(
    snapshot: &Snapshot,
    place: Place,
    (at, before): (usize, Before),
    (to, protocol): (SocketAddr, Protocol),
) -> Option<bool> {
    let mut snapshot = snapshot.clone();
    let tables = &mut snapshot.netns[place.ns].ruleset.tables;
    tables.retain(|table| place.is_of(table));
    let chain = tables[0].chains.iter_mut().find(|chain| chain.name == place.chain).unwrap();
    chain.rules.truncate(at + 1);
    chain.rules[at].action = Action::Drop;
    if before == Before::LeftOut {
        chain.rules.drain(..at);
    }
    let intent = Intent::default();
    let world = World::new(&snapshot, &intent);
    let from = world.main_ns(&snapshot.netns.last().unwrap().machine).unwrap();
    let question = Question { from: Endpoint::Machine(from), to: to.ip(), protocol, reply: false };
    let answer = sim::ask(&world, &question);
    let path = &answer.paths[0];
    match (path.stop(), &path.disposition) {
        (Some((_, Stop::Rule(_))), _) => Some(true),
        (_, model::path::Disposition::Unknown { .. }) => None,
        _ => Some(false),
    }
}
