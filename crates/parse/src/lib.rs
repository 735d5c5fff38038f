//! Bytes and text into the model.
//!
//! Every parser reads what it can and says what it could not, with line and column; none panics on
//! any input, none does I/O. One file a format, named after the tool or file that writes it.

use std::fmt;

mod arp;
pub mod arptables_save;
pub mod brctl_show;
pub mod bridge_fdb;
pub mod bridge_vlan;
pub mod btf;
pub mod capture;
pub mod conntrack_list;
pub mod console;
pub mod dissect;
pub mod dnsmasq_args;
pub mod dnsmasq_hosts;
pub mod dnsmasq_leases;
pub mod dnsmasq_log;
pub mod dnsmasq_options;
pub mod ebtables_save;
pub mod host_lookup;
pub mod hosts;
pub mod http_status;
pub mod ip_addr;
pub mod ip_neigh;
pub mod ip_route;
pub mod ip_rule;
pub mod ip_words;
pub mod ipset_save;
pub mod iptables_save;
pub mod libvirt_xml;
pub mod neighbour;
pub mod nft_json;
pub mod nft_text;
pub mod oslo_config;
pub mod packages;
pub mod ping;
pub mod proc_net_sockets;
pub mod ps_aux;
pub mod ps_started;
pub mod resolv_conf;
pub mod ssh_greeting;
pub mod sysctl;
pub mod tc_qdisc;
pub mod tcpdump;

/// What was read, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed<T> {
    /// Everything that could be read.
    pub value: T,
    /// Each place that could not.
    pub problems: Vec<Problem>,
}

/// A place in the input that could not be read. The caller knows the file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// What was expected, or what is wrong.
    pub what: String,
}

impl Problem {
    /// At `part`, a slice of `line`; `index` counts lines from 0, as `enumerate` does.
    pub(crate) fn at(index: usize, line: &str, part: &str, what: impl Into<String>) -> Problem {
        let offset = part.as_ptr().addr().saturating_sub(line.as_ptr().addr());
        let before = line.get(..offset).unwrap_or_default();
        Problem { line: line_number(index), column: line_number(before.chars().count()), what: what.into() }
    }
}

/// What people count from 1, from what `enumerate` counts from 0.
pub(crate) fn line_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}
