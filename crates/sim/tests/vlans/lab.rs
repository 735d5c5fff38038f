//! A world built for real: namespaces that are deleted when dropped, also by a panic.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::link::{Link, LinkKind, PortState};
use model::{Netns, Snapshot};
use sys::netns;

use crate::worlds::{Probe, WorldPlan};

/// A guest, its host, the switch, another host.
pub(crate) const ROLES: [&str; 4] = ["g", "h", "sw", "k"];
/// How long links may take to have their carriers.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Lab {
    names: [String; 4],
}

impl Lab {
    pub(crate) fn build(world: &WorldPlan) -> Lab {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ROLES.map(|role| format!("ht-vlan-{}-{nth}-{role}", std::process::id()));
        let lab = Lab { names };
        for name in &lab.names {
            netns::create(name).expect("this test makes network namespaces, which needs root");
        }
        let [g, _, sw, _] = &lab.names;
        for role in ROLES {
            // IPv6's own housekeeping would teach the bridges.
            lab.run(role, "sysctl -q -w net.ipv6.conf.default.disable_ipv6=1");
        }
        lab.run("h", &format!("ip link add tap1 type veth peer name eth0 netns {g}"));
        lab.run("h", &format!("ip link add trunk0 type veth peer name p1 netns {sw}"));
        lab.run("k", &format!("ip link add trunk0 type veth peer name p2 netns {sw}"));
        lab.make(&format!("{BASE}\n{}", world.made));
        lab
    }

