//! `guest-powered-off`: web1 was shut down behind nova's back. libvirt has no running domain of it, its NIC is gone,
//! and the database goes on saying that it is active.

use super::Fault;
use crate::place::Lab;
use crate::scene::Scene;
use crate::{LabError, libvirt};

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-powered-off", summary: "web1 does not run, and nova has it running", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.inside = None;
    libvirt::destroy(lab, &scene.compute.host.name, &mut scene.compute.ns, &scene.web1)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    libvirt::ensure_running(lab, &scene.compute.host.name, &mut scene.compute.ns, &scene.web1)
}
