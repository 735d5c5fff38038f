//! `dns-upstream-dead`: the external server's DNS has died, whom every dnsmasq of nova's asks.

use super::Fault;
use crate::LabError;
use crate::manager;
use crate::place::Lab;
use crate::scene::Scene;
use crate::servers;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dns-upstream-dead",
    summary: "the DNS server that dnsmasq asks is not running",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    servers::stop_dns(lab, &scene.rig.external)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    servers::stop_dns(lab, &scene.rig.external)?;
    servers::start_dns(lab, &manager::read(lab)?, &scene.rig.external)
}
