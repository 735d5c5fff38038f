//! What else than ping comes and goes: a rule may stop one protocol and let the others pass.
//!
//! It is walked wherever pings pass, and told only where a host of the cloud's own stops it: what others let through is
//! theirs to say, and who listens at the end is nobody's fault. To the outside a protocol is stopped where all of its
//! ports are; of what comes in, each port that a group opens is meant. What dies where no walk goes is told by a packet
//! alone: one connection to the outside that may be answered is tried for real, and one question over UDP, of whom the
//! network's dnsmasq asks, since that one is known to answer.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::few;
use model::intent::{Instance, SecurityGroupRule};
use model::path::{Disposition, Exchange, Path, Stop};
use model::probe::ProbeResult;
use model::snapshot::Gap;
use sim::{Protocol, World};

use crate::diagnose::{Case, probe_of};
use crate::dns;
use crate::ladder::{self, Purpose, Rung};
use crate::way_out::ANYWHERE;

/// A protocol and a port of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// A connection to a port.
    Tcp(u16),
    /// A datagram to a port.
    Udp(u16),
}

impl Service {
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Service::Tcp(port) => Protocol::Tcp(port),
            Service::Udp(port) => Protocol::Udp(port),
        }
    }
}

/// What instances ask of the outside, more than anything else.
const OVER_TCP: [Service; 3] = [Service::Tcp(443), Service::Tcp(80), Service::Tcp(22)];
/// Beside these, where nobody listens at any of them: names are asked for over TCP, too.
const LAST_OVER_TCP: Service = Service::Tcp(dns::PORT);
const FOR_NAMES: Service = Service::Udp(dns::PORT);
const OVER_UDP: [Service; 2] = [FOR_NAMES, Service::Udp(123)];

/// Ports that the groups open are walked as far as so many.
const OPENED_MAX: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Those of an instance's other conversations that its hosts stop, where its pings pass.
pub(crate) fn rungs(world: &World, instance: usize, to: Option<Ipv4Addr>, own: &[Rung]) -> Vec<Rung> {
    let Some(subject) = world.intent.instances.get(instance) else { return Vec::new() };
    let stopped = |purpose: Purpose| {
        let rung = ladder::ask(world, instance, to, purpose)?;
        is_stopped_by_its_hosts(world, subject, &rung).then_some(rung)
    };
    let passes = |rung: &&Rung| rung.answer.answered;
    let mut found = Vec::new();
    for purpose in own.iter().filter(passes).map(|rung| rung.purpose) {
        if purpose == Purpose::Outside {
            let stopped = all_stopped(world, instance, to, &OVER_TCP);
            if stopped.is_empty() {
                found.extend(over_tcp(world, instance, to, own));
            }
            found.extend(stopped);
            found.extend(over_udp(world, instance, to, own));
        }
        if let Purpose::Inbound(floating) = purpose {
            let opened = opened(world, subject).into_iter();
            found.extend(opened.filter_map(|service| stopped(Purpose::InboundBy(floating, service))));
        }
    }
    found
}

