//! `tap-down`: the host's end of web1's NIC is down; the instance sees a lost carrier.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::WEB1;
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault = Fault { code: "tap-down", summary: "web1's tap is down", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_down(&mut all.compute, WEB1.tap)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_up(&mut all.compute, WEB1.tap)?)
}
