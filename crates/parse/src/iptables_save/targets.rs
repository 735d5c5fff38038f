//! Targets (`-j`, `-g`, iptables-extensions(8)) as actions.

use std::collections::HashMap;
use std::net::IpAddr;

use model::netfilter::{Action, NatTarget, RejectWith};

use super::values;
use super::words::Words;

/// Targets that leave the packet's way alone, and change nothing that a modelled test looks at.
const NON_TERMINAL: [&str; 19] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "IDLETIMER",
    "LED",
    "LOG",
    "NFLOG",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "ULOG",
];

/// Targets that are known to decide, or to change what later rules see, in ways not modelled.
const UNMODELLED: [&str; 15] = [
    "CLUSTERIP",
    "CONNMARK",
    "CT",
    "DNPT",
    "HL",
    "HMARK",
    "MARK",
    "NETMAP",
    "NFQUEUE",
    "QUEUE",
    "SNPT",
    "SYNPROXY",
    "TPROXY",
    "TTL",
    "IPMARK",
];

/// Reads the target whose option is word number `start`, to the rule's end. Also says what is wrong
/// with it.
pub(super) fn read(
    words: &mut Words<'_>,
    start: usize,
    option: &str,
    chains: &HashMap<&str, usize>,
) -> (Action, Option<String>) {
    let Some(name) = words.value() else {
        return (Action::Unmodelled(option.to_owned()), Some(format!("{option} without a target")));
    };
    let options = words.at();
    words.skip_all();
    let text = words.text_since(start);
    words.rewind(options);
    let read = action(&name, words, option, text, chains);
    words.skip_all();
    read
}

fn action(
    name: &str,
    options: &mut Words<'_>,
    option: &str,
    text: &str,
    chains: &HashMap<&str, usize>,
) -> (Action, Option<String>) {
    let takes_options = !matches!(name, "ACCEPT" | "DROP" | "RETURN") && !chains.contains_key(name);
    if !takes_options && !options.is_done() {
        return (Action::Unmodelled(text.to_owned()), Some(format!("{name} takes no options")));
    }
    match name {
        "ACCEPT" => return (Action::Accept, None),
        "DROP" => return (Action::Drop, None),
        "RETURN" => return (Action::Return, None),
        name if chains.contains_key(name) => {
            let name = name.to_owned();
            return (
                if option == "-j" || option == "--jump" { Action::Jump(name) } else { Action::Goto(name) },
                None,
            );
        }
        _ => {}
    }
    let unmodelled = || Action::Unmodelled(text.to_owned());
    if NON_TERMINAL.contains(&name) {
        return (Action::NonTerminal(text.to_owned()), None);
    }
    match extension(name, options, text) {
        Some(action) => (action, None),
        None if is_extension(name) => (unmodelled(), None),
        None => {
            let what = format!("{name} is neither a chain of this table nor a target known here");
            (unmodelled(), Some(what))
        }
    }
}

fn is_extension(name: &str) -> bool {
    UNMODELLED.contains(&name)
        || matches!(name, "REJECT" | "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NOTRACK")
}

/// The modelled extensions. `None` where the target, or one of its options, is not modelled.
fn extension(name: &str, options: &mut Words<'_>, text: &str) -> Option<Action> {
    match name {
        "REJECT" => match options.value().as_deref() {
            Some("--reject-with") => reject_with(&options.value()?).map(Action::Reject),
            Some(_) => None,
            None => Some(Action::Reject(RejectWith::Icmpx(1))),
        },
        "DNAT" => nat(options, "--to-destination").map(Action::Dnat),
        "SNAT" => nat(options, "--to-source").map(Action::Snat),
        "MASQUERADE" => masquerade(options),
        "REDIRECT" => redirect(options),
        "MARK" => mark(options),
        "CONNMARK" => connmark(options, text),
        "NOTRACK" => Some(Action::Notrack),
        "CT" => ct(options, text),
        _ => None,
    }
}

/// iptables' names (iptables-extensions(8), REJECT), and the short ones that it takes too.
fn reject_with(name: &str) -> Option<RejectWith> {
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
        "port-unreach" => RejectWith::Icmpx(1),
        "tcp-reset" | "tcp-rst" => RejectWith::TcpReset,
        _ => return None,
    })
}

