//! `float-host-mismatch` in all of the database; its page is the diagnosis's.

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
