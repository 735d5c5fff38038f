//! The way out of a site that names nobody outside. Nothing is known there that must answer, so a packet is only walked
//! to the outside, and the router next to the cloud is asked for real, and the server beyond it that its hosts ask for
//! names. They may rightly refuse to be pinged, so that their silence tells only where they answer somebody else. What
//! somebody outside sends in is walked from the link by which the site sends to them, and asked in his name there.

use std::net::{IpAddr, Ipv4Addr};

use model::few;
use model::intent::{Instance, SecurityGroupRule};
use model::path::{Direction, Disposition, Exchange, Path, Place, Stop};
use model::probe::ProbeResult;
use model::route::TABLE_MAIN;
use model::snapshot::Gap;
use sim::{Answer, Endpoint, Protocol, Question, World};

use crate::contradiction::Asking;
use crate::diagnose::Case;
use crate::dropped;
use crate::ladder::{self, Purpose, Rung, Symptom};
use crate::nova;
use crate::protocols::Service;
use crate::watched::{self, Parted};

/// An address that stands for "anywhere outside" where the site names no external host (RFC 5737).
pub(crate) const ANYWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Whom a rung's question is asked in the name of, where that is somebody outside whom nobody knows. An instance may be
/// called like him.
pub fn stranger(rung: &Rung) -> Option<Ipv4Addr> {
    let is_inwards = matches!(rung.purpose, Purpose::Inbound(_) | Purpose::InboundBy(..) | Purpose::Ssh(_));
    (is_inwards && rung.from == sim::OUTSIDE).then_some(ANYWHERE)
}

/// In a stranger's name the question is asked behind this place, and its answer heard before it.
pub(crate) fn is_bypassed(rung: &Rung, at: &Place) -> bool {
    let mut own = rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let comes_in = own.next().and_then(|path| path.hops.first());
    stranger(rung).is_some() && comes_in.is_some_and(|comes_in| comes_in.at.same_device(at))
}

/// What was asked in a stranger's name has never passed the place at which its walk cannot tell.
pub(crate) fn is_doubt_bypassed(rung: &Rung) -> bool {
    let is_open = |path: &&Path| matches!(path.disposition, Disposition::Unknown { .. });
    let open = rung.answer.paths.iter().find(is_open).and_then(|path| path.hops.last());
    open.is_some_and(|hop| is_bypassed(rung, &hop.at))
}

/// The rung is walked to anywhere, where nobody is that could be asked; `to` is the destination complained of.
pub fn is_of_nobody(rung: &Rung, to: Option<Ipv4Addr>) -> bool {
    let is_outwards = matches!(
        rung.purpose,
        Purpose::Outside | Purpose::OutsideBy(_) | Purpose::Large(_) | Purpose::Step | Purpose::StepBy(_)
    );
    is_outwards && to.is_none() && rung.to == IpAddr::V4(ANYWHERE)
}

/// Who is known beyond the instance's gateway where the site names nobody there: the router next to it, and the first
/// server that it asks for names and that is not of the site.
pub(crate) fn beyond(world: &World, instance: usize) -> Vec<Ipv4Addr> {
    if ladder::outside(world).is_some() {
        return Vec::new();
    }
    let is_of_site = |ip: Ipv4Addr| {
        let mut carried = world.snapshot.netns.iter().flat_map(|ns| &ns.addresses);
        ip.is_loopback() || carried.any(|carried| carried.net.addr() == IpAddr::V4(ip))
    };
    let router = router(world, instance);
    let servers = ladder::upstreams(world, instance).into_iter().map(|upstream| *upstream.ip());
    let server = servers.filter(|ip| !is_of_site(*ip)).find(|ip| Some(*ip) != router);
    router.into_iter().chain(server).collect()
}

/// Somebody beyond the site, in place of a client whom nobody knows: the first server that is asked for names, else the
/// router. Both have addresses as clients have them, whose names are somebody else's to tell.
pub fn stand_in(world: &World, instance: usize) -> Option<Ipv4Addr> {
    beyond(world, instance).pop()
}

