//! FIB rules (`RTM_GETRULE`), of IPv4 or IPv6.

use ipnet::IpNet;
use model::route::{FibRule, RuleAction};
use netlink_packet_route::rule::{RuleAction as RawAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{NetlinkError, Socket};

/// The namespace's rules of one family, by ascending priority.
pub(crate) fn read(socket: &mut Socket, family: AddressFamily) -> Result<Vec<FibRule>, NetlinkError> {
    let mut wanted = RuleMessage::default();
    wanted.header.family = family;
    let answers = socket.dump(RouteNetlinkMessage::GetRule(wanted))?;
    let mut rules: Vec<FibRule> = answers
        .into_iter()
        .filter_map(
            |m| if let RouteNetlinkMessage::NewRule(rule) = m { Some(self::rule(&rule)) } else { None },
        )
        .collect();
    rules.sort_by_key(|r| r.priority);
    Ok(rules)
}

fn rule(message: &RuleMessage) -> FibRule {
    let header = &message.header;
    let mut out =
        FibRule { invert: header.flags.contains(RuleFlags::Invert), tos: header.tos, ..FibRule::default() };
    let mut table = u32::from(header.table);
    let (mut mark, mut mask, mut target) = (None, None, 0);
    let mut unmodelled = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => out.priority = *priority,
            RuleAttribute::Source(ip) => out.source = IpNet::new(*ip, header.src_len).ok(),
            RuleAttribute::Destination(ip) => out.destination = IpNet::new(*ip, header.dst_len).ok(),
            RuleAttribute::Iifname(name) => out.iif = Some(name.clone()),
            RuleAttribute::Oifname(name) => out.oif = Some(name.clone()),
            RuleAttribute::FwMark(value) => mark = Some(*value),
            RuleAttribute::FwMask(value) => mask = Some(*value),
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Goto(priority) => target = *priority,
            // -1 means "do not suppress": the kernel always sends it.
            RuleAttribute::SuppressPrefixLen(u32::MAX) | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
            RuleAttribute::Protocol(_) | RuleAttribute::Realm(_) => {}
            other => unmodelled.push(format!("{other:?}")),
        }
    }
    if mark.is_some() || mask.is_some_and(|m| m != 0) {
        out.fwmark = Some((mark.unwrap_or(0), mask.unwrap_or(u32::MAX)));
    }
    out.action = match header.action {
        RawAction::Goto => RuleAction::Goto(target),
        RawAction::Nop => RuleAction::Nop,
        RawAction::Blackhole => RuleAction::Blackhole,
        RawAction::Unreachable => RuleAction::Unreachable,
        RawAction::Prohibit => RuleAction::Prohibit,
        _ => RuleAction::Lookup(table),
    };
    out.unmodelled = (!unmodelled.is_empty()).then(|| unmodelled.join(" "));
    out
}
