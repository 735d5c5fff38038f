//! `vlan-double-tag-or-mtu`: the link that carries web1's VLAN takes four octets less than web1 sends, as a card that
//! has to find room for the tag. Its VLAN devices follow it down, and their bridges them.

use plumbing::{link, vlan};

use super::Fault;
use crate::LabError;
use crate::layout::ETHERNET_MTU;
use crate::place::Lab;
use crate::scene::Scene;

/// What a VLAN's tag takes.
const TAG_OCTETS: u32 = 4;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "vlan-double-tag-or-mtu",
    summary: "the link below web1's VLAN has no room for full-sized packets",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (compute, bridge) = (&mut scene.compute, &scene.nic.bridge);
    Ok(link::set_mtu(&mut compute.ns, &bridge.interface, ETHERNET_MTU - TAG_OCTETS)?)
}

/// What followed it down does not follow it up (`vlan_device_event`, net/8021q/vlan.c).
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (compute, bridge) = (&mut scene.compute, &scene.nic.bridge);
    link::set_mtu(&mut compute.ns, &bridge.interface, ETHERNET_MTU)?;
    for device in vlan::on(&mut compute.ns, &bridge.interface)? {
        link::set_mtu(&mut compute.ns, &device, ETHERNET_MTU)?;
    }
    Ok(())
}
