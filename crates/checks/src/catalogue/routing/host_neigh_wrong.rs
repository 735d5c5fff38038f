//! # host-neigh-wrong
//!
//! The host takes an instance, or its own gateway, to be at a MAC that is another's or nobody's.
//!
//! ## What it means
//! What the instance's gateway sends to it, its own packets and those that it routes, goes to a station that is not
//! the instance: the instance is heard, and gets nothing. An entry that somebody set (`nud permanent`) stays for ever;
//! one that was learned from a wrong answer stays as long as something confirms it. Entries are set by hand during a
//! migration, or by a monitoring that pins them, and outlive the instance that had the address before. Of the host's
//! own gateway, it is all that leaves the host that is lost: an entry that was pinned outlives the router.
//!
//! ## How hopline knows
//! The host's neighbour entry on the instances' bridge has another MAC for the instance's fixed address than the
//! records have, and what is sent there dies of it, by the walk or for real; or, where nothing was asked, it is set
//! by hand. It is not told where that MAC answers for the address, nor where it is
//! another NIC's of the instance, or is heard behind its tap, nor where anything of the instance's comes back through
//! the host. Of the gateway of its default route: whoever answers ARP for it, or, where nobody was asked, the machine
//! of the site that carries the address, has another MAC, and nothing that goes there is answered.
//!
//! ## What it looks like
//! `ip neigh show dev br100`: `10.0.2.24 lladdr 02:00:00:00:00:01 PERMANENT`, and `virsh domiflist` has another MAC. On
//! the tap `tcpdump -eni vnet0` shows what the instance sends, and no answers.
//!
//! ## Nearest look-alikes
//! * `duplicate-ip-foreign`: there the other MAC answers for the address, too.
//! * `guest-arp-poisoned`: there it is the instance that takes its gateway to be elsewhere.
//! * `fdb-static-stale`: there the MAC is the right one, and the bridge looks for it behind a wrong port.
//! * `duplicate-mac`: there an instance wears another's MAC, and the host has learned that rightly.
//!
//! ## Fix
//! `ip neigh del ADDRESS dev BRIDGE` on the host, which then asks anew. Undo: `ip neigh replace` with what it was.
//!
//! ## References
//! ip-neighbour(8); arp(7); `net/core/neighbour.c` `neigh_update`, `NUD_PERMANENT`.

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::link::{FdbKind, Link};
use model::path::{Direction, Exchange, Hop, Path, Place, Stage};
use model::probe::Holders;
use model::route::{Neighbour, NeighbourState};
use model::{Mac, Netns};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Rung;
use crate::mend::{Entry, Mend};
use crate::next_hop_entry;
use crate::restart::typed;
use crate::view::{Seat, Stopped, View, is_misled};

/// Looks at what the hosts of the instances, and their gateways, hold for the fixed addresses, and for their own next
/// hop: one finding an entry.
pub fn check(view: &View) -> Vec<Found> {
    let of_instances = view.vifs().flat_map(|seat| of_seat(view, &seat));
    of_instances.chain(next_hop_entry::wrong(view)).collect()
}

fn of_seat<'v>(view: &View<'v>, seat: &Seat<'v>) -> Vec<Found> {
    let (Some(mac), Some(bridge), false) = (seat.vif.mac, seat.bridge_name(), seat.instance.is_meant_off())
    else {
        return Vec::new();
    };
    let server = Some(seat.server_ns).filter(|server| !std::ptr::eq(*server, seat.ns));
    let links = [Some(seat.ns), server].into_iter().flatten();
    let links: Vec<(&Netns, &Link)> = links.filter_map(|ns| Some((ns, ns.link_named(bridge)?))).collect();
    let addresses = || seat.vif.fixed.iter().copied();
    let pairs = links.into_iter().flat_map(|(ns, link)| addresses().map(move |ip| (ns, link, ip)));
    let wrong = pairs.filter_map(|(ns, link, ip)| {
        let (entry, taken) = taken_elsewhere(view, seat, (ns, link), ip)?;
        Some(Wrong { ns, link, ip, entry, taken, right: mac })
    });
    wrong.filter_map(|wrong| told(view, seat, &wrong)).collect()
}

/// An entry with a MAC that the instance has not got.
struct Wrong<'v> {
    ns: &'v Netns,
    link: &'v Link,
    ip: Ipv4Addr,
    entry: &'v Neighbour,
    /// What it says.
    taken: Mac,
    /// What the records say.
    right: Mac,
}

