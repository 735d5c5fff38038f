//! # fixed-ip-twice
//!
//! A fixed IP has two rows.
//!
//! ## What it means
//! Both can be given out: two instances, or an instance and a host, have the same address.
//!
//! ## How hopline knows
//! Two live rows of `fixed_ips` have the address, on one network or two. A deleted twin is history; tables since
//! Havana refuse a second live one.
//!
//! ## What it looks like
//! Two instances disturb each other; which one answers changes with ARP.
//!
//! ## Nearest look-alikes
//! * `network-overlap`: two networks have all their addresses twice.
//!
//! ## Fix
//! Delete the row that is free: neither reserved nor leased, a host's, an instance's or under a floating IP. Where both
//! are in use, give one instance another address first. Undo: `deleted = 0`.
//!
//! ## References
//! nova migration 185 (unique keys with `deleted`).

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Guarded {
        guard: "SELECT {f.address} \
              FROM fixed_ips f \
              WHERE {live f} \
              GROUP BY f.address HAVING COUNT(*) > 1 LIMIT 1",
        sql: "SELECT {f.id}, {f.address}, {f.network_id}, {flag f.reserved}, {flag f.leased}, {f.host}, \
              {key f as text}, {name i} \
              FROM fixed_ips f \
              JOIN (SELECT f2.address AS address \
              FROM fixed_ips f2 \
              WHERE {live f2}{and f2} \
              GROUP BY f2.address HAVING COUNT(*) > 1) twice ON twice.address = f.address \
              LEFT JOIN instances i ON {tie i f} AND {live i} \
              WHERE {live f} \
              ORDER BY f.id",
    },
    columns: &["id", "address", "network_id", "reserved", "leased", "host", "instance_uuid", "instance"],
    one: "fixed IP {address} has a second row",
    many: "{count} rows of fixed IPs share their address with another",
    cause: "two instances can get the same address",
    confidence: Confidence::Proven,
    // Of several that are typed one after the other the last changes nothing. MySQL reads the table that it changes
    // only as a derived one that it cannot merge (DISTINCT).
    repair: "UPDATE fixed_ips SET deleted = {mark} WHERE id = {id} AND {address is address} AND {key} IS NULL AND \
        host IS NULL AND reserved = FALSE AND leased = FALSE AND {live} AND {unhung} AND EXISTS (SELECT 1 FROM \
        (SELECT DISTINCT id FROM fixed_ips WHERE {address is address} AND {live}) AS other WHERE other.id <> {id})",
    note: "one row, of the one that is free and not reserved; the last one is left alone",
};
