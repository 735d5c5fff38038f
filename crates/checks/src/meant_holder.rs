//! Who is meant to have an address that hosts asked for: an instance, by the records or, of IPv6, by what it makes of
//! its MAC and has inside; or a host that carries it for instances.

use std::net::{IpAddr, Ipv6Addr};

use model::Mac;
use model::probe::{Holders, Station};

use crate::own_v6::{self, Own};
use crate::view::View;

/// Who is meant to have an address.
pub(crate) struct Meant<'v> {
    /// As it is read: `the address of web1`, `the gateway of web1`.
    pub(crate) role: String,
    /// Its MACs.
    pub(crate) macs: Vec<Mac>,
    /// The machines that wear them.
    pub(crate) machines: Vec<String>,
    /// Instances that a second holder hurts.
    pub(crate) instances: Vec<String>,
    /// Instances of the segment that have it: of IPv6 as their insides tell.
    pub(crate) own: Vec<Own<'v>>,
    /// Which of several is meant is known.
    pub(crate) is_known: bool,
}

impl Meant<'_> {
    /// Where the one who is meant can be looked into, it speaks with the address.
    pub(crate) fn is_used(&self) -> bool {
        self.own.first().is_none_or(Own::is_used)
    }

    /// A station that answers alone is not the one who is meant, speaking by another MAC than the records say: nobody
    /// else makes this address, and the station is not behind the instance's NIC.
    pub(crate) fn cannot_be(&self, station: &Station) -> bool {
        let is_elsewhere =
            |own: &Own| station.port.is_some() && own.device.is_some() && station.port != own.device;
        self.own.first().is_some_and(|own| own.is_made() && is_elsewhere(own))
    }
}

/// Who is meant to have the address that was asked for; `None` where nothing tells.
pub(crate) fn of<'v>(view: &View<'v>, holders: &Holders) -> Option<Meant<'v>> {
    let address = match holders.address {
        IpAddr::V6(address) => return meant_v6(view, holders, address),
        IpAddr::V4(_) => holders.address,
    };
    let meant = |role, macs, machines, instances| {
        let (own, is_known) = (Vec::new(), true);
        Some(Meant { role, macs, machines, instances, own, is_known })
    };
    let mut vifs = view.intent().instances.iter().flat_map(|i| i.vifs.iter().map(move |vif| (i, vif)));
    if let Some((instance, vif)) = vifs.find(|(_, vif)| vif.fixed.iter().any(|ip| address == *ip)) {
        let role = format!("the address of {}", instance.name);
        let instances = vec![instance.name.clone()];
        return meant(role, vec![vif.mac?], instances.clone(), instances);
    }
    let (role, instances) = carried(view, holders)?;
    let macs_of = |host: &str| -> Vec<Mac> {
        let ns = view.snapshot().main_netns(host);
        let of_it = ns.into_iter().flat_map(|ns| ns.addresses.iter().map(move |carried| (ns, carried)));
        let of_it = of_it.filter(|(_, carried)| carried.net.addr() == address);
        of_it.filter_map(|(ns, carried)| ns.link(carried.link)?.mac).collect()
    };
    if is_shared(view, address) {
        let machines: Vec<String> = view.snapshot().hosts.iter().map(|host| host.name.clone()).collect();
        let macs = machines.iter().flat_map(|host| macs_of(host)).collect();
        return meant(role, macs, machines, instances);
    }
    let asking = [holders.machine.as_str()].into_iter();
    let servers = view.vifs().map(|seat| seat.server_ns.machine.as_str());
    let carrying = asking.chain(servers).map(|host| (host, macs_of(host)));
    let (host, macs) = carrying.into_iter().find(|(_, macs)| !macs.is_empty())?;
    meant(role, macs, vec![host.to_owned()], instances)
}

/// Of IPv6 an instance that makes it of its own MAC is meant, or the one that has it.
fn meant_v6<'v>(view: &View<'v>, holders: &Holders, address: Ipv6Addr) -> Option<Meant<'v>> {
    let own = own_v6::of_address(view, (&holders.machine, &holders.link), address);
    let first = own.first()?;
    let mut names: Vec<String> = own.iter().map(|own| own.instance.name.clone()).collect();
    names.dedup();
    let is_known = names.len() == 1 || first.is_made();
    let hit = if is_known { first.instance.name.clone() } else { names.join(" and ") };
    Some(Meant {
        role: format!("an address of {hit}"),
        macs: vec![first.mac],
        machines: vec![first.instance.name.clone()],
        instances: names,
        is_known,
        own,
    })
}

/// It is the gateway's on every host (`share_dhcp_address`), each for its own instances.
fn is_shared(view: &View, address: IpAddr) -> bool {
    let mut networks = view.vifs().filter_map(|seat| seat.network);
    networks.any(|network| network.share_address && network.gateway.is_some_and(|own| address == own))
}

/// What a host has the address for, and which of the instances in question need it.
fn carried(view: &View, holders: &Holders) -> Option<(String, Vec<String>)> {
    let address = holders.address;
    let floating = view.intent().instances.iter().find(|i| i.floating().any(|f| address == f.address));
    if let Some(instance) = floating {
        return Some((format!("a floating address of {}", instance.name), vec![instance.name.clone()]));
    }
    let served = view.vifs().filter(|seat| seat.gateway().is_some_and(|gateway| address == gateway));
    let mut names: Vec<String> = served.map(|seat| seat.instance.name.clone()).collect();
    names.dedup();
    let role = format!("the gateway of {}", names.first()?);
    Some((role, names))
}
