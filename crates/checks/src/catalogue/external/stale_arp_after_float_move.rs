//! # stale-arp-after-float-move
//!
//! A router takes a floating address to be at a MAC that its host has not got.
//!
//! ## What it means
//! After an address has moved to another host, the router goes on sending to the old one until its entry runs out, or
//! for ever where it is pinned. nova-network tells it by a gratuitous ARP, which may be lost, or not be believed.
//!
//! ## How hopline knows
//! A router of the site has a neighbour entry for the floating address whose MAC no link of the host wears that
//! carries the address. Where no router can be looked into, packets for the address are seen to come to the right
//! host's uplink in frames for another station, or are dropped there by the kernel as such (`OTHERHOST`): that they get
//! there at all is a switch's doing that does not know the old MAC, and it is likely. Where the address is pinged from
//! outside and answers, it is not told, nor where two hosts carry it.
//!
//! ## What it looks like
//! On the router: `ip neigh show FLOATING` with an old MAC. On the public switch: frames to that MAC. The right host's
//! uplink sees nothing.
//!
//! ## Nearest look-alikes
//! * `float-on-two-hosts`: there the router's MAC is a host's, too, that should not have the address.
//! * `float-address-missing`: there the router asks in vain, and has no MAC.
//! * `float-dnat-missing`: there the packet gets to the host.
//!
//! ## Fix
//! On the host: `arping -U -c 3 -I eth0 -s FLOATING FLOATING`; on the router: `ip neigh del FLOATING dev LINK`.
//!
//! ## References
//! nova `linux_net.py` `bind_floating_ip`, `send_arp_for_ip`; `net/ipv4/arp.c` `arp_process` (`arp_accept`).

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, Remedy};
use model::intent::Instance;
use model::kernel_drop::KernelDrop;
use model::path::{Direction, Exchange, Stage};
use model::probe::FrameSeen;
use model::route::{Neighbour, NeighbourState};
use model::{Mac, Netns};

use crate::catalogue::firewall::float_on_two_hosts;
use crate::dropped;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::frames;
use crate::ladder::{Purpose, Rung};
use crate::mend::{Entry, Mend};
use crate::view::{Stopped, View};

/// Looks for routers that have a floating address at a wrong MAC: one finding an address.
pub fn check(view: &View) -> Vec<Found> {
    let instances = view.vifs().flat_map(|seat| seat.vif.floating.iter().map(move |f| (seat.instance, f)));
    let floating = instances.map(|(instance, floating)| (instance, floating.address));
    let moved = floating.filter(|(instance, ip)| {
        !float_on_two_hosts::tells(view, IpAddr::V4(*ip)) && !is_reached(view, instance, *ip)
    });
    let told = |(instance, ip): (&Instance, Ipv4Addr)| {
        let by_entry = stale(view, instance, ip);
        if by_entry.is_empty() { misaddressed(view, instance, ip).into_iter().collect() } else { by_entry }
    };
    moved.flat_map(told).collect()
}

/// Somebody outside asked the address and was answered: whatever the entry says, it does no harm.
fn is_reached(view: &View, instance: &Instance, ip: Ipv4Addr) -> bool {
    let is_inbound = |rung: &Rung| rung.purpose == Purpose::Inbound(ip);
    view.rungs_of(instance).any(|rung| is_inbound(rung) && view.is_answered(rung))
}

/// The machine of the site that carries the address.
fn holder<'v>(view: &View<'v>, ip: Ipv4Addr) -> Option<&'v Netns> {
    view.snapshot().netns.iter().find(|ns| !ns.instance && ns.has_address(IpAddr::V4(ip)))
}

fn stale(view: &View, instance: &Instance, ip: Ipv4Addr) -> Vec<Found> {
    let Some(holder) = holder(view, ip) else { return Vec::new() };
    let routers = view.snapshot().hosts.iter().filter(|host| host.role == "router");
    let routers = routers.filter_map(|host| view.snapshot().main_netns(&host.name));
    let wears = |mac: Mac| holder.links.iter().any(|link| link.mac == Some(mac));
    let is_stale = |n: &&Neighbour| {
        n.ip == IpAddr::V4(ip) && n.state.is_valid() && !n.proxy && n.mac.is_some_and(|mac| !wears(mac))
    };
    let entries = routers.flat_map(|ns| ns.neighbours.iter().filter(is_stale).map(move |n| (ns, n)));
    entries
        .filter_map(|(router, entry)| taken_elsewhere(view, (instance, ip), holder, router, entry))
        .collect()
}

