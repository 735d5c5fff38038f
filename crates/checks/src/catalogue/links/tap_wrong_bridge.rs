//! # tap-wrong-bridge
//!
//! The host's side of an instance's NIC is a port of another bridge than it should be.
//!
//! ## What it means
//! The instance is on a foreign segment: often libvirt's idle `virbr0`, whose dnsmasq then gives it a
//! 192.168.122.x address.
//!
//! ## How hopline knows
//! libvirt's XML, the database or the network's prefix says which bridge the NIC belongs in; its
//! master is another.
//!
//! ## What it looks like
//! `bridge link` shows `vnet0 ... master virbr0`; `virbr0`, which is idle and DOWN in health, is UP;
//! a DHCPOFFER comes from 192.168.122.1.
//!
//! ## Nearest look-alikes
//! * `tap-not-enslaved`: it has no master.
//! * a rogue DHCP server: the port is on the right bridge, the server is foreign.
//!
//! ## Fix
//! `ip link set vnet0 master br100`. Undo: `ip link set vnet0 master virbr0`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`brctl show`, libvirt's dnsmasq in `ps`).

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for taps whose master is not the bridge that is meant.
pub fn check(view: &View) -> Vec<Found> {
    let astray = view.vifs().filter_map(|seat| {
        let tap = seat.tap()?;
        let actual = seat.ns.link(tap.master?)?;
        let meant = seat.bridge_name().filter(|meant| *meant != actual.name)?;
        Some((seat, tap, actual, meant))
    });
    astray
        .map(|(seat, tap, actual, meant)| {
            let name = &seat.instance.name;
            let command = format!("ip link set dev {} master {meant}", tap.name);
            let undo = format!("ip link set dev {} master {}", tap.name, actual.name);
            let segment =
                |s: &crate::view::Stopped| s.is_at(seat.ns, &tap.name) || s.is_at(seat.ns, &actual.name);
            let any = view.stop_of(seat.instance, segment).or_else(|| view.stop_of(seat.instance, |_| true));
            Fault {
                code: "tap-wrong-bridge",
                hop: at(seat.ns, &tap.name, Stage::Bridge),
                summary: format!(
                    "{name} is on the wrong segment: {} is a port of {}, not of {meant}",
                    tap.name, actual.name
                ),
                cause: format!("{} is enslaved to {} and belongs in {meant}", tap.name, actual.name),
                confidence: Confidence::Proven,
                evidence: vec![
                    evidence::link(seat.ns, tap),
                    evidence::record(
                        model::finding::EvidenceKind::Config,
                        if seat.vif.source.is_empty() { "the network's prefix" } else { &seat.vif.source },
                        format!("{name}: bridge {meant}"),
                    ),
                ],
                owner: "libvirt",
                remedy: vec![evidence::remedy(seat.ns, &command, &undo, "")],
                instances: vec![name.clone()],
                stopped: any,
                mend: vec![Mend::Enslave {
                    machine: seat.ns.machine.clone(),
                    device: tap.name.clone(),
                    bridge: meant.to_owned(),
                }],
            }
            .found()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use model::Mac;
    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{Hosting, Manager, broken, codes, healthy, lacks, nova_cloud};

    #[test]
    fn fires_on_a_tap_in_libvirts_bridge() {
        assert_eq!(codes(&broken("tap-wrong-bridge").diagnose("web1")), ["tap-wrong-bridge compute1//vnet0"]);
    }

    #[test]
    fn what_was_learned_on_the_wrong_segment_is_no_fault_of_its_own() {
        // br102 has answered for an address that its host has on br101 (arp_ignore 0), and with its own MAC.
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.add_bridge("compute1", "br102", "fa:16:3e:ee:10:66");
        cloud.plug("compute1", "vnet0", "br102");
        let inside = cloud.netns("web1");
        let nic = inside.link_named("eth0").unwrap().index;
        let gateway = inside.routes.iter().find(|r| r.is_default()).unwrap().nexthops[0].via.unwrap();
        inside.neighbours.retain(|neighbour| neighbour.link != nic);
        inside.neighbours.push(Neighbour {
            link: nic,
            ip: gateway,
            mac: Some(Mac([0xfa, 0x16, 0x3e, 0xee, 0x10, 0x66])),
            state: NeighbourState::Stale,
            proxy: false,
        });
        assert_eq!(codes(&cloud.diagnose("web1")), ["tap-wrong-bridge compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_on_a_tap_without_master() {
        assert!(lacks(&broken("tap-not-enslaved").diagnose("web1"), "tap-wrong-bridge"));
    }

    #[test]
    fn stays_silent_on_a_foreign_dhcp_server_in_the_right_bridge() {
        let mut cloud = healthy();
        let mut rogue = cloud.host("compute1").dnsmasq.iter().find(|d| d.is_libvirts()).unwrap().clone();
        rogue.listen.clear();
        rogue.interfaces = vec!["br100".to_owned()];
        cloud.host("compute1").dnsmasq.push(rogue);
        assert!(lacks(&cloud.diagnose("web1"), "tap-wrong-bridge"));
    }
}