/// The entry for one of its addresses, and the MAC in it, where that can be nobody's who has the address.
fn taken_elsewhere<'v>(
    view: &View<'v>,
    seat: &Seat<'v>,
    (ns, link): (&'v Netns, &Link),
    ip: Ipv4Addr,
) -> Option<(&'v Neighbour, Mac)> {
    let is_its =
        |n: &&Neighbour| n.link == link.index && n.ip == IpAddr::V4(ip) && !n.proxy && n.state.is_valid();
    let entry = ns.neighbours.iter().find(is_its)?;
    let taken = entry.mac.filter(|taken| !is_its_own(view, seat, *taken))?;
    let answers = view.holders.iter().filter(|held| held.address == IpAddr::V4(ip));
    let is_answered = answers.flat_map(|held| &held.stations).any(|station| station.mac == taken);
    // Whatever another instance answers with was learned rightly, and whose doing that is others tell.
    let others = view.intent().instances.iter().flat_map(|other| &other.vifs);
    let is_anothers = !entry.state.is_by_hand() && others.into_iter().any(|vif| vif.mac == Some(taken));
    (!is_answered && !is_anothers).then_some((entry, taken))
}

/// The instance wears it: by its records, inside, or by what the bridge has heard behind its tap.
fn is_its_own(view: &View, seat: &Seat, mac: Mac) -> bool {
    let is_recorded = seat.instance.vifs.iter().any(|vif| vif.mac == Some(mac));
    let is_inside =
        || seat.inside(view).is_some_and(|(inside, _)| inside.links.iter().any(|nic| nic.mac == Some(mac)));
    let is_heard = || {
        let behind = |tap: &Link| {
            let mut entries = seat.ns.fdb.iter().filter(|entry| entry.kind == FdbKind::Learned);
            entries.any(|entry| entry.link == tap.index && entry.mac == mac && !entry.on_self)
        };
        seat.tap().is_some_and(behind)
    };
    is_recorded || is_inside() || is_heard()
}

fn told(view: &View, seat: &Seat, wrong: &Wrong) -> Option<Found> {
    let Wrong { ns, link, ip, entry, taken, right } = *wrong;
    let instance = seat.instance;
    let hop = at(ns, &link.name, Stage::Neighbour);
    let of_it = || view.rungs_of(instance).filter(|rung| is_borne(seat, &hop, rung));
    if of_it().any(|rung| view.is_answered(rung)) {
        return None;
    }
    let is_sent_by_host =
        |s: &Stopped| s.rung.answer.paths.get(s.order.1).is_some_and(|path| passes(path, &hop));
    let stopped = view.stop_of(instance, |s| is_misled(s) && is_sent_by_host(s));
    let silent = of_it().find(|rung| view.silent(rung).is_some());
    let is_lost = stopped.is_some() || silent.is_some();
    // What was confirmed a moment ago somebody answers for: that is another's finding, and takes asking him.
    let is_sure = entry.state.is_by_hand();
    if !is_lost && !is_sure {
        return None;
    }
    let asked = view.holders.iter().find(|held| !held.is_own && held.address == IpAddr::V4(ip));
    // Who answers nobody may be off, and lose what is sent to it anyway.
    let is_there = asked.is_none_or(|held| held.stations.iter().any(|station| station.mac == right));
    let (host, name) = (&ns.machine, &instance.name);
    let state = entry.state.name();
    let by_hand = if entry.state.is_by_hand() { ", set by hand" } else { "" };
    let answered = asked.filter(|held| !held.stations.is_empty()).map(|held| answer(view, held, right));
    let fault = Fault {
        code: "host-neigh-wrong",
        hop: hop.clone(),
        summary: format!(
            "what is for {name} does not get to it from {host}, which takes {ip} to be at {taken}"
        ),
        cause: format!(
            "the neighbour entry of {host} for {ip} on {} has {taken} ({state}{by_hand}), and {name}'s MAC is {right}",
            link.name
        ),
        confidence: if is_lost && is_there { Confidence::Proven } else { Confidence::Likely },
        evidence: [
            evidence::neighbour(ns, link, ip),
            evidence::record(EvidenceKind::Config, &seat.vif.source, format!("{right} is {name}'s")),
        ]
        .into_iter()
        .chain(answered)
        .collect(),
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("ip neigh del {ip} dev {}", typed(&link.name)),
            &format!("ip neigh replace {ip} lladdr {taken} dev {} nud {}", typed(&link.name), nud(entry)),
            "the host asks anew",
        )],
        instances: vec![name.clone()],
        stopped,
        mend: vec![Mend::Forget {
            machine: host.clone(),
            entry: Entry::Neighbour { device: link.name.clone(), ip: IpAddr::V4(ip) },
        }],
    };
    let begun = silent.filter(|_| stopped.is_none()).and_then(|rung| view.beginning_of(rung));
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).met_at(begun))
}

