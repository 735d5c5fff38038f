//! `br-netfilter-docker-drop`: Docker has set the policy of FORWARD to DROP, and of nova's accepts only those of the
//! way out are left: what the bridge carries from port to port is shown to iptables, and dies there.

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "br-netfilter-docker-drop",
    summary: "FORWARD's policy drops what is bridged",
    inject,
    heal,
};

/// Where Docker leaves room for the operator's rules.
const CHAIN: &str = "DOCKER-USER";

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = scene.nic.bridge.name.as_str();
    let accept = |from, to| ["-A", "nova-network-FORWARD", "-i", from, "-o", to, "-j", "ACCEPT"];
    let (out, back) = (accept(bridge, UPLINK), accept(UPLINK, bridge));
    let commands: [&[&str]; 7] = [
        &["-F", "nova-network-FORWARD"],
        &out,
        &back,
        &["-P", "FORWARD", "DROP"],
        &["-D", "FORWARD", "-j", "nova-filter-top"],
        &["-N", CHAIN],
        &["-A", "FORWARD", "-j", CHAIN],
    ];
    commands.iter().try_for_each(|command| iptables::iptables(&scene.compute.ns, command))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    iptables::iptables(&scene.compute.ns, &["-P", "FORWARD", "ACCEPT"])?;
    for command in [&["-D", "FORWARD", "-j", CHAIN][..], &["-X", CHAIN]] {
        match iptables::iptables(&scene.compute.ns, command) {
            // It was not there.
            Ok(()) | Err(LabError::Program { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    scene.rewrite_rules(lab)
}
