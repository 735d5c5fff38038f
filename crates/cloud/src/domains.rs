//! libvirt's domains: which host an instance runs on, its tap, its bridge.

use model::Snapshot;
use model::intent::{Instance, Intent, Vif};
use model::service::{Domain, DomainInterface};
use model::snapshot::Host;

/// Merges every host's domains into the instances, making new ones of those that are unknown.
pub(crate) fn merge(intent: &mut Intent, snapshot: &Snapshot) {
    let all = snapshot.hosts.iter().flat_map(|host| host.domains.iter().map(move |domain| (host, domain)));
    let mut claims: Vec<(usize, &Host, &Domain)> = Vec::new();
    for (host, domain) in all {
        let at = instance_of(&intent.instances, domain).unwrap_or_else(|| {
            intent.instances.push(new_instance(domain));
            intent.instances.len() - 1
        });
        claims.push((at, host, domain));
    }
    for (at, instance) in intent.instances.iter_mut().enumerate() {
        // Two hosts have the domain while it migrates, or after a migration that left its file behind:
        // the one where it runs counts, then the one that the database names.
        let of_instance = claims.iter().filter(|(of, ..)| *of == at);
        let rank = |(_, host, domain): &&(usize, &Host, &Domain)| (!domain.live, host.name != instance.host);
        if let Some((_, host, domain)) = of_instance.min_by_key(rank) {
            apply(instance, host, domain);
        }
    }
}

/// nova gives a domain the instance's uuid, so that decides where both are known.
fn instance_of(instances: &[Instance], domain: &Domain) -> Option<usize> {
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
        let at = instance.vifs.iter().position(known).unwrap_or_else(|| {
            instance.vifs.push(Vif { mac: interface.mac, ..Vif::default() });
            instance.vifs.len() - 1
        });
        let Some(vif) = instance.vifs.get_mut(at) else { continue };
        vif.device = vif.device.take().or_else(|| interface.target.clone());
        vif.bridge = vif.bridge.take().or_else(|| interface.bridge.clone());
        if interface.target.is_some() || interface.bridge.is_some() {
            vif.source.clone_from(&domain.file);
        }
    }
}
