//! `guest-nic-down`: web1 has downed its own NIC. The host's end has no carrier while nothing on the
//! host was changed; the instance's routes are gone until its DHCP client sets them again.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{GUEST_NIC, WEB1};
use crate::place::Lab;
use crate::services;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-nic-down", summary: "web1's own NIC is down", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_down(&mut all.web1, GUEST_NIC)?)
}

fn heal(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    link::set_up(&mut all.web1, GUEST_NIC)?;
    services::restart_dhcp_client(lab, &mut all.web1, &WEB1)
}
