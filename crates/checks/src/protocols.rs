//! What else than ping comes and goes: a rule may stop one protocol and let the others pass.
//!
//! It is walked wherever pings pass, and told only where a host of the cloud's own stops it: what others let through is
//! theirs to say, and who listens at the end is nobody's fault. One connection to the outside that may be answered is
//! tried for real. To the outside a protocol is stopped where all of its
//! ports are; of what comes in, each port that a group opens is meant.

use std::net::{IpAddr, Ipv4Addr};

use model::intent::{Instance, SecurityGroupRule};
use model::path::{Disposition, Path, Stop};
use sim::{Protocol, World};

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
const LAST_OVER_TCP: Service = Service::Tcp(53);
const OVER_UDP: [Service; 2] = [Service::Udp(53), Service::Udp(123)];

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
            // One port that is closed to the outside is somebody's policy: the first that is open ends the search.
            let all = |services: &[Service]| {
                services
                    .iter()
                    .map(|service| stopped(Purpose::OutsideBy(*service)))
                    .collect::<Option<Vec<_>>>()
            };
            let stopped: Vec<Rung> =
                [&OVER_TCP[..], &OVER_UDP].into_iter().filter_map(all).flatten().collect();
            // What dies where no walk goes is told by a packet alone.
            let is_tcp = |rung: &Rung| matches!(rung.purpose, Purpose::OutsideBy(Service::Tcp(_)));
            if !stopped.iter().any(is_tcp) {
                found.extend(open(world, instance, to));
            }
            found.extend(stopped);
        }
        if let Purpose::Inbound(floating) = purpose {
            let opened = opened(world, subject).into_iter();
            found.extend(opened.filter_map(|service| stopped(Purpose::InboundBy(floating, service))));
        }
    }
    found
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

fn is_stopped_by_its_hosts(world: &World, instance: &Instance, rung: &Rung) -> bool {
    let servers = world.intent.servers_of(instance);
    let is_own = |host: &str| host == instance.host || servers.contains(&host);
    let is_connection =
        matches!(rung.purpose, Purpose::OutsideBy(Service::Tcp(_)) | Purpose::InboundBy(_, Service::Tcp(_)));
    let stops = |path: &Path| match (path.stop(), &path.disposition) {
        (Some((_, Stop::NoListener { .. })), _) => false,
        (Some((hop, _)), _) => is_own(&hop.at.host),
        // A connection can be tried, and of a datagram nobody would learn more.
        (None, Disposition::Unknown { .. }) => {
            is_connection && path.hops.last().is_some_and(|hop| is_own(&hop.at.host))
        }
        (None, Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite) => false,
    };
    rung.answer.paths.iter().any(stops)
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Match, Test};

    use crate::fixture::{codes, drops, forwards_by, healthy, lacks, udp_by};

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

    /// What others let through is theirs to say.
    #[test]
    fn stays_silent_on_what_a_router_elsewhere_keeps_out() {
        let mut cloud = healthy();
        forwards_by(&mut cloud, "gw", drops("-A FORWARD -p tcp -j DROP", of_tcp()));
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
