//! # vlan-double-tag-or-mtu
//!
//! The way of a VLAN out of a host has no room for full-sized packets and their tag, or takes the tag off.
//!
//! ## What it means
//! A tag makes every frame four octets longer. Cards and switches mostly leave room for it; where one does not, or was
//! set to a smaller MTU to make room, what the instances send at full size dies there, and no ICMP tells of it: a
//! bridge and a cable have none. Small packets pass. A VLAN device takes no more than its lower link, and the bridge
//! no more than the least of its ports, so what the host itself sends to its instances is cut into pieces.
//!
//! A port of a switch that hands a VLAN's frames on without their tag is meant for a machine that knows of no VLANs. On
//! a host that does, no VLAN device takes them: nothing of the VLAN comes in, whatever its size.
//!
//! ## How hopline knows
//! By the MTUs as they are set: of the VLAN device, of the link below it and, where that was read, of the switch's port
//! behind it, against what the instances' NICs send: the NIC itself where it may be looked at, else the host's end of
//! it, or the MTU that dnsmasq offers. By the VLANs of that port, where it is a bridge's that keeps VLANs apart:
//! `Egress Untagged`. A switch that was not read is not judged: there `diagnose` sends a ping of full size.
//!
//! ## What it looks like
//! Instances of one host reach each other, and ping works everywhere; between hosts large transfers stall. `ip link
//! show` prints `mtu 1496` for eth1, vlan100 and br100 and `mtu 1500` for vnet0. `tcpdump -e -i eth1 vlan` shows no
//! frame of full size on what leaves.
//!
//! ## Nearest look-alikes
//! * `mtu-tap-small`: there the instance's own port takes less, and large packets die on one host, too.
//! * `pmtu-blackhole`: the hosts' MTUs agree, and a link further on is too small.
//! * `vlan-tag-wrong`: small packets die, too.
//!
//! ## Fix
//! `ip link set dev eth1 mtu 1504` (1500 where the card does not count the tag), then `ip link set dev vlan100 mtu
//! 1500`, which does not follow by itself; the bridge does. Undo: the old MTUs in reverse order. On the switch: the
//! port's MTU, or jumbo frames; and the VLAN tagged on the port (`bridge vlan add vid 100 dev PORT`).
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting", "The Issue"; `vlan_dev_change_mtu`, net/8021q/vlan_dev.c;
//! `vlan_device_event`, net/8021q/vlan.c; `br_nf_dev_queue_xmit`, net/bridge/br_netfilter_hooks.c.

use model::Netns;
use model::finding::{Confidence, Evidence, Remedy};
use model::link::Link;
use model::path::{Direction, Exchange, Place, Stage, Stop};
use model::vlan::BridgeVlans;
use sim::FarEnd;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::restart::typed;
use crate::size::{self, Sent};
use crate::view::{Stopped, View};
use crate::vlans::{self, VlanSeat};

/// What a veth takes beyond its MTU (`VLAN_HLEN`; `__is_skb_forwardable`, include/linux/netdevice.h).
const TAG_OCTETS: u32 = 4;

/// Looks for VLANs whose way out is narrower than what their instances send: one finding a link, whatever VLANs it
/// carries.
pub fn check(view: &View) -> Vec<Found> {
    let seats = vlans::all(view);
    let mut narrow: Vec<Narrow> = Vec::new();
    for part in seats.iter().filter_map(|seat| narrowest(view, seat)) {
        match narrow.iter_mut().find(|known| std::ptr::eq(known.link, part.link)) {
            Some(known) => known.vlans.extend(part.vlans),
            None => narrow.push(part),
        }
    }
    let narrow = narrow.iter().map(|narrow| found(view, narrow));
    narrow.chain(seats.iter().filter_map(|seat| stripped(view, seat))).collect()
}

