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
        Some(watch) if shows(case.snapshot, group) => {
            let seen = watch.probes.iter().find(|seen| is_of(seen, rung, path.exchange));
            let count = seen.map_or(0, |seen| of_direction(seen, path.direction));
            if count > 0 { Observed::Seen } else { Observed::NotSeen }
        }
        Some(_) | None => Observed::NotWatched,
    }
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
            let seen = watch.probes.iter().find(|seen| is_of(seen, rung, path.exchange));
            let count = seen.map_or(0, |seen| of_direction(seen, path.direction));
            counts.push((path.direction, at, count.min(probe.sent)));
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
mod tests {
    use model::finding::{Confidence, EvidenceKind};
    use model::path::{Direction, Exchange, Observed};
    use model::probe::{Asked, DeviceWatch, PING_OCTETS, ProbeResult, ProbeSeen, Recorded};

    use crate::fixture::{broken, codes, healthy};

    fn ping(received: u32) -> ProbeResult {
        ProbeResult {
            from: "web1".to_owned(),
            by_host: false,
            to: "1.2.3.4".parse().unwrap(),
            asked: Asked::Echo { octets: PING_OCTETS },
            sent: 2,
            received,
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: None,
        }
    }

    fn at(machine: &str, device: &str, requests: u32, replies: u32) -> DeviceWatch {
        let (from, to) = ("web1".to_owned(), "1.2.3.4".parse().unwrap());
        let (exchange, octets) = (Exchange::Icmp, Some(PING_OCTETS));
        let (port, frames, recorded) = (None, Vec::new(), None);
        let seen = ProbeSeen { from, to, exchange, octets, port, requests, replies, frames, recorded };
        let probes = if requests + replies > 0 { vec![seen] } else { Vec::new() };
        DeviceWatch {
            machine: machine.to_owned(),
            netns: String::new(),
            device: device.to_owned(),
            probes,
            clients: Vec::new(),
            neighbours: Vec::new(),
            is_recorded: false,
        }
    }

