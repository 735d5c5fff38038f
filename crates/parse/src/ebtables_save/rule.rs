//! One rule of an ebtables dump (ebtables(8), ebtables-nft(8)).

use std::collections::HashMap;

use model::Mac;
use model::netfilter::{Action, Match, NfRule, Test};

use crate::Problem;
use crate::iptables_save::dump::RuleLine;
use crate::iptables_save::values;
use crate::iptables_save::words::Words;

/// What DROP means in table broute (ebtables(8), TABLES).
pub(super) const BROUTE_DROP: &str = "DROP in broute (the frame is routed instead of bridged)";

/// Reads a rule. `chains` are the names that `-j` may jump to.
pub(super) fn read(
    line: &RuleLine<'_>,
    table: &str,
    chains: &HashMap<&str, usize>,
    problems: &mut Vec<Problem>,
) -> NfRule {
    let mut words = match Words::split(line.options) {
        Ok(words) => words,
        Err(open) => {
            problems.push(line.problem(open, "a quote that is never closed"));
            return line.unreadable();
        }
    };
    let mut conditions: Vec<Match> = Vec::new();
    let mut action = Action::Continue;
    while !words.is_done() {
        let start = words.at();
        let mut negated = words.take("!");
        let Some(option) = words.word() else {
            problems.push(line.problem(line.options, "`!` without an option after it"));
            return line.unreadable();
        };
        if option.raw == "-j" {
            let (read, wrong) = target(&mut words, start, table, chains);
            action = read;
            problems.extend(wrong.map(|what| line.problem(option.raw, what)));
            continue;
        }
        if !option.raw.starts_with('-') {
            problems.push(line.problem(option.raw, "expected an option"));
        }
        negated |= words.take("!");
        let after = words.at();
        let test = test(option.raw, &mut words);
        let used = words.at();
        words.rewind(after);
        words.skip_arguments();
        if is_watcher(option.raw) {
            continue;
        }
        conditions.push(match test.filter(|_| used == words.at()) {
            Some(test) => Match { negated, test },
            None => Match { negated: false, test: Test::Unmodelled(words.text_since(start).to_owned()) },
        });
    }
    line.rule(conditions, action)
}

