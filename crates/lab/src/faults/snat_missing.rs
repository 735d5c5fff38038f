//! `snat-missing`: the call of nova's translations of what leaves is gone, so that instances leave with fixed
//! addresses.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "snat-missing", summary: "nothing translates the source of what leaves", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    iptables::iptables(&scene.server.ns, &["-t", "nat", "-D", "POSTROUTING", "-j", "nova-postrouting-bottom"])
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
