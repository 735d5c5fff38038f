//! # fdb-static-stale
//!
//! The bridge is told that the instance is behind another port.
//!
//! ## What it means
//! An entry of the forwarding database that somebody pinned (`static sticky`, or `permanent`) does not follow the
//! station: what is for the instance leaves by that port, or up to the host, whatever the instance itself sends. Such
//! entries are left behind by migrations and by overlays. A plain `static` entry roams, and does no harm.
//!
//! ## How hopline knows
//! The instance's MAC is pinned behind a port that is not its tap, in a VLAN of the tap's where the bridge keeps VLANs
//! apart, and its walks die because nobody gets or answers what was sent.
//!
//! ## What it looks like
//! `bridge fdb show | grep MAC`: `dev eth1 ... static sticky`, while the tap is vnet0. The instance's frames go out; it
//! is FAILED for everybody in `ip neigh`, and its own questions stay without an answer.
//!
//! ## Nearest look-alikes
//! * `flood-off-unknown-unicast`: there the bridge has no entry at all.
//! * `duplicate-mac`: there the entry moves to and fro.
//!
//! ## Fix
//! `bridge fdb del MAC dev PORT master`. Undo: `bridge fdb add` the same with `static sticky`.
//!
//! ## References
//! bridge(8); `net/bridge/br_fdb.c` `br_fdb_update`, `BR_FDB_STICKY`.

use model::finding::Confidence;
use model::link::{FdbEntry, FdbKind, Link};
use model::path::{Exchange, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Entry, Mend};
use crate::view::{Seat, Stopped, View, is_misled};

/// Looks for instances whose MAC is pinned where they are not.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| pinned(view, &seat)).collect()
}

fn pinned(view: &View, seat: &Seat) -> Option<Found> {
    let (tap, mac) = (seat.tap()?, seat.vif.mac?);
    let bridge = seat.ns.link(tap.master?)?;
    let is_stale = |entry: &&FdbEntry| {
        let is_port = seat.ns.link(entry.link).is_some_and(|port| port.master == Some(bridge.index));
        let is_elsewhere = entry.link != tap.index && (is_port || entry.link == bridge.index);
        let stays = match entry.kind {
            FdbKind::Local => true,
            FdbKind::Static => entry.sticky,
            FdbKind::Learned => false,
        };
        entry.mac == mac && is_elsewhere && stays && !entry.on_self && is_in_vlan(bridge, tap, entry)
    };
    let entry = seat.ns.fdb.iter().find(is_stale)?;
    let port = seat.ns.link_name(entry.link);
    // What is asked by ARP is for everybody, and gets there whatever the bridge knows.
    let is_question = |s: &Stopped| s.exchange == Exchange::Arp && matches!(s.stop, Stop::OtherHost);
    let stopped = view.stop_of(seat.instance, |s| is_misled(s) && !is_question(s))?;
    let kind = if entry.kind == FdbKind::Local { "permanent" } else { "static sticky" };
    let vlan = entry.vlan.map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
    let name = &seat.instance.name;
    let owner = if entry.link == bridge.index { "self" } else { "master" };
    let fault = Fault {
        code: "fdb-static-stale",
        hop: at(seat.ns, &bridge.name, Stage::Bridge),
        summary: format!(
            "nothing comes back to {name}: {} on {} is told that it is behind {port}",
            bridge.name, seat.ns.machine
        ),
        cause: format!("a pinned entry has {mac} behind {port}, while {name} is behind {}", tap.name),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(
                seat.ns,
                &format!("bridge fdb show br {}", bridge.name),
                format!("{mac} dev {port}{vlan} master {} {kind}", bridge.name),
            ),
            evidence::record(
                model::finding::EvidenceKind::Config,
                &seat.vif.source,
                format!("{mac} is {name}'s"),
            ),
            evidence::link(seat.ns, tap),
        ],
        owner: "operator",
        remedy: vec![evidence::remedy(
            seat.ns,
            &format!("bridge fdb del {mac} dev {port}{vlan} {owner}"),
            &format!("bridge fdb add {mac} dev {port}{vlan} {owner} {kind}"),
            "",
        )],
        instances: vec![name.clone()],
        stopped: Some(stopped),
        mend: vec![Mend::Forget {
            machine: seat.ns.machine.clone(),
            entry: Entry::Station { device: port, mac },
        }],
    };
    Some(fault.found())
}

/// The entry is looked up for the tap's frames: one of a VLAN only by a bridge that keeps VLANs apart, for its ports.
fn is_in_vlan(bridge: &Link, tap: &Link, entry: &FdbEntry) -> bool {
    let keeps_apart = bridge.bridge.as_ref().is_some_and(|settings| settings.vlan_filtering);
    let has = |vlan: u16| tap.bridge_vlans.iter().any(|vlans| vlans.contains(vlan));
    entry.vlan.is_none_or(|vlan| keeps_apart && has(vlan))
}

#[cfg(test)]
mod tests {
    use model::link::{FdbKind, Link};
    use model::vlan::BridgeVlans;

    use crate::fixture::{broken, codes, inject, lacks};

    const CODE: &str = "fdb-static-stale";

    #[test]
    fn comes_behind_a_question_that_nobody_hears() {
        let mut cloud = broken("arp-ignore");
        inject(&mut cloud, CODE);
        let found = codes(&cloud.diagnose("web1"));
        assert_eq!(found, ["arp-ignore compute1//br100", "fdb-static-stale compute1//br100"]);
    }

    #[test]
    fn fires_on_a_pinned_entry_whether_the_instance_can_be_entered_or_not() {
        let mut cloud = broken(CODE);
        assert_eq!(codes(&cloud.diagnose("web1")), ["fdb-static-stale compute1//br100"]);
        cloud.close("web1");
        assert_eq!(codes(&cloud.diagnose("web1")), ["fdb-static-stale compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_an_entry_that_roams() {
        for kind in [FdbKind::Static, FdbKind::Learned] {
            let mut cloud = broken(CODE);
            let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
            let own = cloud.netns("compute1").fdb.iter_mut().filter(|e| e.mac == mac);
            own.for_each(|entry| (entry.kind, entry.sticky) = (kind, false));
            assert!(lacks(&cloud.diagnose("web1"), CODE), "{kind:?}");
        }
    }

    #[test]
    fn stays_silent_on_an_entry_of_another_vlan() {
        let mut cloud = broken(CODE);
        cloud.netns("compute1").fdb.iter_mut().filter(|e| e.sticky).for_each(|e| e.vlan = Some(7));
        inject(&mut cloud, "arp-ignore");
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_where_a_rule_drops_and_the_bridge_never_looks_the_entry_up() {
        let mut cloud = broken(CODE);
        let bridge = cloud.link("compute1", "br100").index;
        let of_bridge = |link: &&mut Link| link.index == bridge || link.master == Some(bridge);
        for link in cloud.netns("compute1").links.iter_mut().filter(of_bridge) {
            link.bridge_vlans = vec![BridgeVlans::default()];
        }
        cloud.link("compute1", "br100").bridge.as_mut().unwrap().vlan_filtering = true;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        inject(&mut cloud, "foreign-rule-drop");
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_an_entry_that_is_right() {
        let mut cloud = broken(CODE);
        let (mac, tap) =
            (cloud.intent.instances[0].vifs[0].mac.unwrap(), cloud.link("compute1", "vnet0").index);
        let own = cloud.netns("compute1").fdb.iter_mut().filter(|e| e.mac == mac);
        own.for_each(|entry| entry.link = tap);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
