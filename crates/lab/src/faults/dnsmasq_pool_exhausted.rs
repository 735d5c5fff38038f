//! `dnsmasq-pool-exhausted`: dnsmasq has one address to give, which another holds, and knows no
//! instance by its MAC. web1 asks once, so that the log tells; it keeps the address that it has.

use std::fs;
use std::net::Ipv4Addr;

use super::Fault;
use crate::LabError;
use crate::error::file;
use crate::guest;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// A lease file in which that ghost is.
const GHOST_LEASES: &str = "networks/ghost.leases";
/// Who holds it.
const GHOST_MAC: &str = "fa:16:3e:aa:aa:aa";
/// End of its lease, in seconds since 1970: long after any lab.
const FAR_FUTURE: u64 = 4_102_444_800;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-pool-exhausted", summary: "dnsmasq has no address left to give", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    let hosts = dnsmasq::hosts_file(lab, host, served);
    fs::write(&hosts, "").map_err(file("write", &hosts))?;
    // The one address of the range, which a ghost holds: the last before the broadcast address.
    let only = Ipv4Addr::from(u32::from(served.cidr.broadcast()) - 1);
    let leases = lab.host_path(host, GHOST_LEASES);
    fs::write(&leases, format!("{FAR_FUTURE} {GHOST_MAC} {only} ghost *\n"))
        .map_err(file("write", &leases))?;
    let mut pool = dnsmasq::healthy(served);
    pool.range = pool.range.replace(&format!("{},static", served.dhcp_start), &format!("{only},{only}"));
    dnsmasq::start(lab, host, &server.ns, served, &Pool { leases: Some(leases), ..pool })?;
    scene.inside.as_ref().map_or(Ok(()), |inside| guest::ask_for_an_address(lab, inside))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    let leases = lab.host_path(host, GHOST_LEASES);
    if leases.exists() {
        fs::remove_file(&leases).map_err(file("remove", &leases))?;
    }
    dnsmasq::update(lab, host, &server.ns, served)
}
