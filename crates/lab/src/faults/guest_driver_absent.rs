//! `guest-driver-absent`: web1 runs from an image that has no driver for its NIC. Its tap is up with carrier, since
//! QEMU holds it, and never brings a frame. Needs a virtual machine: a namespace's NIC takes no driver.

use vm::NicDriver;

use super::Fault;
use crate::place::Lab;
use crate::scene::Scene;
use crate::{LabError, libvirt, machine};

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-driver-absent", summary: "web1's image has no driver for its NIC", inject, heal };

/// Until its boot is over: before that, nobody can tell it from one that has yet to begin.
fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let host = &scene.compute.host.name;
    libvirt::destroy(lab, host, &mut scene.compute.ns, &scene.web1)?;
    libvirt::ensure_running_with(lab, host, &mut scene.compute.ns, &scene.web1, NicDriver::Absent)?;
    machine::await_login(lab, host, &scene.web1)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let host = &scene.compute.host.name;
    libvirt::destroy(lab, host, &mut scene.compute.ns, &scene.web1)?;
    libvirt::ensure_running(lab, host, &mut scene.compute.ns, &scene.web1)
}
