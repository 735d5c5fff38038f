//! IPv6 between an instance and the host that serves it: the addresses by which they can be asked. What is on a link
//! alone needs that link to be named, and is left out.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use model::Netns;
use model::route::{Address, RouteKind};
use sim::World;

/// The first address of the instance's that others may ask it by, with its prefix. Known of an instance whose inside
/// was read.
pub(crate) fn of_instance(world: &World, instance: usize) -> Option<(Ipv6Addr, IpNet)> {
    let inside = world.ns(world.inside(instance)?);
    let vifs = world.intent.instances.get(instance).into_iter().flat_map(|one| &one.vifs);
    let nics =
        vifs.filter_map(|vif| inside.links.iter().find(|link| link.mac.is_some() && link.mac == vif.mac));
    nics.flat_map(|nic| inside.addresses_of(nic.index)).find_map(askable)
}

/// Whom the instance sends through, or the host that serves it by the address that it has in the same prefix.
pub(crate) fn gateway(world: &World, instance: usize) -> Option<Ipv6Addr> {
    let (own, prefix) = of_instance(world, instance)?;
    let inside = world.ns(world.inside(instance)?);
    let is_next = |ip: &Ipv6Addr| prefix.contains(&IpAddr::V6(*ip)) && *ip != own;
    let routed = || default_gateways(inside).find(is_next);
    let served = || {
        let meant = world.intent.instances.get(instance)?;
        let servers = world.intent.servers_of(meant).into_iter();
        let hosts = servers.filter_map(|server| world.snapshot.main_netns(server));
        hosts.flat_map(|ns| &ns.addresses).filter_map(askable).map(|(ip, _)| ip).find(is_next)
    };
    routed().or_else(served)
}

fn default_gateways(ns: &Netns) -> impl Iterator<Item = Ipv6Addr> {
    let is_default = |route: &&model::route::Route| {
        route.is_default() && route.kind == RouteKind::Unicast && matches!(route.destination, IpNet::V6(_))
    };
    ns.routes.iter().filter(is_default).flat_map(|route| &route.nexthops).filter_map(|next| match next.via {
        Some(IpAddr::V6(via)) => Some(via),
        Some(IpAddr::V4(_)) | None => None,
    })
}

/// An address that reaches beyond its link and that nobody else is found to have.
fn askable(address: &Address) -> Option<(Ipv6Addr, IpNet)> {
    match address.net.addr() {
        IpAddr::V6(ip) if address.scope == "global" && address.standing.is_usable() => {
            Some((ip, address.net.trunc()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use model::route::{Address, Standing};

    use crate::fixture::{Cloud, healthy, reachable_route};
    use crate::ladder::{self, Purpose, Symptom};
    use sim::World;

    /// Who is asked for over IPv6 in the question about web1.
    fn asked(cloud: &Cloud) -> Vec<Purpose> {
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let rungs = ladder::climb(&world, 0, None, Symptom::Auto);
        rungs.iter().map(|rung| rung.purpose).filter(|purpose| is_over_ipv6(*purpose)).collect()
    }

    fn is_over_ipv6(purpose: Purpose) -> bool {
        matches!(purpose, Purpose::Gateway6(_) | Purpose::Served6(_))
    }

    /// `ip address add NET dev DEVICE`, as far as it matters here.
    fn add(cloud: &mut Cloud, machine: &str, device: &str, net: &str, scope: &str) {
        let index = cloud.link(machine, device).index;
        let address = Address { scope: scope.to_owned(), ..Address::global(index, net.parse().unwrap()) };
        cloud.netns(machine).addresses.push(address);
    }

    #[test]
    fn it_is_asked_between_two_that_have_an_address_of_one_prefix() {
        let mut cloud = healthy();
        assert_eq!(asked(&cloud), []);
        add(&mut cloud, "web1", "eth0", "fe80::24/64", "link");
        add(&mut cloud, "compute1", "br100", "fe80::1/64", "link");
        assert_eq!(asked(&cloud), [], "an address of a link's own needs the link to be told");
        add(&mut cloud, "web1", "eth0", "fd77::24/64", "global");
        add(&mut cloud, "compute1", "br100", "fd78::1/64", "global");
        assert_eq!(asked(&cloud), [], "nobody of its prefix");
        add(&mut cloud, "compute1", "br100", "fd77::1/64", "global");
        let (host, own) = ("fd77::1".parse().unwrap(), "fd77::24".parse().unwrap());
        assert_eq!(asked(&cloud), [Purpose::Gateway6(host), Purpose::Served6(own)]);
        cloud.close("web1");
        assert_eq!(asked(&cloud), [], "what it has inside nobody knows");
    }

    #[test]
    fn whom_its_route_names_comes_before_its_host() {
        let mut cloud = healthy();
        add(&mut cloud, "web1", "eth0", "fd77::24/64", "global");
        add(&mut cloud, "compute1", "br100", "fd77::1/64", "global");
        let nic = cloud.link("web1", "eth0").index;
        cloud.netns("web1").routes.push(reachable_route("::/0", Some("fd77::fe"), nic));
        let router = "fd77::fe".parse().unwrap();
        assert_eq!(asked(&cloud)[0], Purpose::Gateway6(router));
    }

    #[test]
    fn an_address_that_another_has_is_not_asked_for() {
        let mut cloud = healthy();
        add(&mut cloud, "compute1", "br100", "fd77::1/64", "global");
        add(&mut cloud, "web1", "eth0", "fd77::24/64", "global");
        cloud.netns("web1").addresses.last_mut().unwrap().standing = Standing::Duplicate;
        assert_eq!(asked(&cloud), []);
    }
}