    #[test]
    fn a_ping_that_does_not_come_to_the_next_device_is_lost_there() {
        let watches = [at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 0, 0), at("gw", "eth0", 0, 0)];
        let found = healthy().diagnose_watched("web1", &[ping(0)], &watches);
        assert_eq!(codes(&found), ["lost-at-hop compute1//eth0"]);
        let finding = &found.findings[0];
        assert_eq!((finding.confidence, finding.direction), (Confidence::Likely, Direction::Request));
        assert!(finding.summary.contains("seen at compute1//vnet0"), "{}", finding.summary);
        assert!(finding.cause.contains("`ip neigh show dev eth0`"), "{}", finding.cause);
        assert!(finding.cause.contains("tc filter show dev eth0 egress"), "{}", finding.cause);
        assert!(
            finding.evidence[0].text.contains("of 2 echo requests 2 were seen"),
            "{:?}",
            finding.evidence
        );
    }

    #[test]
    fn a_loss_is_told_before_what_stops_nothing_and_not_beside_what_may_explain_it() {
        let watches = [at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 0, 0)];
        let told = |fault: &str| codes(&broken(fault).diagnose_watched("web1", &[ping(0)], &watches));
        assert_eq!(
            told("nova-rules-drift"),
            ["lost-at-hop compute1//eth0", "nova-rules-drift compute1//br100"]
        );
        // What a walk ends at stops what it stops, and nothing else at its device.
        assert_eq!(
            told("float-dnat-missing"),
            ["lost-at-hop compute1//eth0", "float-dnat-missing compute1//eth0"]
        );
    }

    #[test]
    fn an_answer_to_what_its_host_sent_is_seen_up_to_the_instances_nic() {
        let watches = [at("compute1", "vnet0", 2, 2)];
        let inside = |by_host| {
            let found = healthy().diagnose_watched("web1", &[ProbeResult { by_host, ..ping(2) }], &watches);
            let is_reply = |path: &&model::Path| path.direction == Direction::Reply && path.stop().is_none();
            let paths = found.paths.iter().filter(|path| path.exchange == Exchange::Icmp).filter(is_reply);
            let mut ends = paths.filter_map(|path| path.hops.last()).filter(|hop| hop.at.host == "web1");
            let watched = |hop: &&model::path::Hop| hop.packet.starts_with("1.2.3.4 > ");
            ends.find(watched).map(|hop| hop.observed)
        };
        assert_eq!(inside(false), Some(Observed::Seen));
        assert_eq!(inside(true), Some(Observed::NotWatched));
    }

    /// What a capture has of somebody else's pings.
    fn recorded(packet: &str) -> Recorded {
        let shown_by = "tcpdump -n -r a.pcap 'icmp and host 1.2.3.4'".to_owned();
        Recorded { shown_by, packet: packet.to_owned(), is_telling: true }
    }

    fn in_capture(mut watch: DeviceWatch) -> DeviceWatch {
        watch.is_recorded = true;
        watch.probes.iter_mut().for_each(|seen| seen.recorded = Some(recorded("packet 7 of a.pcap")));
        watch
    }

    #[test]
    fn what_a_capture_shows_is_as_good_as_what_was_sent() {
        let silent = DeviceWatch {
            probes: vec![ProbeSeen { requests: 0, ..at("", "", 1, 0).probes[0].clone() }],
            ..at("compute1", "eth0", 0, 0)
        };
        let watches = [in_capture(at("compute1", "vnet0", 2, 0)), in_capture(silent)];
        let asked = ProbeResult { recorded: Some(recorded("packet 7 of a.pcap")), by_host: true, ..ping(0) };
        let found = healthy().diagnose_watched("web1", std::slice::from_ref(&asked), &watches);
        assert_eq!(codes(&found), ["lost-at-hop compute1//eth0"]);
        let evidence = &found.findings[0].evidence;
        assert!(evidence.iter().all(|line| line.kind == EvidenceKind::Capture), "{evidence:?}");
        assert!(evidence[0].source.starts_with("tcpdump -n -r a.pcap"), "{evidence:?}");
        assert!(evidence[0].text.contains("the first is packet 7 of a.pcap"), "{evidence:?}");
        // A device that the capture tells nothing of is none that lacks it.
        let watches = [in_capture(at("compute1", "vnet0", 2, 0)), in_capture(at("compute1", "eth0", 0, 0))];
        let found = healthy().diagnose_watched("web1", &[asked], &watches);
        assert_eq!(codes(&found), ["lost-at-hop compute1//vnet0"]);
        assert_eq!(found.findings[0].direction, Direction::Reply);
    }

    #[test]
    fn an_answer_of_another_time_takes_nothing_back() {
        let watches = [in_capture(at("compute1", "vnet0", 2, 2))];
        let told = |is_telling| {
            let recorded = Some(Recorded { is_telling, ..recorded("packet 7 of a.pcap") });
            let asked = ProbeResult { recorded, by_host: true, ..ping(2) };
            let mut cloud = broken("ip-forward-0");
            cloud.probes = vec![asked.clone()];
            let found = cloud.diagnose_watched("web1", &[asked], &watches);
            found.coverage.gaps.iter().any(|gap| gap.why.contains("the walk says that it dies"))
        };
        assert!(told(true) && !told(false));
    }

    #[test]
    fn an_answer_that_is_lost_on_its_way_back_is_told_apart() {
        let watches = [at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 2, 2), at("gw", "eth0", 2, 2)];
        let found = healthy().diagnose_watched("web1", &[ping(0)], &watches);
        assert_eq!(codes(&found), ["lost-at-hop compute1//vnet0"]);
        assert_eq!(found.findings[0].direction, Direction::Reply);
        assert!(found.findings[0].summary.starts_with("the answer to the ping from web1"));
    }

    #[test]
    fn nothing_is_found_where_an_answer_came_however_it_went() {
        let watches = [at("compute1", "vnet0", 2, 2), at("compute1", "eth0", 0, 0)];
        let found = healthy().diagnose_watched("web1", &[ping(2)], &watches);
        assert_eq!(codes(&found), Vec::<String>::new());
        let is_ours = |hop: &&model::path::Hop| hop.at.device == "eth0" && hop.at.host == "compute1";
        let paths = found.paths.iter().filter(|path| path.exchange == Exchange::Icmp);
        let mut to_outside = paths.filter(|path| path.hops.iter().any(|hop| hop.at.host == "gw"));
        let there = to_outside.next().and_then(|path| path.hops.iter().find(is_ours));
        assert_eq!(there.map(|hop| hop.observed), Some(Observed::NotSeen));
    }
}
