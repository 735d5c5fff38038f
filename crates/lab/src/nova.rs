//! What nova keeps on and about its hosts: what it wants there, its rules, bridges, files and dnsmasq.

pub(crate) mod conf;
pub(crate) mod dhcpbridge;
pub(crate) mod dnsmasq;
pub(crate) mod domain_xml;
pub(crate) mod ebtables;
pub(crate) mod iptables;
pub(crate) mod linux_net;
pub(crate) mod rules;
pub(crate) mod wanted;
