//! What nova keeps on and about a compute host: its rules, database, files and dnsmasq.

pub(crate) mod conf;
pub(crate) mod database;
pub(crate) mod dhcpbridge;
pub(crate) mod dnsmasq;
pub(crate) mod domain_xml;
pub(crate) mod iptables;
pub(crate) mod ruleset;
