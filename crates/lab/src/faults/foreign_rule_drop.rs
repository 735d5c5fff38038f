//! `foreign-rule-drop`: an operator's rule at the head of FORWARD drops what web1 sends to the external
//! server. nova did not write it, and does not remove it.

use super::Fault;
use crate::LabError;
use crate::layout::EXTERNAL;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "foreign-rule-drop",
    summary: "a rule that nova did not write drops web1's packets to the external server",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (source, destination) = (scene.fixed().to_string(), EXTERNAL.addr().to_string());
    let matches = ["-s", &source, "-d", &destination, "-m", "comment", "--comment", "change 4711: block"];
    iptables::iptables(
        &scene.server.ns,
        &[&["-I", "FORWARD", "1"], matches.as_slice(), &["-j", "DROP"]].concat(),
    )
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
