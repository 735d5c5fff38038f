//! `tap-not-enslaved`: web1's tap is up but in no bridge: its frames end in the host's own IP stack.
//! Nothing counts a drop.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::WEB1;
use crate::place::Lab;
use crate::wiring::Namespaces;
use crate::wiring::enslave_tap;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "tap-not-enslaved", summary: "web1's tap is not in the bridge", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::release(&mut all.compute, WEB1.tap)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    enslave_tap(&mut all.compute, &WEB1)
}
