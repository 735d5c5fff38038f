//! `float-snat-missing`: the rule that gives web1 its floating address on the way out is gone: it
//! leaves with the host's.

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-snat-missing",
    summary: "the SNAT rule of web1's floating address is gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    let fixed = scene.fixed().to_string();
    let rule = ["-s", &fixed, "-o", UPLINK, "-j", "SNAT", "--to-source", &floating];
    iptables::iptables(
        &scene.server.ns,
        &[&["-t", "nat", "-D", "nova-network-float-snat"], rule.as_slice()].concat(),
    )
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
