//! `rule-order-wrong`: an operator's rule above the call of nova's filters rejects what goes to web1, answers included.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "rule-order-wrong",
    summary: "a rule above nova's rejects what goes to web1",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let fixed = scene.fixed().to_string();
    let rule = ["-d", &fixed, "-j", "REJECT", "--reject-with", "icmp-host-prohibited"];
    iptables::iptables(&scene.server.ns, &[&["-I", "FORWARD", "1"], rule.as_slice()].concat())
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
