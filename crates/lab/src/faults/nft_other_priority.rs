//! `nft-other-priority`: a table of nftables' own, asked behind iptables, drops what instances send outside.

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "nft-other-priority",
    summary: "a table beside iptables' drops what leaves by the uplink",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = &scene.nic.bridge.name;
    let text = format!(
        "table inet lockdown {{\n chain fw {{\n  type filter hook forward priority 10; policy accept;\n  \
         iifname \"{bridge}\" oifname \"{UPLINK}\" counter drop\n }}\n}}\n"
    );
    nft(scene, &text)
}

/// A table is deleted only where there is one.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    nft(scene, "table inet lockdown\ndelete table inet lockdown\n")
}

fn nft(scene: &Scene, text: &str) -> Result<(), LabError> {
    run(&scene.server.ns, command("nft", ["-f", "-"]), text)
}