/// Who asks from outside for a floating address: the site's host out there, else anybody, where it is known by which
/// link they come in.
pub(crate) fn asker(world: &World, floating: Ipv4Addr) -> Option<Endpoint> {
    let anybody = || sim::way_in(world, ANYWHERE, floating).map(|_| Endpoint::Beyond(ANYWHERE));
    ladder::external(world).or_else(anybody)
}

/// Groups may let in some and keep out others, and nobody has said who it is that asks from outside: nova's fallback is
/// told only where it drops what the groups let in from anywhere, or from nowhere.
pub(crate) fn is_policy(instance: &Instance, question: &Question, answer: &Answer) -> bool {
    match question.from {
        Endpoint::Beyond(_) => {}
        Endpoint::Machine(_) | Endpoint::Instance(_) | Endpoint::InstanceOver6(..) => return false,
    }
    let stop = answer.paths.iter().find_map(|path| path.stop()).map(|(_, stop)| stop);
    let is_fallback = match stop {
        Some(Stop::Rule(rule)) => nova::is_fallback(rule.chain()) && nova::wrote(rule),
        Some(_) | None => false,
    };
    if !is_fallback {
        return false;
    }
    let (number, port) = match question.protocol {
        Protocol::Icmp | Protocol::WholeIcmp(_) | Protocol::Traced { .. } | Protocol::Arp => (1, None),
        Protocol::Tcp(port) => (6, Some(port)),
        Protocol::Udp(port) => (17, Some(port)),
    };
    let rules = instance.security_groups.iter().flat_map(|group| &group.rules);
    let is_about = |rule: &&SecurityGroupRule| {
        let from_anywhere = SecurityGroupRule { cidr: None, group: None, ..(*rule).clone() };
        from_anywhere.allows(number, port, question.to) == Some(true)
    };
    let mut about = rules.filter(is_about).peekable();
    let is_known = !instance.security_groups.is_empty();
    let lets_some_in = about.peek().is_some();
    let lets_all_in = about.any(|rule| rule.allows(number, port, ANYWHERE.into()) == Some(true));
    !is_known || (lets_some_in && !lets_all_in)
}

/// The router that the instance's gateway sends to by default.
fn router(world: &World, instance: usize) -> Option<Ipv4Addr> {
    let server = *world.intent.servers_of(world.intent.instances.get(instance)?).first()?;
    let ns = world.ns(world.main_ns(server)?);
    let is_default =
        |r: &&model::route::Route| r.table == TABLE_MAIN && r.is_default() && r.destination.addr().is_ipv4();
    let default = ns.routes.iter().filter(is_default).min_by_key(|route| route.metric)?;
    default.nexthops.iter().find_map(|hop| match hop.via {
        Some(IpAddr::V4(via)) => Some(via),
        Some(IpAddr::V6(_)) | None => None,
    })
}

/// What an outcome that no walk foresaw says of the way.
pub(crate) enum Telling {
    /// It is the way's.
    Is,
    /// It is no loss.
    Nothing,
    /// It may be the end's own will.
    Unknown(Gap),
    /// Somebody on the way says that he does not let it pass; whether that is meant of pings alone he does not say.
    Refused(Gap),
}

