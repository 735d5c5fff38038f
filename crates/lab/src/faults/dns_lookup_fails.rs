//! `dns-lookup-fails`: the external server's DNS runs and refuses everybody, for it knows no zone and nobody to ask.

use super::Fault;
use crate::LabError;
use crate::manager;
use crate::place::Lab;
use crate::scene::Scene;
use crate::servers;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dns-lookup-fails", summary: "the DNS server that dnsmasq asks refuses", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    servers::stop_dns(lab, &scene.rig.external)?;
    servers::start_dns_without_zones(lab, &scene.rig.external)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    servers::stop_dns(lab, &scene.rig.external)?;
    servers::start_dns(lab, &manager::read(lab)?, &scene.rig.external)
}