fn taken_elsewhere(
    view: &View,
    (instance, ip): (&Instance, Ipv4Addr),
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
    let name = &instance.name;
    let is_own = |s: &Stopped| view.rungs_of(instance).any(|rung| std::ptr::eq(rung, s.rung));
    let stopped = view.stop(|s| {
        is_own(s) && goes_back(s) && s.exchange == Exchange::Icmp && s.hop.at.host != holder.machine
    });
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
            announced(holder, &uplink.name, ip),
            evidence::remedy(
                router,
                &format!("ip neigh del {ip} dev {}", link.name),
                &format!("ip neigh replace {ip} lladdr {taken} dev {}", link.name),
                "the router asks anew",
            ),
        ],
        instances: vec![name.clone()],
        stopped,
        mend: vec![Mend::Forget {
            machine: router.machine.clone(),
            entry: Entry::Neighbour { device: link.name.clone(), ip: IpAddr::V4(ip) },
        }],
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both))
}

/// What is for the address comes to its host in frames for another station, whose MAC some router beyond has for it.
fn misaddressed<'v>(view: &View<'v>, instance: &Instance, ip: Ipv4Addr) -> Option<Found> {
    let holder = holder(view, ip)?;
    let carried = holder.addresses.iter().find(|a| a.net.addr() == IpAddr::V4(ip))?;
    let uplink = holder.link(carried.link)?;
    let right = uplink.mac?;
    let is_here = |drop: &KernelDrop| {
        let owner = drop.owner.as_ref().map(|owner| (&owner.machine, &owner.netns));
        owner == Some((&holder.machine, &holder.name)) && drop.device == uplink.name
    };
    // The answer to what left translated, or the question to the address itself.
    let is_for_it = |drop: &KernelDrop| drop.to == IpAddr::V4(ip) || drop.direction == Direction::Reply;
    let dropped = |rung: &Rung| {
        let is_its = |drop: &&KernelDrop| {
            drop.reason == "OTHERHOST"
                && (&drop.from, drop.to) == (&rung.from, rung.to)
                && is_here(drop)
                && is_for_it(drop)
        };
        view.drops.iter().find(is_its)
    };
    let framed = |rung: &Rung| {
        let is_foreign = |frame: &&FrameSeen| {
            frame.destination == IpAddr::V4(ip) && frame.station != right && !frame.station.is_group()
        };
        frames::at(view, (holder, &uplink.name), rung).find(is_foreign)
    };
    let mut lost = view.rungs_of(instance).filter(|rung| view.silent(rung).is_some());
    let seen = |rung: &'v Rung| match (dropped(rung), framed(rung)) {
        (None, None) => None,
        (drop, frame) => Some((rung, drop, frame)),
    };
    let (rung, drop, frame) = lost.find_map(seen)?;
    let taken = frame.map_or_else(
        || format!("at another MAC than {right}"),
        |frame| format!("at {} and not at {right}", frame.station),
    );
    let direction = if rung.to == IpAddr::V4(ip) { Direction::Request } else { Direction::Reply };
    let seen = frame.map(|frame| frames::evidence(holder, &uplink.name, frame));
    let (name, host, link) = (&instance.name, &holder.machine, &uplink.name);
    let fault = Fault {
        code: "stale-arp-after-float-move",
        hop: at(holder, link, Stage::Wire),
        summary: format!(
            "what is for {ip} of {name} comes to {link} of {host} in frames for another station"
        ),
        cause: format!(
            "who sends it beyond {link} takes {ip} to be {taken}: an entry from before the address moved, or set by \
             hand"
        ),
        confidence: Confidence::Likely,
        evidence: drop
            .map(dropped::evidence)
            .into_iter()
            .chain(seen)
            .chain([evidence::link(holder, uplink)])
            .collect(),
        owner: "network team",
        remedy: vec![
            announced(holder, link, ip),
            evidence::advice(
                format!(
                    "on the router in front of {link}: ip neigh show {ip}, and ip neigh del where it is wrong"
                ),
                "the router asks anew",
            ),
        ],
        instances: vec![name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    let exchange = view.silent(rung).map_or(Exchange::Icmp, |probe| probe.asked.exchange());
    Some(fault.found().breaks(exchange, direction).met_at(view.beginning_of(rung)))
}

/// Tells the segment where an address is.
fn announced(holder: &Netns, link: &str, ip: Ipv4Addr) -> Remedy {
    evidence::remedy(
        holder,
        &format!("arping -U -c 3 -I {link} -s {ip} {ip}"),
        "",
        "tells everybody; an entry set by hand believes nobody",
    )
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::kernel_drop::KernelDrop;
    use model::path::Direction;
    use model::probe::{FrameSeen, PING_OCTETS, ProbeResult};
    use model::route::Address;

    use crate::fixture::{broken, codes, dropped_at, healthy, lacks, minicloud, pinged, watch};

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
    fn where_no_router_is_read_frames_for_another_station_are_likely_to_be_it() {
        let mut cloud = healthy();
        for away in ["gw", "isp", "external", "fabric"] {
            cloud.snapshot.hosts.retain(|h| h.name != away);
            cloud.snapshot.netns.retain(|n| n.machine != away);
        }
        let to = [203, 0, 113, 1].into();
        cloud.probes = vec![ProbeResult { to, ..pinged("web1", PING_OCTETS, 0) }];
        let dropped = dropped_at("compute1", "eth0", ("OTHERHOST", "ip_rcv_core"));
        cloud.drops = vec![KernelDrop { to, direction: Direction::Reply, ..dropped }];
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told), ["stale-arp-after-float-move compute1//eth0"]);
        assert_eq!(told.findings[0].confidence, Confidence::Likely);
        // What leaves is not for it, and what is answered is not lost.
        cloud.drops[0].direction = Direction::Request;
        assert!(lacks(&cloud.diagnose("web1"), CODE));
        // Where the kernel's own word cannot be had, the frames that were seen tell; those for its host tell nothing.
        cloud.drops.clear();
        let float = [203, 0, 113, 30].into();
        let answer = |station| FrameSeen { station, destination: float, is_answer: true };
        let uplink = cloud.link("compute1", "eth0").mac.unwrap();
        for (station, is_told) in [("02:00:5e:00:53:01".parse().unwrap(), true), (uplink, false)] {
            cloud.watches = vec![watch("eth0", ("web1".to_owned(), to), answer(station))];
            assert_eq!(lacks(&cloud.diagnose("web1"), CODE), !is_told, "{station}");
        }
        cloud.watches =
            vec![watch("eth0", ("web1".to_owned(), to), answer("02:00:5e:00:53:01".parse().unwrap()))];
        cloud.probes[0].received = 2;
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_a_mac_that_another_link_of_the_host_wears() {
        let mut cloud = broken(CODE);
        let mac = cloud.link("compute1", "eth1").mac;
        cloud.netns("gw").neighbours.iter_mut().for_each(|n| n.mac = mac);
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_where_the_address_answers_or_two_hosts_carry_it() {
        let mut cloud = minicloud();
        let ip: std::net::IpAddr = "203.0.113.101".parse().unwrap();
        let second = cloud.link("host2", "eth0").mac;
        let entries = cloud.netns("gw").neighbours.iter_mut();
        entries.filter(|n| n.ip == ip).for_each(|n| n.mac = second);
        let inbound = ProbeResult { from: "ext".to_owned(), to: ip, ..pinged("ext", PING_OCTETS, 2) };
        assert!(!lacks(&cloud.diagnose("inst1"), CODE));
        assert!(lacks(&cloud.diagnose_with("inst1", &[inbound]), CODE));
        let nic = cloud.link("host2", "eth0").index;
        cloud.netns("host2").addresses.push(Address::global(nic, "203.0.113.101/32".parse().unwrap()));
        let found = cloud.diagnose("inst1");
        assert!(lacks(&found, CODE) && !lacks(&found, "float-on-two-hosts"), "{:?}", codes(&found));
    }

    #[test]
    fn stays_silent_where_the_host_lacks_the_address_or_its_rule() {
        for other in ["float-address-missing", "float-dnat-missing", "uplink-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
