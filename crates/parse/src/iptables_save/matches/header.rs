//! Modules that look at the header of layer 4.

use model::netfilter::{Because, Test};

use super::super::values;
use super::super::words::Words;

pub(super) fn tcp(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--tcp-flags" => {
            let mask = values::tcp_flags(words.value()?.split(','))?;
            let set = values::tcp_flags(words.value()?.split(','))?;
            Some(Test::TcpFlags { mask, set })
        }
        // FIN, SYN, RST and ACK are looked at, SYN alone is set (iptables-extensions(8)).
        "--syn" => Some(Test::TcpFlags { mask: 0x17, set: 0x02 }),
        "--tcp-option" => bytes(words),
        _ => ports(option, words),
    }
}

/// Options that UDP and all others with ports have.
pub(super) fn ports(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--sport" | "--source-port" => Some(Test::SourcePort(vec![values::ports(&words.value()?, ':')?])),
        "--dport" | "--destination-port" => {
            Some(Test::DestinationPort(vec![values::ports(&words.value()?, ':')?]))
        }
        _ => None,
    }
}

pub(super) fn sctp(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--chunk-types" => {
            words.value()?;
            bytes(words)
        }
        _ => ports(option, words),
    }
}

pub(super) fn dccp(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--dccp-types" | "--dccp-option" => bytes(words),
        _ => ports(option, words),
    }
}

/// Bytes behind the ports, which one word names.
fn bytes(words: &mut Words<'_>) -> Option<Test> {
    words.value()?;
    Some(Test::Unpredictable(String::new(), Because::Payload))
}

/// A type without a code stands for all codes; 255 for every type (`icmp_type_code_match` in
/// net/netfilter/xt_tcpudp.c).
pub(super) fn icmp(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let value = words.value()?;
    match (option, value.as_ref()) {
        ("--icmp-type", "any" | "255") => Some(Test::Always),
        ("--icmp-type", text) => Some(kind(values::icmp(text)?)),
        _ => None,
    }
}

pub(super) fn icmpv6(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--icmpv6-type" => Some(kind(values::icmpv6(&words.value()?)?)),
        _ => None,
    }
}

fn kind((kind, code): (u8, Option<u8>)) -> Test {
    Test::Icmp(kind, code.map(|code| (code, code)))
}

pub(super) fn multiport(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let ports = values::port_list(&words.value()?)?;
    Some(match option {
        "--sports" | "--source-ports" => Test::SourcePort(ports),
        "--dports" | "--destination-ports" => Test::DestinationPort(ports),
        "--ports" => Test::EitherPort(ports),
        _ => return None,
    })
}
