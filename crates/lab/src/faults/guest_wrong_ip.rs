//! `guest-wrong-ip`: web1 has an address by hand that is not the one of its record.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use plumbing::address;
use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::guest;
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-wrong-ip", summary: "web1 uses an address of its own choice", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let own = own(scene);
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    if let Some(recorded) = scene.nic.fixed_net() {
        address::delete(inside, GUEST_NIC, recorded)?;
    }
    address::add(inside, GUEST_NIC, own)?;
    Ok(route::replace(inside, DEFAULT, scene.served.gateway)?)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let own = own(scene);
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    address::delete(inside, GUEST_NIC, own)?;
    guest::restart_dhcp_client(lab, &scene.compute.host.name, inside, &scene.web1)
}

/// An address that no instance of a lab has.
fn own(scene: &Scene) -> Ipv4Net {
    let free = Ipv4Addr::from(u32::from(scene.nic.cidr.broadcast()) - 2);
    Ipv4Net::new_assert(free, scene.nic.cidr.prefix_len())
}
