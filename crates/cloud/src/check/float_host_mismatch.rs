//! # float-host-mismatch
//!
//! A floating IP is recorded on a host that cannot carry it.
//!
//! ## What it means
//! In multi-host mode the host of the instance carries a floating IP, else the network's one host. Another is
//! recorded, or none: after its next restart nova-network writes the rules there, and the address leads nowhere.
//!
//! ## How hopline knows
//! The host differs from `instances.host`, or from `networks.host` where the network is not multi-host. Not while
//! nova is at work with the instance (`task_state`: a resize clears the host for a while), nor where it has no host
//! (shelved). Names that differ in capitals alone, or in blanks behind them, are one host: nova asks its database for
//! the floating IPs of a host, and MySQL's usual collation finds them by either.
//!
//! ## What it looks like
//! The floating IP stopped after a migration, an evacuation or an UPDATE of `instances.host`.
//!
//! ## Nearest look-alikes
//! * `db-host-mismatch`: it is the instance's host that is recorded wrongly. Where a host in reach runs the instance,
//!   this one is not told, nor its repair made, before that is put right.
//!
//! ## Fix
//! Record the host that has the instance, then restart nova-network on both: the old one drops its rules, the new one
//! writes them. The address on the old host's public link must be taken off by hand. Undo: the old host.
//!
//! ## References
//! nova `network/manager.py` `migrate_instance_finish`.

use model::finding::Confidence;

use super::{Look, Spec, letters};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Sieved {
        sql:
        "SELECT {fl.id}, {fl.address}, {fl.fixed_ip_id}, {fl.host}, \
         {text CASE WHEN {yes n.multi_host} THEN {raw i.host} ELSE {raw n.host} END}, {name i} \
         FROM floating_ips fl \
         JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND {live f} \
         JOIN networks n ON n.id = f.network_id AND {live n} \
         JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live fl} AND {raw i.task_state} IS NULL AND {named i.host} AND CASE WHEN \
         {yes n.multi_host} THEN {raw i.host} ELSE {raw n.host} END <> COALESCE({raw fl.host}, '') \
         ORDER BY fl.id",
        keep: is_another,
    },
    columns: &["id", "address", "fixed_ip_id", "host", "right host", "instance"],
    one: "floating IP {address} of {instance} is recorded on {host}, and {right host} must carry it",
    many: "{count} floating IPs are recorded on hosts that cannot carry them",
    cause: "at its next restart nova-network writes the rules on a host that does not have the instance",
    confidence: Confidence::Proven,
    repair: "UPDATE floating_ips SET host = {right host} WHERE id = {id} AND {fixed_ip_id is fixed_ip_id} AND \
        {host is host} AND {live}",
    note: "one row; nova-network on both hosts must restart to follow",
};

/// The two hosts are two. A network that no host serves yet may have blanks in place of one.
fn is_another(row: &[Cell]) -> bool {
    let [_, _, _, host, right, _] = row else { return false };
    let is_named = right.as_deref().is_some_and(|right| !right.trim_end().is_empty());
    is_named && !letters::same(host, right)
}
