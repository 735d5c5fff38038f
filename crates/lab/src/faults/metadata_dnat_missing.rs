//! `metadata-dnat-missing`: the rule that leads web1 from 169.254.169.254 to the metadata service is gone.

use super::Fault;
use crate::LabError;
use crate::layout::{METADATA, METADATA_PORT};
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "metadata-dnat-missing",
    summary: "the DNAT rule of the metadata address is gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (address, service) = (METADATA.to_string(), scene.server.host.public().addr());
    let target = format!("{service}:{METADATA_PORT}");
    let rule = ["-d", &address, "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", &target];
    iptables::iptables(
        &scene.server.ns,
        &[&["-t", "nat", "-D", "nova-network-PREROUTING"], rule.as_slice()].concat(),
    )
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
