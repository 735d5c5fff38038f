//! `dnsmasq-hung`: nova-network's dnsmasq is stopped by a signal: what comes for it waits in its sockets.

use nix::sys::signal::Signal;

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-hung", summary: "nova-network's dnsmasq is stopped", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    dnsmasq::signal(lab, &server.host.name, &server.ns, served, Signal::SIGSTOP)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    dnsmasq::signal(lab, &server.host.name, &server.ns, served, Signal::SIGCONT)?;
    dnsmasq::update(lab, &server.host.name, &server.ns, served)
}
