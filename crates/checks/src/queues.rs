//! Queues that lose packets: what the facts say of them, and what their own counters say of the time in which our
//! probes were under way.

use std::borrow::Cow;

use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::link::Link;
use model::path::{Direction, Exchange, Hop, Place, Stop};
use model::probe::{DeviceWatch, ProbeResult, QueuesSeen};
use model::queueing::{Qdisc, QdiscPlace, TcSide};
use model::{Netns, Snapshot};

use crate::catalogue::links::l2_loop;
use crate::diagnose::is_probe_of;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::ladder::{Purpose, Rung};
use crate::mend::{Mend, Setting};
use crate::restart::typed;
use crate::said;
use crate::view::{Stopped, View};

/// Octets of a frame's header, which queues count.
const ETHERNET_OCTETS: u64 = 14;

/// Whose queues a check tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Instances' NICs' on the host's side.
    Taps,
    /// All others'.
    Others,
}

/// A link whose queue loses packets.
struct Lossy<'v> {
    place: Place,
    ns: &'v Netns,
    link: &'v Link,
    /// As it is now.
    qdisc: Qdisc,
    how: How<'v>,
}

enum How<'v> {
    /// A walk ends there: it takes none like that packet.
    Refuses(Stopped<'v>),
    /// It has no room for ten full-sized packets at once, and nobody sent any to see.
    TooNarrow { octets: u16 },
    /// It counted drops while these packets of ours were lost.
    Counted { drops: u32, probe: &'v ProbeResult },
    /// What it holds back are packets that were waited for.
    Holds { probe: &'v ProbeResult },
}

/// Every such link, once, with the instances that it hits.
pub(crate) fn check(view: &View, code: &'static str, whose: Whose) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let is_told =
        |found: &[Found], place: &Place| found.iter().any(|known| known.finding.hop.same_device(place));
    for stopped in view.stops().filter(|stopped| matches!(stopped.stop, Stop::QueueRefuses(_))) {
        let Some(lossy) = refusing(view, stopped).filter(|lossy| is_whose(view, lossy, whose)) else {
            continue;
        };
        if !is_told(&found, &lossy.place) {
            found.push(told(view, code, stopped.rung, &lossy));
        }
    }
    for (rung, lossy) in view.rungs.iter().flat_map(|rung| too_narrow(view, rung).map(move |it| (rung, it))) {
        if is_whose(view, &lossy, whose) && !is_told(&found, &lossy.place) {
            found.push(told(view, code, rung, &lossy));
        }
    }
    for rung in view.rungs.iter().filter(|_| view.is_as_read) {
        let Some(probe) = lossy_probe(view, rung) else { continue };
        let hops =
            rung.answer.paths.iter().flat_map(|path| path.hops.iter().map(|hop| (path.direction, hop)));
        for (direction, hop) in hops {
            if has_left(view, direction, hop, probe) {
                continue;
            }
            let Some(lossy) = counting(view, hop, probe).filter(|lossy| is_whose(view, lossy, whose)) else {
                continue;
            };
            if !is_told(&found, &lossy.place) {
                found.push(told(view, code, rung, &lossy));
            }
        }
    }
    found
}

fn refusing<'v>(view: &View<'v>, stopped: Stopped<'v>) -> Option<Lossy<'v>> {
    let place = &stopped.hop.at;
    let ns = view.netns_at(place)?;
    let link = ns.link_named(&place.device)?;
    let qdisc = link.root_qdisc()?.clone();
    Some(Lossy { place: place.clone(), ns, link, qdisc, how: How::Refuses(stopped) })
}

/// The queues on the way of a large packet that are bound to lose some of a TCP connection's first ones, where nobody
/// has tried: who has sent as many in one go knows better.
fn too_narrow<'v>(view: &View<'v>, rung: &'v Rung) -> impl Iterator<Item = Lossy<'v>> {
    let (netns, is_asked) = (view.snapshot(), view.probes.iter().any(|probe| is_probe_of(probe, rung)));
    let is_large = matches!(rung.purpose, Purpose::Large(_));
    let is_open = rung.answer.paths.iter().all(|path| path.stop().is_none());
    let paths = rung.answer.paths.iter().filter(move |_| is_large && is_open && !is_asked);
    let octets = rung.octets();
    paths.flat_map(|path| &path.hops).filter_map(move |hop| {
        let ns = netns.netns.iter().find(|ns| (&ns.machine, &ns.name) == (&hop.at.host, &hop.at.netns))?;
        let link = ns.link_named(&hop.at.device)?;
        let root = link.root_qdisc()?;
        // Another queue in its place holds what that says.
        let is_own = link.qdiscs.iter().all(|qdisc| !matches!(qdisc.place, QdiscPlace::Class(_)));
        let is_narrow = is_own && root.loses_first_window(u64::from(octets) + ETHERNET_OCTETS);
        let how = How::TooNarrow { octets };
        is_narrow.then(|| Lossy { place: hop.at.clone(), ns, link, qdisc: root.clone(), how })
    })
}

fn is_whose(view: &View, lossy: &Lossy, whose: Whose) -> bool {
    let is_tap = view.seats_of_all().any(|seat| {
        std::ptr::eq(seat.ns, lossy.ns) && seat.tap().is_some_and(|tap| tap.name == lossy.link.name)
    });
    is_tap == (whose == Whose::Taps)
}

/// What was asked for a rung, where some of it was lost.
fn lossy_probe<'v>(view: &View<'v>, rung: &Rung) -> Option<&'v ProbeResult> {
    let is_open = rung.answer.paths.iter().all(|path| path.stop().is_none());
    let mut probes = view.probes.iter().filter(|probe| is_open && is_probe_of(probe, rung));
    probes.find(|probe| probe.received < probe.sent)
}