/// Of who is beyond the gateway, and of a connection to somebody outside, silence may be meant, or a firewall's out
/// there: it tells where the question is lost within the site, where its answer is seen to come in, and where another
/// instance is answered.
pub(crate) fn tells(asking: &Asking) -> Telling {
    let Asking { case, rung, probe, answered, .. } = *asking;
    if let Purpose::UpstreamBy(_, service) | Purpose::OutsideBy(service @ Service::Udp(_)) = rung.purpose {
        return tells_of_server(asking, service);
    }
    let is_tcp = matches!(rung.purpose, Purpose::OutsideBy(Service::Tcp(_)));
    if !is_tcp && !matches!(rung.purpose, Purpose::Router(_)) {
        // Whom the others ask is meant to answer.
        return Telling::Is;
    }
    let is_told = probe.is_refused() || !probe.errors.is_empty() || probe.send_error.is_some();
    if probe.received > 0 && !is_told || !rung.answer.answered {
        return Telling::Is;
    }
    let ends = |direction| rung.answer.paths.iter().filter(move |path| path.direction == direction);
    let is_left = ends(Direction::Request).any(|path| path.disposition == Disposition::LeftSite);
    if is_tcp && is_told && is_left {
        return Telling::Nothing;
    }
    let pings = || answered.iter().any(|other| other.purpose == Purpose::Outside && other.to == rung.to);
    if is_tcp && !pings() {
        // What pings lose as well is told of them.
        return Telling::Nothing;
    }
    // It may answer the hosts' own addresses and no others: of hosts that it answers it tells nothing.
    let same = |other: &&Rung| {
        let is_same_kind = if is_tcp {
            matches!(other.purpose, Purpose::OutsideBy(_) | Purpose::StepBy(_))
        } else {
            matches!(other.purpose, Purpose::Router(_)) && other.instance != rung.instance
        };
        is_same_kind && other.to == rung.to && other.from != rung.from
    };
    let is_dropped = dropped::telling(case, rung, probe).is_some_and(|told| told.is_on_way);
    if !is_left || !is_lost_at_end(case, rung) || is_dropped || answered.iter().any(|other| same(&other)) {
        return Telling::Is;
    }
    // Who is further out has answered past it.
    let behind = asking.rungs.iter().skip_while(|other| !std::ptr::eq(*other, rung)).skip(1);
    let mut further = behind.filter(|other| other.instance == rung.instance && !is_tcp);
    let is_answered = |other: &Rung| answered.iter().any(|one| one.to == other.to && one.from == other.from);
    if further.any(|other| matches!(other.purpose, Purpose::Router(_)) && is_answered(other)) {
        return Telling::Nothing;
    }
    let by_whom = probe.errors.iter().find(|(from, _)| !is_tcp && *from != rung.to);
    if let Some((from, said)) = by_whom {
        return Telling::Refused(Gap {
            what: format!("whether {} reaches the outside for real", rung.from),
            why: format!("{from} says {said} of its ping of {}, which may be meant of pings alone", rung.to),
            would_need:
                "--to ADDRESS of somebody outside who answers; whoever runs that router knows what it filters"
                    .to_owned(),
        });
    }
    Telling::Unknown(if is_tcp {
        Gap {
            what: format!("whether {} reaches {} over TCP for real", rung.from, rung.to),
            why: "it answers pings, and nobody of this site is answered a SYN; who is asked may mean it"
                .to_owned(),
            would_need: "--to ADDRESS of somebody outside who takes connections".to_owned(),
        }
    } else {
        Gap {
            what: format!("whether {} reaches the outside for real", rung.from),
            why: format!("{} answers no pings of instances, which it may do rightly", rung.to),
            would_need: "--to ADDRESS of somebody outside who answers pings".to_owned(),
        }
    })
}

/// Of a server for names that the instance asks itself. That it answers the host says that it is there, and not that it
/// answers instances, or by connections: only what is lost within the site tells.
fn tells_of_server(asking: &Asking, service: Service) -> Telling {
    let Asking { case, rung, probe, .. } = *asking;
    if !rung.answer.answered || probe.send_error.is_some() || (probe.received > 0 && !probe.is_refused()) {
        return Telling::Is;
    }
    let carries = |ip: IpAddr| {
        let mut all = case.snapshot.netns.iter().flat_map(|ns| &ns.addresses);
        ip != rung.to && all.any(|carried| carried.net.addr() == ip)
    };
    if probe.is_refused() || !probe.errors.is_empty() {
        let is_by_site = probe.errors.iter().any(|(from, _)| carries(*from));
        return if is_by_site { Telling::Is } else { Telling::Nothing };
    }
    let is_dropped = dropped::telling(case, rung, probe).is_some_and(|told| told.is_on_way);
    if is_dropped || !is_lost_at_end(case, rung) {
        return Telling::Is;
    }
    let over = match service {
        Service::Tcp(_) => "TCP",
        Service::Udp(_) => "UDP",
    };
    Telling::Unknown(Gap {
        what: format!("whether {} reaches {} over {over} for real", rung.from, rung.to),
        why: "nothing of it is seen to be lost within the site; who is asked may answer others alone"
            .to_owned(),
        would_need: format!("whoever runs {} knows whom it answers", rung.to),
    })
}

