//! `guest-paused-tap-full`: web1's QEMU was stopped by a signal. Its tap stays up and takes frames until its queue is
//! full; nobody reads them. Needs a virtual machine: a namespace cannot be paused.

use nix::sys::signal::Signal;

use super::Fault;
use crate::LabError;
use crate::machine;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-paused-tap-full", summary: "web1's QEMU is stopped", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    machine::signal(lab, &scene.compute.ns, &scene.compute.host.name, &scene.web1, Signal::SIGSTOP)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    machine::signal(lab, &scene.compute.ns, &scene.compute.host.name, &scene.web1, Signal::SIGCONT)
}
