//! The table that marks our probes, as nf_tables' messages (`linux/netfilter/nf_tables.h`).
//!
//! Each flow becomes a rule such as `meta protocol ip meta l4proto icmp ip saddr A ip daddr B
//! @th,32,16 ID meta nftrace set 1`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use collect::netlink::Change;
use collect::netlink::attribute::{attribute, nested, terminated};
use collect::netlink::nftables::{TRACE_PREFIX, number_of};
use model::netfilter::Family;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};

use super::{Flow, Identity};

/// `NFNL_SUBSYS_NFTABLES << 8 |` `NFT_MSG_NEWTABLE`, `NEWCHAIN`, `NEWRULE`.
const NEW_TABLE: u16 = 10 << 8;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const NEW_RULE: u16 = 10 << 8 | 6;

/// `NFTA_TABLE_*`, `NFT_TABLE_F_OWNER`.
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const OWNER: u32 = 2;

/// `NFTA_CHAIN_*`, `NFTA_HOOK_*`.
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

/// Where packets come into sight: `NF_INET_PRE_ROUTING`, `NF_INET_LOCAL_OUT`, the same numbers as
/// `NF_BR_PRE_ROUTING` and `NF_BR_LOCAL_OUT`.
const HOOKS: [(&str, u32); 2] = [("prerouting", 0), ("output", 3)];
/// Before everything else, also ebtables' BROUTING and the raw tables; at the same priority the chain
/// that came last runs first (`net/netfilter/core.c nf_hook_entries_grow`).
const FIRST: i32 = i32::MIN;

/// `NFTA_RULE_*`, `NFTA_LIST_ELEM`, `NFTA_EXPR_*`.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

/// `NFTA_META_*`, `NFT_META_*`.
const META_TO: u16 = 1;
const META_KEY: u16 = 2;
const META_FROM: u16 = 3;
const KEY_PROTOCOL: u32 = 1;
const KEY_NFTRACE: u32 = 12;
const KEY_L4PROTO: u32 = 16;

/// `NFTA_PAYLOAD_*`, `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
const PAYLOAD_TO: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LENGTH: u16 = 4;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// `NFTA_CMP_*`, `NFT_CMP_EQ`, `NFTA_IMMEDIATE_*`, `NFTA_DATA_VALUE`, `NFT_REG_1`.
const COMPARE_FROM: u16 = 1;
const COMPARE_HOW: u16 = 2;
const COMPARE_WITH: u16 = 3;
const EQUAL: u32 = 0;
const IMMEDIATE_TO: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const REGISTER: u32 = 1;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// A name that no other trace has, of this process or of another that is seen as such a pid.
pub(super) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{TRACE_PREFIX}{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Everything that makes the table of this name in a family, for one batch. It must not exist yet.
pub(super) fn changes(family: Family, table: &str, flows: &[Flow]) -> Vec<Change> {
    let table_name = attribute(TABLE_NAME, &terminated(table));
    let mut changes =
        vec![change(NEW_TABLE, NLM_F_CREATE | NLM_F_EXCL, family, &[table_name, number(TABLE_FLAGS, OWNER)])];
    for (chain, hook) in HOOKS {
        let hook = [number(HOOK_NUMBER, hook), attribute(HOOK_PRIORITY, &FIRST.to_be_bytes())];
        let parts = [
            attribute(CHAIN_TABLE, &terminated(table)),
            attribute(CHAIN_NAME, &terminated(chain)),
            nested(CHAIN_HOOK, &hook),
            attribute(CHAIN_TYPE, &terminated("filter")),
        ];
        changes.push(change(NEW_CHAIN, NLM_F_CREATE, family, &parts));
        changes.extend(flows.iter().map(|flow| {
            let parts = [
                attribute(RULE_TABLE, &terminated(table)),
                attribute(RULE_CHAIN, &terminated(chain)),
                nested(RULE_EXPRESSIONS, &expressions(flow)),
            ];
            change(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, family, &parts)
        }));
    }
    changes
}

fn change(kind: u16, flags: u16, family: Family, attributes: &[Vec<u8>]) -> Change {
    // `struct nfgenmsg`: family, version 0, resource 0.
    let header = vec![number_of(family), 0, 0, 0];
    Change { kind, flags, body: [header, attributes.concat()].concat() }
}

fn expressions(flow: &Flow) -> Vec<Vec<u8>> {
    let is_ipv6 = flow.is_ipv6().unwrap_or_default();
    let (ethertype, icmp) = if is_ipv6 { (ETHERTYPE_IPV6, 58) } else { (ETHERTYPE_IPV4, 1) };
    let (protocol, at_transport) = match flow.identity {
        Identity::Echo(id) => (icmp, vec![(4, id)]),
        Identity::Tcp(source, destination) => (6, ports(source, destination)),
        Identity::Udp(source, destination) => (17, ports(source, destination)),
    };
    let mut all = [meta(KEY_PROTOCOL), equals(&ethertype), meta(KEY_L4PROTO), equals(&[protocol])].to_vec();
    // Where the addresses stand in the header of IPv4 (RFC 791) and of IPv6 (RFC 8200).
    let (source_at, destination_at) = if is_ipv6 { (8, 24) } else { (12, 16) };
    for (offset, address) in [(source_at, flow.source), (destination_at, flow.destination)] {
        all.extend(address.into_iter().flat_map(|address| payload_is(NETWORK, offset, &octets(address))));
    }
    for (offset, value) in at_transport {
        all.extend(payload_is(TRANSPORT, offset, &value.to_be_bytes()));
    }
    all.push(immediate(&[1]));
    all.push(expression("meta", &[number(META_KEY, KEY_NFTRACE), number(META_FROM, REGISTER)]));
    all
}

/// The ports that are given, each with its place in the header.
fn ports(source: Option<u16>, destination: Option<u16>) -> Vec<(u32, u16)> {
    [(0, source), (2, destination)].into_iter().filter_map(|(at, port)| Some((at, port?))).collect()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn payload_is(base: u32, offset: u32, bytes: &[u8]) -> [Vec<u8>; 2] {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let load = [
        number(PAYLOAD_TO, REGISTER),
        number(PAYLOAD_BASE, base),
        number(PAYLOAD_OFFSET, offset),
        number(PAYLOAD_LENGTH, length),
    ];
    [expression("payload", &load), equals(bytes)]
}

fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[number(META_TO, REGISTER), number(META_KEY, key)])
}

fn equals(bytes: &[u8]) -> Vec<u8> {
    let with = nested(COMPARE_WITH, &[attribute(DATA_VALUE, bytes)]);
    expression("cmp", &[number(COMPARE_FROM, REGISTER), number(COMPARE_HOW, EQUAL), with])
}

fn immediate(bytes: &[u8]) -> Vec<u8> {
    let data = nested(IMMEDIATE_DATA, &[attribute(DATA_VALUE, bytes)]);
    expression("immediate", &[number(IMMEDIATE_TO, REGISTER), data])
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    nested(LIST_ELEMENT, &[attribute(EXPRESSION_NAME, &terminated(name)), nested(EXPRESSION_DATA, data)])
}

/// A number in network order, as nf_tables wants them.
fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}
