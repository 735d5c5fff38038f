//! The IPv6 addresses that are instances' own. No record of nova's lists them: it means each instance to make its own
//! of the network's range and its MAC, which the intent has (`Vif::made_v6`).

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};
use model::intent::{Instance, Vif};
use model::link::Link;
use model::route::Address;
use model::{Mac, Netns};
use sim::World;

use crate::view::View;

/// Addresses of one NIC that are looked at: a guest may give itself any number of them.
const ADDRESSES_MAX: usize = 4;
/// The length in bits of a prefix that leaves room for an address made of a MAC (RFC 4291, 2.5.1).
const MADE_BITS: u8 = 64;

/// An IPv6 address of an instance's NIC.
pub(crate) struct Own<'w> {
    /// It reaches beyond its link.
    pub(crate) address: Ipv6Addr,
    /// Whose it is.
    pub(crate) instance: &'w Instance,
    /// The MAC of its NIC.
    pub(crate) mac: Mac,
    /// The host's side of it.
    pub(crate) device: Option<String>,
    /// As it was read inside; `None` of an instance that was not entered, of which it is only known that nobody else
    /// can have made it.
    pub(crate) inside: Option<(&'w Netns, &'w Link, &'w Address)>,
}

impl Own<'_> {
    /// It is made of the NIC's MAC, so nobody else is meant to have it.
    pub(crate) fn is_made(&self) -> bool {
        made(self.mac, Ipv6Net::new_assert(self.address, MADE_BITS)) == self.address
    }

    /// The instance speaks with it.
    pub(crate) fn is_used(&self) -> bool {
        self.inside.is_none_or(|(_, _, address)| address.standing.is_usable())
    }
}

/// The addresses of a NIC: as its inside has them, also those that it has given up because somebody was found to have
/// them. Of one that was not entered that one that nova means it to have, and those that it makes of its MAC by the
/// prefixes of its host's bridge.
pub fn addresses(world: &World, instance: usize, vif: &Vif) -> Vec<Ipv6Addr> {
    let Some(one) = world.intent.instances.get(instance) else { return Vec::new() };
    of_vif(world, instance, one, vif).iter().map(|own| own.address).collect()
}

fn of_vif<'w>(world: &World<'w>, at: usize, instance: &'w Instance, vif: &Vif) -> Vec<Own<'w>> {
    let Some(mac) = vif.mac else { return Vec::new() };
    let own = |address, inside| Own { address, instance, mac, device: vif.device.clone(), inside };
    if let Some(inside) = world.inside(at).and_then(|at| world.snapshot.netns.get(at)) {
        let nics = inside.links.iter().filter(|link| link.mac == Some(mac));
        let carried = nics.flat_map(|nic| inside.addresses_of(nic.index).map(move |own| (nic, own)));
        // One that is made up for privacy is gone before anybody has answered for it.
        let all = carried.filter(|(_, address)| !address.temporary).filter_map(|(nic, address)| {
            Some(own(beyond_its_link(address)?.addr(), Some((inside, nic, address))))
        });
        return all.take(ADDRESSES_MAX).collect();
    }
    let host = world.snapshot.main_netns(&instance.host);
    let bridge = host.zip(vif.bridge.as_deref()).and_then(|(ns, name)| Some((ns, ns.link_named(name)?)));
    let carried = bridge.into_iter().flat_map(|(ns, bridge)| ns.addresses_of(bridge.index));
    let usable = carried.filter(|address| address.standing.is_usable());
    let mut prefixes: Vec<Ipv6Net> = usable.filter_map(beyond_its_link).map(|net| net.trunc()).collect();
    prefixes.retain(|prefix| prefix.prefix_len() == MADE_BITS);
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut all: Vec<Ipv6Addr> = vif.made_v6.into_iter().collect();
    all.extend(prefixes.into_iter().map(|prefix| made(mac, prefix)).filter(|ip| Some(*ip) != vif.made_v6));
    all.into_iter().take(ADDRESSES_MAX).map(|address| own(address, None)).collect()
}

