//! Our own probes as they were seen at the devices of their way: which hop saw them, and between which two they
//! went missing.

use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::link::LinkKind;
use model::path::{Direction, Disposition, Exchange, Hop, Observed, Path, Place, Stage};
use model::probe::{DeviceWatch, ProbeResult, ProbeSeen, Recorded};
use model::{Netns, Snapshot};

use crate::diagnose::{Case, probe_of, start_of};
use crate::ladder::Rung;
use crate::{dropped, said, traced};

/// A rung's paths with what was seen. The ends are known of the answer too; between them only what was watched is.
pub(crate) fn observed(case: &Case, rung: Rung, probe: Option<&ProbeResult>) -> Vec<Path> {
    let Some(probe) = probe else { return rung.answer.paths };
    let marks: Vec<Vec<Observed>> = rung.answer.paths.iter().map(|path| marks(case, &rung, path)).collect();
    let mut paths = rung.answer.paths;
    for (path, marks) in paths.iter_mut().zip(marks) {
        for (hop, mark) in path.hops.iter_mut().zip(marks) {
            hop.observed = mark;
        }
        let is_its = rung.purpose.exchange_of(path.exchange) == probe.asked.exchange();
        if !is_its || path.stop().is_some() || probe.recorded.is_some() {
            continue;
        }
        let end = if probe.received > 0 { Observed::Seen } else { Observed::NotSeen };
        let is_known = match end {
            // What leaves for an instance that cannot be entered is not seen to arrive in it.
            Observed::Seen => path.direction != Direction::Reply || !probe.by_host,
            Observed::NotSeen | Observed::NotWatched => path.direction == Direction::Reply,
        };
        if let Some(last) = path.hops.last_mut()
            && is_known
            && last.observed == Observed::NotWatched
        {
            last.observed = end;
        }
    }
    paths
}

/// The first hop of these at which a path's packets were seen.
pub(crate) fn seen_at<'p>(
    case: &Case,
    rung: &Rung,
    path: &'p Path,
    is_there: impl Fn(&Hop) -> bool,
) -> Option<&'p Hop> {
    let mut hops = path.hops.iter().zip(marks(case, rung, path));
    hops.find(|(hop, mark)| *mark == Observed::Seen && is_there(hop)).map(|(hop, _)| hop)
}

/// What was seen at each hop of a path.
fn marks(case: &Case, rung: &Rung, path: &Path) -> Vec<Observed> {
    let groups = path.hops.chunk_by(|a, b| a.at.same_device(&b.at));
    groups.flat_map(|group| vec![mark(case, rung, path, group); group.len()]).collect()
}

/// What was seen at a device that a path crosses, `group` being its hops there.
fn mark(case: &Case, rung: &Rung, path: &Path, group: &[Hop]) -> Observed {
    let Some(at) = group.first().map(|hop| &hop.at).filter(|_| path.exchange != Exchange::Arp) else {
        return Observed::NotWatched;
    };
    match watch_of(case, (rung, path.exchange), at) {
        Some(watch) if shows(case.snapshot, group) => match seen_there(watch, rung, path) {
            // What its host sends in its place begins at the host's side of the NIC.
            0 if is_before_start(case, rung, path, at) => Observed::NotWatched,
            0 => Observed::NotSeen,
            _ => Observed::Seen,
        },
        Some(_) | None => Observed::NotWatched,
    }
}

fn is_before_start(case: &Case, rung: &Rung, path: &Path, at: &Place) -> bool {
    let is_by_host = probe_of(case, rung).is_some_and(|probe| probe.by_host);
    is_by_host && path.direction == Direction::Request && at.host == rung.from
}

/// How many of a path's packets a device has seen in its direction.
fn seen_there(watch: &DeviceWatch, rung: &Rung, path: &Path) -> u32 {
    let seen = watch.probes.iter().find(|seen| is_of(seen, rung, path.exchange));
    seen.map_or(0, |seen| of_direction(seen, path.direction))
}

