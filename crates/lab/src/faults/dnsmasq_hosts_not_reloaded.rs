//! `dnsmasq-hosts-not-reloaded`: dnsmasq was started when its hosts file had no line for web1. The file has it now, and
//! dnsmasq was not told to look again.

use std::fs;

use super::Fault;
use crate::LabError;
use crate::error::file;
use crate::guest;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dnsmasq-hosts-not-reloaded",
    summary: "web1's line was added to dnsmasq's hosts file, which it has not read again",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    dnsmasq::stop(&server.ns, served)?;
    dnsmasq::write_files(lab, host, served)?;
    let hosts = dnsmasq::hosts_file(lab, host, served);
    let text = fs::read_to_string(&hosts).map_err(file("read", &hosts))?;
    let own = format!(",{}", scene.fixed());
    let others: Vec<&str> = text.lines().filter(|line| !line.ends_with(&own)).collect();
    fs::write(&hosts, others.join("\n")).map_err(file("write", &hosts))?;
    dnsmasq::start(lab, host, &server.ns, served, &dnsmasq::healthy(served))?;
    // It asks once, so that the log tells; it keeps the address that it has.
    scene.inside.as_ref().map_or(Ok(()), |inside| guest::ask_for_an_address(lab, inside))?;
    dnsmasq::write_files(lab, host, served)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    dnsmasq::update(lab, &scene.server.host.name, &scene.server.ns, &scene.served)
}
