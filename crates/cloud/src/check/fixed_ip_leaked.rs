//! `fixed-ip-leaked` in all of the database; its page is the diagnosis's.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        // Who is gone has no claim on an address that is reserved or a host's own; of those that name nobody these two
        // are as they should be.
        "SELECT {f.id}, {f.address}, {f.network_id}, {flag f.allocated}, {flag f.leased}, {flag f.reserved}, \
         {f.host}, {key f as text}, {name i} \
         FROM fixed_ips f \
         LEFT JOIN instances i ON {tie i f} \
         WHERE {live f} AND (({key f} IS NOT NULL AND \
         ({yes f.allocated} OR {raw f.allocated} IS NULL) AND {gone i}) OR ({key f} IS NULL AND \
         ({yes f.allocated} OR {yes f.leased}) AND {no f.reserved} AND {unnamed f.host})) \
         ORDER BY f.id",
    ),
    columns: &[
        "id",
        "address",
        "network_id",
        "allocated",
        "leased",
        "reserved",
        "host",
        "instance_uuid",
        "instance",
    ],
    one: "fixed IP {address} is taken, and no instance has it",
    many: "{count} fixed IPs are taken, and no instance has them",
    cause: "what names an instance, or is leased, nova never gives out again: the network has that many addresses \
        less, and the project's quota those of its deleted instances",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET allocated = FALSE, leased = FALSE, {key} = NULL, virtual_interface_id = NULL \
        WHERE id = {id} AND {key is instance_uuid} AND {live} AND {unhung}",
    note: "one row, which stays reserved, or its host's, where it is; not while a floating IP hangs on it, which is \
        released first, nor while a host still runs the instance",
};
