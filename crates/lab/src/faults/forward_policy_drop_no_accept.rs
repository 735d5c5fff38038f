//! `forward-policy-drop-no-accept`: FORWARD drops what no rule accepts, as Docker sets it, and
//! nova-network's accepting rules are gone.

use super::Fault;
use crate::LabError;
use crate::nova::{iptables, ruleset};
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "forward-policy-drop-no-accept",
    summary: "the FORWARD policy is DROP and nova-network's ACCEPT rules are gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::iptables(&all.compute, &["-F", "nova-network-FORWARD"])?;
    iptables::iptables(&all.compute, &["-P", "FORWARD", "DROP"])
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::apply(&all.compute, &ruleset::healthy())
}
