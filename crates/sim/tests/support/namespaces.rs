//! A world built for real: namespaces that are deleted when dropped, also by a panic.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::link::{Link, LinkKind, PortState};
use model::{Netns, Snapshot};
use sys::netns;

/// How long links may take to have their carriers.
const PATIENCE: Duration = Duration::from_secs(20);

/// A machine of a world, by the name that its lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Guest(&'static str),
    Machine(&'static str),
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Guest(name) | Role::Machine(name) => name,
        }
    }
}

pub(crate) struct Namespaces {
    roles: &'static [Role],
    names: Vec<String>,
}

impl Namespaces {
    /// One for each role, named after the test.
    pub(crate) fn create(test: &str, roles: &'static [Role]) -> Namespaces {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |role: &Role| format!("ht-{test}-{}-{nth}-{}", std::process::id(), role.name());
        let all = Namespaces { roles, names: roles.iter().map(name).collect() };
        for name in &all.names {
            netns::create(name).expect("this test makes network namespaces, which needs root");
        }
        for role in roles {
            // IPv6's own housekeeping would teach the bridges.
            all.run(role.name(), "sysctl -q -w net.ipv6.conf.default.disable_ipv6=1");
        }
        all
    }

    /// Joins two machines by a cable, whose ends have these names.
    pub(crate) fn cable(&self, (one, link): (&str, &str), (other, peer): (&str, &str)) {
        self.run(one, &format!("ip link add {link} type veth peer name {peer} netns {}", self.name(other)));
    }

    /// Lines of one machine and one tool that follow each other are one batch.
    pub(crate) fn make(&self, lines: &str) {
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

    /// The name of a machine's namespace.
    pub(crate) fn name(&self, role: &str) -> &str {
        let at = self.roles.iter().position(|r| r.name() == role);
        &self.names[at.unwrap_or_else(|| panic!("no machine {role}"))]
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
        let plan = |(role, netns): (&Role, &String)| MachinePlan {
            name: role.name().to_owned(),
            role: String::new(),
            at: At::Netns(netns.clone()),
            instance: matches!(role, Role::Guest(_)),
            nova_conf: None,
            libvirt: None,
            dnsmasq_log: None,
            console_logs: None,
        };
        let plans: Vec<MachinePlan> = self.roles.iter().zip(&self.names).map(plan).collect();
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
}

impl Drop for Namespaces {
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
