//! # tap-not-enslaved
//!
//! The host's side of an instance's NIC is up, but no port of any bridge.
//!
//! ## What it means
//! Frames from the instance enter the host's own IP stack, which ignores them, instead of the bridge.
//! Only this instance is hit.
//!
//! ## How hopline knows
//! libvirt's XML, the database or the network's prefix says which bridge the NIC belongs in; the
//! link has no master.
//!
//! ## What it looks like
//! `bridge link` (or `brctl show`) does not list it. `tcpdump -i vnet0` sees the instance's ARP,
//! `tcpdump -i br100` does not. No drop counter moves on the host.
//!
//! ## Nearest look-alikes
//! * `tap-wrong-bridge`: it has a master, another one.
//! * an anti-spoofing filter: the frame does enter the bridge, and an ebtables counter moves.
//!
//! ## Fix
//! `ip link set vnet0 master br100`, and hairpin as nova sets it. Undo: `ip link set vnet0 nomaster`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`brctl show`); bridge(8).

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for taps without a master whose bridge is known.
pub fn check(view: &View) -> Vec<Found> {
    let loose = view.vifs().filter_map(|seat| {
        let tap = seat.tap().filter(|tap| tap.master.is_none())?;
        Some((seat, tap, seat.bridge()?))
    });
    loose
        .map(|(seat, tap, bridge)| {
            let name = &seat.instance.name;
            let enslave = format!("ip link set dev {} master {}", tap.name, bridge.name);
            let hairpin = format!("bridge link set dev {} hairpin on", tap.name);
            Fault {
                code: "tap-not-enslaved",
                hop: at(seat.ns, &tap.name, Stage::Bridge),
                summary: format!("{name} is cut off: {} is not a port of {}", tap.name, bridge.name),
                cause: format!(
                    "{} belongs in {} ({}) and has no master: its frames never reach the bridge",
                    tap.name,
                    bridge.name,
                    if seat.vif.source.is_empty() { "by its network" } else { &seat.vif.source }
                ),
                confidence: Confidence::Proven,
                evidence: vec![evidence::link(seat.ns, tap), evidence::ports(seat.ns, bridge)],
                owner: "libvirt",
                remedy: vec![
                    evidence::remedy(
                        seat.ns,
                        &enslave,
                        &format!("ip link set dev {} nomaster", tap.name),
                        "",
                    ),
                    evidence::remedy(seat.ns, &hairpin, "", "nova sets it on every port"),
                ],
                instances: vec![name.clone()],
                stopped: view.stop_of(seat.instance, |s| {
                    s.is_at(seat.ns, &tap.name) || s.is_at(seat.ns, &bridge.name)
                }),
                mend: vec![Mend::Enslave {
                    machine: seat.ns.machine.clone(),
                    device: tap.name.clone(),
                    bridge: bridge.name.clone(),
                }],
            }
            .found()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{anti_spoofing, broken, codes, healthy};

    #[test]
    fn fires_on_a_tap_without_master() {
        assert_eq!(codes(&broken("tap-not-enslaved").diagnose("web1")), ["tap-not-enslaved compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_on_a_tap_in_another_bridge() {
        assert_eq!(codes(&broken("tap-wrong-bridge").diagnose("web1")), ["tap-wrong-bridge compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_when_an_ebtables_rule_drops_the_frames() {
        let mut cloud = healthy();
        anti_spoofing(&mut cloud, "compute1", "vnet0");
        assert_eq!(codes(&cloud.diagnose("web1")), ["ebtables-drop compute1//vnet0"]);
    }
}