/// A question whose packets, or answers, go by the host's entry for one of its addresses.
fn is_borne(seat: &Seat, at: &Place, rung: &Rung) -> bool {
    let is_to = seat.instance.fixed().any(|own| IpAddr::V4(own) == rung.to)
        || seat.vif.floating.iter().any(|floating| IpAddr::V4(floating.address) == rung.to);
    (is_to || rung.from == seat.instance.name) && rung.answer.paths.iter().any(|path| passes(path, at))
}

/// The host's own stack looks a neighbour up there: what is only bridged goes by no entry of its.
pub(crate) fn passes(path: &Path, at: &Place) -> bool {
    let is_there = |hop: &Hop| hop.at.stage == Stage::Neighbour && hop.at.same_device(at);
    path.exchange != Exchange::Arp && path.hops.iter().any(is_there)
}

/// Who answered for the address.
pub(crate) fn answer(view: &View, held: &Holders, right: Mac) -> Evidence {
    let command = format!("arping -D -c 2 -I {} {}", typed(&held.link), held.address);
    let ns = view.snapshot().main_netns(&held.machine);
    let source = ns.map_or_else(|| command.clone(), |ns| evidence::within(ns, &command));
    let others: Vec<String> = held.stations.iter().map(|station| station.mac.to_string()).collect();
    let is_alone = held.stations.iter().all(|station| station.mac == right);
    let said = if is_alone {
        format!("{right} answers, and nobody else")
    } else {
        format!("{} answer", others.join(" and "))
    };
    evidence::record(EvidenceKind::Probe, source, said)
}

/// As `ip neigh replace` is told it.
pub(crate) fn nud(entry: &Neighbour) -> &'static str {
    match entry.state {
        NeighbourState::Permanent => "permanent",
        NeighbourState::Noarp => "noarp",
        NeighbourState::Reachable => "reachable",
        NeighbourState::Incomplete
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Failed
        | NeighbourState::None => "stale",
    }
}

#[cfg(test)]
mod tests {
    use model::Mac;
    use model::finding::Confidence;
    use model::link::{FdbEntry, FdbKind};
    use model::probe::{PING_OCTETS, ProbeResult};
    use model::route::NeighbourState;

    use crate::fixture::{Cloud, broken, codes, healthy, held, inject, lacks, minicloud, pinged};

    const CODE: &str = "host-neigh-wrong";
    const TAKEN: Mac = Mac([0x02, 0xde, 0xad, 0, 0, 0x01]);

    /// The host's entry for web1, of this state and with this MAC.
    fn with(state: NeighbourState, mac: Option<Mac>) -> Cloud {
        let mut cloud = broken(CODE);
        let entries = cloud.netns("compute1").neighbours.iter_mut();
        let own = entries.filter(|entry| entry.mac == Some(TAKEN));
        own.for_each(|entry| (entry.state, entry.mac) = (state, mac));
        cloud
    }

    #[test]
    fn fires_on_an_entry_of_any_state_whether_the_instance_can_be_entered_or_not() {
        for state in [NeighbourState::Permanent, NeighbourState::Reachable, NeighbourState::Stale] {
            let mut cloud = with(state, Some(TAKEN));
            for is_closed in [false, true] {
                if is_closed {
                    cloud.close("web1");
                }
                let told = cloud.diagnose("web1");
                assert_eq!(codes(&told), ["host-neigh-wrong compute1//br100"], "{state:?} {is_closed}");
                assert_eq!(told.findings[0].confidence, Confidence::Proven);
            }
        }
    }

    #[test]
    fn names_the_entry_its_state_and_the_way_back() {
        let told = broken(CODE).diagnose("web1").findings.remove(0);
        assert_eq!(told.evidence[0].text, "10.0.2.24 dev br100 lladdr 02:de:ad:00:00:01 PERMANENT");
        assert!(told.cause.contains("(PERMANENT, set by hand), and web1's MAC is fa:16:3e:00:02:24"));
        assert!(told.remedy[0].command.ends_with("ip neigh del 10.0.2.24 dev br100"));
        let undo = "ip neigh replace 10.0.2.24 lladdr 02:de:ad:00:00:01 dev br100 nud permanent";
        assert!(told.remedy[0].undo.ends_with(undo), "{}", told.remedy[0].undo);
    }

    #[test]
    fn stays_silent_on_an_entry_that_is_right_or_has_no_mac() {
        let own = healthy().intent.instances[0].vifs[0].mac;
        assert_eq!(codes(&with(NeighbourState::Permanent, own).diagnose("web1")), [""; 0]);
        for state in [NeighbourState::Failed, NeighbourState::Incomplete] {
            assert!(lacks(&with(state, None).diagnose("web1"), CODE), "{state:?}");
            assert!(lacks(&with(state, Some(TAKEN)).diagnose("web1"), CODE), "{state:?}");
        }
    }

