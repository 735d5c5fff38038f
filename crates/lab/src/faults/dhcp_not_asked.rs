//! `dhcp-not-asked`: web1's DHCP client has ended, and taken the address with it.

use super::Fault;
use crate::LabError;
use crate::dhcp_client;
use crate::guest;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dhcp-not-asked",
    summary: "web1's DHCP client has ended, and its NIC has no address",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dhcp_client::lose_address(scene, FAULT.code)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    guest::restart_dhcp_client(lab, &scene.compute.host.name, inside, &scene.web1)
}
