//! `vlan-tag-wrong`: the VLAN device in web1's bridge has its name, and the id of a VLAN that nobody else is on.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::nova::linux_net::{ensure_bridge, ensure_vlan, vlan_mac};
use crate::place::Lab;
use crate::scene::Scene;

/// What is added to the VLAN's id: beyond all that the lab makes networks of.
const ASIDE: u16 = 1000;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "vlan-tag-wrong",
    summary: "the VLAN device in web1's bridge is of another VLAN",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (compute, bridge) = (&mut scene.compute, &scene.nic.bridge);
    let Some(id) = bridge.vlan else { return Ok(()) };
    let (port, mac) = (bridge.port(), vlan_mac(&compute.host, id));
    link::delete(&mut compute.ns, &port)?;
    ensure_vlan(&mut compute.ns, &port, &bridge.interface, id + ASIDE, mac)?;
    Ok(link::enslave(&mut compute.ns, &port, &bridge.name)?)
}

/// A VLAN device keeps its id for life.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (compute, bridge) = (&mut scene.compute, &scene.nic.bridge);
    if link::exists(&mut compute.ns, &bridge.port())? {
        link::delete(&mut compute.ns, &bridge.port())?;
    }
    ensure_bridge(&mut compute.ns, &compute.host, bridge)
}
