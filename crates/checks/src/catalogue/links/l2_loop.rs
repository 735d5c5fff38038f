//! # l2-loop
//!
//! Two ports of a bridge lead to one segment, and what is for everybody goes round between them.
//!
//! ## What it means
//! Without spanning tree a bridge sends a broadcast out by every other port: what comes in by one of the two leaves by
//! the other, and comes back. Nothing counts it down. The segment is full of copies, and every station that has ever
//! asked for somebody is learned now behind one port and now behind another, so that some packets arrive, some twice,
//! and some not at all.
//!
//! ## How hopline knows
//! Both ports forward, neither end knows spanning tree, and their far ends are ports of one other bridge that was read:
//! that is proven. Where the far ends cannot be seen, it is likely if two instances of this host or more are
//! learned behind one of two ports that lead out of the bridge, while their taps are its ports. What bridges with VLAN
//! filtering do with it is not judged, and what goes round by way of several bridges is told only by that.
//!
//! ## What it looks like
//! `ip -s link`: `RX packets` of both ports grows by thousands a second while nobody does anything. `bridge fdb`: the
//! MAC of a local instance is behind a cable. The kernel's log may say `received packet with own address as source
//! address`. Pings come back with `DUP!`.
//!
//! ## Nearest look-alikes
//! * `duplicate-mac`: one MAC only, and it moves to the tap of another instance.
//! * `tap-tx-queue-drops`: one port only, and nothing goes round.
//!
//! ## Fix
//! Take one of the two out of the bridge: `ip link set PORT nomaster`; two cables to one switch belong in a bond.
//! Undo: `ip link set PORT master BRIDGE`, which closes the loop again. Where the second cable is meant as a spare,
//! spanning tree on both ends keeps it silent.
//!
//! ## References
//! `net/bridge/br_forward.c` `br_flood`; `net/bridge/br_fdb.c` `br_fdb_update`; IEEE 802.1D.

use std::collections::BTreeSet;

use model::finding::{Confidence, Evidence};
use model::link::{FdbKind, Link, LinkKind, PortState};
use model::path::{Direction, Exchange, Stage, Stop};
use model::{Mac, Netns};
use sim::world::FarEnd;
use sim::{LinkId, World};

use crate::evidence;
use crate::flat_interface::{self, FlatInterface};
use crate::found::{Fault, Found, Reach, at};
use crate::mend::{Entry, Mend, Setting};
use crate::restart::typed;
use crate::view::{Order, Seat, Stopped, View, is_misled};

/// Stations that have to come back for it to be likely: one may have moved away.
const STATIONS_MIN: usize = 2;

/// Two ports by which a frame comes back.
struct Circle<'v> {
    ns: &'v Netns,
    bridge: &'v Link,
    /// The one that is expected, and the one to be taken out.
    ports: [&'v Link; 2],
    /// The far end's bridge, where it was read.
    far: Option<(&'v Netns, &'v Link)>,
    /// Local instances' MACs that are learned behind the two.
    stations: BTreeSet<Mac>,
}

/// Looks for bridges of instances that a circle goes through: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let expected = flat_interface::all(view);
    let mut seen = BTreeSet::new();
    let seats =
        view.seats_of_all().filter(|seat| view.hosts_at_both_ends().any(|(_, ns)| std::ptr::eq(ns, seat.ns)));
    let bridges = seats.filter_map(|seat| {
        let bridge = seat.bridge()?;
        seen.insert((&seat.host.name, bridge.index)).then_some((seat.ns, bridge))
    });
    bridges.filter_map(|(ns, bridge)| Some(finding(view, &circle(view, ns, bridge, &expected)?))).collect()
}

/// What goes round passes this link.
pub(crate) fn is_on_circle(world: &World, ns: &Netns, link: &Link) -> bool {
    let bridge = link.master.and_then(|master| ns.link(master));
    bridge
        .and_then(|bridge| closed(world, ns, bridge))
        .is_some_and(|(ports, _)| ports.iter().any(|port| port.index == link.index))
}

/// Something goes round through a bridge of this machine's.
pub(crate) fn has_circle(world: &World, ns: &Netns) -> bool {
    ns.bridges().any(|bridge| closed(world, ns, bridge).is_some())
}

