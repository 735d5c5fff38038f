//! # fixed-ip-of-other-project
//!
//! An instance is on a network of another project.
//!
//! ## What it means
//! With VlanManager a network belongs to a project. An instance of somebody else's is in its VLAN and reaches what is
//! meant to be apart.
//!
//! ## How hopline knows
//! `networks.project_id` is set and differs from the project of the living instance that has the address, in more than
//! capitals.
//!
//! ## What it looks like
//! An instance sees a stranger's machines, and not its own project's.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-vif-mismatch`: address and NIC are on different networks.
//!
//! ## Fix
//! Give the instance an address on a network of its own project, and take this one off, through the API. Undo: the
//! other way round.
//!
//! ## References
//! nova `network/manager.py` `VlanManager._get_networks_for_instance`.

use model::finding::Confidence;

use super::{Look, Spec, letters};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sieved {
        sql:
        "SELECT {f.id}, {f.address}, {n.label}, {n.project_id}, {i.project_id}, {name i} \
         FROM networks n \
         JOIN fixed_ips f ON f.network_id = n.id AND {live f} \
         JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live n} AND {yes f.allocated} AND {raw n.project_id} IS NOT NULL AND {raw n.project_id} <> \
         {raw i.project_id} \
         ORDER BY f.id",
        keep: is_another,
    },
    columns: &["id", "address", "network", "network's project", "project", "instance"],
    one: "{instance} has {address} on network {network}, which is of another project",
    many: "{count} fixed IPs on networks of projects are with instances of others",
    cause: "the instance is in another project's layer 2",
    confidence: Confidence::Proven,
    repair: "SELECT id, label, cidr FROM networks WHERE project_id = {project} AND {live}",
    note: "reads; then give the instance an address there, and take this one off, through the API",
};

/// The two projects are two.
fn is_another(row: &[Cell]) -> bool {
    let [_, _, _, of_network, own, _] = row else { return false };
    !letters::same(of_network, own)
}
