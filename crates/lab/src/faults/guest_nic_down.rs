//! `guest-nic-down`: web1 has downed its own NIC. The host's end has no carrier while nothing on the
//! host was changed; the instance's routes are gone until its DHCP client sets them again.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;
use crate::{guest, machine};

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-nic-down", summary: "web1's own NIC is down", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    match &mut scene.inside {
        Some(inside) => Ok(link::set_down(inside, GUEST_NIC)?),
        None => machine::set_link(lab, &scene.compute.host.name, &scene.web1, false),
    }
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    match &mut scene.inside {
        Some(inside) => {
            link::set_up(inside, GUEST_NIC)?;
            guest::restart_dhcp_client(lab, &scene.compute.host.name, inside, &scene.web1)
        }
        None => machine::set_link(lab, &scene.compute.host.name, &scene.web1, true),
    }
}
