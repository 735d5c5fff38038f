//! # guest-nic-down
//!
//! The instance's own NIC is down, inside the instance.
//!
//! ## What it means
//! Somebody in the instance, or its network configuration at boot, set the NIC down. The host's side
//! is in order and can do nothing about it.
//!
//! ## How hopline knows
//! The host's side of the NIC has the `UP` flag and no carrier, while nothing on the host was set
//! down; where the instance can be entered, its NIC is seen to lack `UP`. The tap of a QEMU guest
//! keeps its carrier whatever the guest does, so there nothing on the host tells.
//!
//! ## What it looks like
//! On the host `vnet0: <NO-CARRIER,UP> state DOWN` and the bridge port `disabled`; inside,
//! `Network is unreachable` at once, unlike every fault on the host's side.
//!
//! ## Nearest look-alikes
//! * `tap-down`: there the host's side lacks `UP`.
//! * `tap-missing`: there is no host's side at all.
//!
//! ## Fix
//! In the instance: `ip link set eth0 up`, then its DHCP client. Undo: `ip link set eth0 down`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting".

use model::finding::Confidence;
use model::link::LinkKind;
use model::path::{Place, Stage};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::{Seat, View};

/// Looks for instances whose NIC is down while their tap is up.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| nic_down(view, seat)).collect()
}

fn nic_down<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<Found> {
    let tap = seat.tap().filter(|tap| tap.admin_up && !tap.carrier)?;
    let name = &seat.instance.name;
    let inside = seat.inside(view);
    let nic = match inside {
        Some((_, nic)) if nic.admin_up => return None,
        Some((ns, nic)) => Some((ns, nic)),
        // A tun without carrier has nobody behind it: the instance does not run.
        None if tap.kind == LinkKind::Tun => return None,
        None => None,
    };
    let hop = match nic {
        Some((ns, nic)) => at(ns, &nic.name, Stage::Instance),
        None => {
            Place { host: name.clone(), netns: String::new(), device: String::new(), stage: Stage::Instance }
        }
    };
    let mut evidence = vec![evidence::link(seat.ns, tap)];
    evidence.extend(nic.map(|(ns, nic)| evidence::link(ns, nic)));
    let command = nic.map_or("eth0", |(_, nic)| nic.name.as_str());
    let mend = match nic {
        Some((ns, nic)) => {
            let device = nic.name.clone();
            let up = Mend::LinkUp { machine: ns.machine.clone(), device: device.clone() };
            let route =
                seat.gateway().map(|via| Mend::DefaultRoute { machine: ns.machine.clone(), via, device });
            [Some(up), route].into_iter().flatten().collect()
        }
        None => vec![Mend::Carrier { machine: seat.ns.machine.clone(), device: tap.name.clone() }],
    };
    let instance = seat.instance;
    let fault = Fault {
        code: "guest-nic-down",
        summary: format!("{name} is cut off: its own NIC is down, inside the instance"),
        cause: format!(
            "{} on {} is up without carrier, and nothing on the host is set down",
            tap.name, seat.ns.machine
        ),
        confidence: if nic.is_some() { Confidence::Proven } else { Confidence::Likely },
        evidence,
        owner: "instance",
        remedy: vec![evidence::advice(
            format!("in {name}: ip link set {command} up, then its DHCP client (dhclient {command})"),
            "touches this instance only",
        )],
        instances: vec![name.clone()],
        stopped: view.stop_of(instance, |s| s.hop.at.host == *name || s.is_at(seat.ns, &tap.name)),
        mend,
        hop,
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::LinkKind;

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_nic_set_down_inside_the_instance() {
        assert_eq!(codes(&broken("guest-nic-down").diagnose("web1")), ["guest-nic-down web1//eth0"]);
    }

    #[test]
    fn is_only_likely_where_the_instance_cannot_be_entered() {
        let mut cloud = broken("guest-nic-down");
        cloud.close("web1");
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-nic-down web1//"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_when_the_tap_is_down_or_gone() {
        for other in ["tap-down", "tap-missing"] {
            assert!(lacks(&broken(other).diagnose("web1"), "guest-nic-down"), "{other}");
        }
    }

    #[test]
    fn stays_silent_on_a_tap_that_no_running_instance_holds() {
        let mut cloud = healthy();
        cloud.close("web1");
        cloud.link("compute1", "vnet0").kind = LinkKind::Tun;
        let index = cloud.link("compute1", "vnet0").index;
        cloud.lose_carrier("compute1", index);
        assert!(lacks(&cloud.diagnose("web1"), "guest-nic-down"));
    }
}
