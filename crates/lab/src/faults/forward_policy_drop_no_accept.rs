//! `forward-policy-drop-no-accept`: FORWARD drops what no rule accepts, as Docker sets it, and
//! nova-network's accepting rules are gone.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "forward-policy-drop-no-accept",
    summary: "the FORWARD policy is DROP and nova-network's ACCEPT rules are gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    iptables::iptables(&scene.server.ns, &["-F", "nova-network-FORWARD"])?;
    iptables::iptables(&scene.server.ns, &["-P", "FORWARD", "DROP"])
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
