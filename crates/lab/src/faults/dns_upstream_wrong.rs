//! `dns-upstream-wrong`: the dnsmasq of web1's network asks a server at an address that nobody has.

use std::net::Ipv4Addr;

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dns-upstream-wrong", summary: "dnsmasq asks a server that does not exist", inject, heal };

/// Of a network for documentation (RFC 5737), which no router of the lab knows.
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let server = &scene.server;
    let pool = Pool { upstream: NOBODY, ..dnsmasq::healthy(&scene.served) };
    dnsmasq::stop(&server.ns, &scene.served)?;
    dnsmasq::start(lab, &server.host.name, &server.ns, &scene.served, &pool)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)?;
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
