//! # duplicate-mac
//!
//! An instance wears the MAC of another.
//!
//! ## What it means
//! Both are behind ports of one bridge, and the bridge sends what is for that MAC to the port that it was last seen
//! behind: the two lose connection in turns. Where libvirt's nwfilter keeps MACs apart, the liar loses everything and
//! the other nothing.
//!
//! ## How hopline knows
//! Inside the instance, its NIC has a MAC that the records give to another on the same network or bridge; or the bridge
//! has learned the MAC of one instance behind the tap of another. One of the two is in question, or is not reached.
//!
//! ## What it looks like
//! The port of the MAC in `bridge fdb` changes between two looks; two taps show frames with that source.
//!
//! ## Nearest look-alikes
//! * `fdb-static-stale`: there the entry never moves.
//! * `tap-wrong-bridge`: there nobody else has the MAC.
//!
//! ## Fix
//! In the liar: `ip link set eth0 address MAC` with the MAC of its record. A second instance may have been made from
//! the snapshot of a disk that sets the MAC: look there.
//!
//! ## References
//! `net/bridge/br_fdb.c` `br_fdb_update`; nova `fixed_ips` and `virtual_interfaces`.

use std::net::IpAddr;

use model::Mac;
use model::finding::{Confidence, Evidence, EvidenceKind};
use model::intent::Instance;
use model::link::{FdbKind, Link};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Entry, Mend, Setting};
use crate::restart::typed;
use crate::view::{Seat, Stopped, View, is_misled};

/// Looks at every seat: the liar need not be the one who is asked about.
pub fn check(view: &View) -> Vec<Found> {
    let seats: Vec<Seat> = view.seats_of_all().collect();
    seats.iter().filter_map(|seat| lying(view, seat, &seats)).collect()
}

/// Whose MAC it is, of those who would notice: MACs need only differ on one segment.
fn rightful<'s, 'v>(seat: &Seat, mac: Mac, seats: &'s [Seat<'v>]) -> Option<&'s Seat<'v>> {
    let is_another = |other: &&Seat| !std::ptr::eq(other.instance, seat.instance);
    let mut others = seats.iter().filter(is_another);
    others.find(|other| other.vif.mac == Some(mac) && is_same_segment(seat, other))
}

/// Both are on one network, or behind one bridge of one host.
fn is_same_segment(one: &Seat, other: &Seat) -> bool {
    let is_same_network = one.vif.network.is_some() && one.vif.network == other.vif.network;
    let is_same_bridge = one.bridge_name().is_some() && one.bridge_name() == other.bridge_name();
    is_same_network || (is_same_bridge && std::ptr::eq(one.ns, other.ns))
}

/// It is in question, or was found not to be reached by one that is.
fn is_asked(view: &View, instance: &Instance) -> bool {
    view.vifs().any(|seat| std::ptr::eq(seat.instance, instance))
}

fn lying(view: &View, seat: &Seat, seats: &[Seat]) -> Option<Found> {
    let tap = seat.tap()?;
    let own = seat.vif.mac?;
    let (mac, proof, mut mend) =
        by_its_inside(view, seat, own).or_else(|| by_the_bridge(seat, tap, seats))?;
    let owner = rightful(seat, mac, seats)?;
    if !is_asked(view, seat.instance) && !is_asked(view, owner.instance) {
        return None;
    }
    let (liar, victim) = (&seat.instance.name, &owner.instance.name);
    // The liar gets what is for the other, and a filter at its tap may take it for a forger.
    let is_liars =
        |s: &Stopped| s.is_at(seat.ns, &tap.name) || seat.inside(view).is_some_and(|(ns, _)| s.is_in(ns));
    let is_hit = |instance: &Instance| view.stop_of(instance, |s| is_misled(s) || is_liars(s));
    let stopped = is_hit(seat.instance).or_else(|| is_hit(owner.instance));
    if stopped.is_none() && mend.is_empty() {
        return None;
    }
    let confidence = if mend.is_empty() { Confidence::Likely } else { Confidence::Proven };
    if !mend.is_empty() {
        mend.extend(forgotten(view, seat, mac));
    }
    let record = |seat: &Seat, mac| {
        let text = format!("{mac} is {}'s", seat.instance.name);
        evidence::record(EvidenceKind::Config, &seat.vif.source, text)
    };
    let fault = Fault {
        code: "duplicate-mac",
        hop: at(seat.ns, &tap.name, Stage::Bridge),
        summary: format!("{liar} and {victim} lose connection in turns: {liar} wears the MAC of {victim}"),
        cause: format!("{mac} is behind {}, which is {liar}'s, too", tap.name),
        confidence,
        evidence: vec![proof, record(owner, mac), record(seat, own)],
        owner: "instance",
        remedy: vec![evidence::advice(
            format!("in {liar}: ip link set eth0 address {own}"),
            "the MAC of its own record; its routes come back with its DHCP client",
        )],
        instances: vec![liar.clone(), victim.clone()],
        stopped,
        mend,
    };
    Some(fault.found())
}

