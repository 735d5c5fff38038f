//! `dnsmasq-not-running`: nova-network's dnsmasq has died; only libvirt's is left, which serves another
//! bridge.

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-not-running", summary: "nova-network's dnsmasq is not running", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)?;
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
