//! `antispoof-mac`: web1 has given its NIC another MAC, and a filter like libvirt's lets only the recorded one through.

use model::Mac;
use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "antispoof-mac",
    summary: "web1 sends with a MAC of its own choice, which its host's filter drops",
    inject,
    heal,
};

const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0x99, 0x99, 0x99]);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    filter(scene, "-A")?;
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    Ok(link::set_mac(inside, GUEST_NIC, OWN)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    match filter(scene, "-D") {
        // It was not there.
        Ok(()) | Err(LabError::Program { .. }) => {}
        Err(e) => return Err(e),
    }
    let mac = scene.nic.mac;
    scene.inside.as_mut().map_or(Ok(()), |inside| Ok(link::set_mac(inside, GUEST_NIC, mac)?))
}

/// nwfilter's rule of `no-mac-spoofing`, in one.
fn filter(scene: &Scene, verb: &str) -> Result<(), LabError> {
    let (tap, mac) = (scene.tap.as_str(), scene.nic.mac.to_string());
    let words = ["-t", "nat", verb, "PREROUTING", "-i", tap, "-s", "!", &mac, "-j", "DROP"];
    run(&scene.compute.ns, command("ebtables-nft", words), "")
}