/// Watchers see the frame and do nothing to it (ebtables(8), WATCHER EXTENSIONS).
fn is_watcher(option: &str) -> bool {
    ["--log", "--nflog", "--ulog"].iter().any(|name| {
        let rest = option.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn test(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let value = words.value()?;
    Some(match option {
        "-i" | "--in-interface" => Test::In(value.into_owned()),
        "-o" | "--out-interface" => Test::Out(value.into_owned()),
        "--logical-in" => Test::LogicalIn(value.into_owned()),
        "--logical-out" => Test::LogicalOut(value.into_owned()),
        "-s" => mac(&value).map(|(mac, mask)| Test::EtherSource(mac, mask))?,
        "-d" => mac(&value).map(|(mac, mask)| Test::EtherDestination(mac, mask))?,
        "-p" => Test::EtherType(ether_type(&value)?),
        "--ip-src" | "--ip-source" | "--ip6-src" => Test::Source(vec![values::net(&value)?]),
        "--ip-dst" | "--ip-destination" | "--ip6-dst" => Test::Destination(vec![values::net(&value)?]),
        "--ip-proto" | "--ip-protocol" | "--ip6-proto" => Test::Protocol(values::protocol(&value)?),
        "--ip-sport" | "--ip-source-port" | "--ip6-sport" => {
            Test::SourcePort(vec![values::ports(&value, ':')?])
        }
        "--ip-dport" | "--ip-destination-port" | "--ip6-dport" => {
            Test::DestinationPort(vec![values::ports(&value, ':')?])
        }
        "--arp-op" | "--arp-opcode" => Test::ArpOperation(arp_operation(&value)?),
        "--arp-ip-src" => Test::ArpSourceIp(values::net(&value)?),
        "--arp-ip-dst" => Test::ArpTargetIp(values::net(&value)?),
        "--arp-mac-src" => mac(&value).map(|(mac, mask)| Test::ArpSourceMac(mac, mask))?,
        "--arp-mac-dst" => mac(&value).map(|(mac, mask)| Test::ArpTargetMac(mac, mask))?,
        "--mark" => mark(&value)?,
        _ => return None,
    })
}

/// `mac`, `mac/mask`, or one of the names that ebtables gives to some (ebtables(8), `-s`).
fn mac(text: &str) -> Option<(Mac, Mac)> {
    const GROUP: Mac = Mac([1, 0, 0, 0, 0, 0]);
    Some(match text {
        "Unicast" => (Mac::ZERO, GROUP),
        "Multicast" => (GROUP, GROUP),
        "Broadcast" => (Mac::BROADCAST, Mac::BROADCAST),
        "BGA" => (Mac([0x01, 0x80, 0xc2, 0, 0, 0]), Mac::BROADCAST),
        text => values::masked_mac(text)?,
    })
}

/// `--mark value/mask`; `--mark /mask` (any of the bits) is not modelled.
fn mark(text: &str) -> Option<Test> {
    values::masked_number(text).map(|(value, mask)| Test::Mark { value, mask })
}

/// Names from `/etc/ethertypes`, hexadecimal numbers. `Length` (802.3 frames) is no type at all.
fn ether_type(text: &str) -> Option<u16> {
    Some(match text.to_ascii_lowercase().as_str() {
        "ipv4" | "ip" => 0x0800,
        "arp" => 0x0806,
        "rarp" => 0x8035,
        "802_1q" => 0x8100,
        "ipx" => 0x8137,
        "ipv6" => 0x86dd,
        "mpls" => 0x8847,
        "mpls_multi" => 0x8848,
        "ppp_disc" => 0x8863,
        "ppp_ses" => 0x8864,
        "eapol" => 0x888e,
        "s-tag" => 0x88a8,
        "lldp" => 0x88cc,
        number => {
            let digits = number.strip_prefix("0x").unwrap_or(number);
            u16::from_str_radix(digits, 16).ok()?
        }
    })
}

/// ebtables' names in the order of the numbers, from 1 (ebtables `ebt_arp.c`, `opcodes`).
fn arp_operation(text: &str) -> Option<u16> {
    const NAMES: [&str; 9] = [
        "Request",
        "Reply",
        "Request_Reverse",
        "Reply_Reverse",
        "DRARP_Request",
        "DRARP_Reply",
        "DRARP_Error",
        "InARP_Request",
        "ARP_NAK",
    ];
    match (1..).zip(NAMES).find(|(_, name)| *name == text) {
        Some((number, _)) => Some(number),
        None => text.parse().ok(),
    }
}

/// Reads the target whose `-j` is word number `start`, to the rule's end. Also says what is wrong
/// with it.
fn target(
    words: &mut Words<'_>,
    start: usize,
    table: &str,
    chains: &HashMap<&str, usize>,
) -> (Action, Option<String>) {
    let name = words.value().unwrap_or_default();
    words.skip_all();
    let text = words.text_since(start).to_owned();
    match name.as_ref() {
        "ACCEPT" => (Action::Accept, None),
        "DROP" if table == "broute" => (Action::Unmodelled(BROUTE_DROP.to_owned()), None),
        "DROP" => (Action::Drop, None),
        "CONTINUE" => (Action::Continue, None),
        "RETURN" => (Action::Return, None),
        name if chains.contains_key(name) => (Action::Jump(name.to_owned()), None),
        // Each rewrites the frame (redirect: its destination to the bridge's own address), so that
        // it goes elsewhere than where its header says; none is modelled.
        "redirect" | "dnat" | "snat" | "mark" | "arpreply" => (Action::Unmodelled(text), None),
        name => {
            let what = format!("{name} is neither a chain of this table nor a target known here");
            (Action::Unmodelled(text), Some(what))
        }
    }
}
