//! # dhcp-line-of-nobody
//!
//! A hosts file of dnsmasq gives an address that the tables give to nobody, or to another.
//!
//! ## What it means
//! nova writes the file from the tables at each change. A line that they do not have is what a change by hand, or a
//! nova-network that was down, has left: dnsmasq gives the address to the MAC all the same.
//!
//! ## How hopline knows
//! The hosts file of a dnsmasq that nova started (`nova-BRIDGE.conf`) was read; a line's MAC is no living NIC's, or the
//! NIC has another address. Lines without an address say nothing.
//!
//! ## What it looks like
//! An instance asks and gets the address that it had before.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-stale-hosts-file`: a line is missing.
//! * `dnsmasq-hosts-not-reloaded`: the file is right, and dnsmasq has not read it.
//!
//! ## Fix
//! Restart nova-network on the host, or any change of an instance's addresses there: it writes the file again. Undo:
//! none needed.
//!
//! ## References
//! nova `network/linux_net.py` `update_dhcp_hostfile_with_text`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use model::Mac;
use model::service::Dnsmasq;
use model::{Intent, Snapshot};
use model::finding::{Confidence, EvidenceKind};

use super::{Look, Spec};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Hosts { look: stray, kind: EvidenceKind::Config, shown_by: "the file named in the row" },
    columns: &["MAC", "address", "host", "file"],
    one: "dnsmasq on {host} gives {address} to {MAC}, and the tables do not",
    many: "{count} lines of dnsmasq's hosts files give what the tables do not",
    cause: "dnsmasq follows its file, not the tables",
    confidence: Confidence::Likely,
    repair: "systemctl restart nova-network",
    note: "writes every hosts file of the host again",
};

fn stray(snapshot: &Snapshot, intent: &Intent) -> Vec<Vec<Cell>> {
    let known: BTreeSet<(Mac, Ipv4Addr)> = intent
        .instances
        .iter()
        .flat_map(|instance| &instance.vifs)
        .flat_map(|vif| vif.fixed.iter().filter_map(|ip| Some((vif.mac?, *ip))))
        .collect();
    let mut rows = Vec::new();
    for host in &snapshot.hosts {
        for server in host.dnsmasq.iter().filter(|server| bridge_of(server).is_some()) {
            let file = server.hosts_file.clone();
            for line in server.hosts.iter().flatten() {
                let Some(ip) = line.ip.filter(|ip| !known.contains(&(line.mac, *ip))) else { continue };
                let (mac, ip) = (line.mac.to_string(), ip.to_string());
                rows.push(vec![Some(mac), Some(ip), Some(host.name.clone()), file.clone()]);
            }
        }
    }
    rows
}

/// nova calls the file after the bridge: `networks/nova-br100.conf`. Of another's dnsmasq the tables know nothing.
pub(super) fn bridge_of(server: &Dnsmasq) -> Option<&str> {
    let name = server.hosts_file.as_deref()?.rsplit('/').next()?;
    name.strip_prefix("nova-")?.strip_suffix(".conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_novas_files_are_held_to_its_tables() {
        let of = |file: &str| Dnsmasq { hosts_file: Some(file.to_owned()), ..Dnsmasq::default() };
        assert_eq!(bridge_of(&of("/var/lib/nova/networks/nova-br100.conf")), Some("br100"));
        for file in ["/etc/lab/pxe-hosts", "/var/lib/nova/networks/nova-br100.leases", "/srv/nova-x/hosts.conf"] {
            assert_eq!(bridge_of(&of(file)), None, "{file}");
        }
        assert_eq!(bridge_of(&Dnsmasq::default()), None);
    }
}
