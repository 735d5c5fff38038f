//! # metadata-zeroconf-route
//!
//! The instance looks for the metadata service on its own segment, where nobody answers.
//!
//! ## What it means
//! The instance has a route for 169.254.0.0/16 straight out of its NIC, as zeroconf (IPv4LL) sets it up. It
//! asks by ARP who has 169.254.169.254 instead of handing the question to its gateway. The host that serves
//! it would answer such an ARP if it carried the address, which nova-network puts on `lo`; this one does not,
//! or was told not to answer (`arp_ignore`). Everything else works.
//!
//! ## How hopline knows
//! In the instance, which can be entered, the route to 169.254.169.254 has no gateway, and the walk found
//! nobody who answers for that address.
//!
//! ## What it looks like
//! `ip route` in the instance shows `169.254.0.0/16 dev eth0`; on its tap ARP for 169.254.169.254 repeats;
//! the counter of nova's DNAT rule stands. cloud-init fails after three seconds a try: `No route to host`.
//!
//! ## Nearest look-alikes
//! * `metadata-dnat-missing`: the question comes to the host's routing and is not led on.
//! * the same route where the host does answer: that works, and is no fault.
//!
//! ## Fix
//! In the instance: `ip route del 169.254.0.0/16 dev eth0`, and NOZEROCONF=yes in /etc/sysconfig/network, or
//! avahi-autoipd removed, so that it stays away. On the host, for all its instances at once: `ip addr add
//! 169.254.169.254/32 scope link dev lo`, which a restart of nova-network also does. Undo: add the route,
//! delete the address.
//!
//! ## References
//! RFC 3927; nova `linux_net.py` `ensure_metadata_ip`; kernel `arp_process` (net/ipv4/arp.c), ip-sysctl.rst
//! `arp_ignore`.

use std::net::IpAddr;

use model::Netns;
use model::finding::Confidence;
use model::path::{Direction, Disposition, Exchange, Stage, Stop};
use model::route::{Route, RouteKind, TABLE_MAIN};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung};
use crate::mend::{Entry, Mend};
use crate::metadata;
use crate::said;
use crate::view::View;

/// Looks for instances that ask their own segment in vain.
pub fn check(view: &View) -> Vec<Found> {
    // Where nobody can look at the segment, the asker's own stack says that the neighbour is absent.
    let is_absent = |rung: &Rung| view.silent(rung).is_some_and(|silent| !silent.errors.is_empty());
    let in_vain = |rung: &&Rung| asks_in_vain(rung) || is_absent(rung);
    let asked = view.rungs.iter().filter(|rung| rung.purpose == Purpose::Metadata).filter(in_vain);
    asked.filter_map(|rung| zeroconf(view, rung)).collect()
}

/// The question died for want of a neighbour that has the address itself.
fn asks_in_vain(rung: &Rung) -> bool {
    rung.answer.paths.iter().any(|path| {
        let wanted = IpAddr::V4(metadata::ADDRESS);
        matches!(&path.disposition, Disposition::Dropped(Stop::NeighbourUnresolved { ip, .. }) if *ip == wanted)
    })
}

