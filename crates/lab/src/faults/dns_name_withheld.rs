//! `dns-name-withheld`: the dnsmasq of web1's network takes the external server's reverse zone for its own, and denies
//! its name.

use super::Fault;
use crate::LabError;
use crate::layout::EXTERNAL;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dns-name-withheld", summary: "dnsmasq denies a name of the outside", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let server = &scene.server;
    let [a, b, c, d] = EXTERNAL.addr().octets();
    let option = format!("--local=/{d}.{c}.{b}.{a}.in-addr.arpa/");
    let pool = Pool { more: Some(option), ..dnsmasq::healthy(&scene.served) };
    dnsmasq::stop(&server.ns, &scene.served)?;
    dnsmasq::start(lab, &server.host.name, &server.ns, &scene.served, &pool)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::stop(&scene.server.ns, &scene.served)?;
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
