//! IPv6 of an instance: between it and the host that serves it, to its neighbours, and to the outside; the addresses by
//! which they can be asked. What is on a link alone needs that link to be named, and is left out.
//!
//! Neighbours and the outside are asked for where nova gives the network a range of IPv6: only there are they meant to
//! be reached.
//!
//! Whether one that cannot be entered speaks IPv6 no record tells, but its host may have met it: then that address
//! is its own, and it is asked and asks by that. Else its host asks it where it would make its address: an answer
//! tells, a silence nothing, no walk knows what becomes of it, and nothing is sent as it.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use model::path::{Disposition, Path};
use model::probe::ProbeResult;
use model::route::{Address, RouteKind};
use model::snapshot::Gap;
use model::{Netns, few};
use sim::{Answer, Endpoint, World};

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung, Symptom};
use crate::own_v6;

/// The first address of the instance's that others may ask it by, with its prefix. Known of an instance whose inside
/// was read.
pub(crate) fn of_instance(world: &World, instance: usize) -> Option<(Ipv6Addr, IpNet)> {
    let inside = world.ns(world.inside(instance)?);
    let vifs = world.intent.instances.get(instance).into_iter().flat_map(|one| &one.vifs);
    let nics =
        vifs.filter_map(|vif| inside.links.iter().find(|link| link.mac.is_some() && link.mac == vif.mac));
    nics.flat_map(|nic| inside.addresses_of(nic.index)).find_map(askable)
}

/// The address by which one can be asked that cannot be entered: where its host has met its NIC, else the first that
/// the NIC would make of its MAC.
pub(crate) fn of_closed(world: &World, instance: usize) -> Option<Ipv6Addr> {
    met(world, instance).or_else(|| made(world, instance).first().copied())
}

/// The addresses that the NICs of one that cannot be entered make of their MACs.
fn made(world: &World, instance: usize) -> Vec<Ipv6Addr> {
    let one = world.intent.instances.get(instance).filter(|_| world.inside(instance).is_none());
    let vifs = one.into_iter().flat_map(|one| &one.vifs);
    vifs.flat_map(|vif| own_v6::addresses(world, instance, vif)).collect()
}

/// The address with which its host has met the NIC of one that cannot be entered: it speaks IPv6, and what is sent with
/// that is its own. Of several that one comes first which it makes of its MAC: others it may have given up.
pub fn met(world: &World, instance: usize) -> Option<Ipv6Addr> {
    if world.inside(instance).is_some() {
        return None;
    }
    let one = world.intent.instances.get(instance)?;
    one.vifs.iter().find_map(|vif| {
        let made = own_v6::addresses(world, instance, vif);
        let prefixes: Vec<Ipv6Net> = made.iter().filter_map(|ip| Ipv6Net::new(*ip, 64).ok()).collect();
        let host = world.snapshot.main_netns(&one.host)?;
        let bridge = host.link_named(vif.bridge.as_deref()?)?.index;
        let met = host.neighbours.iter().filter(|entry| entry.link == bridge && entry.mac == vif.mac);
        let met =
            met.filter(|entry| entry.state.is_valid() && !entry.proxy).filter_map(|entry| match entry.ip {
                IpAddr::V6(ip) => Some(ip).filter(|ip| prefixes.iter().any(|prefix| prefix.contains(ip))),
                IpAddr::V4(_) => None,
            });
        let met: Vec<Ipv6Addr> = met.collect();
        met.iter().find(|ip| made.contains(ip)).or(met.first()).copied()
    })
}

/// The instance as who asks: with the address that its host has met it with, where it cannot be entered.
pub(crate) fn endpoint(world: &World, instance: usize) -> Endpoint {
    let met = met(world, instance).map(|met| Endpoint::InstanceOver6(instance, met));
    met.unwrap_or_else(|| Endpoint::instance(world, instance))
}