/// Whatever the device's queue has dropped was somebody else's: all of ours was seen behind it, where captures see what
/// leaves (`dev_hard_start_xmit`, net/core/dev.c).
fn has_left(view: &View, direction: Direction, hop: &Hop, probe: &ProbeResult) -> bool {
    let at = &hop.at;
    let is_there = |watch: &&DeviceWatch| {
        (&watch.machine, &watch.netns, &watch.device) == (&at.host, &at.netns, &at.device)
    };
    let asked = (&probe.from, probe.to, probe.asked.exchange(), probe.asked.octets());
    view.watches.iter().filter(is_there).flat_map(|watch| &watch.probes).any(|seen| {
        let is_it = (&seen.from, seen.to, seen.exchange, seen.octets) == asked;
        let is_whole = match direction {
            Direction::Reply => seen.replies > 0 && seen.replies >= seen.requests.min(probe.sent),
            Direction::Request | Direction::Both => seen.requests >= probe.sent,
        };
        is_it && is_whole
    })
}

/// The link of a hop, where its queue counted drops meanwhile, or holds packets back that it cannot send on.
fn counting<'v>(view: &View<'v>, hop: &Hop, probe: &'v ProbeResult) -> Option<Lossy<'v>> {
    let ns = view.netns_at(&hop.at)?;
    let link = ns.link_named(&hop.at.device)?;
    // What goes round fills any queue.
    if l2_loop::is_on_circle(view.world, ns, link) {
        return None;
    }
    let (before, after) = (link.root_qdisc()?, after(view.queues, ns, link)?);
    let drops = risen(before, after);
    // A roomy queue that the kernel attached drops what is too much for the link, and never all that is ours.
    let is_usual = after.handle == 0 && after.is_roomy() && probe.received == 0;
    let how = if drops > 0 && !is_usual {
        How::Counted { drops, probe }
    } else if after.stats.backlog_packets > 0 && !after.is_roomy() {
        How::Holds { probe }
    } else {
        return None;
    };
    Some(Lossy { place: hop.at.clone(), ns, link, qdisc: after.clone(), how })
}

/// The same queueing discipline after the probes, where that was read and it is the same.
fn after<'v>(queues: &'v [QueuesSeen], ns: &Netns, link: &Link) -> Option<&'v Qdisc> {
    let root = link.root_qdisc()?;
    let mut again = of_link(queues, ns, link)?.iter();
    again.find(|qdisc| (qdisc.place, &qdisc.kind, qdisc.handle) == (root.place, &root.kind, root.handle))
}

