//! `dnsmasq-wrong-interface`: nova-network's dnsmasq was given the host's public address to listen on.

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dnsmasq-wrong-interface",
    summary: "nova-network's dnsmasq listens on the uplink",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    dnsmasq::stop(&server.ns, served)?;
    let astray = Pool { listen: server.host.public().addr(), ..dnsmasq::healthy(served) };
    dnsmasq::start(lab, &server.host.name, &server.ns, served, &astray)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)?;
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