/// What tells whether a question's packets came to a device: the watch while ours were under way; where somebody else
/// asked, a capture that was made there meanwhile.
fn watch_of<'c>(case: &Case<'c>, (rung, exchange): (&Rung, Exchange), at: &Place) -> Option<&'c DeviceWatch> {
    let is_here = |watch: &&DeviceWatch| {
        (&watch.machine, &watch.netns, &watch.device) == (&at.host, &at.netns, &at.device)
    };
    let is_recorded = probe_of(case, rung).is_some_and(|probe| probe.recorded.is_some());
    let tells = |watch: &&DeviceWatch| {
        let is_listed = || watch.probes.iter().any(|seen| is_of(seen, rung, exchange));
        watch.is_recorded == is_recorded && (!is_recorded || is_listed())
    };
    case.watches.iter().filter(is_here).find(tells)
}

/// What was seen is of this question.
pub(crate) fn is_of(seen: &ProbeSeen, rung: &Rung, exchange: Exchange) -> bool {
    let same_size = seen.octets.is_none_or(|octets| octets == rung.octets());
    let exchange = rung.purpose.exchange_of(exchange);
    let same_port = rung.purpose.is_told_by(exchange, seen.port);
    seen.exchange == exchange && same_size && same_port && seen.from == rung.from && seen.to == rung.to
}

fn of_direction(seen: &ProbeSeen, direction: Direction) -> u32 {
    match direction {
        Direction::Request => seen.requests,
        Direction::Reply => seen.replies,
        Direction::Both => seen.requests + seen.replies,
    }
}

/// Whether a device shows the packets that a path takes over it, `group` being its hops there. A bridge shows at its
/// own device what it hands up or gets from above, and not what goes from port to port.
pub fn shows(snapshot: &Snapshot, group: &[Hop]) -> bool {
    let is_above = |hop: &Hop| matches!(hop.at.stage, Stage::Route | Stage::Local | Stage::Neighbour);
    group.first().is_some_and(|hop| !is_bridge(snapshot, hop)) || group.iter().any(is_above)
}

/// The device is a bridge itself.
pub(crate) fn is_bridge(snapshot: &Snapshot, hop: &Hop) -> bool {
    let link = netns_of(snapshot, &hop.at).and_then(|ns| ns.link_named(&hop.at.device));
    link.is_some_and(|link| link.kind == LinkKind::Bridge)
}

fn netns_of<'s>(snapshot: &'s Snapshot, at: &Place) -> Option<&'s Netns> {
    snapshot.netns.iter().find(|ns| ns.machine == at.host && ns.name == at.netns)
}

/// Where our packets went missing on a way that was predicted to be open.
pub(crate) struct Parted<'r> {
    pub(crate) direction: Direction,
    /// The last device that saw them; `None` where not even the first did.
    pub(crate) before: Option<&'r Hop>,
    /// The device behind it that was watched and did not.
    pub(crate) at: &'r Hop,
    /// Where that one asks for a neighbour, the way on to that: what dies there, too, leaves the question unanswered,
    /// and nothing is sent.
    pub(crate) behind: Vec<&'r Hop>,
}

/// The first watched device, in the order of the way there and back, that our packets did not reach, behind the last
/// one that they did. `None` where no device tells.
pub(crate) fn parted<'r>(case: &Case, rung: &'r Rung) -> Option<Parted<'r>> {
    let paths = rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let hops = paths.flat_map(|path| {
        path.hops.iter().zip(marks(case, rung, path)).map(|(hop, mark)| (path.direction, hop, mark))
    });
    let watched: Vec<_> = hops.filter(|(_, _, mark)| *mark != Observed::NotWatched).collect();
    let last_seen = watched.iter().rposition(|(_, _, mark)| *mark == Observed::Seen);
    let next = last_seen.map_or(0, |at| at + 1);
    let (direction, at, _) = *watched.get(next)?;
    let before = last_seen.and_then(|at| watched.get(at)).map(|(_, hop, _)| *hop);
    Some(Parted { direction, before, at, behind: behind(rung, at) })
}

/// Where our packets became fewer on a way on which some of them got through.
pub(crate) struct Thinned<'r> {
    pub(crate) direction: Direction,
    /// The last watched device that all of those passed which got so far; `None` where the first one misses some.
    pub(crate) before: Option<&'r Hop>,
    /// The watched device behind it, to which fewer came; the same one where they were lost behind it.
    pub(crate) at: &'r Hop,
    /// How many passed there, and how many of these came.
    pub(crate) passed: u32,
    pub(crate) came: u32,
}

