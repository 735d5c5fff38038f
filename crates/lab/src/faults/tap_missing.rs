//! `tap-missing`: web1's tap was deleted. A veth pair dies whole, so the instance has lost its NIC too;
//! a real tap would live as long as QEMU holds it.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::WEB1;
use crate::place::Lab;
use crate::services;
use crate::wiring::Namespaces;
use crate::wiring::plug_in_instance;

/// The fault.
pub(super) const FAULT: Fault = Fault { code: "tap-missing", summary: "web1's tap is gone", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::delete(&mut all.compute, WEB1.tap)?)
}

fn heal(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    // The new NIC is asked an address for anew, as after a hard reboot.
    plug_in_instance(&mut all.compute, &mut all.web1, &WEB1)?;
    services::restart_dhcp_client(lab, &mut all.web1, &WEB1)
}