/// What an instance asks the outside by these, where its hosts stop all of them: one port that is closed to the outside
/// is somebody's policy.
fn all_stopped(world: &World, instance: usize, to: Option<Ipv4Addr>, services: &[Service]) -> Vec<Rung> {
    let Some(subject) = world.intent.instances.get(instance) else { return Vec::new() };
    let stopped = |service: &Service| {
        let rung = ladder::ask(world, instance, to, Purpose::OutsideBy(*service))?;
        is_stopped_by_its_hosts(world, subject, &rung).then_some(rung)
    };
    // The first that is open ends the search.
    services.iter().map(stopped).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// Connections that tell whether TCP lives: to somebody known outside, else to whom the network's dnsmasq asks.
fn over_tcp(world: &World, instance: usize, to: Option<Ipv4Addr>, own: &[Rung]) -> Vec<Rung> {
    if to.is_some() || ladder::outside(world).is_some() {
        return open(world, instance, to).into_iter().collect();
    }
    let asked = upstreams(world, instance, own, LAST_OVER_TCP);
    asked.into_iter().filter(|rung| rung.answer.answered).collect()
}

/// UDP to the outside: where its hosts stop all of it, and what tells whether it lives. A datagram to whom nobody knows
/// to answer tells nothing, so its network's dnsmasq's servers are asked, or the site's host outside where it listens.
pub(crate) fn over_udp(world: &World, instance: usize, to: Option<Ipv4Addr>, own: &[Rung]) -> Vec<Rung> {
    if !own.iter().any(|rung| rung.purpose == Purpose::Outside && rung.answer.answered) {
        return Vec::new();
    }
    let mut found = all_stopped(world, instance, to, &OVER_UDP);
    let is_open = |rung: &Rung| rung.answer.answered || (!found.is_empty() && rung.undecided().is_some());
    let mut asked = upstreams(world, instance, own, FOR_NAMES);
    if asked.is_empty() && to.is_none() && found.is_empty() && ladder::outside(world).is_some() {
        asked.extend(ladder::ask(world, instance, to, Purpose::OutsideBy(FOR_NAMES)));
    }
    asked.retain(is_open);
    found.extend(asked);
    found
}

/// Its own questions by this service to the servers beyond the cloud that its network's dnsmasq asks: none where
/// programs inside ask them anyway.
fn upstreams(world: &World, instance: usize, own: &[Rung], service: Service) -> Vec<Rung> {
    let is_asked = |ip: Ipv4Addr| {
        let is_inside = |rung: &Rung| matches!(rung.purpose, Purpose::Inside(_) | Purpose::Offered(_));
        own.iter().any(|rung| is_inside(rung) && rung.to == IpAddr::V4(ip))
    };
    let is_outside = |name: &str| world.snapshot.host(name).is_some_and(|host| host.role == "external");
    let is_of_cloud = |ip: Ipv4Addr| {
        let mut netns = world.snapshot.netns.iter().filter(|ns| !is_outside(&ns.machine));
        ip.is_loopback()
            || netns.any(|ns| ns.addresses.iter().any(|carried| carried.net.addr() == IpAddr::V4(ip)))
    };
    let servers = ladder::upstreams(world, instance).into_iter().filter(|one| one.port() == dns::PORT);
    let mut known = BTreeSet::new();
    let servers = servers.map(|one| *one.ip()).filter(|ip| !is_asked(*ip) && !is_of_cloud(*ip));
    let servers = servers.filter(|ip| known.insert(*ip));
    servers
        .filter_map(|server| ladder::ask(world, instance, None, Purpose::UpstreamBy(server, service)))
        .collect()
}

/// A connection to somebody known outside that the walk lets be answered: one is enough to tell whether TCP lives.
fn open(world: &World, instance: usize, to: Option<Ipv4Addr>) -> Option<Rung> {
    to.or_else(|| ladder::outside(world))?;
    let asked = |service: Service| ladder::ask(world, instance, to, Purpose::OutsideBy(service));
    let mut services = OVER_TCP.into_iter().chain([LAST_OVER_TCP]);
    services.find_map(|service| asked(service).filter(|rung| rung.answer.answered))
}

/// The ports that its groups open to whoever asks from outside.
fn opened(world: &World, instance: &Instance) -> Vec<Service> {
    let asker = IpAddr::V4(ladder::outside(world).unwrap_or(ANYWHERE));
    let rules = instance.security_groups.iter().flat_map(|group| &group.rules);
    let mut opened: Vec<Service> = rules.filter_map(|rule| service(rule, asker)).collect();
    opened.sort_unstable();
    opened.dedup();
    opened.truncate(OPENED_MAX);
    opened
}

/// The first port of a rule that lets this asker in.
fn service(rule: &SecurityGroupRule, asker: IpAddr) -> Option<Service> {
    let port = u16::try_from(rule.from_port?).ok()?;
    let lets_in = |protocol: u8| rule.allows(protocol, Some(port), asker) == Some(true);
    match rule.protocol.as_deref()? {
        "tcp" if lets_in(TCP) => Some(Service::Tcp(port)),
        "udp" if lets_in(UDP) => Some(Service::Udp(port)),
        _ => None,
    }
}

/// What the walk cannot tell of UDP to the outside, a datagram that was answered there does.
pub(crate) fn is_shown(rung: &Rung, answered: &[Rung]) -> bool {
    let is_udp_out = |rung: &Rung| {
        matches!(rung.purpose, Purpose::OutsideBy(Service::Udp(_)) | Purpose::UpstreamBy(_, Service::Udp(_)))
    };
    is_udp_out(rung) && answered.iter().any(|other| other.instance == rung.instance && is_udp_out(other))
}

/// Those of whose UDP to the outside nobody can tell whether it lives: nobody is known out there who would answer.
pub(crate) fn untried(case: &Case, rungs: &[Rung]) -> Option<Gap> {
    let name = |rung: &Rung| case.intent.instances.get(rung.instance).map(|instance| instance.name.clone());
    let gets_out = |rung: &Rung| {
        let own = || rungs.iter().filter(|other| other.instance == rung.instance);
        let is_told = |other: &Rung| matches!(other.purpose, Purpose::OutsideBy(Service::Udp(_)));
        own().any(|other| other.purpose == Purpose::Outside && other.answer.answered) && !own().any(is_told)
    };
    let is_tried = |rung: &Rung| {
        let of_it = |probe: &&ProbeResult| probe.from == rung.from && probe.asked.exchange() == Exchange::Dns;
        case.probes.iter().filter(of_it).any(|probe| probe.to != rung.to)
    };
    let asked = rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver);
    let asked = asked.filter(|rung| probe_of(case, rung).is_some_and(|probe| probe.recorded.is_none()));
    let untried = asked.filter(|rung| gets_out(rung) && !is_tried(rung));
    let names: Vec<String> = untried.filter_map(name).collect();
    (!names.is_empty()).then(|| Gap {
        what: format!("whether UDP of {} reaches the outside for real", few::named(&names)),
        why: "no server that its network's dnsmasq asks for names has answered the host for the root, and nobody else \
              is known who would answer"
            .to_owned(),
        would_need: "a server for names that answers, at port 53".to_owned(),
    })
}

