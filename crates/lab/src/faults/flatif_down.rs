//! `flatif-down`: the bridge's physical link is down. Instances on this host still reach each other
//! and, in multi-host mode, the outside; only instances on other hosts are out of reach.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::FLAT_LINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "flatif-down", summary: "the flat network's physical link is down", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.compute.ns, FLAT_LINK)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_up(&mut scene.compute.ns, FLAT_LINK)?)
}
