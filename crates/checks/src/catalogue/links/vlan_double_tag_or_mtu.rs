//! # vlan-double-tag-or-mtu
//!
//! The way of a VLAN out of a host has no room for full-sized packets and their tag.
//!
//! ## What it means
//! A tag makes every frame four octets longer. Cards and switches mostly leave room for it; where one does not, or was
//! set to a smaller MTU to make room, what the instances send at full size dies there, and no ICMP tells of it: a
//! bridge and a cable have none. Small packets pass. A VLAN device takes no more than its lower link, and the bridge
//! no more than the least of its ports, so what the host itself sends to its instances is cut into pieces.
//!
//! ## How hopline knows
//! By the MTUs as they are set: of the VLAN device, of the link below it and, where that was read, of the switch's port
//! behind it, against what the instances' NICs send: the NIC itself where it may be looked at, else the host's end of
//! it, or the MTU that dnsmasq offers. A switch that was not read is not judged: there `diagnose` sends a ping of full
//! size.
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
//! port's MTU, or jumbo frames.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting", "The Issue"; `vlan_dev_change_mtu`, net/8021q/vlan_dev.c;
//! `vlan_device_event`, net/8021q/vlan.c; `br_nf_dev_queue_xmit`, net/bridge/br_netfilter_hooks.c.

use model::Netns;
use model::finding::{Confidence, Evidence, Remedy};
use model::link::Link;
use model::path::{Direction, Exchange, Stage, Stop};
use sim::FarEnd;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::restart::typed;
use crate::size::{self, Sent};
use crate::view::View;
use crate::vlans::{self, VlanSeat};

/// What a veth takes beyond its MTU (`VLAN_HLEN`; `__is_skb_forwardable`, include/linux/netdevice.h).
const TAG_OCTETS: u32 = 4;

/// Looks for VLANs whose way out is narrower than what their instances send.
pub fn check(view: &View) -> Vec<Found> {
    vlans::all(view).iter().filter_map(|seat| narrow(view, seat)).collect()
}

/// The narrowest part of a VLAN's way out of a host.
struct Narrow<'v> {
    ns: &'v Netns,
    link: &'v Link,
    /// What it takes of a packet, in octets.
    takes: u32,
}

fn narrow(view: &View, seat: &VlanSeat) -> Option<Found> {
    let device = seat.device.filter(|device| device.is_running())?;
    let sent = sent(view, seat)?;
    let lower = seat.lower.unwrap_or(device);
    let far = far_end(view, seat.ns, lower);
    // What is nearer to the cable forces the rest down, and so comes first.
    let way = [far, Some((seat.ns, lower, 0)), Some((seat.ns, device, 0))];
    let parts = way.into_iter().flatten().map(|(ns, link, room)| {
        let takes = link.mtu.saturating_add(room);
        Narrow { ns, link, takes }
    });
    let narrow = parts.min_by_key(|part| part.takes).filter(|part| part.takes < sent.octets)?;
    // A switch's port is named with what is plugged into it: it is there that somebody looks.
    let link = if std::ptr::eq(narrow.ns, seat.ns) { narrow.link } else { lower };
    let where_ = if std::ptr::eq(narrow.ns, seat.ns) {
        format!("{} of {}", link.name, seat.ns.machine)
    } else {
        format!("{} of {}, behind {} of {}", narrow.link.name, narrow.ns.machine, lower.name, seat.ns.machine)
    };
    let is_its = |ns: &Netns, name: &str, stop: &Stop| {
        let on_host = std::ptr::eq(ns, seat.ns) && [&device.name, &lower.name].iter().any(|own| *own == name);
        let at_it = std::ptr::eq(ns, narrow.ns) && narrow.link.name == name;
        matches!(stop, Stop::TooBig { .. }) && (on_host || at_it)
    };
    let stopped = view.stop(|s| {
        let ns = view.netns_at(&s.hop.at);
        ns.is_some_and(|ns| is_its(ns, &s.hop.at.device, s.stop))
    });
    let fault = Fault {
        code: "vlan-double-tag-or-mtu",
        hop: at(seat.ns, &link.name, Stage::Wire),
        summary: format!(
            "large packets of VLAN {} die at {where_}, which takes {} octets and should take {}",
            seat.id, narrow.takes, sent.octets
        ),
        cause: format!(
            "the MTU of {} is {}, and {}; a tag takes {TAG_OCTETS} octets more",
            narrow.link.name, narrow.link.mtu, sent.why
        ),
        confidence: Confidence::Proven,
        evidence: shown(seat, &narrow, &sent),
        owner: "operator",
        remedy: remedies(seat, device, &narrow, sent.octets),
        instances: view.instances_on(&seat.ns.machine),
        stopped,
        mend: widened(seat, device, &narrow, sent.octets),
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both))
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

fn shown(seat: &VlanSeat, narrow: &Narrow, sent: &Sent) -> Vec<Evidence> {
    let own = [seat.device, seat.lower].into_iter().flatten().map(|link| evidence::link(seat.ns, link));
    let far = (!std::ptr::eq(narrow.ns, seat.ns)).then(|| evidence::link(narrow.ns, narrow.link));
    own.chain(far).chain([sent.evidence.clone()]).collect()
}

/// The links that are to take more, in the order in which the kernel lets them.
fn small<'v>(
    device: &'v Link,
    narrow: &Narrow<'v>,
    octets: u32,
    seat: &VlanSeat<'v>,
) -> Vec<(&'v Netns, &'v Link)> {
    let follows = !std::ptr::eq(narrow.link, device) && device.mtu < octets;
    let device = follows.then_some((seat.ns, device));
    [Some((narrow.ns, narrow.link)), device].into_iter().flatten().collect()
}

fn remedies(seat: &VlanSeat, device: &Link, narrow: &Narrow, octets: u32) -> Vec<Remedy> {
    let links = small(device, narrow, octets, seat).into_iter();
    let set = |link: &Link, mtu: u32| format!("ip link set dev {} mtu {mtu}", typed(&link.name));
    let note = |link: &Link| {
        let is_cable = std::ptr::eq(link, narrow.link) && !std::ptr::eq(link, device);
        if is_cable {
            format!("{} where the card counts the tag; every VLAN of it is wider then", octets + TAG_OCTETS)
        } else {
            "the bridge follows unless it was given an MTU by hand".to_owned()
        }
    };
    links
        .map(|(ns, link)| evidence::remedy(ns, &set(link, octets), &set(link, link.mtu), &note(link)))
        .collect()
}

fn widened(seat: &VlanSeat, device: &Link, narrow: &Narrow, octets: u32) -> Vec<Mend> {
    let links = small(device, narrow, octets, seat).into_iter();
    let mend = |(ns, link): (&Netns, &Link)| Mend::Mtu {
        machine: ns.machine.clone(),
        device: link.name.clone(),
        mtu: octets,
    };
    links.map(mend).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Cloud, Hosting, Manager, broken, codes, inject, lacks, nova_cloud};

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
        let found = on_the_network_host().diagnose("web1");
        assert_eq!(codes(&found), ["vlan-double-tag-or-mtu compute1//eth1"]);
        assert_eq!(found.findings[0].exchange, model::path::Exchange::Icmp);
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
    fn a_device_that_was_set_small_by_itself_is_told_alone() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.link("compute1", "vlan101").mtu = 1400;
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["vlan-double-tag-or-mtu compute1//vlan101"]);
        assert_eq!(found.findings[0].remedy.len(), 1);
    }
}
