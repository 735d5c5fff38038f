//! `rules-flushed`: somebody has run `iptables -F`: nova's rules are gone, its empty chains are not,
//! and nova puts them back only when it next applies a change.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "rules-flushed", summary: "nova's iptables rules have been flushed", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    iptables::iptables(&scene.server.ns, &["-F"])?;
    iptables::iptables(&scene.server.ns, &["-t", "nat", "-F"])
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
