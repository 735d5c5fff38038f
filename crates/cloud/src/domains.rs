//! libvirt's domains: which host an instance runs on, its tap, its bridge.

use std::collections::BTreeMap;

use model::intent::{Instance, Intent, RowLack, Vif};
use model::service::{Domain, DomainInterface};
use model::snapshot::Host;
use model::{Mac, Snapshot};

/// Merges every host's domains into the instances, making new ones of those that are unknown.
pub(crate) fn merge(intent: &mut Intent, snapshot: &Snapshot) {
    let all = snapshot.hosts.iter().flat_map(|host| host.domains.iter().map(move |domain| (host, domain)));
    let mut known = Known::default();
    intent.instances.iter().enumerate().for_each(|(at, instance)| known.add(at, instance));
    let mut claims: BTreeMap<usize, Vec<(&Host, &Domain)>> = BTreeMap::new();
    for (host, domain) in all {
        let at = known.instance_of(&intent.instances, domain).unwrap_or_else(|| {
            let (at, instance) = (intent.instances.len(), new_instance(domain));
            known.add(at, &instance);
            intent.instances.push(instance);
            at
        });
        claims.entry(at).or_default().push((host, domain));
    }
    for (at, claims) in claims {
        let Some(instance) = intent.instances.get_mut(at) else { continue };
        // A definition that surely does not run tells of the host that the database names, and of no other.
        let is_left_behind = |(host, domain): &&(&Host, &Domain)| {
            !domain.live && host.running_domains.is_some() && host.name != instance.host
        };
        let is_recorded = instance.recorded_host.is_some();
        let claims: Vec<_> = claims.iter().filter(|claim| !(is_recorded && is_left_behind(claim))).collect();
        // Two hosts have the domain while it migrates, or after a migration that left its file behind:
        // the one where it runs counts, then the one that the database names.
        let rank = |(host, domain): &&(&Host, &Domain)| (!domain.live, host.name != instance.host);
        if let Some((host, domain)) = claims.into_iter().min_by_key(rank) {
            apply(instance, host, domain);
        }
    }
}

/// Where an instance is by what it goes by, in ascending order: a cloud has a hundred thousand of them, and a host a
/// thousand domains.
#[derive(Default)]
struct Known {
    /// In small letters.
    uuids: BTreeMap<String, Vec<usize>>,
    macs: BTreeMap<Mac, Vec<usize>>,
    libvirt_names: BTreeMap<String, Vec<usize>>,
}

impl Known {
    fn add(&mut self, at: usize, instance: &Instance) {
        if let Some(uuid) = &instance.uuid {
            self.uuids.entry(uuid.to_ascii_lowercase()).or_default().push(at);
        }
        for mac in instance.vifs.iter().filter_map(|vif| vif.mac) {
            self.macs.entry(mac).or_default().push(at);
        }
        if let Some(name) = &instance.libvirt_name {
            self.libvirt_names.entry(name.clone()).or_default().push(at);
        }
    }

    /// nova gives a domain the instance's uuid, so that decides where both are known.
    fn instance_of(&self, instances: &[Instance], domain: &Domain) -> Option<usize> {
        let uuid = domain.uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase());
        if let Some([first, ..]) = uuid.and_then(|uuid| self.uuids.get(&uuid)).map(Vec::as_slice) {
            return Some(*first);
        }
        // By uuid it is none, so that whoever has another is another.
        let may_be_it = |at: &usize| {
            domain.uuid.is_none() || instances.get(*at).is_some_and(|instance| instance.uuid.is_none())
        };
        let macs = domain.interfaces.iter().filter_map(|interface| self.macs.get(&interface.mac?));
        let by_mac = macs.flatten().copied().filter(may_be_it).min();
        let named = self.libvirt_names.get(&domain.name);
        by_mac.or_else(|| named.into_iter().flatten().copied().find(may_be_it))
    }
}

/// What identifies a domain that no other record tells of; the rest is filled in by `apply`.
fn new_instance(domain: &Domain) -> Instance {
    let vif = |interface: &DomainInterface| Vif { mac: interface.mac, ..Vif::default() };
    Instance {
        uuid: domain.uuid.clone(),
        name: domain.display_name.clone().unwrap_or_else(|| domain.name.clone()),
        vifs: domain.interfaces.iter().filter(|i| i.mac.is_some()).map(vif).collect(),
        ..Instance::default()
    }
}

