//! # dhcp-lease-of-another
//!
//! A lease of dnsmasq's holds an address that the tables give to another.
//!
//! ## What it means
//! dnsmasq gives nobody an address that somebody else has a lease of: the instance that the tables give it to gets no
//! lease until that one ends.
//!
//! ## How hopline knows
//! The lease file of a dnsmasq that nova started was read; a lease that has not ended has the address of a living
//! instance, and none of that instance's MACs. nova's dnsmasq keeps no lease file (`--leasefile-ro`), unless its own
//! configuration says so; without one the leases are nova's own rows (`fixed_ips.leased`), and there is nothing to hold
//! to them.
//!
//! ## What it looks like
//! dnsmasq's log: `not using configured address 10.0.0.2 because it is leased to fa:16:...`.
//!
//! ## Nearest look-alikes
//! * `dhcp-line-of-nobody`: the hosts file gives the address to the wrong MAC.
//! * `mac-twice`: the tables themselves give it to both.
//!
//! ## Fix
//! Release the lease (`dhcp_release`), once nobody has the address by it; again while the lease stays: where libvirt's
//! dnsmasq listens beside nova's, the kernel gives what is sent to port 67 to either. Undo: none needed.
//!
//! ## References
//! dnsmasq `src/rfc2131.c` `dhcp_reply`; nova `network/linux_net.py` `restart_dhcp`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::finding::{Confidence, EvidenceKind};
use model::{Intent, Mac, Snapshot};

use super::dhcp_line_of_nobody::bridge_of;
use super::{Look, Spec};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Hosts { look: withheld, kind: EvidenceKind::Config, shown_by: "the file named in the row" },
    columns: &["MAC", "address", "host", "file", "bridge", "instance"],
    one: "dnsmasq on {host} has leased {address} to {MAC}, and the tables give it to {instance}",
    many: "{count} leases of dnsmasq's hold addresses that the tables give to others",
    cause: "dnsmasq gives nobody an address that somebody else has a lease of",
    confidence: Confidence::Likely,
    repair: "dhcp_release {bridge} {address} {MAC}",
    note: "on the host named, once nobody has the address by that lease; again while the lease stays: beside a second \
           dnsmasq the kernel lets either have it",
};

fn withheld(snapshot: &Snapshot, intent: &Intent) -> Vec<Vec<Cell>> {
    let mut owners: BTreeMap<Ipv4Addr, Vec<(Mac, &str)>> = BTreeMap::new();
    for instance in &intent.instances {
        for (vif, mac) in instance.vifs.iter().filter_map(|vif| Some((vif, vif.mac?))) {
            vif.fixed.iter().for_each(|ip| owners.entry(*ip).or_default().push((mac, &instance.name)));
        }
    }
    let mut rows = Vec::new();
    for host in &snapshot.hosts {
        for server in host.dnsmasq.iter().filter(|server| !server.leasefile_ro) {
            let Some(bridge) = bridge_of(server) else { continue };
            let held = |expires: u64| expires == 0 || expires > snapshot.taken_at;
            for lease in server.leases.iter().flatten().filter(|lease| held(lease.expires)) {
                let Some(owners) = owners.get(&lease.ip) else { continue };
                let Some((_, name)) = owners.first() else { continue };
                if owners.iter().all(|(mac, _)| *mac != lease.mac) {
                    let (mac, ip) = (lease.mac.to_string(), lease.ip.to_string());
                    let (host, file) = (Some(host.name.clone()), server.lease_file.clone());
                    let (bridge, name) = (Some(bridge.to_owned()), Some((*name).to_owned()));
                    rows.push(vec![Some(mac), Some(ip), host, file, bridge, name]);
                }
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use model::intent::{Instance, Vif};
    use model::service::{DhcpLease, Dnsmasq};
    use model::snapshot::Host;

    use super::*;

    const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
    const OTHER: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 9]);

    /// Of web1's address at second 100.
    fn found(lease: (Mac, u64), leasefile_ro: bool, address: Ipv4Addr) -> usize {
        let (mac, expires) = lease;
        let lease = DhcpLease { expires, mac, ip: Ipv4Addr::new(10, 0, 0, 2), hostname: "*".to_owned() };
        let server = Dnsmasq {
            hosts_file: Some("/var/lib/nova/networks/nova-br100.conf".to_owned()),
            leases: Some(vec![lease]),
            leasefile_ro,
            ..Dnsmasq::default()
        };
        let host = Host { name: "c1".to_owned(), dnsmasq: vec![server], ..Host::default() };
        let vif = Vif { mac: Some(OWN), fixed: vec![address], ..Vif::default() };
        let web1 = Instance { name: "web1".to_owned(), vifs: vec![vif], ..Instance::default() };
        let snapshot = Snapshot { hosts: vec![host], taken_at: 100, ..Snapshot::default() };
        withheld(&snapshot, &Intent { instances: vec![web1], ..Intent::default() }).len()
    }

    #[test]
    fn only_a_lease_that_keeps_an_address_from_its_owner_is_told() {
        let own = Ipv4Addr::new(10, 0, 0, 2);
        assert_eq!((found((OTHER, 0), false, own), found((OTHER, 101), false, own)), (1, 1));
        assert_eq!(found((OWN, 0), false, own), 0, "its own");
        assert_eq!(found((OTHER, 100), false, own), 0, "it has ended");
        assert_eq!(found((OTHER, 0), true, own), 0, "nobody writes the file");
        // Given back and leased still, as nova leaves an address until its lease ends.
        assert_eq!(found((OTHER, 0), false, Ipv4Addr::new(10, 0, 0, 3)), 0, "it is nobody's");
    }
}