/// The stretch on which most of a question's packets, or of their answers, were lost. What is seen further on has
/// passed all before it, whether it was seen there or not. Where no device was watched, all of the way is one stretch.
pub(crate) fn thinned<'r>(case: &Case, rung: &'r Rung, probe: &ProbeResult) -> Option<Thinned<'r>> {
    let own = || rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let mut counts: Vec<(Direction, &Hop, u32)> = Vec::new();
    for path in own() {
        for group in path.hops.chunk_by(|a, b| a.at.same_device(&b.at)) {
            let Some(at) = group.first() else { continue };
            let watch = watch_of(case, (rung, path.exchange), &at.at);
            let Some(watch) = watch.filter(|_| shows(case.snapshot, group)) else { continue };
            counts.push((path.direction, at, seen_there(watch, rung, path).min(probe.sent)));
        }
    }
    let path = own().next_back()?;
    let (last, direction) = (path.hops.last()?, path.direction);
    let arrives = direction == Direction::Reply && matches!(path.disposition, Disposition::Delivered { .. });
    let is_home = |at: &Place| arrives && (at.same_device(&last.at) || probe.by_host);
    match counts.last() {
        // What has come to the asker's own device is late, and not lost.
        Some((of, hop, _)) if *of == Direction::Reply && is_home(&hop.at) => {}
        Some((_, hop, _)) => counts.push((direction, hop, probe.received)),
        None => counts.push((direction, last, probe.received)),
    }
    let mut least = 0;
    for (_, _, count) in counts.iter_mut().rev() {
        least = (*count).max(least);
        *count = least;
    }
    let mut before: Option<&Hop> = None;
    let mut passed = probe.sent;
    let mut worst: Option<Thinned> = None;
    for (direction, at, came) in counts {
        let lost = passed.saturating_sub(came);
        if lost > worst.as_ref().map_or(0, |worst| worst.passed - worst.came) {
            worst = Some(Thinned { direction, before, at, passed, came });
        }
        (before, passed) = (Some(at), came);
    }
    worst
}

/// The hops from a device to the neighbour that it asks for, that one's first included.
fn behind<'r>(rung: &'r Rung, at: &Hop) -> Vec<&'r Hop> {
    let own = rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let way: Vec<&Hop> = own.flat_map(|path| &path.hops).skip_while(|hop| !std::ptr::eq(*hop, at)).collect();
    let here = way.iter().take_while(|hop| hop.at.same_device(&at.at)).count();
    let (here, beyond) = way.split_at(here);
    if here.iter().all(|hop| hop.at.stage != Stage::Neighbour) {
        return Vec::new();
    }
    let is_switched = |hop: &&&Hop| matches!(hop.at.stage, Stage::Bridge | Stage::Wire);
    let switched = beyond.iter().take_while(is_switched).count();
    beyond.iter().take(switched + 1).copied().collect()
}

/// A hop that is predicted to pass and is not seen.
pub(crate) fn finding(
    case: &Case,
    parted: &Parted,
    (rung, instance, probe): (&Rung, &str, &ProbeResult),
) -> Finding {
    let Parted { direction, before, at, behind: _ } = parted;
    let exchange = probe.asked.exchange();
    let asked = said::question(exchange);
    let what = match direction {
        Direction::Reply => format!("the answer to {asked}"),
        Direction::Request | Direction::Both => asked.to_owned(),
    };
    let seen_at = before.map_or_else(|| start_of(rung), |hop| hop.at.clone());
    let way = match before {
        Some(hop) if hop.at.same_device(&at.at) => {
            format!("passes {} on its way there, and {} comes back to it", hop.at, said::in_its_stead(probe))
        }
        Some(hop) => format!("is seen at {} and does not come to {}", hop.at, at.at),
        None => format!("is not even seen at {}", at.at),
    };
    let is_turn = before.is_some_and(|hop| hop.at.same_device(&at.at)) && *direction == Direction::Reply;
    let summary = if is_turn {
        format!("{asked} from {} to {} {way}", probe.from, probe.to)
    } else {
        format!("{what} from {} to {} {way}", probe.from, probe.to)
    };
    Finding {
        code: "lost-at-hop".to_owned(),
        hop: at.at.clone(),
        direction: *direction,
        exchange,
        summary,
        cause: format!(
            "everything that was read would let it pass; {}{}",
            silent_killers(case, exchange, before.map(|_| &seen_at), &at.at),
            if is_turn { beyond(case, rung) } else { String::new() },
        ),
        confidence: if probe.is_telling() { Confidence::Likely } else { Confidence::Possible },
        evidence: counted(case, parted, rung, probe)
            .into_iter()
            .chain(dropped::of(case, rung, probe))
            .chain([said::evidence(probe)])
            .chain(traced::evidence(case, rung))
            .collect(),
        owner: "unknown".to_owned(),
        remedy: Vec::new(),
        instances: vec![instance.to_owned()],
    }
}