/// Two ports of a bridge whose far ends are ports of one other, and that one.
fn closed<'v>(world: &World, ns: &'v Netns, bridge: &Link) -> Option<([&'v Link; 2], LinkId)> {
    if !floods_blindly(bridge) {
        return None;
    }
    let led = ns.ports(bridge.index).filter(|port| passes(port));
    let led: Vec<_> = led.filter_map(|port| Some((port, far_bridge(world, ns, port)?))).collect();
    let pairs =
        led.iter().enumerate().flat_map(|(nth, one)| led.iter().skip(nth + 1).map(move |other| (one, other)));
    pairs.into_iter().find(|(one, other)| one.1 == other.1).map(|(one, other)| ([one.0, other.0], one.1.1))
}

fn circle<'v>(
    view: &View<'v>,
    ns: &'v Netns,
    bridge: &'v Link,
    expected: &[FlatInterface],
) -> Option<Circle<'v>> {
    let is_expected =
        |port: &Link| expected.iter().any(|flat| std::ptr::eq(flat.ns, ns) && flat.link.index == port.index);
    let made = |[one, other]: [&'v Link; 2], far| {
        let ports = if is_expected(other) { [other, one] } else { [one, other] };
        Circle { ns, bridge, ports, far, stations: stations(view, ns, bridge, ports) }
    };
    if let Some((ports, far)) = closed(view.world, ns, bridge) {
        return Some(made(ports, Some((view.world.ns(far.ns), view.world.link(far)?))));
    }
    let is_unseen =
        |port: &&Link| passes(port) && leads_out(view, ns, port) && far_link(view.world, ns, port).is_none();
    let unseen: Vec<&Link> = ns.ports(bridge.index).filter(is_unseen).collect();
    let [one, other] = unseen.as_slice() else { return None };
    // A container beside a cable is no second cable.
    if is_cable(one) != is_cable(other) {
        return None;
    }
    let circle = made([one, other], None);
    (floods_blindly(bridge) && circle.stations.len() >= STATIONS_MIN).then_some(circle)
}

/// It leads to a switch, as far as its kind tells.
fn is_cable(port: &Link) -> bool {
    matches!(port.kind, LinkKind::Physical | LinkKind::Vlan | LinkKind::Bond)
}

/// Local instances that were learned behind these ports.
fn stations(view: &View, ns: &Netns, bridge: &Link, ports: [&Link; 2]) -> BTreeSet<Mac> {
    let behind = ns.fdb.iter().filter(|e| e.kind == FdbKind::Learned && !e.on_self);
    let behind = behind.filter(|e| ports.iter().any(|port| port.index == e.link));
    let macs = own_macs(view, ns, bridge);
    behind.map(|entry| entry.mac).filter(|mac| macs.contains(mac)).collect()
}

/// It hands frames on, and what is for everybody too.
fn passes(port: &Link) -> bool {
    port.is_running()
        && port.port.is_some_and(|p| p.state == PortState::Forwarding && p.bcast_flood && !p.isolated)
}

/// Nothing keeps it from sending a broadcast out by every port.
fn floods_blindly(bridge: &Link) -> bool {
    bridge.admin_up && bridge.bridge.is_some_and(|b| !b.stp && !b.vlan_filtering)
}

/// No instance is behind it.
fn leads_out(view: &View, ns: &Netns, port: &Link) -> bool {
    let is_seats =
        |seat: Seat| std::ptr::eq(seat.ns, ns) && seat.tap().is_some_and(|tap| tap.index == port.index);
    let is_tap = view.world.link_named_in(ns, &port.name).is_none_or(|id| view.world.is_tap(id));
    let can = match port.kind {
        LinkKind::Physical | LinkKind::Veth | LinkKind::Vlan | LinkKind::Bond => true,
        LinkKind::Loopback
        | LinkKind::Bridge
        | LinkKind::Tun
        | LinkKind::Vxlan
        | LinkKind::Dummy
        | LinkKind::Other(_) => false,
    };
    can && !is_tap && !view.seats_of_all().any(is_seats)
}

/// The VLAN in which it leads out, and what is at the other end of the cable.
fn far_link(world: &World, ns: &Netns, port: &Link) -> Option<(Option<u16>, LinkId)> {
    let (vlan, lower) = match &port.vlan {
        None => (None, port),
        Some(device) => (Some(device.id), ns.link(port.peer?.index)?),
    };
    match world.far_end(world.link_named_in(ns, &lower.name)?) {
        FarEnd::Link(far) => Some((vlan, far)),
        FarEnd::Guest(..) | FarEnd::Beyond => None,
    }
}

/// The VLAN, and the bridge that the far end is a port of, where that hands everything on as well.
fn far_bridge(world: &World, ns: &Netns, port: &Link) -> Option<(Option<u16>, LinkId)> {
    let (vlan, far) = far_link(world, ns, port)?;
    world.link(far).filter(|far| passes(far))?;
    let bridge = world.bridge_of(far).filter(|bridge| floods_blindly(bridge))?;
    Some((vlan, LinkId { ns: far.ns, link: bridge.index }))
}

