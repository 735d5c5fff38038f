//! The site file's `[[instance]]` entries: instances that no other record tells of, or more about those
//! that one does.

use std::net::Ipv4Addr;

use model::Mac;
use model::intent::{Floating, Instance, Intent, Vif};
use serde::{Deserialize, Serialize};

/// One `[[instance]]` of the site file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceEntry {
    /// `name`; where the entry has `at`, also the machine's name in the snapshot.
    pub name: String,
    /// `host`.
    pub host: Option<String>,
    /// `device`: the link on the host's side.
    pub device: Option<String>,
    /// `mac`.
    pub mac: Option<Mac>,
    /// `addresses`: fixed ones.
    pub addresses: Vec<Ipv4Addr>,
    /// `floating`.
    pub floating: Vec<Ipv4Addr>,
    /// It has `at`: its inside can be read.
    pub at_given: bool,
}

/// Adds what the entries tell beyond the database and libvirt. Gives, for each entry, the instance and
/// vif that it became part of. Devices are left for later: what libvirt and the links tell goes first.
pub(crate) fn merge(intent: &mut Intent, entries: &[InstanceEntry]) -> Vec<(usize, usize)> {
    let recorded = intent.instances.len();
    let merged = entries.iter().map(|entry| {
        let at = instance_of(&intent.instances, recorded, entry).unwrap_or_else(|| {
            intent.instances.push(Instance { name: entry.name.clone(), ..Instance::default() });
            intent.instances.len() - 1
        });
        let vif_at = intent.instances.get_mut(at).map_or(0, |instance| fill(instance, entry));
        (at, vif_at)
    });
    merged.collect()
}

/// The instance that an entry speaks of: by MAC, then by address, then by a name that only one has.
/// MAC and address join it to the first `recorded` alone, which other records tell of: two entries that
/// share an address are two instances of different networks.
fn instance_of(all: &[Instance], recorded: usize, entry: &InstanceEntry) -> Option<usize> {
    let by_mac = |i: &Instance| entry.mac.is_some() && i.vifs.iter().any(|vif| vif.mac == entry.mac);
    let by_address = |i: &Instance| i.fixed().any(|ip| entry.addresses.contains(&ip));
    let by_name = |i: &Instance| {
        i.name == entry.name
            || i.libvirt_name.as_ref() == Some(&entry.name)
            || i.uuid.as_ref() == Some(&entry.name)
    };
    let known = || all.iter().take(recorded);
    known().position(by_mac).or_else(|| known().position(by_address)).or_else(|| {
        let mut named = all.iter().enumerate().filter(|(_, i)| by_name(i)).map(|(at, _)| at);
        named.next().filter(|_| named.next().is_none())
    })
}

/// Fills in what is missing, and tells which vif the entry describes.
fn fill(instance: &mut Instance, entry: &InstanceEntry) -> usize {
    // A directory of XML may be shared by hosts, or hold what a migration left; the operator's word stands.
    if let Some(host) = entry.host.as_ref().filter(|_| instance.id.is_none() || instance.host.is_empty()) {
        instance.host.clone_from(host);
    }
    if entry.at_given {
        // The snapshot knows an instance's inside by the entry's name.
        instance.entered = true;
    }
    if entry.at_given || instance.id.is_none() {
        // libvirt's own name, which stays known beside it, is what people call an instance least.
        instance.name.clone_from(&entry.name);
    }
    let vif_at = vif_of(instance, entry);
    let has_floating = instance.floating().next().is_some();
    if vif_at == instance.vifs.len() {
        instance.vifs.push(Vif::default());
    }
    let Some(vif) = instance.vifs.get_mut(vif_at) else { return vif_at };
    vif.mac = vif.mac.or(entry.mac);
    if vif.fixed.is_empty() {
        vif.fixed.clone_from(&entry.addresses);
    }
    if let (false, Some(&fixed)) = (has_floating, vif.fixed.first()) {
        let hang = |&address: &Ipv4Addr| Floating { id: None, address, fixed, host: None };
        vif.floating = entry.floating.iter().map(hang).collect();
    }
    if vif.source.is_empty() {
        "site file".clone_into(&mut vif.source);
    }
    vif_at
}

/// The vif with the entry's MAC, address or device; else one that may still be it; else a new one
/// (an index one past the last).
fn vif_of(instance: &Instance, entry: &InstanceEntry) -> usize {
    let vifs = &instance.vifs;
    let by_mac = |vif: &Vif| entry.mac.is_some() && vif.mac == entry.mac;
    let by_address = |vif: &Vif| vif.fixed.iter().any(|ip| entry.addresses.contains(ip));
    let by_device = |vif: &Vif| entry.device.is_some() && vif.device == entry.device;
    let unclaimed = |vif: &Vif| {
        (entry.mac.is_none() || vif.mac.is_none())
            && (entry.device.is_none() || vif.device.is_none())
            && (entry.addresses.is_empty() || vif.fixed.is_empty())
    };
    let found = vifs.iter().position(by_mac).or_else(|| vifs.iter().position(by_address));
    let found = found.or_else(|| vifs.iter().position(by_device)).or_else(|| vifs.iter().position(unclaimed));
    // The database tells of every vif there is, so an entry that contradicts it adds none.
    let known = if instance.id.is_some() && !vifs.is_empty() { 0 } else { vifs.len() };
    found.unwrap_or(known)
}
