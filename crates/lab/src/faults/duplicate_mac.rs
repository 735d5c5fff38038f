//! `duplicate-mac`: web2 wears web1's MAC, so that both are behind one address of the bridge.

use model::Mac;
use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{GUEST_NIC, WEB2};
use crate::operations::instance_named;
use crate::place::Lab;
use crate::scene::Scene;
use crate::{manager, namespace};

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "duplicate-mac", summary: "web2 wears web1's MAC", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    wear(lab, scene.nic.mac)
}

fn heal(lab: &Lab, _scene: &mut Scene) -> Result<(), LabError> {
    let (_, web2) = instance_named(&manager::read(lab)?, WEB2).map(|(row, web2)| (row.clone(), web2))?;
    web2.nics.first().map_or(Ok(()), |nic| wear(lab, nic.mac))
}

fn wear(lab: &Lab, mac: Mac) -> Result<(), LabError> {
    let mut inside = namespace::open(lab, WEB2).map_err(|_| LabError::NoInside { code: FAULT.code })?;
    Ok(link::set_mac(&mut inside, GUEST_NIC, mac)?)
}