fn is_stopped_by_its_hosts(world: &World, instance: &Instance, rung: &Rung) -> bool {
    let servers = world.intent.servers_of(instance);
    let is_own = |host: &str| host == instance.host || servers.contains(&host);
    let stops = |path: &Path| match (path.stop(), &path.disposition) {
        (Some((_, Stop::NoListener { .. })), _) => false,
        (Some((hop, _)), _) => is_own(&hop.at.host),
        // It can be tried, or it is a gap.
        (None, Disposition::Unknown { .. }) => path.hops.last().is_some_and(|hop| is_own(&hop.at.host)),
        (None, Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite) => false,
    };
    rung.answer.paths.iter().any(stops)
}

#[cfg(test)]
mod tests {
    use model::dns::Rcode;
    use model::finding::Outcome;
    use model::kernel_drop::KernelDrop;
    use model::netfilter::{Match, Test};
    use model::path::{Direction, Exchange};

    use crate::fixture::{
        Cloud, codes, dropped_at, drops, forwards_by, healthy, lacks, looked_up, of_root, told_its_version,
        udp_by,
    };
    use crate::ladder::Symptom;

    fn of_tcp() -> Vec<Match> {
        vec![Match { negated: false, test: Test::Protocol(super::TCP) }]
    }

    /// What is found where a rule stands at the head of FORWARD on web1's host.
    fn dropping(text: &str, matches: Vec<Match>) -> Vec<String> {
        let mut cloud = healthy();
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, drops(text, matches));
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn a_rule_of_its_host_that_stops_one_protocol_is_told() {
        let rule = "foreign-rule-drop compute1//br100";
        assert_eq!(dropping("-A FORWARD -p tcp -j DROP", of_tcp()), [rule]);
        assert_eq!(dropping("-A FORWARD -i br100 -p udp -j DROP", udp_by("br100")), [rule]);
    }

