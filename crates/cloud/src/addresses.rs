//! Fixed addresses of instances that neither the database nor the site file gives one.

use std::net::{IpAddr, Ipv4Addr};

use model::intent::{Instance, Intent, Vif};
use model::link::LinkKind;
use model::snapshot::Host;
use model::{Mac, Netns, Snapshot};

/// Looks in dnsmasq's hosts files (nova's record on the host), then in its leases, then inside the
/// instance. An instance of the database is left as it is: there, no address means none.
pub(crate) fn fill(intent: &mut Intent, snapshot: &Snapshot) {
    for instance in intent.instances.iter_mut().filter(|instance| instance.id.is_none()) {
        if let Some(host) = snapshot.host(&instance.host) {
            for vif in instance.vifs.iter_mut().filter(|vif| vif.fixed.is_empty()) {
                vif.fixed = vif.mac.and_then(|mac| dhcp_address(host, mac)).into_iter().collect();
            }
        }
        if let (true, Some(inside)) = (instance.entered, snapshot.main_netns(&instance.name)) {
            fill_from_inside(instance, inside);
        }
    }
}

fn dhcp_address(host: &Host, mac: Mac) -> Option<Ipv4Addr> {
    let entries = host.dnsmasq.iter().flat_map(|d| d.hosts.iter().flatten());
    let mut given = entries.filter(|entry| entry.mac == mac).filter_map(|entry| entry.ip);
    let leases = host.dnsmasq.iter().flat_map(|d| d.leases.iter().flatten());
    given.next().or_else(|| leases.filter(|lease| lease.mac == mac).map(|lease| lease.ip).next())
}

fn fill_from_inside(instance: &mut Instance, inside: &Netns) {
    for link in inside.links.iter().filter(|link| link.kind != LinkKind::Loopback) {
        let addresses: Vec<Ipv4Addr> = inside.addresses_of(link.index).filter_map(global_v4).collect();
        if addresses.is_empty() {
            continue;
        }
        let taken = instance.fixed().any(|ip| addresses.contains(&ip));
        let same_mac = instance.vifs.iter().position(|vif| vif.mac.is_some() && vif.mac == link.mac);
        let nameless = || instance.vifs.iter().position(|vif| vif.mac.is_none() && vif.fixed.is_empty());
        let at = match same_mac.or_else(nameless) {
            Some(at) => at,
            None if taken => continue,
            None => {
                instance.vifs.push(Vif { source: "inside the instance".to_owned(), ..Vif::default() });
                instance.vifs.len() - 1
            }
        };
        if let Some(vif) = instance.vifs.get_mut(at) {
            vif.mac = vif.mac.or(link.mac);
            if vif.fixed.is_empty() && !taken {
                vif.fixed = addresses;
            }
        }
    }
}

fn global_v4(address: &model::route::Address) -> Option<Ipv4Addr> {
    match address.net.addr() {
        IpAddr::V4(ip) if !ip.is_link_local() && !ip.is_loopback() => Some(ip),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}
