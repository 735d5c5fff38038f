//! # tap-down
//!
//! The host's side of an instance's NIC is administratively down.
//!
//! ## What it means
//! Every NIC of an instance has a twin on its host: `vnetN`, `tapX` or a veth end. Somebody or
//! something set that twin down. The instance sees its cable pulled: nothing leaves, nothing
//! arrives, and only this instance is hit.
//!
//! ## How hopline knows
//! The link that libvirt's XML, the database or the site file names as this instance's NIC lacks the
//! `UP` flag.
//!
//! ## What it looks like
//! `ip link show vnet0` prints `<BROADCAST,MULTICAST>` without `UP`; the bridge port is `disabled`;
//! inside the instance `eth0` is `NO-CARRIER`.
//!
//! ## Nearest look-alikes
//! * `guest-nic-down`: the tap has `UP` and is `NO-CARRIER`; it is the instance's own NIC that is down.
//! * `tap-not-enslaved`: the tap is up, but no port of the bridge.
//!
//! ## Fix
//! `ip link set vnet0 up`. Safe: it touches this instance only. Undo: `ip link set vnet0 down`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; ip-link(8).

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for taps that are set down.
pub fn check(view: &View) -> Vec<Found> {
    let down = view.vifs().filter_map(|seat| Some((seat, seat.tap().filter(|tap| !tap.admin_up)?)));
    down.map(|(seat, tap)| {
        let name = &seat.instance.name;
        let stopped = view.stop_of(seat.instance, |s| s.is_at(seat.ns, &tap.name) || s.hop.at.host == *name);
        Fault {
            code: "tap-down",
            hop: at(seat.ns, &tap.name, Stage::Bridge),
            summary: format!(
                "{name} is cut off: {}, its NIC's end on {}, is set down",
                tap.name, seat.ns.machine
            ),
            cause: format!("{} is administratively down, so the instance's NIC has no carrier", tap.name),
            confidence: Confidence::Proven,
            evidence: vec![evidence::link(seat.ns, tap)],
            owner: "libvirt",
            remedy: vec![evidence::remedy(
                seat.ns,
                &format!("ip link set dev {} up", tap.name),
                &format!("ip link set dev {} down", tap.name),
                "",
            )],
            instances: vec![name.clone()],
            stopped,
            mend: vec![Mend::LinkUp { machine: seat.ns.machine.clone(), device: tap.name.clone() }],
        }
        .found()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes};

    #[test]
    fn fires_on_a_tap_set_down() {
        assert_eq!(codes(&broken("tap-down").diagnose("web1")), ["tap-down compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_when_the_instance_downed_its_own_nic() {
        assert_eq!(codes(&broken("guest-nic-down").diagnose("web1")), ["guest-nic-down web1//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_tap_that_is_up_and_no_port() {
        assert_eq!(codes(&broken("tap-not-enslaved").diagnose("web1")), ["tap-not-enslaved compute1//vnet0"]);
    }
}
