//! `neigh-table-overflow`: the kernel's table of neighbours is full of such as were just heard of in web1's bridge, as
//! after a scan of a large flat network; whoever is to be reached anew has no room in it.
//!
//! All namespaces of a kernel share the table, so this is made only where the kernel is the lab's alone.

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use plumbing::neighbour;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "neigh-table-overflow",
    summary: "the kernel's table of neighbours is full, and none of them can be given up",
    inject,
    heal,
};

/// The kernel gives up none that is reachable, so they are to stay so: an hour, and what the kernel begins with.
const LONG_MS: &str = "3600000";
const USUAL_MS: &str = "30000";
/// The kernel's own limit is 1024; a network of 16 bits has no more.
const MADE_MAX: u16 = u16::MAX;
const NOBODY: Mac = Mac([0x02, 0, 0, 0, 0, 0x77]);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = scene.nic.bridge.name.clone();
    scene.compute.ns.set_sysctl(&reachable_time(&bridge), LONG_MS)?;
    // Whoever is known already would stay reachable.
    scene.rig.each().try_for_each(neighbour::flush)?;
    scene.inside.iter_mut().try_for_each(neighbour::flush)?;
    let strangers = (0..MADE_MAX).map(|number| {
        let [high, low] = number.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 250, high, low))
    });
    neighbour::learn(&mut scene.compute.ns, &bridge, strangers, NOBODY)?;
    Ok(())
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = scene.nic.bridge.name.clone();
    scene.compute.ns.set_sysctl(&reachable_time(&bridge), USUAL_MS)?;
    Ok(neighbour::flush(&mut scene.compute.ns)?)
}

fn reachable_time(bridge: &str) -> String {
    format!("ipv4/neigh/{bridge}/base_reachable_time_ms")
}