/// Who was the last to pass it on, where it has left the site.
fn beyond(case: &Case, rung: &Rung) -> String {
    traced::last(case, rung).map_or_else(String::new, |last| format!("; the last to pass it on is {last}"))
}

/// How many of them were seen at the two devices.
pub(crate) fn counted(case: &Case, parted: &Parted, rung: &Rung, probe: &ProbeResult) -> Vec<Evidence> {
    let exchange = probe.asked.exchange();
    let counted = |hop: &Hop| {
        let watch = watch_of(case, (rung, exchange), &hop.at)?;
        let seen = watch.probes.iter().find(|seen| is_of(seen, rung, exchange));
        let (requests, replies) = seen.map_or((0, 0), |seen| (seen.requests, seen.replies));
        let counts = format!("of {} {requests} were seen here, and {replies} replies", said::asked(probe));
        let recorded = seen.and_then(|seen| seen.recorded.as_ref());
        Some(Evidence {
            kind: EvidenceKind::Capture,
            source: match recorded {
                Some(recorded) => recorded.shown_by.clone(),
                None => format!("hopline capture --at {} '{}'", hop.at, said::filter(probe)),
            },
            text: match recorded {
                Some(Recorded { packet, .. }) if !packet.is_empty() => {
                    format!("{}: {counts}; the first is {packet}", hop.at)
                }
                Some(_) => format!("{}: {counts}", hop.at),
                None => counts,
            },
        })
    };
    let before = parted.before.filter(|before| !before.at.same_device(&parted.at.at));
    before.into_iter().chain([parted.at]).filter_map(counted).collect()
}

/// What drops packets without a word between two devices, as far as their kinds make it possible.
pub(crate) fn silent_killers(case: &Case, exchange: Exchange, from: Option<&Place>, to: &Place) -> String {
    let Some(from) = from else {
        return format!(
            "what the sender's own stack drops: its rules, a tc filter on {} (`tc filter show dev {} egress`), \
             a neighbour that is not resolved",
            to.device, to.device
        );
    };
    let is_inside = |at: &Place| netns_of(case.snapshot, at).is_some_and(|ns| ns.instance);
    if from.same_device(to) {
        let own = match exchange {
            Exchange::Icmp => " or net.ipv4.icmp_echo_ignore_all",
            Exchange::Dns => ", a server that does not answer whom it does not know",
            Exchange::Arp | Exchange::Dhcp | Exchange::Tcp | Exchange::Udp | Exchange::None => "",
        };
        return format!(
            "beyond {} nobody answers, or the answer is dropped: the receiver's own firewall{own}, a way back that it \
             has not got, a switch between",
            to.device
        );
    }
    if (&from.host, &from.netns) == (&to.host, &to.netns) {
        return format!(
            "between them on one machine: a next hop that no longer answers ARP (`ip neigh show dev {1}`), a tc \
             filter or XDP program (`tc filter show dev {0} ingress`, `tc filter show dev {1} egress`, `ip -d link \
             show dev {0}`), a queue that drops (`tc -s qdisc show dev {1}`), a full connection table (`conntrack \
             -S`, `dmesg`)",
            from.device, to.device
        );
    }
    if is_inside(from) || is_inside(to) {
        return "between a guest's NIC and its tap: a guest that does not empty its queue (`ip -s link show` of the \
                tap: TX drops), a tc or XDP program on the tap, a vhost thread that has died"
            .to_owned();
    }
    "between two machines: a switch that does not carry the VLAN, port security or anti-spoofing by MAC or \
     address, a cable or transceiver that loses one direction, a member of a bond that the switch does not know"
        .to_owned()
}

#[cfg(test)]
mod tests;
