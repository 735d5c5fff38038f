//! `snat-wrong-address`: what leaves is given an address that nobody has, and floating addresses are not given any
//! more.

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "snat-wrong-address",
    summary: "what leaves is given an address that the host does not have",
    inject,
    heal,
};

/// Of the public network, and nobody's in any lab.
const NOBODY: &str = "203.0.113.99";

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let ns = &scene.server.ns;
    let network = scene.nic.cidr.to_string();
    let wrong = ["-s", &network, "-o", UPLINK, "-j", "SNAT", "--to-source", NOBODY];
    iptables::iptables(ns, &["-t", "nat", "-F", "nova-network-float-snat"])?;
    iptables::iptables(ns, &[&["-t", "nat", "-I", "nova-network-snat", "1"], wrong.as_slice()].concat())
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
