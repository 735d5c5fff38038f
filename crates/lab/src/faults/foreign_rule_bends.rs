//! `foreign-rule-bends`: a rule that nova did not write exempts what web1 sends from being tracked, so that nothing
//! translates it and no rule for established connections holds.

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "foreign-rule-bends",
    summary: "a rule that nova did not write keeps web1's packets from being tracked",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let source = scene.fixed().to_string();
    let rule = ["-t", "raw", "-I", "PREROUTING", "-s", &source, "-j", "CT", "--notrack"];
    iptables::iptables(&scene.server.ns, &rule)
}

/// nova has no rules in that table, which was not there before.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    run(&scene.server.ns, command("nft", ["-f", "-"]), "table ip raw\ndelete table ip raw\n")
}
