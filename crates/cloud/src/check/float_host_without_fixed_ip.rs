//! # float-host-without-fixed-ip
//!
//! A floating IP has a host, and no fixed IP.
//!
//! ## What it means
//! A disassociation was done by half, often by hand: the link is cut and the host stays. That host may still carry
//! the address, and answers for it in place of the one that gets it next.
//!
//! ## How hopline knows
//! `host` is set and `fixed_ip_id` is NULL. nova always clears both.
//!
//! ## What it looks like
//! After the next association two machines answer for the address.
//!
//! ## Nearest look-alikes
//! * `float-fixed-ip-gone`: the link is there, and its end is not.
//!
//! ## Fix
//! Clear the host, once the host named carries the address no more (`ip addr`). Undo: the old host.
//!
//! ## References
//! nova `network/floating_ips.py` `_disassociate_floating_ip`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {fl.id}, {fl.address}, {fl.host} \
         FROM floating_ips fl \
         WHERE {live fl} AND fl.fixed_ip_id IS NULL AND {named fl.host} \
         ORDER BY fl.id",
    ),
    columns: &["id", "address", "host"],
    one: "floating IP {address} has host {host}, and no fixed IP",
    many: "{count} floating IPs have a host, and no fixed IP",
    cause: "the host may still carry the address, beside the one that gets it next",
    confidence: Confidence::Proven,
    repair: "UPDATE floating_ips SET host = NULL WHERE id = {id} AND fixed_ip_id IS NULL AND {host is host} AND \
        {live}",
    note: "one row",
};
