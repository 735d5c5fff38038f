//! `flatif-not-enslaved`: the flat network's physical link is up but not in the bridge. The bridge
//! keeps its MAC, which nova has set by hand.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::FLAT_LINK;
use crate::place::Lab;
use crate::wiring::Namespaces;
use crate::wiring::enslave_flat_link;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "flatif-not-enslaved",
    summary: "the flat network's physical link is not in the bridge",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::release(&mut all.compute, FLAT_LINK)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    enslave_flat_link(&mut all.compute)
}
