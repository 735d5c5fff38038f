//! `float-dnat-missing`: the rule that leads web1's floating address to it is gone while the address is
//! still on the host, so that the host itself answers.

use super::Fault;
use crate::LabError;
use crate::layout::WEB1;
use crate::nova::{iptables, ruleset};
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-dnat-missing",
    summary: "the DNAT rule of web1's floating address is gone",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    let Some(floating) = WEB1.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    let fixed = WEB1.fixed.to_string();
    let rule = ["-d", &floating, "-j", "DNAT", "--to-destination", &fixed];
    iptables::iptables(
        &all.compute,
        &[&["-t", "nat", "-D", "nova-network-PREROUTING"], rule.as_slice()].concat(),
    )
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    iptables::apply(&all.compute, &ruleset::healthy())
}
