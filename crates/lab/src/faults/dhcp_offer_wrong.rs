//! `dhcp-offer-wrong`: nova-network's dnsmasq offers an MTU that the instances' NICs do not take. Those that have a
//! lease learn of it when they renew it, and the lab's set no MTU.

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dhcp-offer-wrong", summary: "dnsmasq offers an MTU of 9000", inject, heal };

/// `mtu`, option 26 (RFC 2132, 5.1), as dnsmasq's options file has it.
const JUMBO: &str = "26,9000";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    dnsmasq::stop(&server.ns, served)?;
    dnsmasq::add_option(lab, &server.host.name, served, JUMBO)?;
    dnsmasq::start(lab, &server.host.name, &server.ns, served, &dnsmasq::healthy(served))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)?;
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
