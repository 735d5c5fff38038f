//! Two hosts that VXLAN joins, built for real.

use std::process::{Command, Stdio};

use model::Snapshot;

use crate::support::namespaces::{Namespaces, Role};
use crate::worlds::{Probe, WorldPlan};

/// Two guests and their hosts.
const ROLES: [Role; 4] = [Role::Guest("g"), Role::Guest("f"), Role::Machine("h"), Role::Machine("k")];

pub(crate) struct Lab(Namespaces);

impl Lab {
    pub(crate) fn build(world: &WorldPlan) -> Lab {
        let all = Namespaces::create("vxlan", &ROLES);
        all.cable(("h", "tap1"), ("g", "eth0"));
        all.cable(("k", "tap1"), ("f", "eth0"));
        all.cable(("h", "eth0"), ("k", "eth0"));
        all.make(&format!("{BASE}\n{}", world.made));
        Lab(all)
    }

    pub(crate) fn read(&self) -> Snapshot {
        self.0.read()
    }

    /// Whether a ping is answered. Where an answer is expected, a busy machine may take its time for it.
    pub(crate) fn ping(&self, (from, to, octets): &Probe, is_expected: bool) -> bool {
        let patience = if is_expected { "20" } else { "0.4" };
        // Without its headers, and with *don't fragment*.
        let payload = octets.saturating_sub(28).to_string();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.0.name(from), "ping", "-n", "-q", "-M", "do", "-s", &payload]);
        command.args(["-c", "1", "-W", patience, to]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }
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