fn beyond_its_link(address: &Address) -> Option<Ipv6Net> {
    match address.net {
        IpNet::V6(net) if address.scope == "global" => Some(net),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}

/// The address that a NIC makes of its own MAC in a prefix.
pub(crate) fn made(mac: Mac, prefix: Ipv6Net) -> Ipv6Addr {
    mac.made_v6(prefix.network())
}

/// Whose an address is among the instances on the segment of a host's bridge; who is meant to have it, as far as that
/// can be known, comes first, and who was first to use it.
pub(crate) fn of_address<'v>(
    view: &View<'v>,
    (host, bridge): (&str, &str),
    address: Ipv6Addr,
) -> Vec<Own<'v>> {
    let is_here =
        |instance: &Instance, vif: &Vif| instance.host == host && vif.bridge.as_deref() == Some(bridge);
    let all = || view.intent().instances.iter();
    let here = all().flat_map(|one| one.vifs.iter().filter(move |vif| is_here(one, vif)));
    let networks: Vec<usize> = here.filter_map(|vif| vif.network).collect();
    let is_on_it = |instance: &Instance, vif: &Vif| {
        is_here(instance, vif) || vif.network.is_some_and(|network| networks.contains(&network))
    };
    let mut found: Vec<Own> = Vec::new();
    for (at, instance) in all().enumerate() {
        for vif in instance.vifs.iter().filter(|vif| is_on_it(instance, vif)) {
            let own = of_vif(view.world, at, instance, vif);
            found.extend(own.into_iter().filter(|own| own.address == address));
        }
    }
    found.sort_by_key(|own| (!own.is_made(), !own.is_used()));
    found
}

#[cfg(test)]
mod tests {
    use model::route::{Address, Standing};
    use sim::World;

    use super::addresses;
    use crate::fixture::{Cloud, healthy};

    /// The addresses of web1's NIC.
    fn found(cloud: &Cloud) -> Vec<String> {
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let own = addresses(&world, 0, &cloud.intent.instances[0].vifs[0]);
        own.iter().map(ToString::to_string).collect()
    }

    fn add(cloud: &mut Cloud, machine: &str, device: &str, net: &str) -> usize {
        let index = cloud.link(machine, device).index;
        let addresses = &mut cloud.netns(machine).addresses;
        addresses.push(Address::global(index, net.parse().unwrap()));
        addresses.len() - 1
    }

    #[test]
    fn an_instance_has_what_its_inside_shows() {
        let mut cloud = healthy();
        assert_eq!(found(&cloud), [""; 0]);
        add(&mut cloud, "compute1", "br100", "fd77::1/64");
        assert_eq!(found(&cloud), [""; 0], "it has none inside");
        let link_local = add(&mut cloud, "web1", "eth0", "fe80::24/64");
        cloud.netns("web1").addresses[link_local].scope = "link".to_owned();
        let of_privacy = add(&mut cloud, "web1", "eth0", "fd77::1234/64");
        cloud.netns("web1").addresses[of_privacy].temporary = true;
        add(&mut cloud, "web1", "lo", "fd77::99/128");
        assert_eq!(found(&cloud), [""; 0], "none that others know it by");
        let given_up = add(&mut cloud, "web1", "eth0", "fd77::24/64");
        cloud.netns("web1").addresses[given_up].standing = Standing::Duplicate;
        assert_eq!(found(&cloud), ["fd77::24"]);
        for nth in 0..9 {
            add(&mut cloud, "web1", "eth0", &format!("fd78::{nth}/64"));
        }
        assert_eq!(found(&cloud).len(), 4);
    }

    #[test]
    fn one_that_is_closed_makes_its_own_of_each_prefix_with_room_for_it() {
        let mut cloud = healthy();
        cloud.close("web1");
        for net in ["fd77::1/64", "fd77::2/64", "fd79::1/80", "fd78::1/64"] {
            add(&mut cloud, "compute1", "br100", net);
        }
        assert_eq!(found(&cloud), ["fd77::f816:3eff:fe00:224", "fd78::f816:3eff:fe00:224"]);
        let by_record = "fd78::f816:3eff:fe00:224".parse().ok();
        cloud.intent.instances[0].vifs[0].made_v6 = by_record;
        assert_eq!(found(&cloud), ["fd78::f816:3eff:fe00:224", "fd77::f816:3eff:fe00:224"]);
        cloud.netns("compute1").addresses.clear();
        assert_eq!(
            found(&cloud),
            ["fd78::f816:3eff:fe00:224"],
            "what its host has lost the records still tell"
        );
        cloud.intent.instances[0].vifs[0].mac = None;
        assert_eq!(found(&cloud), [""; 0]);
    }
}