/// The range that nova gives the instance's network, where the address is of it.
fn range_of(world: &World, instance: usize, address: Ipv6Addr) -> Option<Ipv6Net> {
    let vifs = world.intent.instances.get(instance).into_iter().flat_map(|one| &one.vifs);
    let ranges = vifs.filter_map(|vif| world.intent.networks.get(vif.network?)?.cidr_v6);
    ranges.map(|range| range.trunc()).find(|range| range.contains(&address))
}

/// The address by which its neighbours are to reach an instance. One that cannot be entered may have given up any that
/// its host has met it with, but for that one which it makes of its MAC.
pub fn as_neighbour(world: &World, instance: usize) -> Option<Ipv6Addr> {
    let inside = of_instance(world, instance).map(|(own, _)| own);
    inside.or_else(|| met(world, instance).filter(|met| made(world, instance).contains(met)))
}

/// Of others of its network the first on its host and the first elsewhere that are known to have an address of the same
/// range as the instance's own. How one that cannot be entered answers the neighbour solicitation of one that can, no
/// walk knows.
pub(crate) fn neighbours(world: &World, instance: usize, others: &[usize]) -> Vec<usize> {
    let host = |at: usize| world.intent.instances.get(at).map(|one| one.host.as_str());
    let range = own(world, instance).and_then(|own| range_of(world, instance, own));
    let is_known = |at: &&usize| {
        let is_like = world.inside(**at).is_some() == world.inside(instance).is_some();
        let address = as_neighbour(world, **at).filter(|_| is_like);
        range.zip(address).is_some_and(|(range, address)| range.contains(&address))
    };
    let (near, far): (Vec<usize>, Vec<usize>) =
        others.iter().filter(is_known).partition(|at| host(**at) == host(instance));
    near.into_iter().take(1).chain(far.into_iter().take(1)).collect()
}

/// The address with which the instance asks.
fn own(world: &World, instance: usize) -> Option<Ipv6Addr> {
    of_instance(world, instance).map(|(own, _)| own).or_else(|| met(world, instance))
}

/// An address of the site's external host, where the instance is meant to reach it: of one kind with its own range (one
/// that is unique to the site, by its first 48 bits, is not routed elsewhere), and its host has a way there, as the
/// instance has.
pub(crate) fn outside(world: &World, instance: usize) -> Option<Ipv6Addr> {
    let range = own(world, instance).and_then(|own| range_of(world, instance, own))?;
    let external = world.snapshot.hosts.iter().find(|host| host.role == "external")?;
    // RFC 4193, 3.1.
    let local = |ip: Ipv6Addr| (ip.octets()[0] & 0xfe == 0xfc).then(|| u128::from(ip) >> 80);
    let mut carried =
        world.snapshot.main_netns(&external.name)?.addresses.iter().filter_map(askable).map(|(ip, _)| ip);
    let to = carried.find(|ip| !range.contains(ip) && local(*ip) == local(range.addr()))?;
    let is_way = |route: &&model::route::Route| {
        route.kind == RouteKind::Unicast && route.destination.contains(&IpAddr::V6(to))
    };
    let leads_there = |ns: &Netns| ns.routes.iter().any(|route| is_way(&route));
    let one = world.intent.instances.get(instance)?;
    let server = world.intent.servers_of(one).first().and_then(|server| world.snapshot.main_netns(server))?;
    let from_inside = match world.inside(instance) {
        Some(inside) => leads_there(world.ns(inside)),
        // Its router tells it a way as soon as nova uses IPv6.
        None => one.vifs.iter().any(|vif| vif.made_v6.is_some()),
    };
    (from_inside && leads_there(server)).then_some(to)
}

/// Whom one that cannot be entered is asked to reach: its host's own address in the prefix of the one that it was met
/// with.
pub(crate) fn gateway_of_closed(world: &World, instance: usize) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let own = met(world, instance)?;
    let one = world.intent.instances.get(instance)?;
    let host = world.snapshot.main_netns(&one.host)?;
    let bridges = one.vifs.iter().filter_map(|vif| host.link_named(vif.bridge.as_deref()?));
    let carried = bridges.flat_map(|bridge| host.addresses_of(bridge.index)).filter_map(askable);
    let mut next = carried.filter(|(ip, prefix)| prefix.contains(&IpAddr::V6(own)) && *ip != own);
    next.next().map(|(gateway, _)| (own, gateway))
}

