//! # vlan-device-missing
//!
//! A project network's bridge has no VLAN device to lead out of the host.
//!
//! ## What it means
//! VlanManager gives each project network a VLAN: `vlan101` on the physical link, in the bridge `br101`.
//! Without the device, instances on this host are cut off from those on others and, where another host is
//! their gateway, from everything. What stays on the host works.
//!
//! ## How hopline knows
//! The database gives the network a VLAN, an instance of it runs here (or this is its network host), and the
//! physical link has no device of that id, nor the bridge a VLAN device as its port.
//!
//! ## What it looks like
//! `ip -d link show type vlan` does not list vlan101; `bridge link` shows taps as br101's only ports.
//!
//! ## Nearest look-alikes
//! * `flatif-not-enslaved`: the device is there, and no port of the bridge.
//! * `vlan-device-down`: the device is there and set down.
//!
//! ## Fix
//! `ip link add link eth1 name vlan101 type vlan id 101`, `ip link set dev vlan101 master br101 up`. Undo:
//! `ip link del dev vlan101`. A restart of nova-network makes it too.
//!
//! ## References
//! nova `nova/network/linux_net.py` `ensure_vlan`; nova option `vlan_interface`; ip-link(8), `type vlan`.

use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::evidence;
use crate::flat_interface;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;
use crate::vlans::{self, VlanSeat};

/// Looks for VLANs without a device.
pub fn check(view: &View) -> Vec<Found> {
    let missing = vlans::all(view).into_iter().filter(|seat| seat.device.is_none());
    missing
        .filter_map(|VlanSeat { ns, id, name, lower, bridge, source, .. }| {
            let (lower, bridge_link) = (lower?, ns.link_named(&bridge)?);
            let add = format!("ip link add link {} name {name} type vlan id {id}", lower.name);
            let fault = Fault {
                code: "vlan-device-missing",
                hop: at(ns, &name, Stage::Bridge),
                summary: format!("{bridge} on {} has no way to other hosts: there is no {name}", ns.machine),
                cause: format!("{} has no VLAN device of id {id} ({source})", lower.name),
                confidence: Confidence::Proven,
                evidence: vec![
                    evidence::state(ns, "ip -d link show type vlan", format!("no device of id {id}")),
                    evidence::ports(ns, bridge_link),
                    evidence::record(EvidenceKind::Db, records(view), format!("{source}, bridge {bridge}")),
                ],
                owner: "nova-network",
                remedy: vec![
                    evidence::remedy(ns, &add, &format!("ip link del dev {name}"), ""),
                    evidence::remedy(
                        ns,
                        &format!("ip link set dev {name} master {bridge} up"),
                        &format!("ip link set dev {name} nomaster"),
                        "",
                    ),
                ],
                instances: view.instances_on(&ns.machine),
                stopped: flat_interface::stopped(view, ns, &[&bridge]),
                mend: vec![Mend::VlanDevice {
                    machine: ns.machine.clone(),
                    device: name.clone(),
                    lower: lower.name.clone(),
                    id,
                    bridge: bridge.clone(),
                }],
            };
            Some(fault.found())
        })
        .collect()
}

fn records<'v>(view: &View<'v>) -> &'v str {
    view.intent().sources.first().map_or("the database", String::as_str)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Hosting, Manager, broken, codes, lacks, nova_cloud};

    #[test]
    fn fires_on_a_device_that_is_gone() {
        let found = codes(&broken("vlan-device-missing").diagnose("web1"));
        assert_eq!(found, ["vlan-device-missing compute1//vlan101"]);
    }

    #[test]
    fn is_told_of_the_host_that_lacks_it() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::NetworkHost);
        cloud.delete_link("network1", "vlan101");
        for instance in ["web1", "db1"] {
            assert_eq!(codes(&cloud.diagnose(instance)), ["vlan-device-missing network1//vlan101"]);
        }
        assert_eq!(codes(&cloud.diagnose("other")), Vec::<String>::new(), "its network is another");
    }

    #[test]
    fn stays_silent_on_one_outside_its_bridge_or_down() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.nomaster("compute1", "vlan101");
        assert_eq!(codes(&cloud.diagnose("web1")), ["flatif-not-enslaved compute1//vlan101"]);
        assert!(lacks(&broken("vlan-device-down").diagnose("web1"), "vlan-device-missing"));
    }

    #[test]
    fn stays_silent_where_the_network_has_no_instances() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        for device in ["br102", "vlan102"] {
            assert!(cloud.netns("compute1").link_named(device).is_none());
        }
        cloud.intent.networks[1].host_addresses.clear();
        assert_eq!(codes(&cloud.check("compute1")), Vec::<String>::new());
    }

    #[test]
    fn a_device_of_another_name_will_do() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.rename("compute1", "vlan101", "eth1.101");
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }
}
