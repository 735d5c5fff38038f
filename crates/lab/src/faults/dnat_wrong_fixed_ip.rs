//! `dnat-wrong-fixed-ip`: web1's floating address leads to a fixed address that no instance has any more.

use super::Fault;
use crate::LabError;
use crate::nova::{dnsmasq, iptables};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dnat-wrong-fixed-ip",
    summary: "web1's floating address leads to a fixed address that nobody has",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    let (fixed, nobody) = (scene.fixed().to_string(), dnsmasq::last_address(&scene.served).to_string());
    let edit = |verb: &[&str], to: &str| {
        let rule = ["-d", &floating, "-j", "DNAT", "--to-destination", to];
        iptables::iptables(&scene.server.ns, &[&["-t", "nat"], verb, &rule].concat())
    };
    edit(&["-D", "nova-network-PREROUTING"], &fixed)?;
    edit(&["-A", "nova-network-PREROUTING"], &nobody)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