/// Flags that choose among several possible ports or addresses, and exclude none.
fn only_flags(options: &mut Words<'_>) -> Option<()> {
    while let Some(flag) = options.value() {
        if !matches!(flag.as_ref(), "--random" | "--random-fully" | "--persistent") {
            return None;
        }
    }
    Some(())
}

fn nat(options: &mut Words<'_>, to: &str) -> Option<NatTarget> {
    if options.value()? != to {
        return None;
    }
    let target = nat_target(&options.value()?)?;
    only_flags(options)?;
    Some(target)
}

/// `ip[-ip][:port[-port]]`, `[ip6[-ip6]]:port`, `:port`; a shifted range (`:50-70/90`) is refused.
fn nat_target(text: &str) -> Option<NatTarget> {
    let (addresses, ports) = if let Some(bracketed) = text.strip_prefix('[') {
        let (addresses, ports) = bracketed.split_once(']')?;
        (addresses, ports.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            // More than one colon without brackets is a bare IPv6 address.
            Some((addresses, ports)) if !ports.contains(':') => (addresses, Some(ports)),
            Some(_) | None => (text, None),
        }
    };
    let addresses = match addresses {
        "" => None,
        range if range.contains('-') => Some(values::ip_range(range)?),
        one => {
            let ip: IpAddr = one.parse().ok()?;
            Some((ip, ip))
        }
    };
    let ports = match ports {
        Some(ports) => Some(values::ports(ports, '-')?),
        None => None,
    };
    Some(NatTarget { addresses, ports })
}

/// `--to-ports` matters only to connections whose source port is outside the range: with the usual
/// 1024-65535 (libvirt's networks) every ordinary client keeps its port (`nf_nat_l4proto_in_range`).
fn masquerade(options: &mut Words<'_>) -> Option<Action> {
    if options.take("--to-ports") {
        let (low, high) = values::ports(&options.value()?, '-')?;
        if low > 1024 || high < u16::MAX {
            return None;
        }
    }
    only_flags(options)?;
    Some(Action::Masquerade)
}

fn redirect(options: &mut Words<'_>) -> Option<Action> {
    let ports = if options.take("--to-ports") { Some(values::ports(&options.value()?, '-')?) } else { None };
    only_flags(options)?;
    Some(Action::Redirect(ports))
}

fn mark(options: &mut Words<'_>) -> Option<Action> {
    let option = options.value()?;
    let (value, mask) = values::masked_number(&options.value()?)?;
    match option.as_ref() {
        "--set-xmark" => Some(Action::SetMark { value, mask }),
        // `--set-mark` ors the value in after clearing the mask's bits (iptables-extensions(8)).
        "--set-mark" => Some(Action::SetMark { value, mask: value | mask }),
        _ => None,
    }
}

/// Only `--restore-mark` touches the packet's own mark, which rules and routes look at.
fn connmark(options: &mut Words<'_>, text: &str) -> Option<Action> {
    match options.value()?.as_ref() {
        "--save-mark" | "--set-xmark" | "--set-mark" => Some(Action::NonTerminal(text.to_owned())),
        _ => None,
    }
}

/// A zone changes which conntrack entry a packet finds; a helper or an event mask does not.
fn ct(options: &mut Words<'_>, text: &str) -> Option<Action> {
    match options.value()?.as_ref() {
        "--notrack" => Some(Action::Notrack),
        "--helper" | "--ctevents" | "--expevents" | "--timeout" => {
            while let Some(word) = options.value() {
                if word.starts_with("--zone") {
                    return None;
                }
            }
            Some(Action::NonTerminal(text.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nat_targets_in_every_form() {
        for text in ["5.6.7.8", "5.6.7.8-5.6.7.9", "5.6.7.8-5.6.7.9:50-60", ":50", "2001:db8::1"] {
            assert_eq!(nat_target(text).unwrap().to_string(), text);
        }
        let six = nat_target("[2001:db8::1-2001:db8::5]:80-90").unwrap();
        assert_eq!(six.ports, Some((80, 90)));
        assert_eq!(six.addresses.unwrap().1.to_string(), "2001:db8::5");
        for bad in [":50-70/90", "1.2.3", "1.2.3.4:", "[::1", ":70000"] {
            assert_eq!(nat_target(bad), None, "{bad}");
        }
    }
}