fn zeroconf(view: &View, rung: &Rung) -> Option<Found> {
    let inside = view.world.ns(view.world.inside(rung.instance)?);
    let route = on_link(inside)?;
    let device = inside.link_name(route.nexthops.first()?.link);
    let instance = view.intent().instances.get(rung.instance)?;
    let net = route.destination;
    let mut evidence = vec![evidence::state(
        inside,
        "ip route get 169.254.169.254",
        format!("{net} dev {device}, without a gateway"),
    )];
    let server = view.intent().servers_of(instance).first().and_then(|name| view.snapshot().main_netns(name));
    evidence.extend(server.map(|ns| host_says(view, ns)));
    evidence.extend(metadata::console(view, instance));
    let stopped = view.stop(|s| std::ptr::eq(s.rung, rung));
    // Where a walk stops, the diagnosis itself adds what was asked.
    evidence.extend(view.silent(rung).filter(|_| stopped.is_none()).map(said::evidence));
    let on_host = server.map(|ns| {
        let [add, delete] =
            ["add", "del"].map(|verb| format!("ip addr {verb} 169.254.169.254/32 scope link dev lo"));
        evidence::remedy(ns, &add, &delete, "as nova-network does at its start: the host then answers")
    });
    let inside_it = evidence::remedy(
        inside,
        &format!("ip route del {net} dev {device}"),
        &format!("ip route add {net} dev {device}"),
        "in the instance; NOZEROCONF=yes keeps it away",
    );
    let fault = Fault {
        code: "metadata-zeroconf-route",
        hop: at(inside, &device, Stage::Instance),
        summary: format!(
            "{} looks for metadata on its own segment, by its route {net}, and nobody answers there",
            instance.name
        ),
        cause: format!("a route for zeroconf in {} leads 169.254.169.254 past its gateway", instance.name),
        confidence: Confidence::Proven,
        evidence,
        owner: "guest",
        remedy: [inside_it].into_iter().chain(on_host).collect(),
        instances: vec![instance.name.clone()],
        stopped,
        mend: vec![Mend::Forget {
            machine: inside.machine.clone(),
            entry: Entry::Route { table: TABLE_MAIN, destination: net, kind: RouteKind::Unicast },
        }],
    };
    Some(fault.found().breaks(Exchange::Tcp, Direction::Both))
}

/// The route that the address is looked up to, where it has no gateway and is not the default.
fn on_link(ns: &Netns) -> Option<&Route> {
    let leads = |route: &&Route| {
        let reaches = route.destination.contains(&IpAddr::V4(metadata::ADDRESS));
        route.table == TABLE_MAIN && route.kind == RouteKind::Unicast && reaches
    };
    let best = ns.routes.iter().filter(leads).max_by_key(|route| route.destination.prefix_len())?;
    let straight = best.nexthops.iter().all(|hop| hop.via.is_none());
    (straight && !best.is_default()).then_some(best)
}

/// Why the host does not answer for the address.
fn host_says(view: &View, ns: &Netns) -> model::finding::Evidence {
    if ns.has_address(IpAddr::V4(metadata::ADDRESS)) {
        return evidence::sysctl(ns, &format!("ipv4.conf.{}.arp_ignore", view.inner_link(ns)));
    }
    evidence::state(ns, "ip addr show to 169.254.169.254", "no link carries it")
}

#[cfg(test)]
mod tests {
    use model::finding::Outcome;

    use crate::fixture::{broken, codes, healthy, lacks, reachable_route};

    #[test]
    fn fires_on_a_route_that_leads_past_the_gateway() {
        let diagnosis = broken("metadata-zeroconf-route").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["metadata-zeroconf-route web1//eth0"]);
        let commands: Vec<&str> = diagnosis.findings[0].remedy.iter().map(|r| r.command.as_str()).collect();
        assert!(commands[0].ends_with("ip route del 169.254.0.0/16 dev eth0"), "{commands:?}");
        assert!(commands[1].ends_with("ip addr add 169.254.169.254/32 scope link dev lo"), "{commands:?}");
    }

    #[test]
    fn fires_on_a_host_that_may_not_answer() {
        let mut cloud = healthy();
        let nic = cloud.link("web1", "eth0").index;
        cloud.netns("web1").routes.push(reachable_route("169.254.0.0/16", None, nic));
        let sysctls = &mut cloud.netns("compute1").sysctls;
        sysctls.insert("ipv4.conf.br100.arp_ignore".to_owned(), "1".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), ["metadata-zeroconf-route web1//eth0"]);
    }

    #[test]
    fn stays_silent_where_the_host_answers_for_the_address() {
        let mut cloud = healthy();
        let nic = cloud.link("web1", "eth0").index;
        cloud.netns("web1").routes.push(reachable_route("169.254.0.0/16", None, nic));
        let diagnosis = cloud.diagnose("web1");
        assert_eq!((codes(&diagnosis), diagnosis.outcome), (Vec::new(), Outcome::Healthy));
    }

    #[test]
    fn stays_silent_where_nothing_is_known_of_the_inside() {
        let mut cloud = broken("metadata-zeroconf-route");
        cloud.close("web1");
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_the_hosts_own_faults() {
        for other in ["metadata-dnat-missing", "metadata-service-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "metadata-zeroconf-route"), "{other}");
        }
    }
}