/// The switch's port hands on what is for the VLAN device without the tag that it is known by.
fn stripped(view: &View, seat: &VlanSeat) -> Option<Found> {
    let (device, lower) = seat.device.zip(seat.lower)?;
    let (far_ns, far, _) = far_end(view, seat.ns, lower)?;
    let is_aware = |bridge: &Link| bridge.bridge.is_some_and(|bridge| bridge.vlan_filtering);
    far.master.and_then(|bridge| far_ns.link(bridge)).filter(|bridge| is_aware(bridge))?;
    let takes_off = |vlans: &&BridgeVlans| vlans.untagged && (vlans.low..=vlans.high).contains(&seat.id);
    far.bridge_vlans.iter().find(takes_off)?;
    let (id, port) = (seat.id, typed(&far.name));
    // Untagged, it is nobody's: the host's own stack has it, where it would have been the VLAN device's.
    let is_astray = |s: &Stopped| s.is_in(seat.ns) && [&lower.name, &device.name].contains(&&s.hop.at.device);
    let towards = |s: &Stopped| s.rung.purpose.other().is_some() && s.is_in(far_ns);
    let stopped = view.stop(is_astray).or_else(|| view.stop(towards));
    let fault = Fault {
        code: "vlan-double-tag-or-mtu",
        hop: at(seat.ns, &lower.name, Stage::Wire),
        summary: format!(
            "frames of VLAN {id} come to {} of {} without their tag",
            lower.name, seat.ns.machine
        ),
        cause: format!(
            "{} of {}, behind {}, takes the tag off, and {} takes none without it",
            far.name, far_ns.machine, lower.name, device.name
        ),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(far_ns, &format!("bridge vlan show dev {port}"), format!("{id} Egress Untagged")),
            evidence::link(seat.ns, device),
        ],
        owner: "operator",
        remedy: vec![evidence::remedy(
            far_ns,
            &format!("bridge vlan add vid {id} dev {port}"),
            &format!("bridge vlan add vid {id} dev {port} untagged"),
            "who is behind the port and knows of no VLANs is cut off by it",
        )],
        instances: view.instances_on(&seat.ns.machine),
        stopped,
        mend: vec![Mend::KeepTag { machine: far_ns.machine.clone(), device: far.name.clone(), id }],
    };
    let lost_at = stopped.map(|stopped| stopped.hop.at.clone());
    Some(fault.found().losing_at(lost_at).breaks(Exchange::Icmp, Direction::Both))
}

/// The narrowest part of the way of VLANs out of a host.
struct Narrow<'v> {
    /// Where the part is: the host, or the switch.
    ns: &'v Netns,
    link: &'v Link,
    /// What it takes of a packet, in octets.
    takes: u32,
    /// The host.
    host: &'v Netns,
    /// The link below the VLAN devices.
    lower: &'v Link,
    /// Id and device of each VLAN on it.
    vlans: Vec<(u16, &'v Link)>,
    sent: Sent,
}

fn narrowest<'v>(view: &View<'v>, seat: &VlanSeat<'v>) -> Option<Narrow<'v>> {
    let device = seat.device.filter(|device| device.is_running())?;
    let sent = sent(view, seat)?;
    let lower = seat.lower.unwrap_or(device);
    // What is nearer to the cable forces the rest down, and so comes first.
    let way = [far_end(view, seat.ns, lower), Some((seat.ns, lower, 0)), Some((seat.ns, device, 0))];
    let way = way.into_iter().flatten().map(|(ns, link, room)| (ns, link, link.mtu.saturating_add(room)));
    let (ns, link, takes) =
        way.min_by_key(|(.., takes)| *takes).filter(|(.., takes)| *takes < sent.octets)?;
    Some(Narrow { ns, link, takes, host: seat.ns, lower, vlans: vec![(seat.id, device)], sent })
}

fn found(view: &View, narrow: &Narrow) -> Found {
    let Narrow { ns, link, takes, host, lower, vlans, sent } = narrow;
    let is_on_host = std::ptr::eq(*ns, *host);
    let own = format!("{} of {}", if is_on_host { &link.name } else { &lower.name }, host.machine);
    let place = if is_on_host { own } else { format!("{} of {}, behind {own}", link.name, ns.machine) };
    let ids: Vec<String> = vlans.iter().map(|(id, _)| id.to_string()).collect();
    let is_its = |at: &Place| {
        let is_named =
            |ns: &Netns, link: &Link| at.host == ns.machine && at.netns == ns.name && at.device == link.name;
        is_named(ns, link) || is_named(host, lower) || vlans.iter().any(|(_, device)| is_named(host, device))
    };
    let stopped = view.stop(|s| matches!(s.stop, Stop::TooBig { .. }) && is_its(&s.hop.at));
    let fault = Fault {
        code: "vlan-double-tag-or-mtu",
        // A switch's port is named with what is plugged into it: it is there that somebody looks.
        hop: at(host, if is_on_host { &link.name } else { &lower.name }, Stage::Wire),
        summary: format!(
            "large packets of VLAN {} die at {place}, which takes {takes} octets and should take {}",
            ids.join(" and "),
            sent.octets
        ),
        cause: format!(
            "the MTU of {} is {}, and {}; a tag takes {TAG_OCTETS} octets more",
            link.name, link.mtu, sent.why
        ),
        confidence: Confidence::Proven,
        evidence: shown(narrow),
        owner: "operator",
        remedy: remedies(narrow),
        instances: view.instances_on(&host.machine),
        stopped,
        mend: widened(narrow),
    };
    let lost_at = stopped.map(|stopped| stopped.hop.at.clone());
    fault.found().losing_at(lost_at).breaks(Exchange::Icmp, Direction::Both)
}

