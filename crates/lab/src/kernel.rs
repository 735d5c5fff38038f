//! Whether the kernel is the lab's alone, as in a virtual machine that was started for it.

use std::fs;
use std::path::Path;

/// Only the kernel's first namespace has it (`net/core/neighbour.c neigh_sysctl_register`).
const OF_THE_FIRST_NAMESPACE: &str = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";

/// We are in the kernel's first namespace, and that leads nowhere: nobody else needs what all namespaces share.
///
/// What lives in other namespaces would be reached through the first one.
pub(crate) fn is_ours_alone() -> bool {
    Path::new(OF_THE_FIRST_NAMESPACE).exists() && leads_nowhere()
}

/// No IPv4 route, of which this file has none of loopback's, and no IPv6 address but loopback's.
fn leads_nowhere() -> bool {
    // What cannot be read may be a way.
    let routes = fs::read_to_string("/proc/self/net/route").map_or(1, |text| text.lines().skip(1).count());
    // Without IPv6 there is no such file.
    let addresses = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    routes == 0 && addresses.lines().all(|line| line.ends_with(" lo"))
}
