//! # guest-arp-poisoned
//!
//! The instance takes its gateway to be at a MAC that the gateway has not got.
//!
//! ## What it means
//! What it sends outside goes to another station, or to nobody. Somebody on the segment answers ARP for the gateway's
//! address, or has said so unasked, or the entry was set by hand. Neighbours on the same subnet are reached.
//!
//! ## How hopline knows
//! Inside the instance, the neighbour entry for the gateway has another MAC than the host's link that carries that
//! address; and it was set by hand, or another station wears it, or a bridge has learned it. Of an instance that
//! cannot be entered, its own answers to pings tell: seen at its tap in a frame for another MAC than the gateway's,
//! and lost. Where such an answer is for the gateway itself, that is proof; where it is for somebody beyond, likely,
//! since another default route would look the same.
//!
//! ## What it looks like
//! Inside: `ip neigh show GATEWAY` with a MAC that is not the bridge's. On the tap: frames to that MAC. With bridged
//! packets that meet iptables, metadata still works: DNAT brings those packets to the host whatever their MAC.
//!
//! ## Nearest look-alikes
//! * `bridge-mac-flap`: there it is an old MAC of the gateway's, which no other station has.
//! * `arp-ignore`: there the entry has no MAC at all.
//! * `guest-wrong-gateway`: there it is another address that is asked for.
//!
//! ## Fix
//! In the instance: `ip neigh del GATEWAY dev eth0`; then find who answers in the gateway's place
//! (`arping -I br100 GATEWAY` from the host, `bridge fdb show` for the port of that MAC).
//!
//! ## References
//! `net/ipv4/arp.c` `arp_process`; ip-neighbour(8).

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use model::finding::{Confidence, Remedy};
use model::path::{Direction, Exchange, Place, Stage};
use sim::world::Station;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::frames;
use crate::gateway_entry::{self, Misled, Taken, Whose};
use crate::mend::{Entry, Mend};
use crate::restart::typed;
use crate::unheld;
use crate::view::{Seat, Stopped, View, is_misled};

/// Looks inside the instances that can be entered, and at what the others send.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| poisoned(view, &seat).or_else(|| misled(view, &seat))).collect()
}

fn poisoned<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Found> {
    let taken = gateway_entry::wrong(view, seat).filter(|taken| taken.whose != Whose::Nobodys)?;
    let Taken { inside, nic, gateway, link, mac: taken, right, whose } = taken;
    let ip = IpAddr::V4(gateway);
    // Where the segment goes on beyond what was read, no walk can tell that nobody is there.
    let stopped = view.stop_of(seat.instance, |s| is_misled(s) || is_at_its_owner(view, s, taken));
    let name = &seat.instance.name;
    let behind = behind(seat, taken);
    let by_hand = if whose == Whose::ByHand { ", set by hand" } else { "" };
    let fault = Fault {
        code: "guest-arp-poisoned",
        hop: at(inside, &nic.name, Stage::Neighbour),
        summary: format!("{name} sends what is for its gateway to {taken}, which is not the gateway's MAC"),
        cause: format!("its entry for {gateway} has {taken}{by_hand}, {behind}; the gateway is at {right}"),
        confidence: Confidence::Proven,
        evidence: vec![evidence::neighbour(inside, nic, gateway), evidence::link(seat.server_ns, link)],
        owner: "instance",
        remedy: vec![
            evidence::remedy(
                inside,
                &format!("ip neigh del {gateway} dev {}", typed(&nic.name)),
                &format!("ip neigh replace {gateway} lladdr {taken} dev {}", typed(&nic.name)),
                "in the instance; it asks anew",
            ),
            who_else(seat, &link.name, gateway),
        ],
        instances: vec![name.clone()],
        stopped,
        mend: vec![Mend::Forget {
            machine: inside.machine.clone(),
            entry: Entry::Neighbour { device: nic.name.clone(), ip },
        }],
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Request))
}

