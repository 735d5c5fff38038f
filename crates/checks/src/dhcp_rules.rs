//! Rules and policies that stop DHCP and let everything else pass: they have names of their own.

use model::Netns;
use model::netfilter::{Hook, NfRule, Test};
use model::path::{Direction, Exchange, RuleRef, Stop};

use crate::nova;
use crate::rules;
use crate::view::{Stopped, View};

/// Ports of servers and clients.
const PORTS: [u16; 2] = [67, 68];

/// What of INPUT keeps a DISCOVER from its server. A policy keeps names from it too, where it keeps DHCP.
pub(crate) fn blocks<'v>(view: &View<'v>, stopped: &Stopped<'v>) -> Option<&'v RuleRef> {
    if (stopped.exchange, stopped.direction) != (Exchange::Dhcp, Direction::Request) {
        return None;
    }
    if let Stop::Rule(rule) = stopped.stop {
        return (rule.hook == Hook::Input && is_of_dhcp(view, stopped, rule)).then_some(rule);
    }
    let Stop::Policy(rule) = stopped.stop else { return None };
    let stops_services = || stops_only(view, stopped, &[Exchange::Dhcp, Exchange::Dns]);
    (rule.hook == Hook::Input && stops_services()).then_some(rule)
}

/// What an OFFER dies of on its way back: a rule of DHCP's, a policy, or nova's fallback for want of an accept.
pub(crate) fn loses<'v>(view: &View<'v>, stopped: &Stopped<'v>) -> Option<&'v RuleRef> {
    if (stopped.exchange, stopped.direction) != (Exchange::Dhcp, Direction::Reply) {
        return None;
    }
    if let Stop::Rule(rule) = stopped.stop {
        return (is_fallback(rule) || is_of_dhcp(view, stopped, rule)).then_some(rule);
    }
    let Stop::Policy(rule) = stopped.stop else { return None };
    stops_only(view, stopped, &[Exchange::Dhcp]).then_some(rule)
}

/// It is the end of an instance's chain, which drops what no rule before it let in.
pub(crate) fn is_fallback(rule: &RuleRef) -> bool {
    nova::is_fallback(rule.chain()) && nova::wrote(rule)
}

/// It names one of DHCP's ports, and nothing else that was asked dies of it.
fn is_of_dhcp(view: &View, stopped: &Stopped, rule: &RuleRef) -> bool {
    let is_here = |ns: &&Netns| stopped.is_in(ns);
    let found = view.snapshot().netns.iter().find(is_here).and_then(|ns| rules::find(ns, rule));
    found.is_some_and(names_a_port) && stops_only(view, stopped, &[Exchange::Dhcp])
}

fn names_a_port(rule: &NfRule) -> bool {
    let is_in = |ranges: &[(u16, u16)]| {
        ranges.iter().any(|(first, last)| PORTS.iter().any(|port| (first..=last).contains(&port)))
    };
    rule.matches.iter().filter(|m| !m.negated).any(|m| {
        let (Test::SourcePort(ranges) | Test::DestinationPort(ranges) | Test::EitherPort(ranges)) = &m.test
        else {
            return false;
        };
        is_in(ranges)
    })
}

/// Of all walks that end at this rule or policy of this machine, each is one of these exchanges.
fn stops_only(view: &View, stopped: &Stopped, exchanges: &[Exchange]) -> bool {
    let place = &stopped.hop.at;
    let mut same =
        view.stops().filter(|s| s.hop.at.host == place.host && rules::is_same_stop(s.stop, stopped.stop));
    same.all(|s| exchanges.contains(&s.exchange))
}
