//! REJECT.

use model::netfilter::{Family, RejectWith};

use super::super::words::Words;

/// `--reject-with NAME`, or the family's usual.
pub(super) fn read(options: &mut Words<'_>, family: Family) -> Option<RejectWith> {
    match options.value() {
        None => Some(port_unreachable(family)),
        Some(option) if option == "--reject-with" => with(&options.value()?, family),
        Some(_) => None,
    }
}

fn port_unreachable(family: Family) -> RejectWith {
    if family == Family::Ip6 { RejectWith::Icmp6(4) } else { RejectWith::Icmp(3) }
}

/// iptables' names (iptables-extensions(8), REJECT), and the short ones that it takes too.
fn with(name: &str, family: Family) -> Option<RejectWith> {
    Some(match name {
        "icmp-net-unreachable" | "net-unreach" => RejectWith::Icmp(0),
        "icmp-host-unreachable" | "host-unreach" => RejectWith::Icmp(1),
        "icmp-proto-unreachable" | "proto-unreach" => RejectWith::Icmp(2),
        "icmp-port-unreachable" => RejectWith::Icmp(3),
        "icmp-net-prohibited" | "net-prohib" => RejectWith::Icmp(9),
        "icmp-host-prohibited" | "host-prohib" => RejectWith::Icmp(10),
        "icmp-admin-prohibited" | "admin-prohib" => RejectWith::Icmp(13),
        "icmp6-no-route" | "no-route" => RejectWith::Icmp6(0),
        "icmp6-adm-prohibited" | "adm-prohibited" => RejectWith::Icmp6(1),
        "icmp6-addr-unreachable" | "addr-unreach" => RejectWith::Icmp6(3),
        "icmp6-port-unreachable" => RejectWith::Icmp6(4),
        "icmp6-policy-fail" | "policy-fail" => RejectWith::Icmp6(5),
        "icmp6-reject-route" | "reject-route" => RejectWith::Icmp6(6),
        "port-unreach" => port_unreachable(family),
        "tcp-reset" | "tcp-rst" => RejectWith::TcpReset,
        _ => return None,
    })
}
