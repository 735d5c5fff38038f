//! `l2-loop`: a second cable leads from web1's bridge to the switch that it is plugged into, and neither knows spanning
//! tree: what is for everybody goes round and round.
//!
//! Both ends of the cable are narrow before anything is plugged in: without that, frames would go round as fast as the
//! machine can. Whatever happens, they end with either end, and so with either namespace.

use model::Mac;
use plumbing::queue::{self, Bucket};
use plumbing::veth::{End, plug};
use plumbing::{Namespace, bridge, link, neighbour, vlan};

use super::Fault;
use crate::LabError;
use crate::layout::{FLAT_SWITCH, GUEST_NIC};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "l2-loop",
    summary: "a second cable leads from web1's bridge to the same switch",
    inject,
    heal,
};

/// The host's end.
const NEAR: &str = "eth2";
const NEAR_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x1d, 0x02, 0x00]);
/// The switch's.
const FAR: &str = "flatloop";
/// `tbf rate 400kbit burst 3000 limit 20000`: some 1,000 small frames a second.
const NARROW: Bucket = Bucket { octets_per_s: 50_000, burst_octets: 3000, limit_octets: 20_000 };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (host, fabric) = (&mut scene.compute.ns, &mut scene.rig.fabric);
    plug(
        &mut End { ns: host, link: NEAR, mac: Some(NEAR_MAC), index: None },
        &End { ns: fabric, link: FAR, mac: None, index: None },
    )?;
    queue::add_tbf(host, NEAR, NARROW)?;
    queue::add_tbf(fabric, FAR, NARROW)?;
    link::enslave(fabric, FAR, FLAT_SWITCH)?;
    link::set_up(fabric, FAR)?;
    link::set_up(host, NEAR)?;
    let port = match scene.nic.bridge.vlan {
        None => NEAR.to_owned(),
        Some(id) => tagged(host, id)?,
    };
    link::enslave(host, &port, &scene.nic.bridge.name)?;
    // web1 asks everybody something, which goes round from now on.
    let Some(inside) = &mut scene.inside else { return Ok(()) };
    neighbour::flush(inside)?;
    Ok(neighbour::ask(inside, GUEST_NIC, scene.served.gateway.into())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    // Its other end, and what is on it, goes with it.
    if link::exists(&mut scene.rig.fabric, FAR)? {
        link::delete(&mut scene.rig.fabric, FAR)?;
    }
    // What came back taught every bridge that its own stations are outside.
    let port = scene.nic.bridge.port();
    scene.rig.hosts.iter_mut().try_for_each(|host| Ok(bridge::forget_all(&mut host.ns, &port)?))
}

/// The cable's device for a VLAN, as nova makes one on the flat network's link.
fn tagged(host: &mut Namespace, id: u16) -> Result<String, LabError> {
    let name = format!("{NEAR}.{id}");
    vlan::create(host, &name, NEAR, id)?;
    link::set_up(host, &name)?;
    Ok(name)
}
