//! `gateway-address-missing`: the address that web1 has as its gateway is taken off the host's bridge, and nobody
//! remembers anybody's MAC.

use ipnet::Ipv4Net;
use plumbing::{address, neighbour};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "gateway-address-missing",
    summary: "the compute host does not carry the address that is its instances' gateway",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let own = own(scene);
    address::delete(&mut scene.server.ns, &scene.nic.bridge.name, own)?;
    neighbour::flush(&mut scene.server.ns)?;
    match &mut scene.inside {
        Some(inside) => Ok(neighbour::flush(inside)?),
        None => Ok(()),
    }
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let own = own(scene);
    if address::exists(&mut scene.server.ns, own)? {
        return Ok(());
    }
    Ok(address::add(&mut scene.server.ns, &scene.nic.bridge.name, own)?)
}

fn own(scene: &Scene) -> Ipv4Net {
    Ipv4Net::new_assert(scene.served.gateway, scene.served.cidr.prefix_len())
}
