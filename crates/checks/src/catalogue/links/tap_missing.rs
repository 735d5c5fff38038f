//! # tap-missing
//!
//! The host's side of an instance's NIC does not exist.
//!
//! ## What it means
//! libvirt's XML or the site file names a link as this instance's NIC, and the host has no link of
//! that name: the plug failed, or somebody deleted it. The database still says ACTIVE.
//!
//! ## How hopline knows
//! A record names the link; no link of that name, and none that wears the instance's MAC with `fe`
//! as first octet, is among the host's links.
//!
//! ## What it looks like
//! `ip link show vnet0`: `Device "vnet0" does not exist.` The FDB has no entry for the MAC; the
//! host's neighbour entry goes FAILED only minutes later.
//!
//! ## Nearest look-alikes
//! * `tap-down`: the link is there.
//! * `guest-powered-off`: there no domain of the instance runs.
//!
//! ## Fix
//! `nova reboot --hard NAME`, which plugs the NIC again. It restarts the instance. No undo.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; libvirt formatdomain, `<target dev>`.

use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::power;
use crate::restart::{operand, typed};
use crate::view::View;

/// Looks for NICs whose host side is named and not there.
pub fn check(view: &View) -> Vec<Found> {
    let gone = view.vifs().filter_map(|seat| {
        let device = seat.vif.device.as_ref()?;
        let is_gone = !seat.ns.links.is_empty() && seat.tap().is_none();
        // A tap goes with the QEMU that holds it; what does not run has none.
        (is_gone && power::off(&seat).is_none()).then_some((seat, device))
    });
    gone.map(|(seat, device)| {
        let name = &seat.instance.name;
        let source = if seat.vif.source.is_empty() { "the site file" } else { &seat.vif.source };
        let mend = seat.bridge_name().map(|bridge| Mend::Replug {
            machine: seat.ns.machine.clone(),
            device: device.clone(),
            bridge: bridge.to_owned(),
            instance: name.clone(),
            mac: seat.vif.mac,
        });
        Fault {
            code: "tap-missing",
            hop: at(seat.ns, device, Stage::Bridge),
            summary: format!("{name} has no NIC on {}: {device} does not exist", seat.ns.machine),
            cause: match &seat.instance.task {
                None => format!("{source} names {device} as its NIC, and the host has no such link"),
                Some(task) => format!(
                    "{source} names {device} as its NIC, which is gone while nova is at work on {name} (task_state \
                     {task}): it may come back by itself"
                ),
            },
            // While nova works on an instance its NIC may rightly be gone.
            confidence: seat.instance.task.as_ref().map_or(Confidence::Proven, |_| Confidence::Possible),
            evidence: vec![
                evidence::record(EvidenceKind::Config, source, format!("{name}: target dev {device}")),
                evidence::state(
                    seat.ns,
                    &format!("ip link show dev {}", typed(device)),
                    format!("Device \"{device}\" does not exist."),
                ),
            ],
            owner: "libvirt",
            remedy: vec![evidence::advice(
                format!("nova reboot --hard {}", operand(name)),
                "restarts the instance; its NIC is plugged in again",
            )],
            instances: vec![name.clone()],
            stopped: view.stop_of(seat.instance, |s| s.is_at(seat.ns, device) || s.hop.at.host == *name),
            mend: mend.into_iter().collect(),
        }
        .found()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_tap_that_is_gone() {
        assert_eq!(codes(&broken("tap-missing").diagnose("web1")), ["tap-missing compute1//vnet0"]);
    }

    #[test]
    fn an_instances_name_is_no_option_and_no_command() {
        for (name, typed) in [("--help", "-- --help"), ("-$(x)", "-- '-$(x)'"), ("a;b", "'a;b'")] {
            let mut cloud = broken("tap-missing");
            name.clone_into(&mut cloud.intent.instances[0].name);
            let finding = &cloud.diagnose(name).findings[0];
            assert_eq!(finding.remedy[0].command, format!("nova reboot --hard {typed}"));
        }
    }

    #[test]
    fn stays_silent_on_a_tap_that_is_down() {
        assert!(lacks(&broken("tap-down").diagnose("web1"), "tap-missing"));
    }

    #[test]
    fn stays_silent_on_an_instance_whose_tap_nothing_names() {
        let mut cloud = broken("tap-missing");
        cloud.intent.instances[0].vifs[0].device = None;
        assert!(lacks(&cloud.diagnose("web1"), "tap-missing"));
    }

    #[test]
    fn knows_a_tap_of_another_name_by_its_mac() {
        let mut cloud = healthy();
        cloud.rename("compute1", "vnet0", "vnet7");
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }
}
