//! `pmtu-blackhole`: the router nearest the compute host has an outer link that takes 1400 octets, and a rule of its
//! own drops the ICMP errors by which it would say so.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::{ETHERNET_MTU, SMALL_MTU};
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "pmtu-blackhole",
    summary: "a router's outer link takes smaller packets, and the router may not say so",
    inject,
    heal,
};

const OUTER: &str = "eth1";

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let rule = ["-A", "OUTPUT", "-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP"];
    iptables::iptables(&scene.rig.gateway, &rule)?;
    Ok(link::set_mtu(&mut scene.rig.gateway, OUTER, SMALL_MTU)?)
}

/// The router has no rules in health.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    link::set_mtu(&mut scene.rig.gateway, OUTER, ETHERNET_MTU)?;
    iptables::iptables(&scene.rig.gateway, &["-F", "OUTPUT"])
}
