//! # float-twice-to-one
//!
//! Several floating IPs hang on one fixed IP.
//!
//! ## What it means
//! Each of them leads to the instance, and only one is what the instance is seen as from outside: answers to what it
//! asked come by that one. nova allows it; it is often an association that was meant to move.
//!
//! ## How hopline knows
//! More than one live row has the same `fixed_ip_id`.
//!
//! ## What it looks like
//! The instance reaches the outside with another address than expected.
//!
//! ## Nearest look-alikes
//! * `float-host-mismatch`: there is one, on a wrong host.
//!
//! ## Fix
//! Ask whose they are, and take off the one that is not meant, through the API. Undo: associate it again.
//!
//! ## References
//! nova `network/linux_net.py` `floating_forward_rules`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {fl.id}, {fl.address}, {fl.fixed_ip_id}, {f.address}, {name i} \
         FROM floating_ips fl \
         JOIN (SELECT fl2.fixed_ip_id AS id \
         FROM floating_ips fl2 \
         WHERE {live fl2} AND fl2.fixed_ip_id IS NOT NULL{and fl2} \
         GROUP BY fl2.fixed_ip_id HAVING COUNT(*) > 1) twice ON twice.id = fl.fixed_ip_id \
         JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND {live f} \
         LEFT JOIN instances i ON {tie i f} \
         WHERE {live fl} \
         ORDER BY fl.fixed_ip_id, fl.id",
    ),
    columns: &["id", "address", "fixed_ip_id", "fixed IP", "instance"],
    one: "floating IP {address} shares {fixed IP}",
    many: "{count} floating IPs share their fixed IP with another",
    cause: "what leaves the instance has only one of them as its source",
    confidence: Confidence::Possible,
    // Of several that are typed one after the other the last changes nothing. MySQL reads the table that it changes
    // only as a derived one that it cannot merge (DISTINCT).
    repair: "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = {id} AND \
        {fixed_ip_id is fixed_ip_id} AND {live} AND EXISTS (SELECT 1 FROM (SELECT DISTINCT id FROM floating_ips \
        WHERE {fixed_ip_id is fixed_ip_id} AND {live}) AS other WHERE other.id <> {id})",
    note: "one row, of the one that is not meant, and never the last; better through the API",
};
