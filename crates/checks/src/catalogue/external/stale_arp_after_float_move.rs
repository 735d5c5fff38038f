//! # stale-arp-after-float-move
//!
//! A router takes a floating address to be at a MAC that its host has not got.
//!
//! ## What it means
//! After an address has moved to another host, the router goes on sending to the old one until its entry runs out, or
//! for ever where it is pinned. nova-network tells it by a gratuitous ARP, which may be lost, or not be believed.
//!
//! ## How hopline knows
//! A router of the site has a neighbour entry for the floating address whose MAC no link of the host wears that carries
//! the address; and what is for the address dies.
//!
//! ## What it looks like
//! On the router: `ip neigh show FLOATING` with an old MAC. On the public switch: frames to that MAC. The right host's
//! uplink sees nothing.
//!
//! ## Nearest look-alikes
//! * `float-address-missing`: there the router asks in vain, and has no MAC.
//! * `float-dnat-missing`: there the packet gets to the host.
//!
//! ## Fix
//! On the host: `arping -U -c 3 -I eth0 -s FLOATING FLOATING`; on the router: `ip neigh del FLOATING dev LINK`.
//!
//! ## References
//! nova `linux_net.py` `bind_floating_ip`, `send_arp_for_ip`; `net/ipv4/arp.c` `arp_process` (`arp_accept`).

use std::net::{IpAddr, Ipv4Addr};

use model::finding::Confidence;
use model::path::{Direction, Exchange, Stage};
use model::route::{Neighbour, NeighbourState};
use model::{Mac, Netns};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Entry, Mend};
use crate::view::{Stopped, View};

/// Looks for routers that have a floating address at a wrong MAC: one finding an address.
pub fn check(view: &View) -> Vec<Found> {
    let instances = view.vifs().flat_map(|seat| seat.vif.floating.iter().map(move |f| (seat.instance, f)));
    let floating = instances.map(|(instance, floating)| (instance, floating.address));
    floating.flat_map(|(instance, ip)| stale(view, &instance.name, ip)).collect()
}

/// The machine of the site that carries the address.
fn holder<'v>(view: &View<'v>, ip: Ipv4Addr) -> Option<&'v Netns> {
    view.snapshot().netns.iter().find(|ns| !ns.instance && ns.has_address(IpAddr::V4(ip)))
}

fn stale(view: &View, name: &str, ip: Ipv4Addr) -> Vec<Found> {
    let Some(holder) = holder(view, ip) else { return Vec::new() };
    let routers = view.snapshot().hosts.iter().filter(|host| host.role == "router");
    let routers = routers.filter_map(|host| view.snapshot().main_netns(&host.name));
    let wears = |mac: Mac| holder.links.iter().any(|link| link.mac == Some(mac));
    let is_stale = |n: &&Neighbour| {
        n.ip == IpAddr::V4(ip) && n.state.is_valid() && !n.proxy && n.mac.is_some_and(|mac| !wears(mac))
    };
    let entries = routers.flat_map(|ns| ns.neighbours.iter().filter(is_stale).map(move |n| (ns, n)));
    entries.filter_map(|(router, entry)| taken_elsewhere(view, (name, ip), holder, router, entry)).collect()
}

fn taken_elsewhere(
    view: &View,
    (name, ip): (&str, Ipv4Addr),
    holder: &Netns,
    router: &Netns,
    entry: &Neighbour,
) -> Option<Found> {
    let taken = entry.mac?;
    let link = router.link(entry.link)?;
    let carried = holder.addresses.iter().find(|a| a.net.addr() == IpAddr::V4(ip))?;
    let uplink = holder.link(carried.link)?;
    let right = uplink.mac?;
    let goes_back = |s: &Stopped| s.direction == Direction::Reply || s.rung.to == IpAddr::V4(ip);
    let stopped =
        view.stop(|s| goes_back(s) && s.exchange == Exchange::Icmp && s.hop.at.host != holder.machine);
    let by_hand = if entry.state == NeighbourState::Permanent { ", set by hand" } else { "" };
    let fault = Fault {
        code: "stale-arp-after-float-move",
        hop: at(router, &link.name, Stage::Neighbour),
        summary: format!(
            "what is for {ip} of {name} does not get to {}: {} takes it to be at {taken}",
            holder.machine, router.machine
        ),
        cause: format!(
            "the neighbour entry of {} for {ip} has {taken}{by_hand}; {} of {} is {right}",
            router.machine, uplink.name, holder.machine
        ),
        confidence: Confidence::Proven,
        evidence: vec![evidence::neighbour(router, link, ip), evidence::link(holder, uplink)],
        owner: "network team",
        remedy: vec![
            evidence::remedy(
                holder,
                &format!("arping -U -c 3 -I {} -s {ip} {ip}", uplink.name),
                "",
                "tells everybody; an entry set by hand believes nobody",
            ),
            evidence::remedy(
                router,
                &format!("ip neigh del {ip} dev {}", link.name),
                &format!("ip neigh replace {ip} lladdr {taken} dev {}", link.name),
                "the router asks anew",
            ),
        ],
        instances: vec![name.to_owned()],
        stopped,
        mend: vec![Mend::Forget {
            machine: router.machine.clone(),
            entry: Entry::Neighbour { device: link.name.clone(), ip: IpAddr::V4(ip) },
        }],
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, minicloud};

    const CODE: &str = "stale-arp-after-float-move";

    #[test]
    fn fires_on_the_router_that_has_a_stale_entry() {
        assert_eq!(codes(&broken(CODE).diagnose("web1")), ["stale-arp-after-float-move gw//eth0"]);
    }

    #[test]
    fn fires_where_the_switch_between_cannot_be_looked_into() {
        let mut cloud = minicloud();
        let ip: std::net::IpAddr = "203.0.113.101".parse().unwrap();
        let entries = &mut cloud.netns("gw").neighbours;
        let entry = entries.iter_mut().find(|n| n.ip == ip).expect("the router has asked for it");
        entry.mac = "02:00:5e:00:53:01".parse().ok();
        assert_eq!(codes(&cloud.diagnose("inst1")), ["stale-arp-after-float-move gw//eth1"]);
    }

    #[test]
    fn stays_silent_on_a_mac_that_another_link_of_the_host_wears() {
        let mut cloud = broken(CODE);
        let mac = cloud.link("compute1", "eth1").mac;
        cloud.netns("gw").neighbours.iter_mut().for_each(|n| n.mac = mac);
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_where_the_host_lacks_the_address_or_its_rule() {
        for other in ["float-address-missing", "float-dnat-missing", "uplink-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
