//! # fdb-static-stale
//!
//! The bridge is told that the instance is behind another port.
//!
//! ## What it means
//! An entry of the forwarding database that somebody pinned (`static sticky`, or `permanent`) does not follow the
//! station: what is for the instance leaves by that port, or up to the host, whatever the instance itself sends. Such
//! entries are left behind by migrations and by overlays. A plain `static` entry roams: it misleads what is for the
//! instance until the instance itself sends something, which one that only waits for others may not do for long.
//!
//! ## How hopline knows
//! The instance's MAC is pinned behind a port that is not its tap, in a VLAN of the tap's where the bridge keeps VLANs
//! apart, and its walks die because nobody gets or answers what was sent. An entry that roams is told as likely: where
//! what others send to the instance dies of it, or is sent for real and left without an answer.
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

use std::net::IpAddr;

use model::finding::Confidence;
use model::link::{FdbEntry, FdbKind, Link};
use model::path::{Direction, Exchange, Hop, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Rung;
use crate::mend::{Entry, Mend};
use crate::view::{Seat, Stopped, View, is_misled};

/// Looks for instances whose MAC somebody has set where they are not.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| pinned(view, &seat)).collect()
}

fn pinned(view: &View, seat: &Seat) -> Option<Found> {
    let (tap, mac) = (seat.tap()?, seat.vif.mac?);
    let bridge = seat.ns.link(tap.master?)?;
    let is_elsewhere = |entry: &&FdbEntry| {
        let is_port = seat.ns.link(entry.link).is_some_and(|port| port.master == Some(bridge.index));
        let is_there = entry.link != tap.index && (is_port || entry.link == bridge.index);
        let was_set = match entry.kind {
            FdbKind::Local | FdbKind::Static => true,
            FdbKind::Learned => false,
        };
        entry.mac == mac && is_there && was_set && !entry.on_self && is_in_vlan(bridge, tap, entry)
    };
    // What stays overrules what roams.
    let elsewhere = || seat.ns.fdb.iter().filter(is_elsewhere);
    let entry = elsewhere().find(|entry| !roams(entry)).or_else(|| elsewhere().next())?;
    let port = seat.ns.link_name(entry.link);
    // What is asked by ARP is for everybody, and gets there whatever the bridge knows.
    let is_question = |s: &Stopped| s.exchange == Exchange::Arp && matches!(s.stop, Stop::OtherHost);
    let stopped = view.stop_of(seat.instance, |s| is_misled(s) && !is_question(s));
    let silent = lost_by(view, seat, &port).filter(|_| stopped.is_none());
    if (stopped.is_none() && silent.is_none()) || (roams(entry) && is_reached(view, seat)) {
        return None;
    }
    let (kind, until, confidence) = match (entry.kind, roams(entry)) {
        (_, true) => ("static", ", until it sends something itself", Confidence::Likely),
        (FdbKind::Local, false) => ("permanent", "", Confidence::Proven),
        (FdbKind::Static | FdbKind::Learned, false) => ("static sticky", "", Confidence::Proven),
    };
    let vlan = entry.vlan.map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
    let name = &seat.instance.name;
    let owner = if entry.link == bridge.index { "self" } else { "master" };
    let fault = Fault {
        code: "fdb-static-stale",
        hop: at(seat.ns, &bridge.name, Stage::Bridge),
        summary: format!(
            "nothing comes to {name}: {} on {} is told that it is behind {port}{until}",
            bridge.name, seat.ns.machine
        ),
        cause: format!("a {kind} entry has {mac} behind {port}, while {name} is behind {}", tap.name),
        confidence,
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
        stopped,
        mend: vec![Mend::Forget {
            machine: seat.ns.machine.clone(),
            entry: Entry::Station { device: port.clone(), mac },
        }],
    };
    let begun = silent.and_then(|rung| view.beginning_of(rung));
    let lost_at = at(seat.ns, &port, Stage::Bridge);
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).met_at(begun).losing_at(Some(lost_at)))
}

/// It follows the station once that is heard behind another port.
fn roams(entry: &FdbEntry) -> bool {
    match entry.kind {
        FdbKind::Static => !entry.sticky,
        FdbKind::Local | FdbKind::Learned => false,
    }
}

