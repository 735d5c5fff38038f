//! # bridge-mac-flap
//!
//! The bridge that is the instances' gateway has another MAC than they remember.
//!
//! ## What it means
//! A bridge without a MAC of its own takes the lowest of its ports', and when that port goes, or a lower one comes, the
//! bridge's MAC changes. The kernel tells nobody. Instances go on sending to the old MAC until their entry runs out:
//! one packet is lost, or up to a minute of them, whenever some other instance starts or stops.
//!
//! ## How hopline knows
//! Inside the instance, the entry for the gateway has a MAC that is not the bridge's, was not set by hand, and is no
//! other station's: at most one of the bridge's own ports wears it. Of an instance that cannot be entered, its own
//! answers to pings tell, seen at its tap in a frame for a MAC that a link of the gateway's host wears, and lost.
//!
//! ## What it looks like
//! `ip link show br100` and the instance's `ip neigh` differ. It heals by itself when the host speaks first, and comes
//! back with the next change of ports.
//!
//! ## Nearest look-alikes
//! * `guest-arp-poisoned`: there the MAC is another station's, or was set by hand.
//! * `arp-ignore`: there the entry has no MAC at all.
//!
//! ## Fix
//! Tell everybody: `arping -U -c 3 -I br100 -s GATEWAY GATEWAY`. To keep it from coming back, give the bridge a MAC of
//! its own, as nova does: `ip link set dev br100 address MAC`.
//!
//! ## References
//! `net/bridge/br_stp_if.c` `br_stp_recalculate_bridge_id`; nova `linux_net.py` `ensure_bridge`; lxc/lxc#604.

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use model::finding::Confidence;
use model::link::Link;
use model::path::{Direction, Exchange, Stage};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::frames;
use crate::gateway_entry::{self, Misled, Taken, Whose};
use crate::mend::{Entry, Mend};
use crate::view::{Seat, View, is_misled};

/// Looks inside the instances that can be entered: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        let Some(new) = outdated(view, &seat).or_else(|| misled(view, &seat)) else { continue };
        match found.iter_mut().find(|f| f.finding.hop.same_device(&new.finding.hop)) {
            Some(known) => {
                known.finding.instances.extend(new.finding.instances);
                known.mend.extend(new.mend);
            }
            None => found.push(new),
        }
    }
    found
}

fn outdated<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Found> {
    let taken = gateway_entry::wrong(view, seat).filter(|taken| taken.whose == Whose::Nobodys)?;
    let Taken { inside, nic, gateway, link, mac, right, .. } = taken;
    let fault = Fault {
        confidence: Confidence::Proven,
        evidence: vec![evidence::neighbour(inside, nic, gateway), evidence::link(seat.server_ns, link)],
        stopped: view.stop_of(seat.instance, is_misled),
        mend: vec![Mend::Forget {
            machine: inside.machine.clone(),
            entry: Entry::Neighbour { device: nic.name.clone(), ip: IpAddr::V4(gateway) },
        }],
        ..fault(seat, (gateway, link), (mac, right))
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Request))
}

/// What it sends by its gateway was seen to leave in frames for another link of the gateway's host.
fn misled<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Found> {
    let misled = gateway_entry::misled(view, seat).filter(|misled| misled.is_own)?;
    let Misled { rung, tap, gateway, link, right, frame, .. } = misled;
    let seen = frames::evidence(seat.ns, &tap.name, &frame);
    let fault = Fault {
        evidence: vec![seen, evidence::link(seat.server_ns, link)],
        ..fault(seat, (gateway, link), (frame.station, right))
    };
    let found = fault.found().breaks(Exchange::Icmp, Direction::Reply).met_at(view.beginning_of(rung));
    Some(found.losing_at(Some(at(seat.ns, &tap.name, Stage::Bridge))))
}

/// What is said of it however it is known: the gateway's link has the one MAC, and the instance remembers the other.
fn fault<'v>(seat: &Seat<'v>, (gateway, link): (Ipv4Addr, &Link), (mac, right): (Mac, Mac)) -> Fault<'v> {
    let (ns, name) = (seat.server_ns, &seat.instance.name);
    let port = ns.ports(link.index).find(|port| port.mac == Some(mac));
    let now = port.map_or_else(String::new, |port| format!(", which its port {} has", port.name));
    let tell = format!("arping -U -c 3 -I {} -s {gateway} {gateway}", link.name);
    let keep = format!("ip link set dev {} address {right}", link.name);
    Fault {
        code: "bridge-mac-flap",
        hop: at(ns, &link.name, Stage::Neighbour),
        summary: format!(
            "{name} sends what is for its gateway to an old MAC of {} on {}, for up to a minute",
            link.name, ns.machine
        ),
        cause: format!("{} has the MAC {right}, and {name} remembers {mac}{now}", link.name),
        confidence: Confidence::Likely,
        evidence: Vec::new(),
        owner: "operator",
        remedy: vec![
            evidence::remedy(ns, &tell, "", "tells every instance; heals by itself, too"),
            evidence::remedy(ns, &keep, "", "keeps the MAC that it has now, whatever ports come and go"),
        ],
        instances: vec![name.clone()],
        stopped: None,
        mend: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use model::route::NeighbourState;

    use crate::fixture::{answers_by, broken, codes, healthy, lacks};

    const CODE: &str = "bridge-mac-flap";

    #[test]
    fn fires_where_the_old_mac_is_a_ports_and_where_it_is_nobodys() {
        let mut cloud = broken(CODE);
        assert_eq!(codes(&cloud.diagnose("web1")), ["bridge-mac-flap compute1//br100"]);
        for entry in &mut cloud.netns("web1").neighbours {
            entry.mac = "02:00:00:00:00:01".parse().ok();
        }
        assert_eq!(codes(&cloud.diagnose("web1")), ["bridge-mac-flap compute1//br100"]);
    }

    #[test]
    fn stays_silent_where_it_is_set_by_hand_or_another_stations() {
        let mut cloud = broken(CODE);
        for entry in &mut cloud.netns("web1").neighbours {
            entry.state = NeighbourState::Permanent;
        }
        assert_eq!(codes(&cloud.diagnose("web1")), ["guest-arp-poisoned web1//eth0"]);
        let mut cloud = broken(CODE);
        let mac = cloud.link("web2", "eth0").mac;
        for entry in &mut cloud.netns("web1").neighbours {
            entry.mac = mac;
        }
        assert_eq!(codes(&cloud.diagnose("web1")), ["guest-arp-poisoned web1//eth0"]);
    }

    #[test]
    fn a_closed_instance_tells_it_by_the_frames_that_it_answers_in() {
        let mut cloud = healthy();
        let port = cloud.link("compute1", "vnet1").mac.unwrap();
        answers_by(&mut cloud, port, [10, 0, 0, 42].into());
        assert_eq!(codes(&cloud.diagnose("web1")), ["bridge-mac-flap compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_an_instance_that_has_learned_it() {
        let mut cloud = broken(CODE);
        cloud.netns("web1").neighbours.clear();
        assert!(lacks(&cloud.diagnose("web1"), CODE));
        assert!(lacks(&broken("arp-ignore").diagnose("web1"), CODE));
    }
}