/// As far as anybody saw, the question went all of its known way, and no answer came.
fn is_lost_at_end(case: &Case, rung: &Rung) -> bool {
    let mut asked = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    match watched::parted(case, rung) {
        None => true,
        Some(Parted { direction: Direction::Reply, before: Some(before), .. }) => {
            asked.any(|path| path.hops.iter().any(|hop| std::ptr::eq(hop, before)))
        }
        Some(_) => false,
    }
}

/// What nobody can be asked where the site names nobody outside.
pub(crate) fn unasked(case: &Case, instances: &[usize], symptom: Symptom) -> Option<Gap> {
    match symptom {
        Symptom::Auto | Symptom::Ping | Symptom::Ssh => {}
        Symptom::Dhcp | Symptom::Dns | Symptom::Metadata => return None,
    }
    let is_outside_known = case.snapshot.hosts.iter().any(|host| host.role == "external");
    let asked = || instances.iter().filter_map(|at| case.intent.instances.get(*at));
    let by_it = |one: &Instance| {
        let name = one.name.clone();
        one.floating().map(move |floating| format!("{name} by {}", floating.address)).collect::<Vec<_>>()
    };
    let floating: Vec<String> = asked().flat_map(by_it).collect();
    if is_outside_known || floating.is_empty() {
        return None;
    }
    let world = World::new(case.snapshot, case.intent);
    let all = || asked().flat_map(Instance::floating);
    let is_in_name =
        |probe: &ProbeResult, to| (probe.from.as_str(), probe.to) == (sim::OUTSIDE, IpAddr::V4(to));
    let is_asked = |to| case.probes.iter().any(|probe| is_in_name(probe, to) && probe.send_error.is_none());
    let why = if all().all(|floating| is_asked(floating.address)) {
        "it was asked in the outside's name from the link on by which the site sends there, and not beyond: the site \
         names no host of role external"
    } else if all().all(|floating| asker(&world, floating.address).is_some()) {
        "it was walked from the link by which the site sends to the outside, and not asked for real: the site names no \
         host of role external"
    } else {
        "the site names no host of role external, and by which link what comes from outside gets to its host is not \
         known"
    };
    Some(Gap {
        what: format!("whether the outside reaches {}", few::named(&floating)),
        why: why.to_owned(),
        would_need: "a [[host]] of role external in the site file: any machine outside that can be entered"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::finding::Outcome;
    use model::intent::SecurityGroupRule;
    use model::netfilter::{Match, NfRule, Test};
    use model::probe::{PING_OCTETS, ProbeResult};

    use crate::fixture::{Cloud, codes, drops, healthy, pinged};
    use crate::ladder::Symptom;

    #[test]
    fn a_router_that_answers_hosts_alone_has_lost_nothing() {
        let mut cloud = healthy();
        cloud.leave_only(&["compute1"]);
        let router = |from: &str, received| ProbeResult {
            to: [203, 0, 113, 1].into(),
            ..pinged(from, PING_OCTETS, received)
        };
        let unknown = "whether web1 reaches the outside for real";
        cloud.probes = vec![router("web1", 0), router("compute1", 2)];
        let found = cloud.diagnose("web1");
        let is_told = |found: &model::Diagnosis| found.coverage.gaps.iter().any(|gap| gap.what == unknown);
        assert_eq!((codes(&found), is_told(&found)), (Vec::new(), true));
        // Another instance is no host: what it is told, web1 would be.
        cloud.probes = vec![router("web1", 0), router("web2", 2)];
        let found = cloud.diagnose_all();
        assert!(codes(&found).len() == 1 && !is_told(&found), "{:?}", codes(&found));
        assert!(codes(&found)[0].starts_with("lost-at-hop "), "{:?}", codes(&found));
    }

    #[test]
    fn who_is_said_to_be_filtered_is_not_called_healthy() {
        let mut cloud = alone();
        let (router, server) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([1, 2, 3, 4]));
        let filtered = (router, "communication administratively prohibited".to_owned());
        let silent = ProbeResult { to: server, errors: vec![filtered], ..pinged("web1", PING_OCTETS, 0) };
        cloud.probes = vec![ProbeResult { to: router, ..pinged("web1", PING_OCTETS, 2) }, silent];
        let found = cloud.diagnose("web1");
        assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Undetermined));
        assert!(found.coverage.gaps[0].why.starts_with("203.0.113.1 says communication"), "{found:?}");
    }

    /// The compute host alone.
    fn alone() -> Cloud {
        let mut cloud = healthy();
        cloud.leave_only(&["compute1"]);
        cloud
    }

    fn ssh_drop() -> NfRule {
        let plain = |test| Match { negated: false, test };
        let tests = vec![plain(Test::Protocol(6)), plain(Test::DestinationPort(vec![(22, 22)]))];
        drops("-A FORWARD -p tcp -m tcp --dport 22 -j DROP", tests)
    }

    #[test]
    fn what_comes_from_nobody_known_is_walked_in_by_the_uplink() {
        assert_eq!(codes(&alone().diagnose_all()), [""; 0]);
        let mut cloud = alone();
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, ssh_drop());
        for found in [cloud.diagnose("web1"), cloud.diagnose_for("web1", Symptom::Ssh)] {
            assert_eq!(codes(&found), ["rule-order-wrong compute1//eth0"]);
        }
        let mut cloud = alone();
        cloud.chain("compute1", "nat", "nova-network-PREROUTING").rules.clear();
        let found = codes(&cloud.diagnose("web1"));
        assert!(found.contains(&"float-dnat-missing compute1//eth0".to_owned()), "{found:?}");
    }

    #[test]
    fn the_way_in_of_who_has_no_way_out_by_that_link_is_not_known() {
        let mut cloud = alone();
        cloud.netns("compute1").routes.retain(|route| !route.is_default());
        let found = cloud.diagnose("web1");
        let is_gap = |gap: &model::snapshot::Gap| gap.why.ends_with("gets to its host is not known");
        assert!(found.coverage.gaps.iter().any(is_gap), "{:#?}", found.coverage.gaps);
        let known = alone().diagnose("web1");
        assert!(!known.coverage.gaps.iter().any(is_gap), "{:#?}", known.coverage.gaps);
    }

    /// Who asks from outside is not known: that some may not is policy.
    #[test]
    fn what_groups_let_in_from_some_alone_is_nothing_amiss() {
        let narrow = |cloud: &mut Cloud, to: Option<&str>| {
            let chains =
                cloud.netns("compute1").ruleset.tables.iter_mut().flat_map(|table| &mut table.chains);
            for chain in chains.filter(|chain| chain.name.starts_with("nova-compute-inst-")) {
                chain.rules.retain(|rule| !rule.text.contains("-p icmp"));
            }
            for group in cloud.intent.instances.iter_mut().flat_map(|one| &mut one.security_groups) {
                let is_ping = |rule: &SecurityGroupRule| rule.protocol.as_deref() == Some("icmp");
                group.rules.retain(|rule| to.is_some() || !is_ping(rule));
                for rule in group.rules.iter_mut().filter(|rule| is_ping(rule)) {
                    rule.cidr = to.and_then(|to| to.parse().ok());
                }
            }
        };
        let found = |to: Option<&str>| {
            let mut cloud = alone();
            narrow(&mut cloud, to);
            cloud.diagnose("web1").findings.into_iter().map(|found| found.code).collect::<Vec<_>>()
        };
        assert_eq!(found(Some("198.51.100.0/24")), ["nova-rules-drift"], "the office's rule is not there");
        assert_eq!(found(None), ["sg-missing-icmp"], "they let nobody in");
    }
}