fn apply(instance: &mut Instance, host: &Host, domain: &Domain) {
    instance.host.clone_from(&host.name);
    instance.libvirt_name = Some(domain.name.clone());
    instance.uuid = instance.uuid.take().or_else(|| domain.uuid.clone());
    for interface in domain.interfaces.iter().filter(|i| i.mac.is_some() || i.target.is_some()) {
        let known = |vif: &Vif| match interface.mac {
            Some(mac) => vif.mac == Some(mac),
            None => vif.device == interface.target,
        };
        let at =
            instance.vifs.iter().position(known).or_else(|| bare(&instance.vifs, interface)).unwrap_or_else(
                || {
                    instance.vifs.push(Vif { mac: interface.mac, ..Vif::default() });
                    instance.vifs.len() - 1
                },
            );
        let Some(vif) = instance.vifs.get_mut(at) else { continue };
        vif.mac = vif.mac.or(interface.mac);
        vif.device = vif.device.take().or_else(|| interface.target.clone());
        vif.bridge = vif.bridge.take().or_else(|| interface.bridge.clone());
        if interface.target.is_some() || interface.bridge.is_some() {
            vif.source.clone_from(&domain.file);
        }
    }
}

/// The one that the tables have an address of, and no row, where this interface is on its bridge: that they have lost
/// its MAC makes no second NIC of it.
fn bare(vifs: &[Vif], interface: &DomainInterface) -> Option<usize> {
    interface.mac?;
    let is_on_its_bridge = |vif: &Vif| vif.bridge.is_none() || vif.bridge == interface.bridge;
    let is_bare = |vif: &Vif| vif.mac.is_none() && matches!(vif.lacks, RowLack::Nic { .. });
    let mut all = vifs.iter().enumerate().filter(|(_, vif)| is_bare(vif) && is_on_its_bridge(vif));
    all.next().filter(|_| all.next().is_none()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(uuid: Option<&str>, mac: Option<&str>, libvirt_name: Option<&str>) -> Instance {
        let vifs = mac.iter().map(|mac| Vif { mac: mac.parse().ok(), ..Vif::default() }).collect();
        let (uuid, libvirt_name) = (uuid.map(str::to_owned), libvirt_name.map(str::to_owned));
        Instance { uuid, libvirt_name, vifs, ..Instance::default() }
    }

    fn domain(uuid: Option<&str>, mac: &str, name: &str) -> Domain {
        let interface = DomainInterface { mac: mac.parse().ok(), ..DomainInterface::default() };
        let (uuid, name) = (uuid.map(str::to_owned), name.to_owned());
        Domain { uuid, name, interfaces: vec![interface], ..Domain::default() }
    }

    /// Goes through all of them for each domain, as `merge` did before a cloud was large.
    fn one_by_one(instances: &[Instance], domain: &Domain) -> Option<usize> {
        let same_uuid = |i: &Instance| match (&i.uuid, &domain.uuid) {
            (Some(a), Some(b)) => Some(a.eq_ignore_ascii_case(b)),
            (None, _) | (_, None) => None,
        };
        let by_mac = |i: &Instance| {
            let mut macs = domain.interfaces.iter().filter_map(|interface| interface.mac);
            macs.any(|mac| i.vifs.iter().any(|vif| vif.mac == Some(mac)))
        };
        let by_name = |i: &Instance| i.libvirt_name.as_ref() == Some(&domain.name);
        let is_other = |i: &Instance| same_uuid(i) == Some(false);
        let position = |test: &dyn Fn(&Instance) -> bool| instances.iter().position(test);
        position(&|i| same_uuid(i) == Some(true))
            .or_else(|| position(&|i| !is_other(i) && by_mac(i)))
            .or_else(|| position(&|i| !is_other(i) && by_name(i)))
    }

    #[test]
    fn what_is_known_by_maps_is_what_is_found_one_by_one() {
        let (uuids, macs) =
            ([None, Some("AA"), Some("bb")], [None, Some("fa:16:3e:00:00:01"), Some("fa:16:3e:00:00:02")]);
        let names = [None, Some("instance-1"), Some("instance-2")];
        let mut instances = Vec::new();
        for uuid in uuids {
            for mac in macs {
                instances.extend(names.map(|name| instance(uuid, mac, name)));
            }
        }
        // Whoever comes first has the domain: so in each order that begins elsewhere, and with less and less of them.
        for start in 0..instances.len() {
            let some = &instances[start..];
            let mut known = Known::default();
            some.iter().enumerate().for_each(|(at, instance)| known.add(at, instance));
            for uuid in [None, Some("aa"), Some("BB"), Some("cc")] {
                for mac in ["fa:16:3e:00:00:01", "fa:16:3e:00:00:02", "fa:16:3e:00:00:03"] {
                    for name in ["instance-1", "instance-2", "instance-3"] {
                        let domain = domain(uuid, mac, name);
                        assert_eq!(
                            known.instance_of(some, &domain),
                            one_by_one(some, &domain),
                            "{start} {domain:?}"
                        );
                    }
                }
            }
        }
    }
}
