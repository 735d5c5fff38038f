//! `fixed-ip-leaked` in all of the database; its page is the diagnosis's.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {f.network_id}, {flag f.allocated}, {flag f.leased}, {key f as text}, \
         {name i} \
         FROM fixed_ips f \
         LEFT JOIN instances i ON {own i} = {key f} \
         WHERE {live f} AND {no f.reserved} AND (({yes f.allocated} AND {gone i}) OR ({yes f.leased} AND \
         {key f} IS NULL)) \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "network_id", "allocated", "leased", "instance_uuid", "instance"],
    one: "fixed IP {address} is taken, and no instance has it",
    many: "{count} fixed IPs are taken, and no instance has them",
    cause: "nova never gives them out again: the network, and the project's quota, have that many addresses \
        less",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET allocated = FALSE, leased = FALSE, {key} = NULL, virtual_interface_id = NULL \
        WHERE id = {id} AND {key is instance_uuid} AND {live}",
    note: "one row; nobody has the address",
};