/// MACs of the instances whose taps are ports of this bridge.
fn own_macs(view: &View, ns: &Netns, bridge: &Link) -> BTreeSet<Mac> {
    let here = view.seats_of_all().filter(|seat| std::ptr::eq(seat.ns, ns));
    let plugged = here
        .filter(|seat| seat.tap().is_some_and(|tap| tap.master == Some(bridge.index) && tap.is_running()));
    plugged.filter_map(|seat| seat.vif.mac).collect()
}

fn finding(view: &View, circle: &Circle) -> Found {
    let Circle { ns, bridge, ports: [kept, cut], far, .. } = circle;
    let names = view.seats_of_all().filter(|seat| std::ptr::eq(seat.ns, *ns));
    let names =
        names.filter(|seat| seat.bridge_name() == Some(&bridge.name)).map(|seat| seat.instance.name.clone());
    let names: BTreeSet<String> = names.collect();
    let whither = far.map_or_else(
        || "the same segment".to_owned(),
        |(far, link)| format!("{} of {}", link.name, far.machine),
    );
    let is_its = |s: &Stopped| is_misled(s) || matches!(s.stop, Stop::Loop);
    let fault = Fault {
        code: "l2-loop",
        hop: at(ns, &cut.name, Stage::Bridge),
        summary: format!(
            "what is for everybody goes round: {} and {}, both ports of {} on {}, lead to {whither}",
            kept.name, cut.name, bridge.name, ns.machine
        ),
        cause: format!(
            "neither {} nor what is at the other end knows spanning tree, and both ports forward",
            bridge.name
        ),
        confidence: if far.is_some() { Confidence::Proven } else { Confidence::Likely },
        evidence: shown(view, circle),
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("ip link set dev {} nomaster", typed(&cut.name)),
            &format!("ip link set dev {} master {}", typed(&cut.name), typed(&bridge.name)),
            "if it is that one which is too many; its bridge loses a moment's frames",
        )],
        instances: names.into_iter().collect(),
        stopped: view.stop(is_its),
        mend: mended(view, circle),
    };
    let found = fault.found().breaks(Exchange::Arp, Direction::Both).reaching(Reach::Host);
    found.met_at(first_at(view, circle))
}

fn shown(view: &View, circle: &Circle) -> Vec<Evidence> {
    let Circle { ns, bridge, ports, stations, .. } = circle;
    let spanning = format!("{}: no spanning tree", bridge.name);
    let mut all =
        vec![evidence::state(ns, &format!("ip -d link show dev {}", typed(&bridge.name)), spanning)];
    for port in ports {
        let whither = far_link(view.world, ns, port).and_then(|(_, far)| {
            let (link, at) = (view.world.link(far)?, view.world.ns(far.ns));
            Some(format!(", cabled to {} of {}", link.name, at.machine))
        });
        let packets =
            port.stats.map(|s| format!(", {} packets came by it so far", s.rx_packets)).unwrap_or_default();
        let text = format!("{}{}{packets}", port.state_text(), whither.unwrap_or_default());
        all.push(evidence::state(ns, &format!("ip -s link show dev {}", typed(&port.name)), text));
    }
    all.extend(stations.iter().map(|mac| {
        let text = format!("{mac} is an instance of this host, and was learned behind a cable");
        evidence::state(ns, &format!("bridge fdb show br {}", typed(&bridge.name)), text)
    }));
    all
}

/// In the model, the second port is taken out, and what was learned of instances by what came back is forgotten.
fn mended(view: &View, circle: &Circle) -> Vec<Mend> {
    let Circle { ns, ports: [_, cut], .. } = circle;
    let out = Mend::Set { machine: ns.machine.clone(), device: cut.name.clone(), setting: Setting::NoMaster };
    let macs: BTreeSet<Mac> = view.seats_of_all().filter_map(|seat| seat.vif.mac).collect();
    let bridged = view.snapshot().netns.iter().filter(|ns| ns.name.is_empty() && !ns.instance);
    let learned = bridged.flat_map(|ns| {
        let stations =
            ns.fdb.iter().filter(|e| e.kind == FdbKind::Learned && !e.on_self && macs.contains(&e.mac));
        stations.map(move |e| Mend::Forget {
            machine: ns.machine.clone(),
            entry: Entry::Station { device: ns.link_name(e.link), mac: e.mac },
        })
    });
    [out].into_iter().chain(learned).collect()
}