/// What was sent to the instance for real, by that port, and nobody answered: the walk does not know who is out there.
fn lost_by<'v>(view: &View<'v>, seat: &Seat, port: &str) -> Option<&'v Rung> {
    let leaves = |hop: &Hop| {
        (&hop.at.host, &hop.at.netns, hop.at.device.as_str()) == (&seat.ns.machine, &seat.ns.name, port)
    };
    let is_lost = |rung: &&Rung| {
        let mut paths = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
        is_to(seat, rung) && paths.any(|path| path.hops.iter().any(leaves)) && view.silent(rung).is_some()
    };
    view.rungs_of(seat.instance).find(is_lost)
}

/// Somebody asked the instance and was answered: it has sent something.
fn is_reached(view: &View, seat: &Seat) -> bool {
    view.rungs_of(seat.instance).any(|rung| is_to(seat, rung) && view.is_answered(rung))
}

/// The question is for the instance.
fn is_to(seat: &Seat, rung: &Rung) -> bool {
    let is_fixed = seat.instance.fixed().any(|own| IpAddr::V4(own) == rung.to);
    is_fixed || seat.vif.floating.iter().any(|floating| IpAddr::V4(floating.address) == rung.to)
}

/// The entry is looked up for the tap's frames: one of a VLAN only by a bridge that keeps VLANs apart, for its ports.
fn is_in_vlan(bridge: &Link, tap: &Link, entry: &FdbEntry) -> bool {
    let keeps_apart = bridge.bridge.as_ref().is_some_and(|settings| settings.vlan_filtering);
    let has = |vlan: u16| tap.bridge_vlans.iter().any(|vlans| vlans.contains(vlan));
    entry.vlan.is_none_or(|vlan| keeps_apart && has(vlan))
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::{FdbEntry, FdbKind, Link};
    use model::probe::{PING_OCTETS, ProbeResult};
    use model::vlan::BridgeVlans;

    use crate::fixture::{Cloud, broken, codes, inject, lacks, minicloud, pinged};

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

    /// web1's entry is of this kind, and roams.
    fn roaming(kind: FdbKind) -> Cloud {
        let mut cloud = broken(CODE);
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let own = cloud.netns("compute1").fdb.iter_mut().filter(|e| e.mac == mac);
        own.for_each(|entry| (entry.kind, entry.sticky) = (kind, false));
        cloud
    }

    #[test]
    fn an_entry_that_roams_is_likely_to_mislead_who_asks_first() {
        let mut cloud = roaming(FdbKind::Static);
        for is_closed in [false, true] {
            if is_closed {
                cloud.close("web1");
            }
            let told = cloud.diagnose("web1");
            assert_eq!(codes(&told), ["fdb-static-stale compute1//br100"], "closed: {is_closed}");
            assert_eq!(told.findings[0].confidence, Confidence::Likely);
            let wanted = "is behind eth1, until it sends something itself";
            assert!(told.findings[0].summary.ends_with(wanted), "{}", told.findings[0].summary);
        }
        assert!(lacks(&roaming(FdbKind::Learned).diagnose("web1"), CODE));
    }

    #[test]
    fn an_entry_that_roams_does_no_harm_to_who_was_answered() {
        let mut cloud = roaming(FdbKind::Static);
        cloud.close("web1");
        let own = ProbeResult { to: [10, 0, 2, 24].into(), ..pinged("compute1", PING_OCTETS, 2) };
        assert!(lacks(&cloud.diagnose_with("web1", &[own]), CODE));
    }

    #[test]
    fn where_the_switch_cannot_be_looked_into_silence_tells_it() {
        let mut cloud = minicloud();
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let link = cloud.link("host", "eth1").index;
        let kind = FdbKind::Static;
        let fdb = &mut cloud.netns("host").fdb;
        fdb.retain(|entry| entry.mac != mac);
        fdb.push(FdbEntry { mac, link, vlan: None, kind, sticky: false, remote: None, on_self: false });
        let asked = |received| {
            let own = ProbeResult { to: [10, 0, 0, 11].into(), ..pinged("host", PING_OCTETS, received) };
            codes(&cloud.diagnose_with("inst1", &[own]))
        };
        assert_eq!(asked(0), ["fdb-static-stale host//br100"]);
        assert_eq!(asked(2), [""; 0]);
        assert_eq!(codes(&cloud.diagnose("inst1")), [""; 0]);
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
