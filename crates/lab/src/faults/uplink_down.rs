//! `uplink-down`: somebody downed the compute host's public link. The kernel deletes every route
//! through it, and the default route does not come back with the link.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::wiring::Namespaces;
use crate::wiring::default_route;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "uplink-down", summary: "the compute host's public link is down", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_down(&mut all.compute, UPLINK)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    link::set_up(&mut all.compute, UPLINK)?;
    default_route(&mut all.compute)
}
