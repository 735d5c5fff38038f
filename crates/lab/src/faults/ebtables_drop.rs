//! `ebtables-drop`: a rule of the bridge drops every IPv4 packet that comes from web1. ARP passes.

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "ebtables-drop", summary: "a rule of the bridge drops web1's IPv4", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    edit(scene, "-A")
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    match edit(scene, "-D") {
        // It was not there.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

fn edit(scene: &Scene, verb: &str) -> Result<(), LabError> {
    let words = ["-t", "nat", verb, "PREROUTING", "-p", "IPv4", "-i", scene.tap.as_str(), "-j", "DROP"];
    run(&scene.compute.ns, command("ebtables-nft", words), "")
}