fn of_link<'v>(queues: &'v [QueuesSeen], ns: &Netns, link: &Link) -> Option<&'v [Qdisc]> {
    let seen = queues.iter().find(|seen| (&seen.machine, &seen.netns) == (&ns.machine, &ns.name))?;
    let (_, qdiscs) = seen.queues.iter().find(|(name, _)| *name == link.name)?;
    Some(qdiscs)
}

fn risen(before: &Qdisc, after: &Qdisc) -> u32 {
    // Less than before is a device that was made anew.
    after.stats.drops.saturating_sub(before.stats.drops)
}

/// How many packets the filters of a link, and the root that asks some, dropped while our probes were under way. `None`
/// where nobody looked twice.
pub(crate) fn dropped_by_filters(queues: &[QueuesSeen], ns: &Netns, link: &Link) -> Option<u32> {
    let again = of_link(queues, ns, link)?;
    let risen = |before: &Qdisc| {
        let same = again.iter().find(|after| (after.place, after.handle) == (before.place, before.handle));
        same.map(|after| risen(before, after))
    };
    let is_root_asking = link.filters.iter().any(|filter| filter.side == TcSide::Root);
    let holds_filters = |qdisc: &&Qdisc| match qdisc.place {
        QdiscPlace::Filters => true,
        QdiscPlace::Root => is_root_asking,
        QdiscPlace::Class(_) => false,
    };
    link.qdiscs.iter().filter(holds_filters).filter_map(risen).reduce(u32::saturating_add)
}

/// Takes the filters out of the facts that dropped nothing while our probes were under way: they let packets like ours
/// pass. One whose action leads packets elsewhere counts no drop, and stays.
pub(crate) fn forget_idle_filters(snapshot: &mut Snapshot, queues: &[QueuesSeen]) {
    for ns in &mut snapshot.netns {
        let idle: Vec<u32> = ns
            .links
            .iter()
            .filter(|link| !link.filters.is_empty() && dropped_by_filters(queues, ns, link) == Some(0))
            .map(|link| link.index)
            .collect();
        for link in ns.links.iter_mut().filter(|link| idle.contains(&link.index)) {
            link.filters.retain(|filter| !filter.actions.is_empty());
        }
    }
}

/// The facts as though no filter dropped anything: the way that is to be watched, as far as it may go.
pub(crate) fn without_filters(read: &Snapshot) -> Cow<'_, Snapshot> {
    // Few machines have any, and rulesets are large.
    if read.netns.iter().flat_map(|ns| &ns.links).all(|link| link.filters.is_empty()) {
        return Cow::Borrowed(read);
    }
    let mut snapshot = read.clone();
    snapshot.netns.iter_mut().flat_map(|ns| &mut ns.links).for_each(|link| link.filters.clear());
    Cow::Owned(snapshot)
}

/// Some device on a question's way makes what leaves wait in a queue that is not a usual, roomy one.
pub fn is_narrow(snapshot: &Snapshot, rung: &Rung) -> bool {
    let link = |place: &Place| {
        let mut read = snapshot.netns.iter();
        let ns = read.find(|ns| (&ns.machine, &ns.name) == (&place.host, &place.netns))?;
        ns.link_named(&place.device)
    };
    let hops = rung.answer.paths.iter().flat_map(|path| &path.hops);
    let mut queues = hops.filter_map(|hop| link(&hop.at)?.root_qdisc());
    queues.any(|qdisc| !qdisc.is_roomy())
}