/// The question to one that cannot be entered, whose address is a guess.
pub(crate) fn is_guessed(world: &World, rung: &Rung) -> bool {
    let is_met = || met(world, rung.instance).map(IpAddr::V6) == Some(rung.to);
    matches!(rung.purpose, Purpose::Served6(_)) && world.inside(rung.instance).is_none() && !is_met()
}

/// A walk to an address that may be nobody's: what stops there may stop nothing that anybody sends.
pub(crate) fn unknown(mut answer: Answer, name: &str) -> Answer {
    let end = |path: &mut Path| {
        path.disposition = Disposition::Unknown {
            why: format!("what {name} does with IPv6: no record tells its addresses"),
            would_need: "`ip -6 address` inside it, or `at` in the site file".to_owned(),
        };
    };
    let is_dropped = |path: &&mut Path| matches!(path.disposition, Disposition::Dropped(_));
    answer.paths.iter_mut().filter(is_dropped).for_each(end);
    answer.answered = false;
    let is_unknown = |path: &Path| matches!(path.disposition, Disposition::Unknown { .. });
    if !answer.paths.iter().any(is_unknown) {
        answer.paths.last_mut().into_iter().for_each(end);
    }
    answer
}

/// What its silence leaves open.
pub(crate) fn unheard(case: &Case, rung: &Rung, probe: &ProbeResult) -> Gap {
    let name = case.intent.instances.get(rung.instance).map_or("the instance", |one| one.name.as_str());
    Gap {
        what: format!("whether {name} is reached over IPv6"),
        why: format!("{} has no answer from {}, where it would be if it speaks IPv6", probe.from, rung.to),
        would_need: "`ip -6 address` inside it, or `at` in the site file".to_owned(),
    }
}

