//! `duplicate-ip-foreign`: a machine that the cloud knows nothing of is plugged into the instances' network, and has
//! web1's address.

use model::Mac;
use plumbing::veth::{End, plug};
use plumbing::{address, link, vlan};

use super::Fault;
use crate::LabError;
use crate::layout::FLAT_SWITCH;
use crate::namespace;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "duplicate-ip-foreign",
    summary: "a foreign machine on the flat network has web1's address",
    inject,
    heal,
};

/// The machine, as its namespace is named; no instance of nova's can have such a name.
const STRANGER: &str = "_stranger";
const NIC: &str = "eth0";
const MAC: Mac = Mac([0x02, 0x00, 0x00, 0x00, 0x00, 0x99]);
/// The switch's port that it is plugged into.
const PORT: &str = "flatx";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let mut stranger = namespace::create(lab, STRANGER)?;
    let fabric = &mut scene.rig.fabric;
    plug(
        &mut End { ns: &mut stranger, link: NIC, mac: Some(MAC), index: None },
        &End { ns: fabric, link: PORT, mac: None, index: None },
    )?;
    link::set_up(fabric, PORT)?;
    link::enslave(fabric, PORT, FLAT_SWITCH)?;
    link::set_up(&mut stranger, NIC)?;
    let nic = match scene.nic.bridge.vlan {
        None => NIC.to_owned(),
        Some(id) => {
            let tagged = format!("vlan{id}");
            vlan::create(&mut stranger, &tagged, NIC, id)?;
            link::set_up(&mut stranger, &tagged)?;
            tagged
        }
    };
    scene.nic.fixed_net().map_or(Ok(()), |net| Ok(address::add(&mut stranger, &nic, net)?))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    // The whole cable, before the namespace: with that it would go by itself, some time later.
    if link::exists(&mut scene.rig.fabric, PORT)? {
        link::delete(&mut scene.rig.fabric, PORT)?;
    }
    if namespace::is_noted(&lab.state, &lab.netns(STRANGER)) {
        namespace::delete_of(lab, STRANGER)?;
    }
    Ok(())
}
