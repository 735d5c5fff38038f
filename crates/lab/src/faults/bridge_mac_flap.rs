//! `bridge-mac-flap`: the bridge that is web1's gateway has got another MAC, and web1 remembers the old one.
//!
//! Its memory is made to last: an entry is looked at again after half a minute, and a fault that mends itself while
//! somebody looks for it teaches nobody.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use model::Mac;
use plumbing::{link, neighbour};

use super::Fault;
use crate::LabError;
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "bridge-mac-flap",
    summary: "web1's bridge has another MAC than web1 remembers",
    inject,
    heal,
};

/// As a bridge has it by a port of that MAC.
const OTHER: Mac = Mac([0x02, 0, 0, 0, 0, 0x77]);
/// How long an entry is taken to be fresh, in milliseconds: the kernel's own value, and one that outlasts every test.
const MEMORY: [&str; 2] = ["30000", "3600000"];
const DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let gateway = IpAddr::V4(scene.served.gateway);
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    let [_, lasting] = MEMORY;
    inside.set_sysctl(&memory(), lasting)?;
    neighbour::flush(inside)?;
    neighbour::ask(inside, GUEST_NIC, gateway)?;
    let deadline = Instant::now() + DEADLINE;
    while neighbour::mac_of(inside, GUEST_NIC, gateway)?.is_none() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    Ok(link::set_mac(&mut scene.server.ns, &scene.nic.bridge.name, OTHER)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    link::set_mac(&mut scene.server.ns, &scene.nic.bridge.name, scene.server.host.flat_mac())?;
    let [usual, _] = MEMORY;
    match &mut scene.inside {
        Some(inside) => Ok(inside.set_sysctl(&memory(), usual)?),
        None => Ok(()),
    }
}

fn memory() -> String {
    format!("ipv4/neigh/{GUEST_NIC}/base_reachable_time_ms")
}
