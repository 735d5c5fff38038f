//! `dns-answer-wrong`: a line that was left in dnsmasq's hosts file for names gives web1's name an address of nobody's.

use nix::sys::signal::Signal;

use super::Fault;
use crate::LabError;
use crate::layout::{DHCP_DOMAIN, WEB1};
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;
use crate::whole_file;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dns-answer-wrong", summary: "dnsmasq gives web1's name a wrong address", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let nobody = dnsmasq::last_address(&scene.served);
    let names = dnsmasq::names_file(lab, &scene.server.host.name, &scene.served);
    whole_file::write(&names, format!("{nobody}\t{WEB1}.{DHCP_DOMAIN}\n"))?;
    read_again(lab, scene)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    whole_file::remove(&dnsmasq::names_file(lab, &scene.server.host.name, &scene.served))?;
    read_again(lab, scene)
}

fn read_again(lab: &Lab, scene: &Scene) -> Result<(), LabError> {
    let server = &scene.server;
    dnsmasq::signal(lab, &server.host.name, &server.ns, &scene.served, Signal::SIGHUP)
}
