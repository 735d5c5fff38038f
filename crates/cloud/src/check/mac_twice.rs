//! # mac-twice
//!
//! Two NICs have the same MAC.
//!
//! ## What it means
//! Bridges learn one place for a MAC: frames for one instance go to the other, and dnsmasq gives both the same lease.
//!
//! ## How hopline knows
//! Two live rows of `virtual_interfaces` have the MAC, however it is written. A deleted twin is history.
//!
//! ## What it looks like
//! Two instances are reachable by turns.
//!
//! ## Nearest look-alikes
//! * `duplicate-mac`: the same, as the bridge's FDB shows it.
//!
//! ## Fix
//! Take the NIC off one instance and add a new one, through the API. Undo: none.
//!
//! ## References
//! nova `network/manager.py` `_add_virtual_interface`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "virtual_interfaces",
    needs: &[],
    look: Look::Guarded {
        // As long as a MAC is: of a column's whole width the server would make a table on its disk.
        guard: "SELECT {text COUNT(*)} \
              FROM virtual_interfaces v \
              WHERE {live v} \
              GROUP BY SUBSTR(LOWER(v.address), 1, 17) HAVING COUNT(*) > 1 LIMIT 1",
        sql: "SELECT {v.id}, {text LOWER(v.address)}, {v.network_id}, {key v as text}, {name i} \
              FROM virtual_interfaces v \
              JOIN (SELECT LOWER(v2.address) AS address \
              FROM virtual_interfaces v2 \
              WHERE {live v2}{and v2} \
              GROUP BY LOWER(v2.address) HAVING COUNT(*) > 1) twice ON twice.address = LOWER(v.address) \
              LEFT JOIN instances i ON {tie i v} AND {live i} \
              WHERE {live v} \
              ORDER BY v.id",
    },
    columns: &["id", "MAC", "network_id", "instance_uuid", "instance"],
    one: "MAC {MAC} has a second NIC",
    many: "{count} NICs share their MAC with another",
    cause: "frames for one instance go to the other",
    confidence: Confidence::Proven,
    repair: "SELECT id, address, {key} FROM virtual_interfaces WHERE LOWER(address) = {MAC} AND {live}",
    note: "reads; then give one of the instances a new NIC through the API",
};
