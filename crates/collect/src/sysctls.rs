//! The sysctls that decide forwarding: of `all` and `default` from procfs, of each link from the link
//! dump (a thousand links would be ten thousand files).

use std::collections::BTreeMap;
use std::fs;

use crate::netlink::links::RawLink;

/// Read from /proc/sys/net, which follows the calling thread's namespace.
const GLOBAL: [&str; 14] = [
    "ipv4.ip_forward",
    "ipv4.icmp_echo_ignore_all",
    "ipv6.icmp.echo_ignore_all",
    "ipv6.icmp.echo_ignore_anycast",
    "bridge.bridge-nf-call-iptables",
    "bridge.bridge-nf-call-ip6tables",
    "bridge.bridge-nf-call-arptables",
    "bridge.bridge-nf-filter-vlan-tagged",
    "bridge.bridge-nf-pass-vlan-input-dev",
    "netfilter.nf_conntrack_max",
    "netfilter.nf_conntrack_count",
    "netfilter.nf_conntrack_icmp_timeout",
    "netfilter.nf_conntrack_udp_timeout",
    "netfilter.nf_conntrack_tcp_timeout_syn_sent",
];
const OF_ALL: [(&str, &[&str]); 2] = [
    (
        "ipv4",
        &[
            "forwarding",
            "proxy_arp",
            "rp_filter",
            "arp_filter",
            "arp_ignore",
            "accept_local",
            "src_valid_mark",
            "route_localnet",
            "ignore_routes_with_linkdown",
        ],
    ),
    ("ipv6", &["disable_ipv6", "enhanced_dad", "forwarding", "proxy_ndp"]),
];

/// Every sysctl of interest, without the `net.` prefix. Those that the kernel has not got are left out.
pub(crate) fn read(links: &[RawLink]) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    for name in GLOBAL {
        insert(&mut sysctls, name.to_owned());
    }
    for pseudo in ["all", "default"] {
        for (family, whats) in OF_ALL {
            for what in whats {
                insert(&mut sysctls, format!("{family}.conf.{pseudo}.{what}"));
            }
        }
    }
    for raw in links {
        for (family, what, value) in &raw.settings {
            sysctls.insert(format!("{family}.conf.{}.{what}", raw.link.name), value.to_string());
        }
    }
    sysctls
}

fn insert(sysctls: &mut BTreeMap<String, String>, name: String) {
    let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
    if let Ok(value) = fs::read_to_string(path) {
        sysctls.insert(name, value.trim().to_owned());
    }
}
