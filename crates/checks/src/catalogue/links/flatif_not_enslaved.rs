//! # flatif-not-enslaved
//!
//! The physical link, or the VLAN device, that belongs in the instances' bridge is no port of it.
//!
//! ## What it means
//! The bridge has no way to other hosts: instances of different hosts cannot reach each other. Right
//! after the change some instances also lose their gateway for a minute, because the bridge's MAC
//! was the link's and changes with it. A VLAN device in another network's bridge joins two projects.
//!
//! ## How hopline knows
//! nova.conf's `flat_interface`, the network's `bridge_interface` or its VLAN names the link and its master
//! is not the bridge; or a walk to another host's instance finds no port that leads there, while a cable
//! of this host without address or master does.
//!
//! ## What it looks like
//! `bridge link` does not list eth1; `ip -br link` shows it UP without master.
//!
//! ## Nearest look-alikes
//! * `flatif-down`: it is a port, and down.
//! * `vlan-tag-wrong`: it is a port, and of another VLAN.
//!
//! ## Fix
//! `ip link set eth1 master br100`. Undo: `ip link set eth1 nomaster`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`brctl show`); nova options
//! `flat_interface`, `flat_network_bridge`.

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::flat_interface::{self, FlatInterface};
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for flat interfaces outside their bridge.
pub fn check(view: &View) -> Vec<Found> {
    let outside = flat_interface::all(view)
        .into_iter()
        .filter(|flat| flat.link.master.and_then(|m| flat.ns.link(m)).is_none_or(|m| m.name != flat.bridge));
    outside
        .filter_map(|FlatInterface { ns, link, bridge, source }| {
            let name = &link.name;
            let bridge_link = ns.link_named(&bridge)?;
            let other = link.master.and_then(|m| ns.link(m)).map(|m| m.name.as_str());
            let instead =
                other.map_or_else(|| "no port of it".to_owned(), |other| format!("a port of {other}"));
            let fault = Fault {
                code: "flatif-not-enslaved",
                hop: at(ns, name, Stage::Bridge),
                summary: format!(
                    "{bridge} on {} has no way to other hosts: {name} is not its port",
                    ns.machine
                ),
                cause: format!("{name} belongs in {bridge} ({source}) and is {instead}"),
                confidence: Confidence::Proven,
                evidence: vec![evidence::link(ns, link), evidence::ports(ns, bridge_link)],
                owner: "nova-network",
                remedy: vec![evidence::remedy(
                    ns,
                    &format!("ip link set dev {name} master {bridge}"),
                    &other.map_or_else(
                        || format!("ip link set dev {name} nomaster"),
                        |other| format!("ip link set dev {name} master {other}"),
                    ),
                    "",
                )],
                instances: view.instances_on(&ns.machine),
                stopped: flat_interface::stopped(view, ns, &[&bridge, name, other.unwrap_or_default()]),
                mend: vec![Mend::Enslave {
                    machine: ns.machine.clone(),
                    device: name.clone(),
                    bridge: bridge.clone(),
                }],
            };
            Some(fault.found())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Hosting, Manager, broken, codes, lacks, minicloud, nova_cloud};

    #[test]
    fn fires_on_the_flat_interface_outside_its_bridge() {
        let found = codes(&broken("flatif-not-enslaved").diagnose("web1"));
        assert_eq!(found, ["flatif-not-enslaved compute1//eth1"]);
    }

    #[test]
    fn finds_the_link_without_nova_conf_by_the_walk_to_the_other_host() {
        let mut cloud = minicloud();
        cloud.nomaster("host", "eth1");
        assert_eq!(codes(&cloud.diagnose("inst1")), ["flatif-not-enslaved host//eth1"]);
    }

    /// `vlan101` in `br102`: one project's frames are on the other's bridge.
    #[test]
    fn fires_on_a_vlan_device_in_another_networks_bridge() {
        for hosting in [Hosting::Each, Hosting::NetworkHost] {
            let mut cloud = nova_cloud(Manager::Vlan, hosting);
            cloud.enslave("compute2", "vlan101", "br102");
            let diagnosis = cloud.diagnose("db1");
            assert_eq!(codes(&diagnosis), ["flatif-not-enslaved compute2//vlan101"], "{hosting:?}");
            assert!(diagnosis.findings[0].cause.ends_with("is a port of br102"));
            // Asked from the other end it is the same.
            assert_eq!(
                codes(&cloud.diagnose("web1")),
                ["flatif-not-enslaved compute2//vlan101"],
                "{hosting:?}"
            );
        }
    }

    #[test]
    fn stays_silent_on_a_port_that_is_down() {
        assert!(lacks(&broken("flatif-down").diagnose("web1"), "flatif-not-enslaved"));
    }
}