/// The most that an instance in question sends into the VLAN.
fn sent(view: &View, vlan: &VlanSeat) -> Option<Sent> {
    let own = view.vifs().filter(|seat| seat.bridge_name() == Some(vlan.bridge.as_str()));
    own.filter_map(|seat| size::sent(view, &seat)).max_by_key(|sent| sent.octets)
}

/// The port that a link is plugged into, where that was read, and what it takes beyond its MTU.
fn far_end<'v>(view: &View<'v>, ns: &Netns, lower: &Link) -> Option<(&'v Netns, &'v Link, u32)> {
    match view.world.far_end(view.world.link_named_in(ns, &lower.name)?) {
        FarEnd::Link(far) => Some((view.world.ns(far.ns), view.world.link(far)?, TAG_OCTETS)),
        FarEnd::Guest(..) | FarEnd::Beyond => None,
    }
}

fn shown(narrow: &Narrow) -> Vec<Evidence> {
    let Narrow { ns, link, host, lower, vlans, sent, .. } = narrow;
    let mut links: Vec<(&Netns, &Link)> = vec![(ns, link), (host, lower)];
    links.extend(vlans.iter().map(|(_, device)| (*host, *device)));
    // The narrow one may be any of the others.
    let mut known: Vec<&Link> = Vec::new();
    links.retain(|(_, link)| {
        let is_new = !known.iter().any(|other| std::ptr::eq(*other, *link));
        known.push(link);
        is_new
    });
    links.into_iter().map(|(ns, link)| evidence::link(ns, link)).chain([sent.evidence.clone()]).collect()
}

/// The links that are to take more, in the order in which the kernel lets them.
fn small<'n, 'v>(narrow: &'n Narrow<'v>) -> impl Iterator<Item = (&'v Netns, &'v Link)> + 'n {
    let followed = narrow.vlans.iter().map(|(_, device)| *device);
    let followed = followed
        .filter(|device| device.mtu < narrow.sent.octets && !std::ptr::eq(*device, narrow.link))
        .map(|device| (narrow.host, device));
    [(narrow.ns, narrow.link)].into_iter().chain(followed)
}

fn remedies(narrow: &Narrow) -> Vec<Remedy> {
    let octets = narrow.sent.octets;
    let set = |link: &Link, mtu: u32| format!("ip link set dev {} mtu {mtu}", typed(&link.name));
    let is_device = |link: &Link| narrow.vlans.iter().any(|(_, device)| std::ptr::eq(*device, link));
    let note = |link: &Link| {
        if is_device(link) {
            "the bridge follows unless it was given an MTU by hand".to_owned()
        } else {
            format!("{} where the card counts the tag; every VLAN of it is wider then", octets + TAG_OCTETS)
        }
    };
    let each = |(ns, link): (&Netns, &Link)| {
        evidence::remedy(ns, &set(link, octets), &set(link, link.mtu), &note(link))
    };
    small(narrow).map(each).collect()
}

fn widened(narrow: &Narrow) -> Vec<Mend> {
    let mend = |(ns, link): (&Netns, &Link)| Mend::Mtu {
        machine: ns.machine.clone(),
        device: link.name.clone(),
        mtu: narrow.sent.octets,
    };
    small(narrow).map(mend).collect()
}

#[cfg(test)]
mod tests {
    use model::path::Exchange;
    use model::probe::{DeviceWatch, PING_OCTETS, ProbeSeen};

    use crate::fixture::{Cloud, Hosting, Manager, broken, codes, inject, lacks, nova_cloud, pinged};

    const CODE: &str = "vlan-double-tag-or-mtu";

