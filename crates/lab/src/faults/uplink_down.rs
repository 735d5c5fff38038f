//! `uplink-down`: somebody downed the compute host's public link. The kernel deletes every route
//! through it, and the default route does not come back with the link.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::rig::default_route;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "uplink-down", summary: "the compute host's public link is down", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.server.ns, UPLINK)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    link::set_up(&mut scene.server.ns, UPLINK)?;
    default_route(&mut scene.server.ns)
}