/// What its NIC wears, where that is another's and not its own.
fn by_its_inside(view: &View, seat: &Seat, own: Mac) -> Option<(Mac, Evidence, Vec<Mend>)> {
    let (inside, nic) = seat.inside(view)?;
    let mac = nic.mac.filter(|mac| *mac != own)?;
    let proof = evidence::state(
        inside,
        &format!("ip link show dev {}", typed(&nic.name)),
        format!("link/ether {mac}"),
    );
    let (machine, device) = (inside.machine.clone(), nic.name.clone());
    Some((mac, proof, vec![Mend::Set { machine, device, setting: Setting::Mac(own) }]))
}

/// What others have learned of the liar meanwhile goes with the lie.
fn forgotten(view: &View, seat: &Seat, mac: Mac) -> Vec<Mend> {
    let is_liars = |ip: IpAddr| seat.vif.fixed.iter().any(|fixed| IpAddr::V4(*fixed) == ip);
    let learned = view.snapshot().netns.iter().filter(|ns| ns.name.is_empty()).flat_map(|ns| {
        let neighbours = ns.neighbours.iter().filter(|n| n.mac == Some(mac) && is_liars(n.ip));
        neighbours.map(move |n| (ns, Entry::Neighbour { device: ns.link_name(n.link), ip: n.ip }))
    });
    let entries = learned.map(|(ns, entry)| Mend::Forget { machine: ns.machine.clone(), entry });
    let station = seat.tap().map(|tap| Entry::Station { device: tap.name.clone(), mac });
    entries.chain(station.map(|entry| Mend::Forget { machine: seat.ns.machine.clone(), entry })).collect()
}

/// A MAC that was learned behind its tap, and is another's.
fn by_the_bridge(seat: &Seat, tap: &Link, seats: &[Seat]) -> Option<(Mac, Evidence, Vec<Mend>)> {
    let learned =
        seat.ns.fdb.iter().filter(|e| e.link == tap.index && e.kind == FdbKind::Learned && !e.on_self);
    let mac = learned.map(|entry| entry.mac).find(|mac| {
        let here = |owner: &&Seat| std::ptr::eq(owner.ns, seat.ns);
        let owner = rightful(seat, *mac, seats).filter(here).and_then(Seat::tap);
        owner.is_some_and(|owner| owner.master == tap.master)
    })?;
    let text = format!("{mac} dev {}", tap.name);
    Some((mac, evidence::state(seat.ns, &format!("bridge fdb show dev {}", tap.name), text), Vec::new()))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_at_the_tap_of_the_one_that_lies() {
        let diagnosis = broken("duplicate-mac").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["duplicate-mac compute1//vnet1"]);
        assert_eq!(diagnosis.findings[0].instances, ["web2", "web1"]);
        assert_eq!(codes(&broken("duplicate-mac").diagnose("web2")), ["duplicate-mac compute1//vnet1"]);
    }

    #[test]
    fn stays_silent_on_a_mac_that_is_nobodys() {
        let mut cloud = healthy();
        cloud.link("web2", "eth0").mac = "02:de:ad:00:00:02".parse().ok();
        assert!(lacks(&cloud.diagnose("web1"), "duplicate-mac"));
    }

    #[test]
    fn stays_silent_where_strangers_are_asked_about() {
        let mut cloud = broken("duplicate-mac");
        let mut stranger = cloud.intent.instances[0].clone();
        (stranger.name, stranger.entered) = ("web3".to_owned(), false);
        let vif = &mut stranger.vifs[0];
        (vif.mac, vif.network, vif.bridge) = ("fa:16:3e:00:00:33".parse().ok(), None, Some("br9".to_owned()));
        (vif.fixed, vif.floating, vif.device) = (vec!["10.9.0.9".parse().unwrap()], Vec::new(), None);
        cloud.intent.instances.push(stranger);
        assert!(lacks(&cloud.diagnose("web3"), "duplicate-mac"));
        assert!(!lacks(&cloud.diagnose("web2"), "duplicate-mac"));
    }

    #[test]
    fn stays_silent_on_the_mac_of_one_on_another_network() {
        let mut cloud = broken("duplicate-mac");
        let vif = &mut cloud.intent.instances[0].vifs[0];
        (vif.network, vif.bridge) = (None, Some("br9".to_owned()));
        assert!(lacks(&cloud.diagnose("web2"), "duplicate-mac"));
    }

    #[test]
    fn stays_silent_on_a_pinned_entry_and_on_a_wrong_bridge() {
        for other in ["fdb-static-stale", "tap-wrong-bridge"] {
            assert!(lacks(&broken(other).diagnose("web1"), "duplicate-mac"), "{other}");
        }
    }
}