/// Where the ladder first comes to the bridge.
fn first_at(view: &View, circle: &Circle) -> Option<Order> {
    let Circle { ns, bridge, .. } = circle;
    let is_its = |device: &str| {
        ns.link_named(device)
            .is_some_and(|link| link.index == bridge.index || link.master == Some(bridge.index))
    };
    view.rungs.iter().enumerate().find_map(|(nth_rung, rung)| {
        rung.answer.paths.iter().enumerate().find_map(|(nth_path, path)| {
            let is_there = |hop: &model::path::Hop| hop.at.host == ns.machine && hop.at.netns == ns.name;
            let at = path
                .hops
                .iter()
                .position(|hop| is_there(hop) && hop.at.stage == Stage::Bridge && is_its(&hop.at.device))?;
            Some((nth_rung, nth_path, at + 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::PortState;

    use crate::fixture::{Cloud, broken, codes};

    const CODE: &str = "l2-loop";
    const THERE: [&str; 1] = ["l2-loop compute1//eth2"];

    #[test]
    fn fires_at_the_second_cable() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), THERE);
        let finding = &found.findings[0];
        assert_eq!(
            (finding.confidence, &finding.instances[..]),
            (Confidence::Proven, &["web1".to_owned(), "web2".to_owned()][..])
        );
        assert_eq!(codes(&broken(CODE).diagnose_all()), THERE);
    }

    fn with(change: impl Fn(&mut Cloud)) -> Vec<String> {
        let mut cloud = broken(CODE);
        // Nothing has come back.
        let [tap, cable] = ["vnet0", "eth2"].map(|device| cloud.link("compute1", device).index);
        let entries = cloud.netns("compute1").fdb.iter_mut();
        entries.filter(|entry| entry.link == cable).for_each(|entry| entry.link = tap);
        change(&mut cloud);
        codes(&cloud.diagnose("web1"))
    }

    /// The near misses: two cables to one switch that do not close a circle.
    #[test]
    fn stays_silent_where_something_keeps_frames_from_going_round() {
        let bridge =
            |cloud: &mut Cloud| cloud.link("compute1", "br100").bridge.get_or_insert_default().stp = true;
        assert_eq!(with(bridge), [""; 0], "spanning tree here");
        let switch =
            |cloud: &mut Cloud| cloud.link("fabric", "flat0").bridge.get_or_insert_default().stp = true;
        assert_eq!(with(switch), [""; 0], "spanning tree there");
        let blocked = |cloud: &mut Cloud| {
            cloud.link("compute1", "eth2").port.as_mut().unwrap().state = PortState::Blocking;
        };
        assert_eq!(with(blocked), [""; 0]);
        assert_eq!(with(|cloud| cloud.link("fabric", "flatloop").admin_up = false), [""; 0]);
        assert_eq!(with(|cloud| cloud.link("compute1", "eth2").carrier = false), [""; 0]);
        let elsewhere = |cloud: &mut Cloud| {
            let other = cloud.link("fabric", "pub0").index;
            cloud.link("fabric", "flatloop").master = Some(other);
        };
        assert_eq!(with(elsewhere), [""; 0], "another segment");
    }

    /// A switch that nobody looks into, and what its bridge has learned.
    fn unseen(stations: usize) -> Cloud {
        let mut cloud = broken(CODE);
        cloud.snapshot.netns.retain(|ns| ns.machine != "fabric");
        cloud.snapshot.hosts.retain(|host| host.name != "fabric");
        for device in ["eth1", "eth2"] {
            cloud.link("compute1", device).peer = None;
        }
        let macs: Vec<_> = cloud.intent.instances.iter().filter_map(|i| i.vifs[0].mac).collect();
        let cable = cloud.link("compute1", "eth2").index;
        let fdb = &mut cloud.netns("compute1").fdb;
        fdb.retain(|entry| !macs.contains(&entry.mac));
        fdb.extend(macs.into_iter().take(stations).map(|mac| model::link::FdbEntry {
            mac,
            link: cable,
            vlan: None,
            kind: model::link::FdbKind::Learned,
            sticky: false,
            remote: None,
            on_self: false,
        }));
        cloud
    }

    #[test]
    fn is_likely_where_stations_come_back_from_a_switch_that_cannot_be_seen() {
        let found = unseen(2).diagnose("web1");
        assert_eq!(codes(&found)[..1], THERE, "{:?}", codes(&found));
        assert_eq!(found.findings[0].confidence, Confidence::Likely);
        for few in [0, 1] {
            let found = codes(&unseen(few).diagnose("web1"));
            assert!(found.iter().all(|code| !code.starts_with(CODE)), "{few}: {found:?}");
        }
    }
}
