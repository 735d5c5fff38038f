//! FIB rules (ip-rule(8)).

use model::route::{FibRule, RuleAction};
use netlink_packet_route::rule::{RuleAction as RawAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::{Namespace, PlumbingError};

/// Which protocol's routes a rule chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// `ip rule add`, with every selector that the model knows.
pub fn add(ns: &mut Namespace, protocol: Protocol, rule: &FibRule) -> Result<(), PlumbingError> {
    let attempted = format!("add the FIB rule of priority {}", rule.priority);
    ns.make(attempted, RouteNetlinkMessage::NewRule(message_of(protocol, rule)))
}

/// `ip rule del`, of the rule with just these selectors. One that is not there is fine.
pub fn delete(ns: &mut Namespace, protocol: Protocol, rule: &FibRule) -> Result<(), PlumbingError> {
    let attempted = format!("delete the FIB rule of priority {}", rule.priority);
    ns.remove(attempted, RouteNetlinkMessage::DelRule(message_of(protocol, rule)))
}

fn message_of(protocol: Protocol, rule: &FibRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = match protocol {
        Protocol::V4 => AddressFamily::Inet,
        Protocol::V6 => AddressFamily::Inet6,
    };
    header.tos = rule.tos;
    if rule.invert {
        header.flags |= RuleFlags::Invert;
    }
    header.dst_len = rule.destination.map_or(0, |net| net.prefix_len());
    header.src_len = rule.source.map_or(0, |net| net.prefix_len());
    let (action, more) = match rule.action {
        RuleAction::Lookup(table) => (RawAction::ToTable, Some(RuleAttribute::Table(table))),
        RuleAction::Goto(priority) => (RawAction::Goto, Some(RuleAttribute::Goto(priority))),
        RuleAction::Nop => (RawAction::Nop, None),
        RuleAction::Blackhole => (RawAction::Blackhole, None),
        RuleAction::Unreachable => (RawAction::Unreachable, None),
        RuleAction::Prohibit => (RawAction::Prohibit, None),
    };
    header.action = action;
    let attributes = &mut message.attributes;
    attributes.extend(more);
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.extend(rule.destination.map(|net| RuleAttribute::Destination(net.network())));
    attributes.extend(rule.source.map(|net| RuleAttribute::Source(net.network())));
    attributes.extend(rule.iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.oif.clone().map(RuleAttribute::Oifname));
    if let Some((value, mask)) = rule.fwmark {
        attributes.push(RuleAttribute::FwMark(value));
        attributes.push(RuleAttribute::FwMask(mask));
    }
    message
}
