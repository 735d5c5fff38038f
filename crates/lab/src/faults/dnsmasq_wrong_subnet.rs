//! `dnsmasq-wrong-subnet`: nova-network's dnsmasq serves the bridge with the range of the network behind its own.

use std::net::Ipv4Addr;

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-wrong-subnet", summary: "dnsmasq's range is of another network", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    dnsmasq::stop(&server.ns, served)?;
    let Pool { range, .. } = dnsmasq::healthy(served);
    // The first address that an instance of the next network of this size would have.
    let next = Ipv4Addr::from(u32::from(served.cidr.broadcast()) + 3);
    let range = range.replace(&format!("{},static", served.dhcp_start), &format!("{next},static"));
    let astray = Pool { range, ..dnsmasq::healthy(served) };
    dnsmasq::start(lab, &server.host.name, &server.ns, served, &astray)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)?;
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
