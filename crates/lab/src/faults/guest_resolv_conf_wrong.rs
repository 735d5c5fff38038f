//! `guest-resolv-conf-wrong`: web1's own resolv.conf names a server that does not exist. Programs in a namespace with
//! a name find it under /etc/netns (ip-netns(8)), which the lab leaves alone but for this fault.

use std::net::Ipv4Addr;

use super::Fault;
use crate::LabError;
use crate::guest;
use crate::layout::WEB1;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "guest-resolv-conf-wrong",
    summary: "web1 asks a server for names that does not exist",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    if scene.inside.is_none() {
        return Err(LabError::NoInside { code: FAULT.code });
    }
    // The last before the broadcast address is nobody's in a lab of any size.
    let nobody = Ipv4Addr::from(u32::from(scene.nic.cidr.broadcast()) - 1);
    guest::write_resolv_conf(&lab.netns(WEB1), nobody)
}

fn heal(lab: &Lab, _scene: &mut Scene) -> Result<(), LabError> {
    guest::remove_resolv_conf(&lab.netns(WEB1))
}
