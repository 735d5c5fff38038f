//! # fixed-ip-without-network
//!
//! A fixed IP belongs to a network that does not exist.
//!
//! ## What it means
//! nova deletes a network's fixed IPs with it; here the network alone went. Nobody is given the address any more. A new
//! network of the same range cannot be made, since tables since Havana refuse an address a second time, and an instance
//! that has it is on no bridge.
//!
//! ## How hopline knows
//! No live row of `networks` has the id that the row names. A row that names none is in order: nova gives it out on any
//! network.
//!
//! ## What it looks like
//! `nova network-create` fails on a duplicate address, or an instance shows an address of no network.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-outside-network`: the network is there, and its range is another.
//!
//! ## Fix
//! Delete the row where nobody has it; else the instance needs another address first. Undo: `deleted = 0`.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `network_delete_safe`, `fixed_ip_associate_pool`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {f.network_id}, {f.host}, {key f as text}, {name i} \
         FROM fixed_ips f \
         LEFT JOIN networks n ON n.id = {scan f.network_id} AND {live n} \
         LEFT JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live f} AND f.network_id IS NOT NULL AND n.id IS NULL \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "network_id", "host", "instance_uuid", "instance"],
    one: "fixed IP {address} belongs to network row {network_id}, which does not exist",
    many: "{count} fixed IPs belong to networks that do not exist",
    cause: "nobody gets the address, and a new network of its range cannot be made",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET deleted = {mark} WHERE id = {id} AND {network_id is network_id} AND \
        {key} IS NULL AND host IS NULL AND {live} AND {unhung}",
    note: "one row, where nobody has it; else the instance needs another address first, and a floating IP that hangs \
        on it is released first",
};