    /// Lines of one machine and one tool that follow each other are one batch.
    fn make(&self, lines: &str) {
        let mut batch: Vec<&str> = Vec::new();
        let mut of = ("", "");
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (role, words) = line.split_once(": ").unwrap_or_else(|| panic!("{line}: no machine"));
            let (tool, rest) = words.split_once(' ').unwrap_or((words, ""));
            if (role, tool) != of || !matches!(tool, "ip" | "bridge") {
                self.batch(of, &batch);
                batch.clear();
            }
            if matches!(tool, "ip" | "bridge") {
                of = (role, tool);
                batch.push(rest);
            } else {
                self.run(role, words);
            }
        }
        self.batch(of, &batch);
    }

    fn batch(&self, (role, tool): (&str, &str), lines: &[&str]) {
        if !lines.is_empty() {
            self.run(role, &format!("{tool} -batch - < {}", lines.join(";")));
        }
    }

    fn name(&self, role: &str) -> &str {
        let at = ROLES.iter().position(|r| *r == role).unwrap_or_else(|| panic!("no machine {role}"));
        &self.names[at]
    }

    /// A command in a machine's namespace; what follows `<` is fed to it, a `;` ends its lines. It must succeed.
    fn run(&self, role: &str, words: &str) {
        let (words, fed) = words.split_once(" < ").unwrap_or((words, ""));
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(role)]).args(words.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let fed = fed.split(';').map(str::trim).collect::<Vec<_>>().join("\n") + "\n";
        child.stdin.take().unwrap().write_all(fed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{role}: {words}: {complaint}");
    }

    /// The namespaces as hopline reads them, once every link has the state that it will have.
    pub(crate) fn read(&self) -> Snapshot {
        let plans: Vec<MachinePlan> = ROLES
            .iter()
            .zip(&self.names)
            .map(|(role, netns)| MachinePlan {
                name: (*role).to_owned(),
                role: String::new(),
                at: At::Netns(netns.clone()),
                instance: *role == "g",
                nova_conf: None,
                libvirt: None,
                dnsmasq_log: None,
                console_logs: None,
            })
            .collect();
        let give_up = Instant::now() + PATIENCE;
        loop {
            let collected = collect::site(&plans);
            assert!(collected.unreachable.is_empty(), "{:?}", collected.unreachable);
            let snapshot = collected.snapshot;
            if snapshot.netns.iter().all(|ns| ns.links.iter().all(|link| is_settled(&snapshot, ns, link))) {
                return snapshot;
            }
            assert!(Instant::now() < give_up, "links that never settle: {:?}", snapshot.netns);
        }
    }

    /// Which pings are answered: all at once, since it is the lost ones that take time. Where an answer is expected,
    /// an emulated processor may take its time for it; it ends the ping.
    pub(crate) fn pings(&self, probes: &[(Probe, bool)]) -> Vec<bool> {
        let start = |((from, to), is_expected): &(Probe, bool)| {
            let patience = if *is_expected { "20" } else { "2" };
            let mut command = Command::new("ip");
            command.args(["netns", "exec", self.name(from), "ping", "-n", "-q"]);
            command.args(["-c", "1", "-i", "0.2", "-w", patience, to]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let running: Vec<Child> = probes.iter().map(start).collect();
        running.into_iter().map(|mut ping| ping.wait().unwrap().success()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            // A failure must not hide the test's own; the name tells who left it behind.
            let _ = netns::delete(name);
        }
    }
}

/// Carrier and port state follow what is up, some moments later (`net/core/link_watch.c`).
fn is_settled(snapshot: &Snapshot, ns: &Netns, link: &Link) -> bool {
    let peer = || {
        let peer = link.peer?;
        let far = snapshot.netns.iter().find(|other| other.inode == peer.netns)?;
        far.link(peer.index)
    };
    let carrier = match link.kind {
        LinkKind::Veth => link.admin_up && peer().is_some_and(|far| far.admin_up),
        // A device that is bound loosely is told nothing when its lower link is set down.
        LinkKind::Vlan if link.vlan.is_some_and(|vlan| vlan.loose_binding) => link.carrier,
        LinkKind::Vlan => link.admin_up && peer().is_some_and(|lower| lower.carrier),
        LinkKind::Bridge => link.admin_up && ns.ports(link.index).any(Link::is_running),
        LinkKind::Bond => link.admin_up && ns.ports(link.index).any(|slave| slave.carrier),
        LinkKind::Physical
        | LinkKind::Loopback
        | LinkKind::Tun
        | LinkKind::Vxlan
        | LinkKind::Dummy
        | LinkKind::Other(_) => link.carrier,
    };
    let forwards = link.port.is_none_or(|port| port.state == PortState::Forwarding);
    // A bond looks at its slaves now and then.
    let is_known = link.bond_slave.is_none_or(|slave| slave.is_up == carrier);
    let bridge_up = link.master.and_then(|m| ns.link(m)).is_some_and(|bridge| bridge.admin_up);
    link.carrier == carrier && is_known && (forwards || !carrier || !bridge_up)
}

/// What all worlds have: the drawing of the test, in which everything is right.
const BASE: &str = "
    g: ip link set lo up
    g: ip link set eth0 address fa:16:3e:00:00:11 up
    g: ip addr add 10.0.0.11/24 dev eth0
    h: ip link add br1 address 02:00:00:00:01:01 type bridge
    h: ip link set trunk0 address 02:00:00:00:0a:01
    h: ip link add link trunk0 name vlan100 type vlan id 100
    h: ip link set tap1 master br1
    h: ip link set vlan100 master br1
    h: ip addr add 10.7.0.1/24 dev trunk0
    h: ip link set tap1 up
    h: ip link set br1 up
    h: ip link set trunk0 up
    h: ip link set vlan100 up
    sw: ip link add br0 address 02:00:00:00:0d:00 type bridge vlan_filtering 1 vlan_default_pvid 0
    sw: ip link set p1 master br0
    sw: ip link set p2 master br0
    sw: bridge vlan add vid 100 dev p1
    sw: bridge vlan add vid 100 dev p2
    sw: bridge vlan add vid 1 dev p1 pvid untagged
    sw: bridge vlan add vid 1 dev p2 pvid untagged
    sw: ip link set p1 up
    sw: ip link set p2 up
    sw: ip link set br0 up
    k: ip link set trunk0 address 02:00:00:00:0c:01
    k: ip link add link trunk0 name vlan100 type vlan id 100
    k: ip addr add 10.0.0.2/24 dev vlan100
    k: ip addr add 10.7.0.2/24 dev trunk0
    k: ip link set trunk0 up
    k: ip link set vlan100 up
";
