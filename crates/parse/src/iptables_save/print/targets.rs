//! Actions as iptables' targets.

use model::netfilter::{Action, Family, NatTarget, RejectWith, TtlChange};

use super::super::words::quoted;
use super::push;

/// Appends an action to a rule. `None` where iptables has no words for it.
pub(super) fn print(words: &mut String, action: &Action, flags: &[String], family: Family) -> Option<()> {
    if *action != Action::Continue {
        push(words, &target(action, flags, family)?);
    }
    Some(())
}

fn target(action: &Action, flags: &[String], family: Family) -> Option<String> {
    Some(match action {
        Action::Accept => "-j ACCEPT".to_owned(),
        Action::Drop => "-j DROP".to_owned(),
        Action::Return => "-j RETURN".to_owned(),
        Action::Jump(chain) => format!("-j {}", quoted(chain)),
        Action::Goto(chain) => format!("-g {}", quoted(chain)),
        Action::Reject(with) => format!("-j REJECT --reject-with {}", reject(*with)?),
        Action::Dnat(to) => flagged(format!("-j DNAT --to-destination {}", nat(to)), flags),
        Action::Snat(to) => flagged(format!("-j SNAT --to-source {}", nat(to)), flags),
        Action::Netmap(net) => format!("-j NETMAP --to {net}"),
        Action::Masquerade(ports) => flagged(format!("-j MASQUERADE{}", to_ports(*ports)), flags),
        Action::Redirect(ports) => flagged(format!("-j REDIRECT{}", to_ports(*ports)), flags),
        Action::SetMark { value, mask } => format!("-j MARK --set-xmark {value:#x}/{mask:#x}"),
        Action::SetCtMark { value, mask } => format!("-j CONNMARK --set-xmark {value:#x}/{mask:#x}"),
        Action::SaveMark { ct_mask, packet_mask } => {
            format!("-j CONNMARK --save-mark --nfmask {packet_mask:#x} --ctmask {ct_mask:#x}")
        }
        Action::RestoreMark { ct_mask, packet_mask } => {
            format!("-j CONNMARK --restore-mark --nfmask {packet_mask:#x} --ctmask {ct_mask:#x}")
        }
        Action::Notrack => "-j CT --notrack".to_owned(),
        Action::CtZone(zone) => format!("-j CT --zone {zone}"),
        Action::Dscp { value, mask: 0x3f } => format!("-j DSCP --set-dscp {value:#04x}"),
        Action::Dscp { value, mask } => {
            format!("-j TOS --set-tos {:#04x}/{:#04x}", u16::from(*value) << 2, u16::from(*mask) << 2)
        }
        Action::Ttl(change) => hops(*change, family),
        Action::NonTerminal(text) | Action::Elsewhere(text, _) | Action::Unmodelled(text) => text.clone(),
        // One target of which a part is modelled: the other part has the words of the whole.
        Action::Several(parts) => parts.iter().find_map(|part| match part {
            Action::NonTerminal(text) => Some(text.clone()),
            _ => None,
        })?,
        Action::Continue
        | Action::VerdictMap(_)
        | Action::DnatMap(_)
        | Action::SnatMap(_)
        | Action::SetMarkMap(_)
        | Action::Arp(_)
        | Action::Ether(_) => return None,
    })
}

fn to_ports(ports: Option<(u16, u16)>) -> String {
    ports.map(|ports| format!(" --to-ports {}", range(ports))).unwrap_or_default()
}

fn flagged(mut target: String, flags: &[String]) -> String {
    for flag in flags {
        push(&mut target, flag);
    }
    target
}

fn hops(change: TtlChange, family: Family) -> String {
    let (target, prefix) = if family == Family::Ip6 { ("HL", "--hl") } else { ("TTL", "--ttl") };
    let (how, by) = match change {
        TtlChange::Set(to) => ("set", to),
        TtlChange::Increase(by) => ("inc", by),
        TtlChange::Decrease(by) => ("dec", by),
    };
    format!("-j {target} {prefix}-{how} {by}")
}

/// iptables-extensions(8), REJECT.
fn reject(with: RejectWith) -> Option<&'static str> {
    Some(match with {
        RejectWith::Icmp(0) => "icmp-net-unreachable",
        RejectWith::Icmp(1) => "icmp-host-unreachable",
        RejectWith::Icmp(2) => "icmp-proto-unreachable",
        RejectWith::Icmp(3) => "icmp-port-unreachable",
        RejectWith::Icmp(9) => "icmp-net-prohibited",
        RejectWith::Icmp(10) => "icmp-host-prohibited",
        RejectWith::Icmp(13) => "icmp-admin-prohibited",
        RejectWith::Icmp6(0) => "icmp6-no-route",
        RejectWith::Icmp6(1) => "icmp6-adm-prohibited",
        RejectWith::Icmp6(3) => "icmp6-addr-unreachable",
        RejectWith::Icmp6(4) => "icmp6-port-unreachable",
        RejectWith::Icmp6(5) => "icmp6-policy-fail",
        RejectWith::Icmp6(6) => "icmp6-reject-route",
        RejectWith::TcpReset => "tcp-reset",
        RejectWith::Icmp(_) | RejectWith::Icmp6(_) | RejectWith::Icmpx(_) => return None,
    })
}

/// `ip[-ip][:port[-port[/base]]]`; IPv6 addresses stand in brackets in front of a port.
fn nat(NatTarget { addresses, ports, base }: &NatTarget) -> String {
    let mut text = String::new();
    if let Some((low, high)) = addresses {
        text = if low == high { low.to_string() } else { format!("{low}-{high}") };
        if low.is_ipv6() && ports.is_some() {
            text = format!("[{text}]");
        }
    }
    if let Some(ports) = ports {
        text.push(':');
        text.push_str(&range(*ports));
    }
    if let Some(base) = base {
        text.push_str(&format!("/{base}"));
    }
    text
}

fn range((low, high): (u16, u16)) -> String {
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}
