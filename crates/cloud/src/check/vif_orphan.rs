//! # vif-orphan
//!
//! A NIC belongs to no living instance.
//!
//! ## What it means
//! The row of a NIC outlived its instance. It keeps the MAC from others, and where an address is tied to it still,
//! nova-network may write a DHCP line for it.
//!
//! ## How hopline knows
//! The row lives, and its instance is deleted, gone or not named.
//!
//! ## What it looks like
//! Nothing, mostly; with `fixed-ip-leaked` beside it, an address less.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-leaked`: the address, too, is with nobody.
//!
//! ## Fix
//! Delete it as nova would. Undo: `deleted = 0`.
//!
//! ## References
//! nova `network/manager.py` `deallocate_for_instance`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "virtual_interfaces",
    needs: &[],
    look: Look::Sql(
        "SELECT {v.id}, {v.address}, {v.network_id}, {key v as text}, {name i} \
         FROM virtual_interfaces v \
         LEFT JOIN instances i ON {tie i v} \
         WHERE {live v} AND {gone i} \
         ORDER BY v.id",
    ),
    columns: &["id", "MAC", "network_id", "instance_uuid", "instance"],
    one: "NIC {MAC} belongs to no living instance",
    many: "{count} NICs belong to no living instance",
    cause: "an instance ended without taking its NICs along",
    confidence: Confidence::Proven,
    repair: "UPDATE virtual_interfaces SET deleted = {mark} WHERE id = {id} AND {address is MAC} AND \
        {key is instance_uuid} AND {live}",
    note: "one row",
};
