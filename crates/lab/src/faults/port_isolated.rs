//! `port-isolated`: the taps on web1's host that are ports of its bridge are isolated from each other.

use model::link::BridgePort;
use plumbing::bridge;

use super::Fault;
use crate::LabError;
use crate::nova::wanted;
use crate::place::Lab;
use crate::scene::Scene;
use crate::{libvirt, manager};

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "port-isolated",
    summary: "all instances' ports of web1's bridge are isolated from each other",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    set(lab, scene, true)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    set(lab, scene, false)
}

fn set(lab: &Lab, scene: &mut Scene, isolated: bool) -> Result<(), LabError> {
    let host = &scene.compute.host.name;
    let settings = BridgePort { hairpin: true, isolated, ..BridgePort::default() };
    for instance in wanted::compute_service(&manager::read(lab)?, host).instances {
        let taps = libvirt::taps(lab, host, &instance.domain())?;
        let here = instance.nics.iter().zip(taps).filter(|(nic, _)| nic.bridge == scene.nic.bridge);
        for (_, tap) in here {
            bridge::set_port(&mut scene.compute.ns, &tap, &settings)?;
        }
    }
    Ok(())
}
