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
//! The instance's MAC is pinned behind a port that is not its tap, and its walks die.
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
use model::link::{FdbEntry, FdbKind};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Entry, Mend};
use crate::view::{Seat, View};

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
        entry.mac == mac && is_elsewhere && stays && !entry.on_self
    };
    let entry = seat.ns.fdb.iter().find(is_stale)?;
    let port = seat.ns.link_name(entry.link);
    let stopped = view.stop_of(seat.instance, |_| true)?;
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

#[cfg(test)]
mod tests {
    use model::link::FdbKind;

    use crate::fixture::{broken, codes, lacks};

    const CODE: &str = "fdb-static-stale";

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
    fn stays_silent_on_an_entry_that_is_right() {
        let mut cloud = broken(CODE);
        let (mac, tap) =
            (cloud.intent.instances[0].vifs[0].mac.unwrap(), cloud.link("compute1", "vnet0").index);
        let own = cloud.netns("compute1").fdb.iter_mut().filter(|e| e.mac == mac);
        own.for_each(|entry| entry.link = tap);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
