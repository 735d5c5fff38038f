//! `float-dnat-missing`: the rule that leads web1's floating address to it is gone while the address is
//! still on the host, so that the host itself answers.

use super::Fault;
use crate::LabError;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-dnat-missing",
    summary: "the DNAT rule of web1's floating address is gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    let fixed = scene.fixed().to_string();
    let rule = ["-d", &floating, "-j", "DNAT", "--to-destination", &fixed];
    iptables::iptables(
        &scene.server.ns,
        &[&["-t", "nat", "-D", "nova-network-PREROUTING"], rule.as_slice()].concat(),
    )
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
