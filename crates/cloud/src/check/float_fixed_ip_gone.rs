//! # float-fixed-ip-gone
//!
//! A floating IP points to a fixed IP that does not exist.
//!
//! ## What it means
//! `floating_ips.fixed_ip_id` is no foreign key: the row that it names was deleted, with its network or by hand. The
//! floating IP answers nothing and is not free; in nova it is neither associated nor can it be.
//!
//! ## How hopline knows
//! No live row of `fixed_ips` has that id. A row whose `deleted` is NULL does not count as one: nova cannot see it.
//!
//! ## What it looks like
//! `nova floating-ip-list` shows it without an instance, and associating it fails.
//!
//! ## Nearest look-alikes
//! * `float-tied-to-deleted-instance`: the fixed IP is there, and its instance is not.
//!
//! ## Fix
//! Cut the link by the floating row's own id. Undo: the old id.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `network_delete_safe`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {fl.id}, {fl.address}, {fl.host}, {fl.fixed_ip_id} \
         FROM floating_ips fl \
         LEFT JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND {live f} \
         WHERE {live fl} AND fl.fixed_ip_id IS NOT NULL AND f.id IS NULL \
         ORDER BY fl.id",
    ),
    columns: &["id", "address", "host", "fixed_ip_id"],
    one: "floating IP {address} points to fixed IP row {fixed_ip_id}, which does not exist",
    many: "{count} floating IPs point to fixed IP rows that do not exist",
    cause: "the address leads nowhere and is not free either",
    confidence: Confidence::Proven,
    repair: "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = {id} AND \
        {fixed_ip_id is fixed_ip_id} AND {live}",
    note: "one row; its project keeps the address",
};
