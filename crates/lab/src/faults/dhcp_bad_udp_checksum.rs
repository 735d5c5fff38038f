//! `dhcp-bad-udp-checksum`: the rule is gone that fills in the checksum of DHCP's answers. Only clients that verify
//! what they read from a packet socket miss it: the lab's does not.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dhcp-bad-udp-checksum",
    summary: "nothing fills in the checksum of DHCP's answers",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    iptables::iptables(&scene.server.ns, &["-t", "mangle", "-F", "nova-network-POSTROUTING"])
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
