//! A world with a VLAN, built for real.

use std::process::{Child, Command, Stdio};

use model::Snapshot;

use crate::support::namespaces::{Namespaces, Role};
use crate::worlds::{Probe, WorldPlan};

/// A guest, its host, the switch, another host.
pub(crate) const ROLES: [Role; 4] =
    [Role::Guest("g"), Role::Machine("h"), Role::Machine("sw"), Role::Machine("k")];

pub(crate) struct Lab(Namespaces);

impl Lab {
    pub(crate) fn build(world: &WorldPlan) -> Lab {
        let all = Namespaces::create("vlan", &ROLES);
        all.cable(("h", "tap1"), ("g", "eth0"));
        all.cable(("h", "trunk0"), ("sw", "p1"));
        all.cable(("k", "trunk0"), ("sw", "p2"));
        all.make(&format!("{BASE}\n{}", world.made));
        Lab(all)
    }

    pub(crate) fn read(&self) -> Snapshot {
        self.0.read()
    }

    /// Which pings are answered: all at once, since it is the lost ones that take time. Where an answer is expected,
    /// an emulated processor may take its time for it; it ends the ping.
    pub(crate) fn pings(&self, probes: &[(Probe, bool)]) -> Vec<bool> {
        let start = |((from, to), is_expected): &(Probe, bool)| {
            let patience = if *is_expected { "20" } else { "2" };
            let mut command = Command::new("ip");
            command.args(["netns", "exec", self.0.name(from), "ping", "-n", "-q"]);
            command.args(["-c", "1", "-i", "0.2", "-w", patience, to]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let running: Vec<Child> = probes.iter().map(start).collect();
        running.into_iter().map(|mut ping| ping.wait().unwrap().success()).collect()
    }
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
