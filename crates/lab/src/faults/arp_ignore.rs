//! `arp-ignore`: the bridge that carries web1's gateway address answers no ARP (`arp_ignore` is 8), and nobody
//! remembers anybody's MAC.

use plumbing::neighbour;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "arp-ignore",
    summary: "the compute host does not answer ARP for its gateway address",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.server.ns.set_sysctl(&setting(scene), "8")?;
    neighbour::flush(&mut scene.server.ns)?;
    match &mut scene.inside {
        Some(inside) => Ok(neighbour::flush(inside)?),
        None => Ok(()),
    }
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(scene.server.ns.set_sysctl(&setting(scene), "0")?)
}

fn setting(scene: &Scene) -> String {
    format!("ipv4/conf/{}/arp_ignore", scene.nic.bridge.name)
}
