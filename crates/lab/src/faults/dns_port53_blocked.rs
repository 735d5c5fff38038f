//! `dns-port53-blocked`: a rule on the host that serves web1 drops what its bridge brings for port 53.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dns-port53-blocked",
    summary: "a rule drops what instances ask their resolver",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let rule = ["-i", &scene.served.bridge.name, "-p", "udp", "--dport", "53", "-j", "DROP"];
    iptables::iptables(&scene.server.ns, &[&["-I", "INPUT", "1"], rule.as_slice()].concat())
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
