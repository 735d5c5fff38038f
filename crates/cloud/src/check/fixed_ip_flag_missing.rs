//! # fixed-ip-flag-missing
//!
//! A fixed IP has no value in a column that nova compares.
//!
//! ## What it means
//! nova writes 0 or 1 into `allocated`, `leased` and `reserved`; NULL is somebody's own INSERT or UPDATE, and compares
//! with neither. Without `leased` or `reserved` the address is never given out; without `allocated` dnsmasq has no line
//! for the instance that has it.
//!
//! ## How hopline knows
//! The row lives and one of the three is NULL. Not told is what disturbs nobody: `allocated` of a row that is nobody's,
//! which nova does not look at, and what `fixed-ip-leaked` tells.
//!
//! ## What it looks like
//! `No fixed IP addresses available for network`, though free ones seem to be there.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-leaked`: the row is tied to an instance that is gone, whatever its flags.
//!
//! ## Fix
//! Write what nova would: allocated where an instance has it, not leased, and reserved only where the network itself
//! needs the address (its first or last, the gateway, the DHCP server). Undo: NULL.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `fixed_ip_associate_pool`, `network_get_associated_fixed_ips`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {flag f.allocated}, {flag f.leased}, {flag f.reserved}, \
         CASE WHEN {yes f.allocated} OR ({raw f.allocated} IS NULL AND {key f} IS NOT NULL) THEN '1' ELSE '0' END, \
         CASE WHEN {yes f.leased} THEN '1' ELSE '0' END, \
         CASE WHEN {yes f.reserved} OR ({raw f.reserved} IS NULL AND {needed f n}) THEN '1' ELSE '0' END, \
         {key f as text}, {name i} \
         FROM fixed_ips f \
         LEFT JOIN networks n ON n.id = f.network_id AND {live n} \
         LEFT JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live f} AND ({raw f.reserved} IS NULL OR ({raw f.leased} IS NULL AND ({key f} IS NULL OR \
         i.id IS NOT NULL)) OR ({raw f.allocated} IS NULL AND i.id IS NOT NULL)) \
         ORDER BY f.id",
    ),
    columns: &[
        "id",
        "address",
        "allocated",
        "leased",
        "reserved",
        "right allocated",
        "right leased",
        "right reserved",
        "instance_uuid",
        "instance",
    ],
    one: "fixed IP {address} has no value where nova compares one (allocated {allocated}, leased {leased}, reserved \
        {reserved})",
    many: "{count} fixed IPs have no value where nova compares one",
    cause: "NULL is neither set nor unset: nova never gives such an address out, or has no DHCP line for it",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET allocated = {right allocated}, leased = {right leased}, \
        reserved = {right reserved} WHERE id = {id} AND {key is instance_uuid} AND \
        (allocated IS NULL OR leased IS NULL OR reserved IS NULL) AND {live}",
    note: "one row; set `reserved` by hand where the address is somebody's outside the cloud",
};
