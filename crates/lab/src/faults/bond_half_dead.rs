//! `bond-half-dead`: the compute host's link to the instances' network becomes a bond by LACP of two, and nobody speaks
//! LACP: the switch's ports are plain ones. Each slave is an aggregator by itself, and the one that the kernel takes,
//! the first, leads into a port of the switch that is in no network.
//!
//! The module bonding makes a `bond0` in the kernel's first namespace where it is loaded, so this is made only where
//! that is the lab's own.

use std::time::{Duration, Instant};

use plumbing::{Namespace, bond, link, veth};

use super::Fault;
use crate::LabError;
use crate::layout::{FLAT_LINK, FLAT_SWITCH, Host};
use crate::nova::linux_net::ensure_bridge;
use crate::nova::wanted;
use crate::place::Lab;
use crate::rig::cable;
use crate::scene::Scene;
use crate::{manager, nova::wanted::Bridge};

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "bond-half-dead",
    summary: "the host's link to the instances' network is a bond whose switch speaks no LACP",
    inject,
    heal,
};

/// LACP waits in vain for three seconds, and for two until all of an aggregator are ready (IEEE 802.1AX, 6.4.4).
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// The slaves: the first leads nowhere, the second into the instances' network.
const DEAD: &str = "eth1a";
const LIVE: &str = "eth1b";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    unplug(scene)?;
    let (compute, fabric) = (&mut scene.compute, &mut scene.rig.fabric);
    let host = compute.host.clone();
    bond::create_lacp(&mut compute.ns, FLAT_LINK, host.flat_mac())?;
    for (slave, port) in [(DEAD, dead_port(&host)), (LIVE, host.flat_port())] {
        veth::plug(
            &mut veth::End { ns: &mut compute.ns, link: slave, mac: None, index: None },
            &veth::End { ns: fabric, link: &port, mac: None, index: None },
        )?;
        link::set_up(fabric, &port)?;
        link::enslave(&mut compute.ns, slave, FLAT_LINK)?;
    }
    link::enslave(fabric, &host.flat_port(), FLAT_SWITCH)?;
    link::set_up(&mut compute.ns, FLAT_LINK)?;
    ensure_bridges(lab, &mut compute.ns, &host)?;
    await_active(&mut compute.ns)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    unplug(scene)?;
    let (compute, fabric) = (&mut scene.compute, &mut scene.rig.fabric);
    let host = compute.host.clone();
    cable(&mut compute.ns, FLAT_LINK, Some(host.flat_mac()), fabric, &host.flat_port())?;
    link::enslave(fabric, &host.flat_port(), FLAT_SWITCH)?;
    ensure_bridges(lab, &mut compute.ns, &host)
}

/// Whatever leads from the host to the instances' network goes, and its VLAN devices with it.
fn unplug(scene: &mut Scene) -> Result<(), LabError> {
    for name in [DEAD, LIVE, FLAT_LINK] {
        if link::exists(&mut scene.compute.ns, name)? {
            link::delete(&mut scene.compute.ns, name)?;
        }
    }
    Ok(())
}

fn dead_port(host: &Host) -> String {
    format!("{}x", host.flat_port())
}

/// Every bridge of the host that leads out by the link.
fn ensure_bridges(lab: &Lab, ns: &mut Namespace, host: &Host) -> Result<(), LabError> {
    let cloud = manager::read(lab)?;
    let served = wanted::network_service(&cloud, &host.name).networks.into_iter().map(|served| served.bridge);
    let instances = wanted::compute_service(&cloud, &host.name).instances;
    let used = instances.into_iter().flat_map(|instance| instance.nics).map(|nic| nic.bridge);
    let mut bridges: Vec<Bridge> = served.chain(used).collect();
    bridges.dedup();
    bridges.iter().try_for_each(|bridge| ensure_bridge(ns, host, bridge))
}

/// Until the kernel has made up its mind by which slave it sends.
fn await_active(ns: &mut Namespace) -> Result<(), LabError> {
    let deadline = Instant::now() + PATIENCE;
    while !(bond::is_active(ns, DEAD)? || bond::is_active(ns, LIVE)?) {
        if Instant::now() >= deadline {
            return Err(LabError::Unsettled { netns: ns.name.clone(), link: FLAT_LINK.to_owned() });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}
