//! `tap-wrong-bridge`: web1's tap is in libvirt's bridge, where libvirt's dnsmasq offers it an address
//! of its own.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{LIBVIRT_BRIDGE, WEB1};
use crate::place::Lab;
use crate::wiring::Namespaces;
use crate::wiring::enslave_tap;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "tap-wrong-bridge", summary: "web1's tap is in another bridge", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::enslave(&mut all.compute, WEB1.tap, LIBVIRT_BRIDGE)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    enslave_tap(&mut all.compute, &WEB1)
}