    #[test]
    fn what_its_groups_open_is_walked_from_outside() {
        let ssh_in = || {
            let by_public = Test::In("eth0".to_owned());
            let tests = [by_public, Test::DestinationPort(vec![(22, 22)])];
            [of_tcp(), tests.map(|test| Match { negated: false, test }).into()].concat()
        };
        let text = "-A FORWARD -i eth0 -p tcp --dport 22 -j DROP";
        // The group's own rule, which accepts, stands behind it.
        assert_eq!(dropping(text, ssh_in()), ["rule-order-wrong compute1//eth0"]);
        let mut cloud = healthy();
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, drops(text, ssh_in()));
        for group in cloud.intent.instances.iter_mut().flat_map(|i| &mut i.security_groups) {
            group.rules.retain(|rule| rule.protocol.as_deref() != Some("tcp"));
        }
        assert!(lacks(&cloud.diagnose("web1"), "rule-order-wrong"));
    }

    /// A rule for UDP of which nobody knows whom else it is for.
    fn doubtful(mut cloud: Cloud) -> Cloud {
        let unknown = Match { negated: false, test: Test::Unmodelled("-m geoip".to_owned()) };
        let tests = [udp_by("br100"), vec![unknown]].concat();
        let rule = drops("-A FORWARD -i br100 -p udp -m geoip -j DROP", tests);
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, rule);
        cloud
    }

    #[test]
    fn what_no_walk_can_tell_of_udp_is_a_gap_until_it_is_answered() {
        let server = [1, 2, 3, 4].into();
        for mut cloud in [healthy(), alone()].map(doubtful) {
            let found = cloud.diagnose("web1");
            assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Undetermined));
            assert!(found.coverage.gaps[0].why.contains("geoip"), "{:#?}", found.coverage.gaps);
            let host = of_root("compute1", server, Some(Rcode::NoError));
            cloud.probes = vec![host, of_root("web1", server, Some(Rcode::Refused))];
            let found = cloud.diagnose("web1");
            assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Healthy), "{found:#?}");
        }
    }

    fn alone() -> Cloud {
        let mut cloud = healthy();
        cloud.leave_only(&["compute1"]);
        cloud
    }

    /// That a server answers the host says that it is there, and not that it answers instances.
    #[test]
    fn a_server_that_is_silent_to_the_instance_tells_of_the_site_alone() {
        let server = [1, 2, 3, 4].into();
        for mut cloud in [healthy(), alone()] {
            let host = of_root("compute1", server, Some(Rcode::NoError));
            cloud.probes = vec![host, of_root("web1", server, None)];
            for symptom in [Symptom::Auto, Symptom::Dns] {
                let found = cloud.diagnose_for("web1", symptom);
                assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Healthy));
                let is_told = |gap: &model::snapshot::Gap| gap.what.ends_with("1.2.3.4 over UDP for real");
                assert!(found.coverage.gaps.iter().any(is_told), "{:#?}", found.coverage.gaps);
            }
            cloud.drops = vec![dropped_of_names()];
            for symptom in [Symptom::Auto, Symptom::Dns] {
                let found = cloud.diagnose_for("web1", symptom);
                assert_eq!(codes(&found), ["dropped-by-unmodelled compute1//br100"]);
            }
        }
    }

    /// What is asked past dnsmasq tells of its way, whatever else dnsmasq suffers from.
    #[test]
    fn a_dead_server_of_dnsmasqs_explains_nothing_of_what_is_sent_past_it() {
        let (dead, server) = ([198, 51, 100, 7].into(), [1, 2, 3, 4].into());
        let mut cloud = healthy();
        cloud.dnsmasq("compute1").servers = vec!["198.51.100.7".to_owned(), "1.2.3.4".to_owned()];
        let told = Some(Rcode::NxDomain);
        cloud.probes = vec![
            looked_up("compute1", dead, None),
            looked_up("compute1", server, told),
            of_root("compute1", server, told),
            of_root("web1", server, None),
        ];
        let before = codes(&cloud.diagnose("web1"));
        assert!(before.iter().any(|code| code.starts_with("dns-upstream-wrong")), "{before:?}");
        cloud.drops = vec![dropped_of_names()];
        let found = codes(&cloud.diagnose("web1"));
        assert!(found.contains(&"dropped-by-unmodelled compute1//br100".to_owned()), "{found:?}");
        assert_eq!(found.len(), before.len() + 1, "{found:?}");
    }

    #[test]
    fn where_nobody_is_known_who_would_answer_over_udp_that_is_a_gap() {
        let untried = |cloud: &Cloud| {
            let gaps = cloud.diagnose("web1").coverage.gaps;
            gaps.iter().any(|gap| gap.what == "whether UDP of web1 reaches the outside for real")
        };
        let mut cloud = alone();
        assert!(!untried(&cloud), "nothing was asked at all");
        cloud.probes = vec![told_its_version("web1", [10, 0, 0, 42].into())];
        assert!(untried(&cloud));
        cloud.probes.push(of_root("web1", [1, 2, 3, 4].into(), Some(Rcode::NoError)));
        assert!(!untried(&cloud));
    }

    fn dropped_of_names() -> KernelDrop {
        let drop = dropped_at("compute1", "br100", ("XFRM_POLICY", "ip_forward"));
        let direction = Direction::Request;
        KernelDrop { exchange: Exchange::Dns, direction, octets: None, port: Some(53), ..drop }
    }

    /// What others let through is theirs to say.
    #[test]
    fn stays_silent_on_what_a_router_elsewhere_keeps_out() {
        let mut cloud = healthy();
        forwards_by(&mut cloud, "gw", drops("-A FORWARD -p tcp -j DROP", of_tcp()));
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
