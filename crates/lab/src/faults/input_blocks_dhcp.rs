//! `input-blocks-dhcp`: a rule at the head of the host's INPUT drops what comes for its DHCP server. tcpdump sees the
//! DISCOVER, dnsmasq does not.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "input-blocks-dhcp",
    summary: "a rule of INPUT keeps DHCP from web1's dnsmasq",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = &scene.served.bridge.name;
    let rule = ["-I", "INPUT", "1", "-i", bridge, "-p", "udp", "--dport", "67", "-j", "DROP"];
    iptables::iptables(&scene.server.ns, &rule)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
