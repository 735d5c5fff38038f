//! `nova-rules-drift`: nobody's packet dies, and yet nova's rules are not what they should be. The call of
//! web1's chain is gone, so that its security groups do not hold, and a rule that only counts stands in
//! the chain.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "nova-rules-drift",
    summary: "web1's security groups are not called any more, and a rule is in its chain that nova did not write",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let chain = format!("nova-compute-inst-{}", scene.web1.id);
    let fixed = scene.fixed().to_string();
    iptables::iptables(&scene.compute.ns, &["-D", "nova-compute-local", "-d", &fixed, "-j", &chain])?;
    let counting = ["-I", &chain, "1", "-m", "comment", "--comment", "change 4712: count"];
    iptables::iptables(&scene.compute.ns, &counting)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
