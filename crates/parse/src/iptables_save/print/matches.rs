//! Conditions as iptables' options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::Mac;
use model::netfilter::{AddressOf, CtStates, Family, Field, Match, Side, Test};

use super::super::matches::connection;
use super::super::values;
use super::super::words::quoted;
use super::kept::Said;
use super::push;

mod fields;

/// One option, and the module that it belongs to.
struct Piece {
    /// Empty for options that belong to none.
    module: &'static str,
    /// Name and arguments.
    option: String,
    /// Where its `!` stands: in front of it, or nowhere since it is no option that takes one.
    negated: bool,
}

fn piece(module: &'static str, negated: bool, option: String) -> Piece {
    Piece { module, option, negated }
}

/// Appends conditions to a rule. Those of one module that follow each other share its `-m`, unless an
/// option comes twice. `None` where iptables has no words for one.
pub(super) fn print(words: &mut String, conditions: &[Match], mut said: Said, family: Family) -> Option<()> {
    let mut open: Option<(&str, Vec<String>)> = None;
    let mut protocol = None;
    let mut rest = conditions;
    while let Some((condition, after)) = rest.split_first() {
        rest = after;
        if let (Test::Protocol(number), false) = (&condition.test, condition.negated) {
            protocol = Some(*number);
        }
        match &condition.test {
            Test::Always => {
                match said.always.pop_front() {
                    Some(text) => push(words, &text),
                    // Nothing is lost where a condition that always holds is not said.
                    None if !condition.negated => {}
                    None => return None,
                }
                open = None;
                continue;
            }
            Test::Unmodelled(text) | Test::Unpredictable(text, _) => {
                push(words, text);
                open = None;
                continue;
            }
            Test::AddressType { .. } => {
                let (text, used) = address_types(condition, after);
                push(words, &text);
                rest = after.get(used..).unwrap_or_default();
                open = None;
                continue;
            }
            _ => {}
        }
        let Piece { module, option, negated } = piece_of(condition, protocol, family)?;
        let name = option.split(' ').next().unwrap_or_default().to_owned();
        let alone = matches!(module, "rpfilter" | "set") || connection::decides_alone(condition);
        match &mut open {
            Some((shared, names)) if *shared == module && !names.contains(&name) && !alone => {
                names.push(name);
            }
            _ if module.is_empty() => open = None,
            _ => {
                push(words, "-m");
                push(words, module);
                open = Some((module, vec![name]));
            }
        }
        if negated {
            push(words, "!");
        }
        if !option.is_empty() {
            push(words, &option);
        }
        if let Test::InIpset { .. } = &condition.test {
            words.push_str(&said.uncounted.pop_front().unwrap_or_default());
        }
        if alone {
            open = None;
        }
    }
    Some(())
}

fn piece_of(condition: &Match, protocol: Option<u8>, family: Family) -> Option<Piece> {
    let Match { negated, test } = condition;
    let negated = *negated;
    let global = |option: String| Some(piece("", negated, option));
    let of = |module: &'static str, option: String| Some(piece(module, negated, option));
    match test {
        Test::Source(nets) => global(format!("-s {}", one_net(nets)?)),
        Test::Destination(nets) => global(format!("-d {}", one_net(nets)?)),
        Test::In(name) => global(format!("-i {}", quoted(name))),
        Test::Out(name) => global(format!("-o {}", quoted(name))),
        Test::Protocol(number) => global(format!("-p {}", protocol_word(*number))),
        Test::Fragment => global("-f".to_owned()),
        Test::SourceRange(low, high) => of("iprange", format!("--src-range {low}-{high}")),
        Test::DestinationRange(low, high) => of("iprange", format!("--dst-range {low}-{high}")),
        Test::PhysdevIn(name) => of("physdev", format!("--physdev-in {}", quoted(name))),
        Test::PhysdevOut(name) => of("physdev", format!("--physdev-out {}", quoted(name))),
        Test::PhysdevIsBridged => of("physdev", "--physdev-is-bridged".to_owned()),
        Test::PhysdevIsIn => of("physdev", "--physdev-is-in".to_owned()),
        Test::PhysdevIsOut => of("physdev", "--physdev-is-out".to_owned()),
        Test::SourcePort(ranges) => ports(negated, ranges, ("--sport", "--sports"), protocol),
        Test::DestinationPort(ranges) => ports(negated, ranges, ("--dport", "--dports"), protocol),
        Test::EitherPort(ranges) => of("multiport", format!("--ports {}", port_list(ranges))),
        Test::Icmp(kind, codes) => {
            let code = match codes {
                Some((low, high)) if low == high => format!("/{low}"),
                None | Some((0, 255)) => String::new(),
                Some(_) => return None,
            };
            match family {
                Family::Ip6 => of("icmp6", format!("--icmpv6-type {kind}{code}")),
                _ => of("icmp", format!("--icmp-type {kind}{code}")),
            }
        }
        Test::TcpFlags { mask, set } => {
            of("tcp", format!("--tcp-flags {} {}", tcp_flags(*mask)?, tcp_flags(*set)?))
        }
        Test::CtState(states) => of("conntrack", format!("--ctstate {}", ct_states(*states))),
        Test::EtherSource(mac, Mac::BROADCAST) => of("mac", format!("--mac-source {mac}")),
        Test::Mark { value, mask } => of("mark", format!("--mark {}", masked(*value, *mask))),
        Test::ReversePath { loose, with_mark, accept_local } => {
            let flags = [(*loose, "--loose"), (*with_mark, "--validmark"), (*accept_local, "--accept-local")];
            let flags = flags.into_iter().chain([(negated, "--invert")]);
            let words: Vec<&str> = flags.filter(|(set, _)| *set).map(|(_, flag)| flag).collect();
            Some(piece("rpfilter", false, words.join(" ")))
        }
        Test::Field { field, mask, within } => {
            fields::piece(field, *mask, within, family).and_then(|(module, option)| {
                Some(if module.is_empty() { global(option)? } else { of(module, option)? })
            })
        }
        Test::AnyBit(Field::CtStatus, bits) => {
            of("conntrack", format!("--ctstatus {}", fields::ct_status(*bits)?))
        }
        Test::InIpset { name, directions } => {
            of("set", format!("--match-set {} {}", quoted(name), ends(directions)))
        }
        Test::Always | Test::Unmodelled(_) | Test::Unpredictable(..) | Test::AddressType { .. } => None,
        // Other tools' words.
        Test::LogicalIn(_)
        | Test::LogicalOut(_)
        | Test::Protocols(_)
        | Test::EtherSource(..)
        | Test::EtherDestination(..)
        | Test::EtherType(_)
        | Test::ArpOperation(_)
        | Test::ArpSourceIp(_)
        | Test::ArpTargetIp(_)
        | Test::ArpSourceMac(..)
        | Test::ArpTargetMac(..)
        | Test::AnyBit(..)
        | Test::ArpGratuitous
        | Test::InSet(_) => None,
    }
}

