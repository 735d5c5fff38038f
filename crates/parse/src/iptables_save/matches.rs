//! Match modules (`-m`, iptables-extensions(8)) as tests.

use model::Mac;
use model::netfilter::{AddrType, AddressOf, Match, Test};

use super::rule::{condition, is_global};
use super::values;
use super::words::Words;

/// Reads a module whose `-m` is word number `start`: one condition for each of its options.
pub(super) fn module(words: &mut Words<'_>, start: usize, conditions: &mut Vec<Match>) {
    let Some(name) = words.value() else {
        conditions.push(condition(false, Test::Unmodelled("-m".to_owned())));
        return;
    };
    if !is_modelled(&name) || has_options_that_change_others(&name, words) {
        while inside_module(words) {
            words.word();
            words.skip_arguments();
        }
        conditions.push(condition(false, Test::Unmodelled(words.text_since(start).to_owned())));
        return;
    }
    while inside_module(words) {
        let from = words.at();
        let negated = words.take("!");
        let Some(option) = words.value() else { break };
        let after = words.at();
        let test = test(&name, &option, words).unwrap_or_else(|| {
            words.rewind(after);
            words.skip_arguments();
            Test::Unmodelled(format!("-m {name} {}", words.text_since(from)))
        });
        conditions.push(condition(negated, test));
    }
}

/// Whether the next word still belongs to the module.
fn inside_module(words: &Words<'_>) -> bool {
    let next = match words.peek() {
        Some(word) if word.raw == "!" => words.peek_second(),
        next => next,
    };
    // A `!` at the end is left to whoever reads the rule, who says so.
    next.is_some_and(|word| !is_global(word.raw) && !matches!(word.raw, "-m" | "-j" | "-g"))
}

fn is_modelled(module: &str) -> bool {
    let header = matches!(module, "tcp" | "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmp6");
    let other = matches!(
        module,
        "multiport" | "state" | "conntrack" | "mac" | "physdev" | "comment" | "addrtype" | "mark" | "iprange"
    );
    header || other
}

/// `addrtype --limit-iface-in` narrows what `--dst-type` of the same module means, so that the two
/// cannot be told apart. Every other modelled module ands its options.
fn has_options_that_change_others(module: &str, words: &mut Words<'_>) -> bool {
    if module != "addrtype" {
        return false;
    }
    let inside = words.at();
    let mut found = false;
    while inside_module(words) {
        found |= words.value().is_some_and(|word| word.starts_with("--limit-iface"));
    }
    words.rewind(inside);
    found
}

fn test(module: &str, option: &str, words: &mut Words<'_>) -> Option<Test> {
    match module {
        "tcp" | "udp" | "udplite" | "sctp" | "dccp" => header(option, words),
        "icmp" | "icmp6" => icmp(option, words),
        "multiport" => multiport(option, words),
        "state" | "conntrack" => conntrack(option, words),
        "mac" => match option {
            "--mac-source" => Some(Test::EtherSource(words.value()?.parse().ok()?, Mac::BROADCAST)),
            _ => None,
        },
        "physdev" => physdev(option, words),
        "comment" => match option {
            "--comment" => words.value().map(|_| Test::Always),
            _ => None,
        },
        "addrtype" => match option {
            "--src-type" => Some(address_type(AddressOf::Source, &words.value()?)?),
            "--dst-type" => Some(address_type(AddressOf::Destination, &words.value()?)?),
            _ => None,
        },
        "mark" => match option {
            "--mark" => {
                values::masked_number(&words.value()?).map(|(value, mask)| Test::Mark { value, mask })
            }
            _ => None,
        },
        "iprange" => iprange(option, words),
        _ => None,
    }
}

fn header(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--sport" | "--source-port" => Some(Test::SourcePort(vec![values::ports(&words.value()?, ':')?])),
        "--dport" | "--destination-port" => {
            Some(Test::DestinationPort(vec![values::ports(&words.value()?, ':')?]))
        }
        "--tcp-flags" => {
            let mask = values::tcp_flags(words.value()?.split(','))?;
            let set = values::tcp_flags(words.value()?.split(','))?;
            Some(Test::TcpFlags { mask, set })
        }
        // FIN, SYN, RST and ACK are looked at, SYN alone is set (iptables-extensions(8)).
        "--syn" => Some(Test::TcpFlags { mask: 0x17, set: 0x02 }),
        _ => None,
    }
}

fn icmp(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let value = words.value()?;
    let (kind, code) = match (option, value.as_ref()) {
        // Type 255 stands for every type (`icmp_type_code_match` in net/netfilter/xt_tcpudp.c).
        ("--icmp-type", "any" | "255") => return Some(Test::Always),
        ("--icmp-type", text) => values::icmp(text)?,
        ("--icmpv6-type", text) => values::icmpv6(text)?,
        _ => return None,
    };
    Some(Test::Icmp(kind, code.map(|c| (c, c))))
}

fn multiport(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let ports = values::port_list(&words.value()?)?;
    Some(match option {
        "--sports" | "--source-ports" => Test::SourcePort(ports),
        "--dports" | "--destination-ports" => Test::DestinationPort(ports),
        "--ports" => Test::EitherPort(ports),
        _ => return None,
    })
}

fn conntrack(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--state" | "--ctstate" => values::ct_states(words.value()?.split(',')).map(Test::CtState),
        _ => None,
    }
}

fn physdev(option: &str, words: &mut Words<'_>) -> Option<Test> {
    Some(match option {
        "--physdev-in" => Test::PhysdevIn(words.value()?.into_owned()),
        "--physdev-out" => Test::PhysdevOut(words.value()?.into_owned()),
        "--physdev-is-bridged" => Test::PhysdevIsBridged,
        "--physdev-is-in" => Test::PhysdevIsIn,
        "--physdev-is-out" => Test::PhysdevIsOut,
        _ => return None,
    })
}

/// One type or several.
fn address_type(of: AddressOf, text: &str) -> Option<Test> {
    let one = |name: &str| {
        Some(match name {
            "UNICAST" => AddrType::Unicast,
            "LOCAL" => AddrType::Local,
            "BROADCAST" => AddrType::Broadcast,
            "ANYCAST" => AddrType::Anycast,
            "MULTICAST" => AddrType::Multicast,
            "BLACKHOLE" => AddrType::Blackhole,
            "UNREACHABLE" => AddrType::Unreachable,
            "PROHIBIT" => AddrType::Prohibit,
            _ => return None,
        })
    };
    let types = text.split(',').map(one).collect::<Option<Vec<_>>>()?;
    Some(Test::AddressType { of, types, limit: None })
}

fn iprange(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let (low, high) = values::ip_range(&words.value()?)?;
    match option {
        "--src-range" => Some(Test::SourceRange(low, high)),
        "--dst-range" => Some(Test::DestinationRange(low, high)),
        _ => None,
    }
}
