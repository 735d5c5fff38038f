//! `iptables-legacy-hidden`: an old script has put a rule into the legacy tables, which `iptables-save` does not show.

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "iptables-legacy-hidden",
    summary: "a rule in the legacy tables drops what leaves by the uplink",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let words = ["-I", "FORWARD", "-i", scene.nic.bridge.name.as_str(), "-o", UPLINK, "-j", "DROP"];
    run(&scene.server.ns, command("iptables-legacy", words), "")
}

/// Nobody else in a lab writes legacy tables.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    run(&scene.server.ns, command("iptables-legacy", ["-F", "FORWARD"]), "")
}