/// What it sends by its gateway was seen to leave in frames for another station.
fn misled<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Found> {
    // An old MAC of the gateway's own host is `bridge-mac-flap`.
    let misled = gateway_entry::misled(view, seat).filter(|misled| !misled.is_own)?;
    let Misled { rung, tap, gateway, link, right, frame, is_for_gateway, .. } = misled;
    let (name, station, behind) = (&seat.instance.name, frame.station, behind(seat, frame.station));
    let or_route = if is_for_gateway { "" } else { ", or its default route leads by another router" };
    let fault = Fault {
        code: "guest-arp-poisoned",
        hop: Place { stage: Stage::Neighbour, ..unheld::inside(seat.instance) },
        summary: format!("{name} sends what is for its gateway to {station}, which is not the gateway's MAC"),
        cause: format!(
            "its answer to {} leaves in a frame for {station}, {behind}; its gateway {gateway} is at {right}: its \
             entry is wrong{or_route}",
            frame.destination
        ),
        confidence: if is_for_gateway { Confidence::Proven } else { Confidence::Likely },
        evidence: vec![frames::evidence(seat.ns, &tap.name, &frame), evidence::link(seat.server_ns, link)],
        owner: "instance",
        remedy: vec![
            evidence::advice(
                format!("in {name}, by its console: ip neigh show {gateway}, and ip neigh flush {gateway}"),
                "it asks anew; an entry set by hand goes by ip neigh del",
            ),
            who_else(seat, &link.name, gateway),
        ],
        instances: vec![name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    let found = fault.found().breaks(Exchange::Icmp, Direction::Reply).met_at(view.beginning_of(rung));
    Some(found.losing_at(Some(at(seat.ns, &tap.name, Stage::Bridge))))
}

/// Where that MAC is, in words.
fn behind(seat: &Seat, mac: Mac) -> String {
    let fdb = seat.ns.fdb.iter().find(|entry| entry.mac == mac && !entry.on_self);
    fdb.map_or_else(
        || "which no bridge here has seen".to_owned(),
        |entry| format!("which is behind {} of {}", seat.ns.link_name(entry.link), seat.ns.machine),
    )
}

fn who_else(seat: &Seat, bridge: &str, gateway: Ipv4Addr) -> Remedy {
    evidence::remedy(
        seat.server_ns,
        &format!("arping -c 2 -D -I {bridge} {gateway}"),
        "",
        "mends nothing: shows who else answers for the gateway",
    )
}

/// A machine that wears this MAC got what is not for it.
fn is_at_its_owner(view: &View, stopped: &Stopped, mac: Mac) -> bool {
    view.world.owners_of_mac(mac).iter().any(|owner| match owner {
        Station::Link(id) => stopped.is_in(view.world.ns(id.ns)),
        Station::Guest { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::route::{Address, NeighbourState};

    use crate::fixture::{answers_by, broken, codes, healthy, lacks};

    const CODE: &str = "guest-arp-poisoned";

    #[test]
    fn fires_on_an_entry_that_is_not_the_gateways() {
        let diagnosis = broken(CODE).diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-arp-poisoned web1//eth0"]);
        assert!(diagnosis.findings[0].cause.contains("set by hand"), "{}", diagnosis.findings[0].cause);
    }

    #[test]
    fn fires_where_the_segment_goes_on_beyond_what_was_read() {
        let mut cloud = broken(CODE);
        cloud.snapshot.hosts.retain(|h| h.name != "fabric");
        cloud.snapshot.netns.retain(|n| n.machine != "fabric");
        assert_eq!(codes(&cloud.diagnose("web1")), ["guest-arp-poisoned web1//eth0"]);
    }

    #[test]
    fn a_closed_instance_tells_it_by_the_frames_that_it_answers_in() {
        let (foreign, gateway) = ("02:00:00:00:00:02".parse().unwrap(), [10, 0, 0, 42].into());
        let told = |station, destination| {
            let mut cloud = healthy();
            answers_by(&mut cloud, station, destination);
            cloud.diagnose("web1")
        };
        let found = told(foreign, gateway);
        assert_eq!(codes(&found), ["guest-arp-poisoned web1//"]);
        assert_eq!(found.findings[0].confidence, Confidence::Proven);
        // What is for somebody beyond may go by another default route.
        let beyond = told(foreign, [1, 2, 3, 4].into());
        assert_eq!(codes(&beyond), ["guest-arp-poisoned web1//"]);
        assert_eq!(beyond.findings[0].confidence, Confidence::Likely);
        // To its gateway's MAC it sends as it should, and a neighbour's own is right for a neighbour.
        let mut cloud = healthy();
        let right = cloud.link("compute1", "br100").mac.unwrap();
        assert!(lacks(&told(right, gateway), CODE));
        assert!(lacks(&told(foreign, [10, 0, 2, 25].into()), CODE));
        // Another router of its network's may be its default route.
        let (mut cloud, router) = (healthy(), cloud.link("gw", "eth0").clone());
        let address = Address::global(router.index, "10.0.0.1/16".parse().unwrap());
        cloud.netns("gw").addresses.push(address);
        answers_by(&mut cloud, router.mac.unwrap(), [1, 2, 3, 4].into());
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn what_is_answered_is_no_fault_whomever_it_was_sent_to() {
        let mut cloud = healthy();
        answers_by(&mut cloud, "02:00:00:00:00:02".parse().unwrap(), [10, 0, 0, 42].into());
        cloud.probes[0].received = 2;
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_an_entry_that_failed_or_is_right() {
        let mut cloud = broken(CODE);
        let right = cloud.link("compute1", "br100").mac;
        for entry in &mut cloud.netns("web1").neighbours {
            entry.mac = right;
        }
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        for entry in &mut cloud.netns("web1").neighbours {
            (entry.mac, entry.state) = (None, NeighbourState::Failed);
        }
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_a_gateway_that_does_not_answer_and_on_another_gateway() {
        for other in ["arp-ignore", "guest-wrong-gateway", "bridge-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
