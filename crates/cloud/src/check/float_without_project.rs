//! # float-without-project
//!
//! A floating IP is associated, and of no project.
//!
//! ## What it means
//! Nobody sees the floating IP in a list, so nobody can take it off. Its rules are there and it works; but it looks
//! free: the pool gives it to the next who asks, and it cannot be associated then.
//!
//! ## How hopline knows
//! `fixed_ip_id` is set and `project_id` is NULL. nova gives an address a project first.
//!
//! ## What it looks like
//! An address that was just allocated cannot be associated, or reaches another project's instance.
//!
//! ## Nearest look-alikes
//! * `float-tied-to-deleted-instance`: its instance is gone.
//!
//! ## Fix
//! Give it back to the project of the instance that has it, or cut the link. Undo: the old value.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `floating_ip_allocate_address`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {fl.id}, {fl.address}, {fl.fixed_ip_id}, {i.project_id}, {name i} \
         FROM floating_ips fl \
         JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND {live f} \
         JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live fl} AND {raw fl.project_id} IS NULL AND {raw i.project_id} IS NOT NULL \
         ORDER BY fl.id",
    ),
    columns: &["id", "address", "fixed_ip_id", "project_id", "instance"],
    one: "floating IP {address} of {instance} belongs to no project",
    many: "{count} floating IPs that are associated belong to no project",
    cause: "the pool may give the address to somebody else while the instance has it",
    confidence: Confidence::Proven,
    repair: "UPDATE floating_ips SET project_id = {project_id} WHERE id = {id} AND {fixed_ip_id is fixed_ip_id} \
        AND project_id IS NULL AND {live}",
    note: "one row",
};