/// Both of a module's questions are under one limit: the condition, and the next where it is the other.
/// Also how many of those that follow were taken.
fn address_types(condition: &Match, after: &[Match]) -> (String, usize) {
    let mut text = "-m addrtype".to_owned();
    let mut used = 0;
    let mut limit_of = None;
    let mut asked = None;
    for next in std::iter::once(condition).chain(after) {
        let Test::AddressType { of, types, limit } = &next.test else { break };
        if asked.is_some_and(|(before, its)| before == *of || its != *limit) || used == 2 {
            break;
        }
        (asked, limit_of) = (Some((*of, *limit)), *limit);
        let names: Vec<String> = types.iter().map(|kind| format!("{kind:?}").to_uppercase()).collect();
        let not = if next.negated { " !" } else { "" };
        let end = match of {
            AddressOf::Source => "src",
            AddressOf::Destination => "dst",
        };
        text.push_str(&format!("{not} --{end}-type {}", names.join(",")));
        used += 1;
    }
    match limit_of {
        Some(Side::In) => text.push_str(" --limit-iface-in"),
        Some(Side::Out) => text.push_str(" --limit-iface-out"),
        None => {}
    }
    (text, used - 1)
}

/// A rule has one `-s` and one `-d`.
fn one_net(nets: &[IpNet]) -> Option<&IpNet> {
    match nets {
        [net] => Some(net),
        _ => None,
    }
}

fn protocol_word(number: u8) -> String {
    values::protocol_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// Of one range, by the protocol's own module; of several, by multiport.
fn ports(
    negated: bool,
    ranges: &[(u16, u16)],
    (one, several): (&str, &str),
    protocol: Option<u8>,
) -> Option<Piece> {
    let module = match protocol {
        Some(17) => "udp",
        Some(33) => "dccp",
        Some(132) => "sctp",
        Some(136) => "udplite",
        Some(_) | None => "tcp",
    };
    match ranges {
        [] => None,
        [range] => Some(piece(module, negated, format!("{one} {}", port_list(&[*range])))),
        ranges => Some(piece("multiport", negated, format!("{several} {}", port_list(ranges)))),
    }
}

fn port_list(ranges: &[(u16, u16)]) -> String {
    let one = |(low, high): &(u16, u16)| if low == high { low.to_string() } else { format!("{low}:{high}") };
    ranges.iter().map(one).collect::<Vec<_>>().join(",")
}

/// iptables has names for the six oldest flags only.
fn tcp_flags(flags: u8) -> Option<String> {
    const NAMES: [&str; 6] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    let names: Vec<&str> =
        NAMES.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, name)| *name).collect();
    match (flags, flags >> NAMES.len()) {
        (0, _) => Some("NONE".to_owned()),
        (_, 0) => Some(names.join(",")),
        (_, _) => None,
    }
}

fn ct_states(states: CtStates) -> String {
    let CtStates { invalid, new, established, related, untracked, dnat, snat } = states;
    let names = [
        (invalid, "INVALID"),
        (new, "NEW"),
        (related, "RELATED"),
        (established, "ESTABLISHED"),
        (untracked, "UNTRACKED"),
        (snat, "SNAT"),
        (dnat, "DNAT"),
    ];
    names.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect::<Vec<_>>().join(",")
}

fn masked(value: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

fn ends(directions: &[AddressOf]) -> String {
    let one = |of: &AddressOf| match of {
        AddressOf::Source => "src",
        AddressOf::Destination => "dst",
    };
    directions.iter().map(one).collect::<Vec<_>>().join(",")
}

/// An address and its mask: nothing where the mask is full, the length of a prefix, or the mask itself.
fn address(family: Family, value: u128, mask: u128) -> Option<String> {
    let (ip, mask): (IpAddr, IpAddr) = match family {
        Family::Ip6 => (Ipv6Addr::from_bits(value).into(), Ipv6Addr::from_bits(mask).into()),
        _ => {
            let four = |bits: u128| u32::try_from(bits).ok().map(Ipv4Addr::from_bits);
            (four(value)?.into(), four(mask)?.into())
        }
    };
    Some(match IpNet::with_netmask(ip, mask) {
        Ok(net) if net.prefix_len() == net.max_prefix_len() => ip.to_string(),
        Ok(net) => format!("{ip}/{}", net.prefix_len()),
        Err(_) => format!("{ip}/{mask}"),
    })
}
