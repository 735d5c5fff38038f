//! `ssh-slow-reverse-dns`: the nearest router drops what is asked of the external server's DNS, silently, so that
//! whoever looks up a client's name waits.

use super::Fault;
use crate::LabError;
use crate::layout::EXTERNAL;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "ssh-slow-reverse-dns",
    summary: "a router drops questions for names, so that sshd waits before it prompts",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    edit(scene, &["-I", "FORWARD", "1"])
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    match edit(scene, &["-D", "FORWARD"]) {
        // iptables(8) ends so where the rule is not there.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

fn edit(scene: &Scene, edit: &[&str]) -> Result<(), LabError> {
    let external = EXTERNAL.addr().to_string();
    let rule = ["-d", &external, "-p", "udp", "--dport", "53", "-j", "DROP"];
    iptables::iptables(&scene.rig.gateway, &[edit, rule.as_slice()].concat())
}