/// What would have to be sent as instances that cannot be entered, and was not: their hosts have not met them, and with
/// an address that may be another's, or nobody's, nothing is sent.
pub(crate) fn unasked(world: &World, case: &Case, instances: &[usize], symptom: Symptom) -> Option<Gap> {
    match symptom {
        Symptom::Auto | Symptom::Ping => {}
        Symptom::Dhcp | Symptom::Dns | Symptom::Ssh | Symptom::Metadata => return None,
    }
    let is_unmet = |at: &&usize| of_closed(world, **at).is_some() && met(world, **at).is_none();
    let closed = instances.iter().filter(is_unmet);
    let names = closed.filter_map(|at| Some(case.intent.instances.get(*at)?.name.as_str()));
    let names: Vec<&str> = names.filter(|_| !case.probes.is_empty()).collect();
    (!names.is_empty()).then(|| Gap {
        what: format!("what becomes of the IPv6 packets of {}", few::named(&names)),
        why: "nothing was sent as it over IPv6: only with an address that its host has met it with, this is done"
            .to_owned(),
        would_need: "`at` in the site file, or `ping` inside".to_owned(),
    })
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
    use model::finding::Outcome;
    use model::probe::{PING_OCTETS, ProbeResult};
    use model::route::{Address, Neighbour, NeighbourState, Route, RouteKind, Standing, TABLE_LOCAL};

    use crate::fixture::{Cloud, codes, healthy, pinged, reachable_route};
    use crate::ladder::{self, Purpose, Symptom};
    use sim::World;

    /// Who is asked for over IPv6 in the question about web1.
    fn asked(cloud: &Cloud) -> Vec<Purpose> {
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let rungs = ladder::climb(&world, 0, None, Symptom::Auto);
        rungs.iter().map(|rung| rung.purpose).filter(|purpose| is_over_ipv6(*purpose)).collect()
    }

    fn is_over_ipv6(purpose: Purpose) -> bool {
        matches!(purpose, Purpose::Gateway6(_) | Purpose::Served6(_)) || purpose.comes_last()
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
        let made = "fd77::f816:3eff:fe00:224".parse().unwrap();
        assert_eq!(asked(&cloud), [Purpose::Served6(made)], "what it has inside nobody knows");
        let bridge = cloud.link("compute1", "br100").index;
        let mac = cloud.intent.instances[0].vifs[0].mac;
        let (ip, state) = ("fd77::24".parse().unwrap(), NeighbourState::Stale);
        cloud.netns("compute1").neighbours.push(Neighbour { link: bridge, ip, mac, state, proxy: false });
        assert_eq!(asked(&cloud), [Purpose::Gateway6(host), Purpose::Served6(own)], "its host has met it");
    }

    /// Its silence, a rule that would take what it sends, and a host that has no IPv6 are no faults of a guest that may
    /// not speak it.
    #[test]
    fn one_that_is_closed_and_silent_is_a_gap_and_no_fault() {
        let mut cloud = healthy();
        cloud.close("web1");
        add(&mut cloud, "compute1", "br100", "fd77::1/64", "global");
        assert_eq!(gaps(&cloud), [""; 0], "nobody has asked");
        let to = "fd77::f816:3eff:fe00:224".parse().unwrap();
        let asked = |received| ProbeResult { to, ..pinged("compute1", PING_OCTETS, received) };
        let (unasked, unheard) =
            ("what becomes of the IPv6 packets of web1", "whether web1 is reached over IPv6");
        cloud.probes = vec![asked(2)];
        assert_eq!(gaps(&cloud), [unasked]);
        cloud.probes = vec![asked(0)];
        assert_eq!(gaps(&cloud), [unasked, unheard]);
    }

    fn gaps(cloud: &Cloud) -> Vec<String> {
        let found = cloud.diagnose("web1");
        assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Healthy), "{found:#?}");
        let gaps = found.coverage.gaps.into_iter().map(|gap| gap.what);
        gaps.filter(|what| what.contains("IPv6")).collect()
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

    /// web1, web2 and their host have addresses of one range, which the network has, too.
    fn dual() -> Cloud {
        let mut cloud = healthy();
        let nets =
            [("web1", "eth0", WEB1), ("web2", "eth0", WEB2), ("compute1", "br100", "2001:db8:77::1/64")];
        nets.into_iter().for_each(|(machine, device, net)| add(&mut cloud, machine, device, net, "global"));
        cloud.intent.networks[0].cidr_v6 = "2001:db8:77::/64".parse().ok();
        cloud
    }

    const WEB1: &str = "2001:db8:77::f816:3eff:fe00:224/64";
    const WEB2: &str = "2001:db8:77::f816:3eff:fe00:225/64";

    fn beyond(cloud: &Cloud) -> Vec<Purpose> {
        asked(cloud).into_iter().filter(|purpose| purpose.comes_last()).collect()
    }

    /// Its host has met the instance of this index with an address.
    fn met(cloud: &mut Cloud, instance: usize, net: &str) {
        let (link, mac) =
            (cloud.link("compute1", "br100").index, cloud.intent.instances[instance].vifs[0].mac);
        let ip = net.parse::<ipnet::IpNet>().unwrap().addr();
        let entry = Neighbour { link, ip, mac, state: NeighbourState::Stale, proxy: false };
        cloud.netns("compute1").neighbours.push(entry);
    }

    #[test]
    fn a_neighbour_is_asked_for_where_the_network_has_a_range_that_both_have_an_address_of() {
        let mut cloud = dual();
        assert_eq!(beyond(&cloud), [Purpose::Other6(1)]);
        let range = cloud.intent.networks[0].cidr_v6.take();
        assert_eq!(beyond(&cloud), [], "nova means nobody to have IPv6");
        cloud.intent.networks[0].cidr_v6 = "2001:db8:78::/64".parse().ok();
        assert_eq!(beyond(&cloud), [], "it is of another range");
        cloud.intent.networks[0].cidr_v6 = range;
        cloud.close("web2");
        met(&mut cloud, 1, "2001:db8:77::99/64");
        met(&mut cloud, 0, WEB1);
        assert_eq!(beyond(&cloud), [], "who can be entered asks nobody who cannot");
        cloud.close("web1");
        assert_eq!(beyond(&cloud), [], "it may have given that one up");
        met(&mut cloud, 1, WEB2);
        assert_eq!(beyond(&cloud), [Purpose::Other6(1)]);
    }

    #[test]
    fn the_outside_is_asked_for_where_instance_and_host_have_a_way_there() {
        let to = "2001:db8:e::4".parse().unwrap();
        let mut cloud = dual();
        add(&mut cloud, "external", "eth0", "2001:db8:e::4/64", "global");
        let nic = cloud.link("web1", "eth0").index;
        cloud.netns("web1").routes.push(reachable_route("::/0", Some("2001:db8:77::1"), nic));
        assert_eq!(beyond(&cloud), [Purpose::Other6(1)], "its host has no way");
        let uplink = cloud.link("compute1", "eth0").index;
        cloud.netns("compute1").routes.push(reachable_route("::/0", Some("2001:db8:1::1"), uplink));
        assert_eq!(beyond(&cloud), [Purpose::Other6(1), Purpose::Outside6(to)]);
        cloud.intent.networks[0].cidr_v6 = None;
        assert_eq!(beyond(&cloud), [], "nova gives no range");
        cloud.intent.networks[0].cidr_v6 = "2001:db8:77::/64".parse().ok();
        cloud.netns("web1").routes.pop();
        assert_eq!(beyond(&cloud), [Purpose::Other6(1)], "it has no way itself");
        let machines = [("web1", "eth0"), ("compute1", "br100")];
        machines.into_iter().for_each(|(machine, device)| {
            let index = cloud.link(machine, device).index;
            let addresses = &mut cloud.netns(machine).addresses;
            addresses.retain(|own| own.link != index || own.net.addr().is_ipv4());
        });
        cloud.netns("web1").routes.push(reachable_route("::/0", Some("fd77::1"), nic));
        add(&mut cloud, "web1", "eth0", "fd77::24/64", "global");
        cloud.intent.networks[0].cidr_v6 = "fd77::/64".parse().ok();
        assert_eq!(beyond(&cloud), [], "a range of the site's own is known nowhere else");
    }

    /// That its host has met it with an address tells nothing of whether it still has that.
    #[test]
    fn the_silence_of_a_neighbour_that_cannot_be_entered_is_a_gap() {
        let mut cloud = dual();
        for (nth, (name, net)) in [("web1", WEB1), ("web2", WEB2)].into_iter().enumerate() {
            cloud.close(name);
            met(&mut cloud, nth, net);
        }
        let to = "2001:db8:77::f816:3eff:fe00:225".parse().unwrap();
        // What the kernel has beside each address.
        let bridge = cloud.link("compute1", "br100").index;
        let near = reachable_route("2001:db8:77::/64", None, bridge);
        let own = reachable_route("2001:db8:77::1/128", None, bridge);
        let own = Route { table: TABLE_LOCAL, kind: RouteKind::Local, ..own };
        let compute1 = cloud.netns("compute1");
        compute1.routes.extend([near, own]);
        compute1.rules6 = compute1.rules.clone();
        cloud.probes = vec![ProbeResult { to, ..pinged("web1", PING_OCTETS, 0) }];
        assert_eq!(gaps(&cloud), ["whether web1 reaches 2001:db8:77:0:f816:3eff:fe00:225 over IPv6"]);
        cloud.probes = vec![ProbeResult { to, ..pinged("web1", PING_OCTETS, 2) }];
        assert_eq!(gaps(&cloud), [""; 0]);
    }
}
