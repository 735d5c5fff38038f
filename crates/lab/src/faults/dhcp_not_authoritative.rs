//! `dhcp-not-authoritative`: dnsmasq was started anew with a lease file that has been lost, and nothing has told it of
//! the leases that the one before it gave. It ignores who asks for the address that it had.

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;
use crate::whole_file;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dhcp-not-authoritative",
    summary: "dnsmasq has forgotten its leases, and ignores requests for them",
    inject,
    heal,
};

/// The file, as it is after it was lost.
const LEASES: &str = "networks/lost.leases";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    let leases = lab.host_path(host, LEASES);
    whole_file::write(&leases, "")?;
    let forgetful = Pool { leases: Some(leases), ..dnsmasq::healthy(served) };
    dnsmasq::start(lab, host, &server.ns, served, &forgetful)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    whole_file::remove(&lab.host_path(host, LEASES))?;
    dnsmasq::update(lab, host, &server.ns, served)
}
