//! `foreign-rule-drop`: an operator's rule at the head of FORWARD drops what web1 sends to the external
//! server. nova did not write it, and does not remove it.

use super::Fault;
use crate::LabError;
use crate::layout::{EXTERNAL, WEB1};
use crate::nova::{iptables, ruleset};
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "foreign-rule-drop",
    summary: "a rule that nova did not write drops web1's packets to the external server",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    let (source, destination) = (WEB1.fixed.to_string(), EXTERNAL.addr().to_string());
    let matches = ["-s", &source, "-d", &destination, "-m", "comment", "--comment", "change 4711: block"];
    iptables::iptables(&all.compute, &[&["-I", "FORWARD", "1"], matches.as_slice(), &["-j", "DROP"]].concat())
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::apply(&all.compute, &ruleset::healthy())
}
