//! # vlan-tag-wrong
//!
//! The VLAN device in a project network's bridge is of another VLAN than the network.
//!
//! ## What it means
//! Frames leave this host with a tag that the switch drops or that others take for another network's.
//! Instances of the network reach each other on this host only, and no gateway or DHCP server on another. At
//! worst they are on another project's segment.
//!
//! ## How hopline knows
//! The id of the device (`ip -d link`) is not `networks.vlan`. Without a database the device's own name,
//! `vlan101` or `eth1.101`, speaks against it.
//!
//! ## What it looks like
//! `ip -d link show vlan101`: `vlan protocol 802.1Q id 102`. `tcpdump -e -i eth1 vlan` shows the wrong tag on
//! what leaves; answers come with the right one, and no device takes them.
//!
//! ## Nearest look-alikes
//! * `flatif-not-enslaved`: the device has the right id and is a port of no bridge, or of another network's.
//! * `vlan-device-down`: nothing leaves at all.
//! * `lost-at-hop`: the tag is right, and the switch's port is not in the VLAN.
//!
//! ## Fix
//! A VLAN device keeps its id for life: delete it and make it anew. `ip link del dev vlan101`, `ip link add link
//! eth1 name vlan101 type vlan id 101`, `ip link set dev vlan101 master br101 up`. Undo: the same with the old id.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `nova/network/linux_net.py` `ensure_vlan`, which
//! makes no device where one of the name exists, whatever its id.

use model::finding::{Confidence, EvidenceKind};
use model::link::Link;
use model::path::{Stage, Stop};

use crate::evidence;
use crate::flat_interface;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::{Stopped, View};
use crate::vlans::{self, VlanSeat};

/// Looks for VLAN devices of a wrong id.
pub fn check(view: &View) -> Vec<Found> {
    vlans::all(view).iter().filter_map(|seat| wrong(view, seat)).collect()
}

fn wrong(view: &View, seat: &VlanSeat) -> Option<Found> {
    let VlanSeat { ns, id, name, bridge, source, recorded, .. } = seat;
    let (device, actual) = seat.device.and_then(|device| Some((device, device.vlan?.id)))?;
    if actual == *id {
        return None;
    }
    let lower = seat.lower.map_or("the physical link", |lower| lower.name.as_str());
    let record = if *recorded { EvidenceKind::Db } else { EvidenceKind::State };
    let fault = Fault {
        code: "vlan-tag-wrong",
        hop: at(ns, name, Stage::Bridge),
        summary: format!("{bridge} on {} is on VLAN {actual} in place of {id}", ns.machine),
        cause: format!(
            "{name} puts the tag of VLAN {actual} on what leaves by {lower}; {id} is meant ({source})"
        ),
        confidence: if *recorded { Confidence::Proven } else { Confidence::Likely },
        evidence: vec![
            device_line(seat, device),
            evidence::record(record, source.clone(), format!("VLAN {id}")),
        ],
        owner: "nova-network",
        remedy: remedies(seat, lower, actual),
        instances: view.instances_on(&ns.machine),
        stopped: view
            .stop(|s| loses(seat, s, actual))
            .or_else(|| flat_interface::stopped(view, ns, &[name, bridge])),
        mend: vec![Mend::VlanTag { machine: ns.machine.clone(), device: name.clone(), id: *id }],
    };
    Some(fault.found())
}

/// The wrong tag is what nobody takes; the right one is what is not taken here.
fn loses(seat: &VlanSeat, stopped: &Stopped, actual: u16) -> bool {
    let here = stopped.is_at(seat.ns, &seat.name) || stopped.is_at(seat.ns, &seat.bridge);
    if let Stop::VlanNotTaken(tag) = stopped.stop {
        return tag.id == actual || (tag.id == seat.id && stopped.is_in(seat.ns));
    }
    if let Stop::VlanRefused(why) = stopped.stop {
        return why.ends_with(&format!(" VLAN {actual}"));
    }
    here && matches!(stopped.stop, Stop::NoTarget(_))
}

fn device_line(seat: &VlanSeat, device: &Link) -> model::finding::Evidence {
    let (protocol, id) = device.vlan.map_or(("802.1Q", 0), |vlan| (vlan.protocol.name(), vlan.id));
    let text = format!("{}: vlan protocol {protocol} id {id}", device.name);
    evidence::state(seat.ns, &format!("ip -d link show dev {}", device.name), text)
}

fn remedies(seat: &VlanSeat, lower: &str, actual: u16) -> Vec<model::finding::Remedy> {
    let VlanSeat { ns, id, name, bridge, .. } = seat;
    let add = |id: u16| format!("ip link add link {lower} name {name} type vlan id {id}");
    let master = format!("ip link set dev {name} master {bridge} up");
    let note = "a VLAN device keeps its id for life";
    vec![
        evidence::remedy(ns, &format!("ip link del dev {name}"), &add(actual), note),
        evidence::remedy(ns, &add(*id), &format!("ip link del dev {name}"), ""),
        evidence::remedy(ns, &master, &format!("ip link set dev {name} nomaster"), ""),
    ]
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, Outcome};

    use crate::fixture::{Cloud, Hosting, Manager, broken, codes, lacks, nova_cloud};

    fn with_id(host: &str, id: u16, hosting: Hosting) -> Cloud {
        let mut cloud = nova_cloud(Manager::Vlan, hosting);
        cloud.link(host, "vlan101").vlan.as_mut().unwrap().id = id;
        cloud
    }

    #[test]
    fn fires_on_a_device_of_another_id() {
        let diagnosis = broken("vlan-tag-wrong").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["vlan-tag-wrong compute1//vlan101"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Proven);
        assert!(diagnosis.findings[0].evidence[0].text.ends_with("id 1101"));
    }

    #[test]
    fn fires_whether_the_switch_refuses_the_tag_or_another_host_does_not_take_it() {
        // 102 is a VLAN of the switch, and of another project's network.
        for id in [102, 999] {
            for (host, hosting) in [("compute1", Hosting::Each), ("network1", Hosting::NetworkHost)] {
                let found = codes(&with_id(host, id, hosting).diagnose("web1"));
                assert_eq!(found, [format!("vlan-tag-wrong {host}//vlan101")], "{id}");
            }
        }
    }

    #[test]
    fn a_devices_name_speaks_where_no_database_does() {
        let mut cloud = with_id("compute1", 999, Hosting::Each);
        cloud.intent.from_database = false;
        for network in &mut cloud.intent.networks {
            (network.vlan, network.bridge_interface) = (None, None);
        }
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["vlan-tag-wrong compute1//vlan101"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_where_the_switch_does_not_let_the_vlan_pass() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.link("fabric", "compute1-1").bridge_vlans.retain(|v| v.low != 101);
        let diagnosis = cloud.diagnose("web1");
        assert!(lacks(&diagnosis, "vlan-tag-wrong"));
        assert_eq!(codes(&diagnosis), ["lost-at-hop fabric//compute1-1"]);
        assert_eq!(diagnosis.outcome, Outcome::Fault);
        assert!(diagnosis.findings[0].cause.contains("VLAN 101"), "{}", diagnosis.findings[0].cause);
    }

    #[test]
    fn stays_silent_on_devices_outside_their_bridge_or_down() {
        assert!(lacks(&broken("vlan-device-down").diagnose("web1"), "vlan-tag-wrong"));
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.nomaster("compute1", "vlan101");
        assert!(lacks(&cloud.diagnose("web1"), "vlan-tag-wrong"));
    }
}
