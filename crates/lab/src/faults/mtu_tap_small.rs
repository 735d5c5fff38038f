//! `mtu-tap-small`: the host's end of web1's NIC takes 1400 octets, and web1 sends up to 1500. The bridge follows its
//! ports down.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{ETHERNET_MTU, SMALL_MTU};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "mtu-tap-small",
    summary: "web1's tap takes smaller packets than web1 sends",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_mtu(&mut scene.compute.ns, &scene.tap, SMALL_MTU)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_mtu(&mut scene.compute.ns, &scene.tap, ETHERNET_MTU)?)
}
