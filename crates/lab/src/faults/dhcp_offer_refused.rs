//! `dhcp-offer-refused`: web1's client takes its address for somebody else's and declines it. dnsmasq sets the address
//! aside, and says no to what web1 asks next.

use super::Fault;
use crate::LabError;
use crate::dhcp_client::{self, Word};
use crate::guest;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dhcp-offer-refused",
    summary: "web1 declines the address that DHCP gives it",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dhcp_client::lose_address(scene, FAULT.code)?;
    scene.inside.as_ref().map_or(Ok(()), |inside| guest::ask_for_an_address(lab, inside))?;
    dhcp_client::say(lab, scene, Word::Declines(scene.fixed()), FAULT.code)?;
    scene.inside.as_ref().map_or(Ok(()), |inside| guest::ask_for_an_address(lab, inside))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    // A new one has nothing set aside.
    dnsmasq::stop(&server.ns, served)?;
    dnsmasq::update(lab, &server.host.name, &server.ns, served)?;
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    guest::restart_dhcp_client(lab, &scene.compute.host.name, inside, &scene.web1)
}
