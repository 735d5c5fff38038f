//! `xdp-drop`: an XDP program on the uplink of the host that is web1's gateway drops whatever comes in.

use std::os::fd::AsFd;

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "xdp-drop",
    summary: "an XDP program drops what the compute host's uplink receives",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let program = sys::ingress::dropping().map_err(|source| LabError::BpfProgram { source })?;
    Ok(link::set_xdp(&mut scene.server.ns, UPLINK, Some(program.as_fd()))?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_xdp(&mut scene.server.ns, UPLINK, None)?)
}
