//! `dhcp-reply-lost`: web1's chain has lost the rules that let DHCP's answers in: the OFFER dies at nova's
//! fallback. Where the host that serves web1 is not the one that runs it, it dies on the latter.

use super::Fault;
use crate::LabError;
use crate::nova::{iptables, rules};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dhcp-reply-lost", summary: "web1's chain lets no DHCP answer in", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let chain = rules::instance_chain(scene.web1.id);
    let cidr = scene.nic.cidr.to_string();
    let delete = |rule: &[&str]| {
        iptables::iptables(&scene.compute.ns, &[&["-D", &chain][..], rule, &["-j", "ACCEPT"]].concat())
    };
    if let Some(server) = &scene.nic.dhcp_server {
        delete(&["-s", &server.to_string(), "-p", "udp", "--sport", "67", "--dport", "68"])?;
    }
    // The whole network may reach it, its gateway too.
    delete(&["-s", &cidr])
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rewrite_rules(lab)
}
