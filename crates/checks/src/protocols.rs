//! What else than ping comes and goes: a rule may stop one protocol and let the others pass.
//!
//! It is walked wherever pings pass, and told only where a host of the cloud's own stops it: what others let through is
//! theirs to say, and who listens at the end is nobody's fault. To the outside a protocol is stopped where all of its
//! ports are; of what comes in, each port that a group opens is meant.

use std::net::IpAddr;

use model::intent::{Instance, SecurityGroupRule};
use model::path::{Disposition, Path, Stop};
use sim::{Protocol, World};

use crate::ladder::{self, Purpose, Rung};

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
const OUTWARD: [Service; 5] =
    [Service::Tcp(443), Service::Tcp(80), Service::Tcp(22), Service::Udp(53), Service::Udp(123)];

/// Ports that the groups open are walked as far as so many.
const OPENED_MAX: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Those of an instance's other conversations that its hosts stop, where its pings pass.
pub(crate) fn rungs(
    world: &World,
    instance: usize,
    to: Option<std::net::Ipv4Addr>,
    own: &[Rung],
) -> Vec<Rung> {
    let Some(subject) = world.intent.instances.get(instance) else { return Vec::new() };
    let passing = own.iter().filter(|rung| rung.answer.answered);
    let purposes = passing.flat_map(|rung| match rung.purpose {
        Purpose::Outside => OUTWARD.into_iter().map(Purpose::OutsideBy).collect(),
        Purpose::Inbound(floating) => {
            opened(world, subject).into_iter().map(|service| Purpose::InboundBy(floating, service)).collect()
        }
        Purpose::Dhcp
        | Purpose::Gateway
        | Purpose::Large(_)
        | Purpose::OutsideBy(_)
        | Purpose::InboundBy(..)
        | Purpose::Itself(_)
        | Purpose::Ssh(_)
        | Purpose::Served
        | Purpose::Gateway6(_)
        | Purpose::Served6(_)
        | Purpose::Other(_)
        | Purpose::Resolver
        | Purpose::Inside(_)
        | Purpose::Offered(_)
        | Purpose::Upstream(_)
        | Purpose::Reverse(_)
        | Purpose::ResolverTcp
        | Purpose::ResolverAtHome
        | Purpose::Metadata
        | Purpose::Step => Vec::new(),
    });
    let asked = purposes.filter_map(|purpose| ladder::ask(world, instance, to, purpose));
    let mut stopped: Vec<Rung> = asked.filter(|rung| is_stopped_by_its_hosts(world, subject, rung)).collect();
    // One port that is closed to the outside is somebody's policy.
    for is_of_it in [is_tcp, is_udp] {
        let is_outward =
            |rung: &Rung| matches!(rung.purpose, Purpose::OutsideBy(service) if is_of_it(service));
        let wanted = OUTWARD.into_iter().filter(|service| is_of_it(*service)).count();
        if stopped.iter().filter(|rung| is_outward(rung)).count() < wanted {
            stopped.retain(|rung| !is_outward(rung));
        }
    }
    stopped
}

fn is_tcp(service: Service) -> bool {
    matches!(service, Service::Tcp(_))
}

fn is_udp(service: Service) -> bool {
    !is_tcp(service)
}

/// The ports that its groups open to whoever asks from outside.
fn opened(world: &World, instance: &Instance) -> Vec<Service> {
    let Some(asker) = ladder::outside(world).map(IpAddr::V4) else { return Vec::new() };
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
