//! `flatif-mtu-small`: the bridge's physical link takes 1400 octets, and the instances send up to 1500. The bridge
//! follows its ports down.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{ETHERNET_MTU, FLAT_LINK, SMALL_MTU};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "flatif-mtu-small",
    summary: "the flat network's physical link takes smaller packets than web1 sends",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_mtu(&mut scene.compute.ns, FLAT_LINK, SMALL_MTU)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_mtu(&mut scene.compute.ns, FLAT_LINK, ETHERNET_MTU)?)
}
