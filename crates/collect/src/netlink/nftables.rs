//! What only nf_tables itself tells, asked over netlink: far cheaper than running a tool.

use model::netfilter::Family;
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::attribute::{attribute, terminated, text, value};
use super::{Channel, NetlinkError};

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE` (`linux/netfilter/nfnetlink.h`, `nf_tables.h`).
const GET_TABLE: u16 = 10 << 8 | 1;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE`.
const GET_RULE: u16 = 10 << 8 | 7;
/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;
/// `NFTA_TABLE_FLAGS`, 32 bits in network order.
const TABLE_FLAGS: u16 = 2;
/// `NFT_TABLE_F_OWNER`.
const OWNER: u32 = 2;
/// How the tables are called that trace our own probes, before the process's number and a count.
pub const TRACE_PREFIX: &str = "hopline_";
/// `NFTA_RULE_TABLE`.
const RULE_TABLE: u16 = 1;
/// `NFTA_RULE_CHAIN`.
const RULE_CHAIN: u16 = 2;
/// `NFTA_RULE_HANDLE`, 64 bits in network order.
const RULE_HANDLE: u16 = 3;
/// `struct nfgenmsg`: family (0 is all), version 0, resource 0.
const ALL_FAMILIES: [u8; 4] = [0; 4];

/// A table, as far as it says itself.
pub(crate) struct Table {
    pub(crate) family: Family,
    pub(crate) name: String,
    /// A process made it and keeps it; it is gone with that.
    pub(crate) owned: bool,
}

/// Every table in the calling thread's namespace. One of a family that we have no word for is left
/// out: no such exists today (`NFPROTO_*`).
pub(crate) fn tables() -> Result<Vec<Table>, NetlinkError> {
    Channel::open(NETLINK_NETFILTER)?.dump(GET_TABLE, &ALL_FAMILIES, |tables: &mut Vec<_>, _, body| {
        tables.extend(table(body));
    })
}

fn table(body: &[u8]) -> Option<Table> {
    let (header, attributes) = body.split_first_chunk::<4>()?;
    let [family, ..] = *header;
    let flags = value(attributes, TABLE_FLAGS).and_then(|v| v.first_chunk::<4>());
    let owned = flags.is_some_and(|flags| u32::from_be_bytes(*flags) & OWNER != 0);
    Some(Table { family: family_of(family)?, name: text(attributes, TABLE_NAME)?, owned })
}

/// Whether a table is called as those are that trace our own probes (`hopline_PID_COUNT`): no rule of it
/// belongs to the ruleset.
pub fn is_trace(name: &str) -> bool {
    let numbers = name.strip_prefix(TRACE_PREFIX).and_then(|numbers| numbers.split_once('_'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// Handles of a chain's rules, in the chain's order. Empty where there is no such chain.
///
/// What iptables-nft-save and ebtables-nft-save print has no handles: their n-th rule of a chain is
/// the n-th here.
pub fn rule_handles(
    channel: &mut Channel,
    family: Family,
    table: &str,
    chain: &str,
) -> Result<Vec<u64>, NetlinkError> {
    let mut question = vec![number_of(family), 0, 0, 0];
    question.extend(attribute(RULE_TABLE, &terminated(table)));
    question.extend(attribute(RULE_CHAIN, &terminated(chain)));
    let handles = channel.dump(GET_RULE, &question, |handles: &mut Vec<u64>, _, body| {
        let attributes = body.get(ALL_FAMILIES.len()..).unwrap_or_default();
        // A kernel may list more than it was asked for.
        let is_of = |kind, name: &str| text(attributes, kind).is_some_and(|found| found == name);
        if is_of(RULE_TABLE, table) && is_of(RULE_CHAIN, chain) {
            let handle = value(attributes, RULE_HANDLE).and_then(|v| v.first_chunk::<8>());
            handles.extend(handle.map(|bytes| u64::from_be_bytes(*bytes)));
        }
    });
    match handles {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        other => other,
    }
}

/// The family of this number (`NFPROTO_*`, `linux/netfilter.h`).
pub fn family_of(number: u8) -> Option<Family> {
    let all = [Family::Inet, Family::Ip, Family::Arp, Family::Netdev, Family::Bridge, Family::Ip6];
    all.into_iter().find(|family| number_of(*family) == number)
}

/// Its number in nf_tables' messages.
pub fn number_of(family: Family) -> u8 {
    let number = match family {
        Family::Inet => libc::NFPROTO_INET,
        Family::Ip => libc::NFPROTO_IPV4,
        Family::Arp => libc::NFPROTO_ARP,
        Family::Netdev => libc::NFPROTO_NETDEV,
        Family::Bridge => libc::NFPROTO_BRIDGE,
        Family::Ip6 => libc::NFPROTO_IPV6,
    };
    u8::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_known_by_two_numbers() {
        assert!(is_trace("hopline_4711_0"));
        for name in ["hopline_4711", "hopline_x_0", "hopline_1_", "hopline__1", "hopline_1_0_2", "inet"] {
            assert!(!is_trace(name), "{name:?}");
        }
    }
}
