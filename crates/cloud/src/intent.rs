//! The records of all sources, merged: the database first, then libvirt, then the site file.

use model::intent::Network;
use model::{Intent, Snapshot};

use crate::entries::{self, InstanceEntry};
use crate::records::Records;
use crate::{addresses, domains, made_v6, networks, taps};

/// What is meant, from nova's records where there are any, the snapshot's libvirt domains, dnsmasq
/// servers and nova.conf, and the site file's entries. Never from how links are enslaved at the moment.
pub fn intent(records: Option<Records>, snapshot: &Snapshot, entries: &[InstanceEntry]) -> Intent {
    let mut sources = Vec::new();
    let from_database = records.is_some();
    let mut records = records.unwrap_or_default();
    if from_database {
        sources.push(format!("database {}", records.source));
    }
    if snapshot.hosts.iter().any(|host| !host.domains.is_empty()) {
        sources.push("libvirt".to_owned());
    }
    if !entries.is_empty() {
        sources.push("site file".to_owned());
    }
    name_hosts_as_the_site_does(&mut records, snapshot);
    let Records { source, instances, networks, vif_uuids, remains, .. } = records;
    let mut intent =
        Intent { sources, from_database, instances, networks, remains, inconsistent: Vec::new() };
    name_networks_devices(&mut intent.networks, snapshot);
    give_vifs_their_networks_bridge(&mut intent, &source);

    domains::merge(&mut intent, snapshot);
    let of_entries = entries::merge(&mut intent, entries);
    taps::name(&mut intent, snapshot, &vif_uuids);
    for (entry, (at, vif_at)) in entries.iter().zip(of_entries) {
        let vif = intent.instances.get_mut(at).and_then(|instance| instance.vifs.get_mut(vif_at));
        if let Some(vif) = vif.filter(|vif| vif.device.is_none()) {
            vif.device.clone_from(&entry.device);
        }
    }
    addresses::fill(&mut intent, snapshot);
    networks::complete(&mut intent, snapshot);
    made_v6::give(&mut intent, snapshot);
    intent
}

/// nova knows a host by its `host` option or host name, which may be the full one of a host that the
/// site file calls by the short, and in other letters: to MySQL's usual collation `Compute1` is `compute1`.
fn name_hosts_as_the_site_does(records: &mut Records, snapshot: &Snapshot) {
    let rename = |name: &mut String| {
        if let Some(known) = site_name(snapshot, name) {
            known.clone_into(name);
        }
    };
    for instance in &mut records.instances {
        rename(&mut instance.host);
        instance.recorded_host.iter_mut().for_each(rename);
        let floating = instance.vifs.iter_mut().flat_map(|vif| vif.floating.iter_mut());
        floating.filter_map(|f| f.host.as_mut()).for_each(rename);
    }
    records.remains.floating.iter_mut().filter_map(|tied| tied.floating.host.as_mut()).for_each(rename);
    for network in &mut records.networks {
        network.host.iter_mut().for_each(rename);
        network.host_addresses.iter_mut().map(|(host, _)| host).for_each(rename);
    }
}

/// The site's host that nova calls so.
pub fn site_name<'s>(snapshot: &'s Snapshot, in_nova: &str) -> Option<&'s str> {
    if in_nova.is_empty() {
        return None;
    }
    let short = |name: &'_ str| name.trim_end().split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_it = |name: &str| name.trim_end().eq_ignore_ascii_case(in_nova.trim_end());
    let hosts = || snapshot.hosts.iter();
    let says_so = |host: &&model::snapshot::Host| {
        host.nova.as_ref().and_then(|nova| nova.get("host")).is_some_and(is_it)
    };
    let exact = hosts().find(|host| host.name == in_nova).or_else(|| hosts().find(says_so));
    let found = exact.or_else(|| {
        let mut alike = hosts().filter(|host| short(&host.name) == short(in_nova));
        alike.next().filter(|_| alike.next().is_none())
    });
    found.map(|host| host.name.as_str())
}

/// nova.conf's `flat_interface` and `vlan_interface` win over `networks.bridge_interface` (linux_net.py);
/// hosts that differ in them leave the row as it is. `flat_network_bridge` stands in for a missing bridge.
fn name_networks_devices(networks: &mut [Network], snapshot: &Snapshot) {
    let option = |name: &str| {
        let mut set = snapshot.hosts.iter().filter_map(|host| host.nova.as_ref()?.get(name));
        let first = set.next()?;
        set.all(|other| other == first).then(|| first.to_owned())
    };
    for network in networks {
        let lower = if network.vlan.is_some() { "vlan_interface" } else { "flat_interface" };
        network.bridge_interface = option(lower).or(network.bridge_interface.take());
        if network.bridge.is_none() {
            // linux_net.py derives a VLAN's bridge from its number; no option names it.
            network.bridge = match network.vlan {
                Some(vlan) => Some(format!("br{vlan}")),
                None => option("flat_network_bridge"),
            };
        }
    }
}

fn give_vifs_their_networks_bridge(intent: &mut Intent, source: &str) {
    for vif in intent.instances.iter_mut().flat_map(|instance| instance.vifs.iter_mut()) {
        let network = vif.network.and_then(|at| intent.networks.get(at));
        vif.bridge = network.and_then(|network| network.bridge.clone());
        vif.source = format!("database {source}");
    }
}
