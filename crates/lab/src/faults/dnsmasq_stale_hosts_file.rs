//! `dnsmasq-stale-hosts-file`: web1's line is missing in dnsmasq's hosts file, which dnsmasq has read so.

use std::fs;

use nix::sys::signal::Signal;

use super::Fault;
use crate::LabError;
use crate::error::file;
use crate::guest;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dnsmasq-stale-hosts-file",
    summary: "web1's line is missing in dnsmasq's hosts file",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let hosts = dnsmasq::hosts_file(lab, &server.host.name, served);
    let text = fs::read_to_string(&hosts).map_err(file("read", &hosts))?;
    let own = format!(",{}", scene.fixed());
    let others: Vec<&str> = text.lines().filter(|line| !line.ends_with(&own)).collect();
    fs::write(&hosts, others.join("\n")).map_err(file("write", &hosts))?;
    dnsmasq::signal(lab, &server.host.name, &server.ns, served, Signal::SIGHUP)?;
    // It asks once, so that the log tells; it keeps the address that it has.
    scene.inside.as_ref().map_or(Ok(()), |inside| guest::ask_for_an_address(lab, inside))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
