//! `host-subnet-overlap`: the host that is web1's gateway has a bridge, as docker makes one, whose subnet is the
//! external server's.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::EXTERNAL;
use crate::place::Lab;
use crate::rig::idle_bridge;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "host-subnet-overlap",
    summary: "a bridge of the compute host's own has the external server's subnet",
    inject,
    heal,
};

const BRIDGE: &str = "docker0";

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let first = Ipv4Addr::from(u32::from(EXTERNAL.network()) + 1);
    let net = Ipv4Net::new_assert(first, EXTERNAL.prefix_len());
    idle_bridge(&mut scene.server.ns, BRIDGE, None, net)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let ns = &mut scene.server.ns;
    if link::exists(ns, BRIDGE)? {
        link::delete(ns, BRIDGE)?;
    }
    Ok(())
}
