//! `dnsmasq-pool-exhausted`: dnsmasq has one address to give, which another holds, and knows no
//! instance by its MAC. web1 asks once, so that the log tells; it keeps the address that it has.

use std::fs;

use super::Fault;
use crate::LabError;
use crate::error::file;
use crate::guest;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-pool-exhausted", summary: "dnsmasq has no address left to give", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    let hosts = dnsmasq::hosts_file(lab, host, served);
    fs::write(&hosts, "").map_err(file("write", &hosts))?;
    let only = dnsmasq::last_address(served);
    let leases = dnsmasq::haunt(lab, host, only)?;
    let mut pool = dnsmasq::healthy(served);
    pool.range = pool.range.replace(&format!("{},static", served.dhcp_start), &format!("{only},{only}"));
    dnsmasq::start(lab, host, &server.ns, served, &Pool { leases: Some(leases), ..pool })?;
    scene.inside.as_ref().map_or(Ok(()), |inside| guest::ask_for_an_address(lab, inside))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    dnsmasq::exorcise(lab, host)?;
    dnsmasq::update(lab, host, &server.ns, served)
}
