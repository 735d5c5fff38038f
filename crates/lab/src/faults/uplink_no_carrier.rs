//! `uplink-no-carrier`: the switch port of the compute host's public link is down. The link is up
//! without a carrier; its routes stay and lead nowhere.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK_SWITCH_PORT;
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "uplink-no-carrier",
    summary: "the compute host's public link has lost its carrier",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_down(&mut all.fabric, UPLINK_SWITCH_PORT)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_up(&mut all.fabric, UPLINK_SWITCH_PORT)?)
}
