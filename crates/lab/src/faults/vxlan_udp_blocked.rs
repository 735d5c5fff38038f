//! `vxlan-udp-blocked`: VXLAN joins the hosts, and a rule of the other host drops its packets.

use plumbing::vxlan;

use super::Fault;
use crate::LabError;
use crate::manager;
use crate::nova::iptables;
use crate::overlay;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "vxlan-udp-blocked",
    summary: "a rule of the other host drops VXLAN's packets",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::join(lab, scene)?;
    let port = vxlan::PORT.to_string();
    let rule = ["-I", "INPUT", "1", "-p", "udp", "--dport", &port, "-j", "DROP"];
    let Some(far) = overlay::far(scene) else { return Ok(()) };
    iptables::iptables(&far.ns, &rule)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    if let Some(far) = overlay::far(scene) {
        manager::rewrite_rules(lab, &far.host, &far.ns)?;
    }
    overlay::part(lab, scene)
}
