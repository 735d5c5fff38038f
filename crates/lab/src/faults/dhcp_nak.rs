//! `dhcp-nak`: web1 was made of an image that brings another instance's lease along. Its client asks for that address
//! and gives up when it is refused.

use std::net::Ipv4Addr;

use super::Fault;
use crate::LabError;
use crate::dhcp_client::{self, Word};
use crate::guest;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dhcp-nak", summary: "web1 asks for an address that it had elsewhere", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dhcp_client::lose_address(scene, FAULT.code)?;
    // One that no instance of a lab has.
    let old = Ipv4Addr::from(u32::from(scene.nic.cidr.broadcast()) - 2);
    dhcp_client::say(lab, scene, Word::Again(old), FAULT.code)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    guest::restart_dhcp_client(lab, &scene.compute.host.name, inside, &scene.web1)
}
