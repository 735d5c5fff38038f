//! # guest-arp-poisoned
//!
//! The instance takes its gateway to be at a MAC that the gateway has not got.
//!
//! ## What it means
//! What it sends outside goes to another station, or to nobody. Somebody on the segment answers ARP for the gateway's
//! address, or has said so unasked, or the entry was set by hand. Neighbours on the same subnet are reached.
//!
//! ## How hopline knows
//! Inside the instance, the neighbour entry for the gateway has another MAC than the link of the host that carries that
//! address; and it was set by hand, or another station wears it, or a bridge has learned it.
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

use std::net::IpAddr;

use model::Mac;
use model::finding::Confidence;
use model::path::{Direction, Exchange, Stage};
use sim::world::Station;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::gateway_entry::{self, Taken, Whose};
use crate::mend::{Entry, Mend};
use crate::restart::typed;
use crate::view::{Seat, Stopped, View, is_misled};

/// Looks inside the instances that can be entered.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| poisoned(view, &seat)).collect()
}

fn poisoned<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Found> {
    let taken = gateway_entry::wrong(view, seat).filter(|taken| taken.whose != Whose::Nobodys)?;
    let Taken { inside, nic, gateway, link, mac: taken, right, whose } = taken;
    let ip = IpAddr::V4(gateway);
    // Where the segment goes on beyond what was read, no walk can tell that nobody is there.
    let stopped = view.stop_of(seat.instance, |s| is_misled(s) || is_at_its_owner(view, s, taken));
    let name = &seat.instance.name;
    let fdb = seat.ns.fdb.iter().find(|e| e.mac == taken && !e.on_self);
    let behind = fdb.map_or_else(
        || "which no bridge here has seen".to_owned(),
        |e| format!("which is behind {} of {}", seat.ns.link_name(e.link), seat.ns.machine),
    );
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
            evidence::remedy(
                seat.server_ns,
                &format!("arping -c 2 -D -I {} {gateway}", link.name),
                "",
                "mends nothing: shows who else answers for the gateway",
            ),
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

/// A machine that wears this MAC got what is not for it.
fn is_at_its_owner(view: &View, stopped: &Stopped, mac: Mac) -> bool {
    view.world.owners_of_mac(mac).iter().any(|owner| match owner {
        Station::Link(id) => stopped.is_in(view.world.ns(id.ns)),
        Station::Guest { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use model::route::NeighbourState;

    use crate::fixture::{broken, codes, lacks};

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