    fn on_the_network_host() -> Cloud {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::NetworkHost);
        inject(&mut cloud, CODE);
        cloud
    }

    #[test]
    fn fires_on_a_link_below_that_takes_less_and_names_both_steps() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["vlan-double-tag-or-mtu compute1//eth1"]);
        let commands: Vec<&str> = found.findings[0].remedy.iter().map(|r| r.command.as_str()).collect();
        assert!(commands[0].ends_with("ip link set dev eth1 mtu 1500"), "{commands:?}");
        assert!(commands[1].ends_with("ip link set dev vlan101 mtu 1500"), "{commands:?}");
    }

    #[test]
    fn is_what_large_packets_die_of_on_the_way_to_a_network_host() {
        let mut cloud = on_the_network_host();
        assert_eq!(codes(&cloud.diagnose("web1")), ["vlan-double-tag-or-mtu compute1//eth1"]);
        // It is at the VLAN device that they are lost, and the probe says no more than that.
        cloud.probes = vec![pinged("web1", PING_OCTETS, 2), pinged("web1", 1500, 0)];
        cloud.probes.iter_mut().for_each(|probe| probe.to = [198, 51, 100, 10].into());
        let large = |device: &str, requests| {
            let to = [198, 51, 100, 10].into();
            let seen = ProbeSeen {
                from: "web1".to_owned(),
                to,
                exchange: Exchange::Icmp,
                octets: Some(1500),
                port: None,
                requests,
                replies: 0,
                frames: Vec::new(),
                recorded: None,
            };
            let (machine, device) = ("compute1".to_owned(), device.to_owned());
            let (netns, probes, clients) = (String::new(), vec![seen], Vec::new());
            DeviceWatch {
                machine,
                netns,
                device,
                probes,
                clients,
                neighbours: Vec::new(),
                is_recorded: false,
            }
        };
        cloud.watches = vec![large("vnet0", 2), large("vlan101", 0)];
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["vlan-double-tag-or-mtu compute1//eth1"]);
        assert_eq!(found.findings[0].exchange, Exchange::Icmp);
    }

    #[test]
    fn fires_on_the_switchs_port_too() {
        for (mtu, is_small) in [(1500, false), (1495, true)] {
            let mut cloud = nova_cloud(Manager::Vlan, Hosting::NetworkHost);
            cloud.link("fabric", "compute1-1").mtu = mtu;
            let found = cloud.diagnose("web1");
            let expected = if is_small { vec!["vlan-double-tag-or-mtu compute1//eth1"] } else { Vec::new() };
            assert_eq!(codes(&found), expected, "{mtu}");
        }
    }

    #[test]
    fn stays_silent_where_the_instances_send_no_more() {
        let mut cloud = broken(CODE);
        ["web1", "web2", "db1"].iter().for_each(|instance| cloud.link(instance, "eth0").mtu = 1496);
        assert!(lacks(&cloud.diagnose("web1"), CODE), "their NICs are as small");
        let mut cloud = broken(CODE);
        ["web1", "web2", "db1"].iter().for_each(|instance| cloud.close(instance));
        assert!(!lacks(&cloud.diagnose("web1"), CODE), "as far as their taps tell");
        for host in ["compute1", "compute2"] {
            cloud.host(host).dnsmasq.iter_mut().for_each(|d| d.options = vec!["26,1450".to_owned()]);
        }
        assert!(lacks(&cloud.diagnose("web1"), CODE), "they are told to send less");
    }

    #[test]
    fn is_told_once_for_all_vlans_of_a_link() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        ["eth1", "vlan101", "br101", "vlan102", "br102"]
            .iter()
            .for_each(|link| cloud.link("compute2", link).mtu = 1496);
        let found = cloud.diagnose_all();
        assert_eq!(codes(&found), ["vlan-double-tag-or-mtu compute2//eth1"]);
        assert!(found.findings[0].summary.contains("VLAN 101 and 102"), "{}", found.findings[0].summary);
        assert_eq!(found.findings[0].remedy.len(), 3);
    }

    #[test]
    fn a_port_that_takes_the_tag_off_is_told_and_one_that_does_not_look_at_tags_is_not() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::NetworkHost);
        cloud.link("fabric", "compute1-1").bridge_vlans[0].untagged = true;
        assert_eq!(codes(&cloud.diagnose("web1")), ["vlan-double-tag-or-mtu compute1//eth1"]);
        let bridge = cloud.link("fabric", "trunk").bridge.as_mut().unwrap();
        bridge.vlan_filtering = false;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn a_device_that_was_set_small_by_itself_is_told_alone() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.link("compute1", "vlan101").mtu = 1400;
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["vlan-double-tag-or-mtu compute1//vlan101"]);
        assert_eq!(found.findings[0].remedy.len(), 1);
    }
}
