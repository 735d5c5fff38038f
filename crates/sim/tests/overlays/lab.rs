//! A world built for real: namespaces that are deleted when dropped, also by a panic.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::link::{Link, LinkKind, PortState};
use model::{Netns, Snapshot};
use sys::netns;

use crate::worlds::{Probe, WorldPlan};

/// Two guests and their hosts.
pub(crate) const ROLES: [&str; 4] = ["g", "f", "h", "k"];
/// How long links may take to have their carriers.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Lab {
    names: [String; 4],
}

impl Lab {
    pub(crate) fn build(world: &WorldPlan) -> Lab {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ROLES.map(|role| format!("ht-vxlan-{}-{nth}-{role}", std::process::id()));
        let lab = Lab { names };
        for name in &lab.names {
            netns::create(name).expect("this test makes network namespaces, which needs root");
        }
        let [g, f, _, k] = &lab.names;
        for role in ROLES {
            // IPv6's own housekeeping would teach the bridges.
            lab.run(role, "sysctl -q -w net.ipv6.conf.default.disable_ipv6=1");
        }
        lab.run("h", &format!("ip link add tap1 type veth peer name eth0 netns {g}"));
        lab.run("k", &format!("ip link add tap1 type veth peer name eth0 netns {f}"));
        lab.run("h", &format!("ip link add eth0 type veth peer name eth0 netns {k}"));
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
        let input = if fed.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let fed = fed.split(';').map(str::trim).collect::<Vec<_>>().join("\n") + "\n";
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(fed.as_bytes()).unwrap();
        }
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
                instance: matches!(*role, "g" | "f"),
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

    /// Whether a ping is answered. Where an answer is expected, a busy machine may take its time for it.
    pub(crate) fn ping(&self, (from, to, octets): &Probe, is_expected: bool) -> bool {
        let patience = if is_expected { "20" } else { "0.4" };
        // Without its headers, and with *don't fragment*.
        let payload = octets.saturating_sub(28).to_string();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(from), "ping", "-n", "-q", "-M", "do", "-s", &payload]);
        command.args(["-c", "1", "-W", patience, to]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
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
        LinkKind::Bridge => link.admin_up && ns.ports(link.index).any(Link::is_running),
        LinkKind::Physical
        | LinkKind::Loopback
        | LinkKind::Vlan
        | LinkKind::Bond
        | LinkKind::Tun
        | LinkKind::Vxlan
        | LinkKind::Dummy
        | LinkKind::Other(_) => link.carrier,
    };
    let forwards = link.port.is_none_or(|port| port.state == PortState::Forwarding);
    let bridge_up = link.master.and_then(|m| ns.link(m)).is_some_and(|bridge| bridge.admin_up);
    link.carrier == carrier && (forwards || !carrier || !bridge_up)
}

/// What all worlds have: the drawing of the test, in which everything is right.
const BASE: &str = "
    g: ip link set eth0 address fa:16:3e:00:00:11 up
    g: ip addr add 10.0.0.11/24 dev eth0
    f: ip link set eth0 address fa:16:3e:00:00:12 up
    f: ip addr add 10.0.0.12/24 dev eth0
    h: ip link set eth0 up
    h: ip addr add 203.0.113.1/24 dev eth0
    h: ip link add br1 address 02:00:00:00:01:01 type bridge
    h: ip link add vx0 type vxlan id 100 local 203.0.113.1 dstport 4789 dev eth0
    h: ip link set tap1 master br1 up
    h: ip link set vx0 master br1 up
    h: ip link set br1 up
    h: ip addr add 10.0.0.1/24 dev br1
    h: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.2
    k: ip link set eth0 up
    k: ip addr add 203.0.113.2/24 dev eth0
    k: ip link add br1 address 02:00:00:00:01:02 type bridge
    k: ip link add vx0 type vxlan id 100 local 203.0.113.2 dstport 4789 dev eth0
    k: ip link set tap1 master br1 up
    k: ip link set vx0 master br1 up
    k: ip link set br1 up
    k: ip addr add 10.0.0.2/24 dev br1
    k: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.1
";
