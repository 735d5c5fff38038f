//! `float-on-two-hosts`: another host carries web1's floating address too, and leads it to an instance of its own, as
//! after a move that was not ended.

use ipnet::Ipv4Net;
use plumbing::{address, neighbour};

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::manager;
use crate::nova::iptables;
use crate::overlay;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-on-two-hosts",
    summary: "another host carries web1's floating address, too",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    let instances = manager::read(lab)?.instances;
    let Some(far) = overlay::far(scene) else { return Ok(()) };
    address::add(&mut far.ns, UPLINK, Ipv4Net::from(floating))?;
    let there = |instance: &&novadb::rows::Instance| instance.host == far.host.name;
    let vifs = instances.iter().find(there).into_iter().flat_map(|instance| &instance.vifs);
    if let Some(other) = vifs.flat_map(|vif| &vif.fixed).next() {
        let (from, to) = (floating.to_string(), other.address.to_string());
        let chain = ["-t", "nat", "-I", "nova-network-PREROUTING", "1"];
        let rule = ["-d", &from, "-j", "DNAT", "--to-destination", &to];
        iptables::iptables(&far.ns, &[&chain[..], &rule[..]].concat())?;
    }
    Ok(neighbour::flush(&mut scene.rig.gateway)?)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    if let Some(far) = overlay::far(scene) {
        address::delete(&mut far.ns, UPLINK, floating.into())?;
        manager::rewrite_rules(lab, &far.host, &far.ns)?;
    }
    Ok(neighbour::flush(&mut scene.rig.gateway)?)
}
