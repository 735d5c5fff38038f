//! IPv6 between an instance and the host that serves it: the addresses by which they can be asked. What is on a link
//! alone needs that link to be named, and is left out.
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
use sim::{Answer, World};

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
    met(world, instance).or_else(|| made(world, instance))
}

fn made(world: &World, instance: usize) -> Option<Ipv6Addr> {
    let one = world.intent.instances.get(instance).filter(|_| world.inside(instance).is_none())?;
    one.vifs.iter().find_map(|vif| own_v6::addresses(world, instance, vif).first().copied())
}

/// The address with which its host has met the NIC of one that cannot be entered: it speaks IPv6, and what is sent with
/// that is its own.
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
        let mut met =
            met.filter(|entry| entry.state.is_valid() && !entry.proxy).filter_map(|entry| match entry.ip {
                IpAddr::V6(ip) => Some(ip).filter(|ip| prefixes.iter().any(|prefix| prefix.contains(ip))),
                IpAddr::V4(_) => None,
            });
        met.next()
    })
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
    use model::route::{Address, Neighbour, NeighbourState, Standing};

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
}
