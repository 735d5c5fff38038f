//! # host-address-without-service
//!
//! A fixed IP is kept as the own address of a host that has no nova-network.
//!
//! ## What it means
//! In multi-host mode each host keeps a fixed IP as gateway of its instances. The host named has no nova-network any
//! more: nobody uses the address, and nobody gets it.
//!
//! ## How hopline knows
//! No live row of `services` has that host with nova-network; capitals and blanks behind the name do not count, as in
//! MySQL, which finds the row for nova all the same. Hosts named differently in both tables look the same, so it is
//! only likely.
//!
//! ## What it looks like
//! Hosts were renamed or taken away, and networks have one address less for each.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-leaked`: it is an instance that is gone.
//!
//! ## Fix
//! Make sure that no host carries the address, then clear the host. Undo: the old host.
//!
//! ## References
//! nova `network/manager.py` `FlatDHCPManager._setup_network_on_host`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &["services"],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {f.network_id}, {f.host} \
         FROM fixed_ips f \
         LEFT JOIN (SELECT DISTINCT {folded s.host} AS host \
         FROM services s \
         WHERE LOWER(RTRIM({binary s})) = 'nova-network' AND {live s}) running ON running.host = {folded f.host} \
         WHERE {live f} AND {key f} IS NULL AND {named f.host} AND running.host IS NULL \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "network_id", "host"],
    one: "{address} is kept for host {host}, which has no nova-network",
    many: "{count} fixed IPs are kept for hosts that have no nova-network",
    cause: "nobody uses the address, and nobody gets it",
    confidence: Confidence::Likely,
    repair: "UPDATE fixed_ips SET host = NULL WHERE id = {id} AND {host is host} AND {key} IS NULL AND {live} AND \
        {unhung}",
    note: "one row, once it is sure that no host carries the address",
};
