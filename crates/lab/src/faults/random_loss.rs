//! `random-loss`: the switch loses every other packet that comes from the host that is web1's gateway, as a bad cable
//! would by chance. By count, so that it shows whenever it is looked at.

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "random-loss",
    summary: "every other packet from the compute host's uplink is lost at the switch",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let port = scene.server.host.uplink_port();
    let text = format!(
        "table netdev loss {{\n chain in {{\n  type filter hook ingress device \"{port}\" priority 0;\n  \
         ether type ip numgen inc mod 2 0 counter drop\n }}\n}}\n"
    );
    nft(scene, &text)
}

/// A table is deleted only where there is one.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    nft(scene, "table netdev loss\ndelete table netdev loss\n")
}

fn nft(scene: &Scene, text: &str) -> Result<(), LabError> {
    run(&scene.rig.fabric, command("nft", ["-f", "-"]), text)
}