    #[test]
    fn yields_where_that_mac_answers_for_the_address() {
        let own = healthy().intent.instances[0].vifs[0].mac.unwrap();
        let mut cloud = with(NeighbourState::Reachable, Some(TAKEN));
        cloud.holders = vec![held("br100", "10.0.2.24", &[own, TAKEN], false)];
        let told = cloud.diagnose("web1");
        assert!(lacks(&told, CODE) && !lacks(&told, "duplicate-ip-foreign"), "{:?}", codes(&told));
        // It alone: the instance may have another MAC than the records say.
        cloud.holders = vec![held("br100", "10.0.2.24", &[TAKEN], false)];
        assert!(lacks(&cloud.diagnose("web1"), CODE));
        cloud.holders = vec![held("br100", "10.0.2.24", &[own], false)];
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told), ["host-neigh-wrong compute1//br100"]);
        assert_eq!(told.findings[0].evidence[2].text, "fa:16:3e:00:02:24 answers, and nobody else");
    }

    #[test]
    fn of_an_instance_that_nobody_hears_it_is_only_likely() {
        let mut cloud = with(NeighbourState::Reachable, Some(TAKEN));
        cloud.close("web1");
        cloud.holders = vec![held("br100", "10.0.2.24", &[], false)];
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told), ["host-neigh-wrong compute1//br100"]);
        assert_eq!(told.findings[0].confidence, Confidence::Likely);
        cloud.intent.instances[0].vm_state = Some("stopped".to_owned());
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_a_mac_that_the_instance_wears() {
        let mut cloud = with(NeighbourState::Reachable, Some(TAKEN));
        cloud.link("web1", "eth0").mac = Some(TAKEN);
        assert!(lacks(&cloud.diagnose("web1"), CODE), "inside");
        let mut cloud = with(NeighbourState::Reachable, Some(TAKEN));
        cloud.close("web1");
        let link = cloud.link("compute1", "vnet0").index;
        let kind = FdbKind::Learned;
        let heard =
            FdbEntry { mac: TAKEN, link, vlan: None, kind, sticky: false, remote: None, on_self: false };
        cloud.netns("compute1").fdb.push(heard);
        assert!(lacks(&cloud.diagnose("web1"), CODE), "behind its tap");
        let other = cloud.intent.instances[1].vifs[0].mac;
        assert!(lacks(&with(NeighbourState::Reachable, other).diagnose("web1"), CODE), "another instance's");
        assert!(!lacks(&with(NeighbourState::Permanent, other).diagnose("web1"), CODE), "set by hand");
    }

    #[test]
    fn where_the_switch_cannot_be_looked_into_silence_proves_it() {
        let mut cloud = minicloud();
        let own = "10.0.0.11".parse::<std::net::IpAddr>().unwrap();
        let entries = cloud.netns("host").neighbours.iter_mut().filter(|entry| entry.ip == own);
        entries.for_each(|entry| (entry.state, entry.mac) = (NeighbourState::Reachable, Some(TAKEN)));
        let asked = |received| {
            let probe = ProbeResult { to: own, ..pinged("host", PING_OCTETS, received) };
            cloud.diagnose_with("inst1", &[probe])
        };
        let told = asked(0);
        assert_eq!(codes(&told), ["host-neigh-wrong host//br100"]);
        assert_eq!(told.findings[0].confidence, Confidence::Proven);
        assert!(lacks(&asked(2), CODE), "it is mended meanwhile");
        for state in [NeighbourState::Permanent, NeighbourState::Reachable, NeighbourState::Stale] {
            let entries = cloud.netns("host").neighbours.iter_mut().filter(|entry| entry.ip == own);
            entries.for_each(|entry| entry.state = state);
            let passive = cloud.diagnose("inst1");
            if state.is_by_hand() {
                assert_eq!(codes(&passive), ["host-neigh-wrong host//br100"]);
                assert_eq!(passive.findings[0].confidence, Confidence::Likely);
            } else {
                assert!(lacks(&passive, CODE), "nobody has missed anything, or somebody else answers");
            }
        }
    }

    #[test]
    fn stays_silent_on_faults_that_look_alike() {
        for other in
            ["guest-arp-poisoned", "fdb-static-stale", "duplicate-mac", "duplicate-ip-foreign", "arp-ignore"]
        {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
            let mut cloud = broken(CODE);
            inject(&mut cloud, other);
            let told = cloud.diagnose("web1");
            assert!(!lacks(&told, other), "{other}: {:?}", codes(&told));
        }
    }
}
