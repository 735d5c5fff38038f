//! `float-snat-missing`: the rule that gives web1 its floating address on the way out is gone: it
//! leaves with the host's.

use super::Fault;
use crate::LabError;
use crate::layout::{UPLINK, WEB1};
use crate::nova::{iptables, ruleset};
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-snat-missing",
    summary: "the SNAT rule of web1's floating address is gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    let Some(floating) = WEB1.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    let fixed = WEB1.fixed.to_string();
    let rule = ["-s", &fixed, "-o", UPLINK, "-j", "SNAT", "--to-source", &floating];
    iptables::iptables(
        &all.compute,
        &[&["-t", "nat", "-D", "nova-network-float-snat"], rule.as_slice()].concat(),
    )
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::apply(&all.compute, &ruleset::healthy())
}
