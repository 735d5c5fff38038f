//! `rules-flushed`: somebody has run `iptables -F`: nova's rules are gone, its empty chains are not,
//! and nova puts them back only when it next applies a change.

use super::Fault;
use crate::LabError;
use crate::nova::{iptables, ruleset};
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "rules-flushed", summary: "nova's iptables rules have been flushed", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::iptables(&all.compute, &["-F"])?;
    iptables::iptables(&all.compute, &["-t", "nat", "-F"])
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::apply(&all.compute, &ruleset::healthy())
}
