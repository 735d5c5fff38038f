//! # info-cache-deleted
//!
//! The info cache of an instance that lives is deleted.
//!
//! ## What it means
//! nova's API tells no address of the instance, and rules whose source is a group leave it out. nova does not write the
//! cache again: it finds no live row, and the deleted one keeps it from making another.
//!
//! ## How hopline knows
//! The instance lives and is at rest, the cache's row is deleted, and it has no other that lives.
//!
//! ## What it looks like
//! `nova list` shows no address, and others of its security group do not reach it.
//!
//! ## Nearest look-alikes
//! * `info-cache-differs`: the cache lives, and is out of date.
//!
//! ## Fix
//! Bring the row back, then have nova write it again (`nova refresh-network`). Undo: the old `deleted`.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `instance_info_cache_update`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "instance_info_caches",
    needs: &["instance_info_caches"],
    look: Look::Sql(
        "SELECT {c.id}, {c.deleted}, {key c as text}, {name i} \
         FROM instances i \
         JOIN instance_info_caches c ON {tie c i} AND NOT ({live c}) \
         LEFT JOIN instance_info_caches c2 ON {tie c2 i} AND {live c2} \
         WHERE {live i} AND {raw i.task_state} IS NULL AND c2.id IS NULL \
         ORDER BY c.id",
    ),
    columns: &["id", "deleted", "instance_uuid", "instance"],
    one: "the info cache of {instance} is deleted, and the instance lives",
    many: "{count} instances that live have info caches that are deleted",
    cause: "the API tells no address of it, and rules whose source is a group leave it out",
    confidence: Confidence::Proven,
    repair: "UPDATE instance_info_caches SET deleted = {alive}, deleted_at = NULL WHERE id = {id} AND NOT ({live})",
    note: "one row; then `nova refresh-network` writes what it says",
};