fn told(view: &View, code: &'static str, rung: &Rung, lossy: &Lossy) -> Found {
    let Lossy { place, ns, link, qdisc, how } = lossy;
    let instance = view.intent().instances.get(rung.instance).map(|instance| instance.name.clone());
    let (device, machine) = (&link.name, &ns.machine);
    let (summary, cause, confidence) = match how {
        How::Refuses(stopped) => (
            format!(
                "{} cannot leave by {device} of {machine}: its queue takes none like it",
                stopped.hop.packet
            ),
            format!(
                "the queueing discipline of {device}, {qdisc}, drops whatever is like it, however idle it is"
            ),
            Confidence::Proven,
        ),
        How::TooNarrow { octets } => (
            format!("the queue of {device} of {machine} has no room for what comes in one go"),
            format!(
                "{qdisc} lets through or holds less than ten packets of {octets} octets, as many as TCP sends at \
                 first, and drops the rest"
            ),
            Confidence::Likely,
        ),
        How::Counted { drops, .. } => (
            format!("packets are lost in the queue of {device} of {machine}, which has no room for them"),
            format!(
                "{qdisc}, through which all goes that leaves by {device}, dropped {drops} packets while ours were \
                 under way"
            ),
            Confidence::Likely,
        ),
        How::Holds { .. } => (
            format!(
                "packets wait too long in the queue of {device} of {machine}, which sends them on too slowly"
            ),
            format!("{qdisc} holds {} packets back", qdisc.stats.backlog_packets),
            Confidence::Likely,
        ),
    };
    let stopped = match how {
        How::Refuses(stopped) => Some(*stopped),
        How::TooNarrow { .. } | How::Counted { .. } | How::Holds { .. } => None,
    };
    let fault = Fault {
        code,
        hop: place.clone(),
        summary,
        cause,
        confidence,
        evidence: shown(lossy),
        owner: if link.filters.is_empty() && qdisc.handle == 0 { "unknown" } else { "operator" },
        remedy: vec![remedy(ns, link, qdisc)],
        instances: instance.into_iter().collect(),
        stopped,
        mend: vec![Mend::Set { machine: machine.clone(), device: device.clone(), setting: Setting::NoQueue }],
    };
    match how {
        How::Refuses(_) => fault.found(),
        How::TooNarrow { .. } => fault.found().breaks(Exchange::Icmp, Direction::Both),
        How::Counted { probe, .. } | How::Holds { probe } => {
            fault.found().breaks(exchange(probe), Direction::Both)
        }
    }
}

fn exchange(probe: &ProbeResult) -> Exchange {
    probe.asked.exchange()
}

fn shown(lossy: &Lossy) -> Vec<Evidence> {
    let Lossy { ns, link, qdisc, how, .. } = lossy;
    let source = evidence::within(ns, &format!("tc -s qdisc show dev {}", typed(&link.name)));
    let before = link.root_qdisc().map_or(0, |root| root.stats.drops);
    let stats = qdisc.stats;
    let (text, probe) = match how {
        How::Refuses(_) | How::TooNarrow { .. } => (format!("{qdisc}, dropped {} so far", stats.drops), None),
        How::Counted { probe, .. } | How::Holds { probe } => (
            format!(
                "{qdisc}, dropped {before} before our probes and {} behind them, overlimits {}, backlog {}b {}p",
                stats.drops, stats.overlimits, stats.backlog_octets, stats.backlog_packets
            ),
            Some(*probe),
        ),
    };
    let counted = evidence::record(EvidenceKind::Counter, source, text);
    [counted].into_iter().chain(probe.map(said::evidence)).collect()
}

/// What the kernel attached by itself cannot be taken away, and drops only what is too much for the link.
fn remedy(ns: &Netns, link: &Link, qdisc: &Qdisc) -> Remedy {
    let device = typed(&link.name);
    if qdisc.handle == 0 {
        let command = format!("tc -s qdisc show dev {device}");
        let note = "mends nothing: shows whether more is sent than the link takes, and goes on being";
        return evidence::remedy(ns, &command, "", note);
    }
    let undo =
        words(qdisc).map(|words| format!("tc qdisc add dev {device} root {words}")).unwrap_or_default();
    let note = "after a look at who set it: a quota of the instance's flavour (quota:vif_outbound_average), libvirt's \
                <bandwidth>, or somebody by hand";
    evidence::remedy(ns, &format!("tc qdisc del dev {device} root"), &undo, note)
}

/// As tc takes it, where all of its options were read.
fn words(qdisc: &Qdisc) -> Option<String> {
    let printed = qdisc.to_string();
    let (_, options) = printed.split_once(": ").unwrap_or((&printed, ""));
    match qdisc.kind.as_str() {
        "blackhole" => Some("blackhole".to_owned()),
        // Their limits are told with the unit that tc prints and does not take.
        "pfifo" | "bfifo" => Some(format!("{} {}", qdisc.kind, options.trim_end_matches(['p', 'b']))),
        "tbf" => Some(format!("tbf {options}")),
        _ => None,
    }
}
