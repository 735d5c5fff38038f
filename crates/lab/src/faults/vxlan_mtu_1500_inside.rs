//! `vxlan-mtu-1500-inside`: VXLAN joins the hosts, and web1 was not told that there is less room.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{ETHERNET_MTU, GUEST_NIC};
use crate::overlay;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "vxlan-mtu-1500-inside",
    summary: "web1 sends larger packets than the overlay carries",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::join(lab, scene)?;
    let Some(inside) = &mut scene.inside else { return Ok(()) };
    Ok(link::set_mtu(inside, GUEST_NIC, ETHERNET_MTU)?)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::part(lab, scene)
}
