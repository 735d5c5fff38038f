//! `dnsmasq-lease-max`: dnsmasq may hold one lease, which a ghost has: it offers an address and refuses the request.
//! web1 keeps the address that it has.

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-lease-max", summary: "dnsmasq holds all the leases that it may", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    let leases = dnsmasq::haunt(lab, host, dnsmasq::last_address(served))?;
    let full = Pool { leases: Some(leases), lease_max: 1, ..dnsmasq::healthy(served) };
    dnsmasq::start(lab, host, &server.ns, served, &full)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    dnsmasq::stop(&server.ns, served)?;
    dnsmasq::exorcise(lab, &server.host.name)?;
    dnsmasq::update(lab, &server.host.name, &server.ns, served)
}
