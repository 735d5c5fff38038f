//! # floating-ip-twice
//!
//! A floating IP has two rows.
//!
//! ## What it means
//! Both can be allocated and associated, each with its own instance: two hosts carry the address, and the outside
//! reaches now one and now the other.
//!
//! ## How hopline knows
//! Two live rows of `floating_ips` have the address. Deleted twins are history; tables since Havana refuse a second
//! live one.
//!
//! ## What it looks like
//! Connections to the address break, or reach a stranger's instance.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-twice`: the same inside.
//!
//! ## Fix
//! Delete the row that is in nobody's use. Undo: `deleted = 0`.
//!
//! ## References
//! nova migration 185 (unique keys with `deleted`).

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Guarded {
        guard: "SELECT {fl.address} \
              FROM floating_ips fl \
              WHERE {live fl} \
              GROUP BY fl.address HAVING COUNT(*) > 1 LIMIT 1",
        sql: "SELECT {fl.id}, {fl.address}, {fl.fixed_ip_id}, {fl.project_id} \
              FROM floating_ips fl \
              JOIN (SELECT fl2.address AS address \
              FROM floating_ips fl2 \
              WHERE {live fl2}{and fl2} \
              GROUP BY fl2.address HAVING COUNT(*) > 1) twice ON twice.address = fl.address \
              WHERE {live fl} \
              ORDER BY fl.id",
    },
    columns: &["id", "address", "fixed_ip_id", "project_id"],
    one: "floating IP {address} has a second row",
    many: "{count} rows of floating IPs share their address with another",
    cause: "two instances can get the same address",
    confidence: Confidence::Proven,
    // Of several that are typed one after the other the last changes nothing. MySQL reads the table that it changes
    // only as a derived one that it cannot merge (DISTINCT).
    repair: "UPDATE floating_ips SET deleted = {mark} WHERE id = {id} AND {address is address} AND \
        fixed_ip_id IS NULL AND {project_id is project_id} AND {live} AND EXISTS (SELECT 1 FROM (SELECT DISTINCT id \
        FROM floating_ips WHERE {address is address} AND {live}) AS other WHERE other.id <> {id})",
    note: "one row, of the one that nobody uses; the last one is left alone",
};
