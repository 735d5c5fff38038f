//! `ext-server-down`: the external server's link is down.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::rig::external_route;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "ext-server-down", summary: "the external server is down", inject, heal };

const LINK: &str = "eth0";

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.rig.external, LINK)?)
}

/// Its routes went with the link.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    link::set_up(&mut scene.rig.external, LINK)?;
    external_route(&mut scene.rig.external)
}
