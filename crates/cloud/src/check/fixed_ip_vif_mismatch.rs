//! # fixed-ip-vif-mismatch
//!
//! A fixed IP is tied to a NIC of another instance or network.
//!
//! ## What it means
//! DHCP gives the address to the NIC's MAC, anti-spoofing and security groups expect it at the instance's: one of
//! them drops what is sent.
//!
//! ## How hopline knows
//! The NIC's row lives, and names another instance or another network than the address. Ids left on free rows after
//! the time-out are normal.
//!
//! ## What it looks like
//! An instance gets another's address, or its packets die at its own NIC.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-without-vif`: there is no such NIC at all.
//! * `vif-orphan`: the NIC's instance is gone.
//!
//! ## Fix
//! Tie it to a NIC of its own instance on its network. Undo: the old value.
//!
//! ## References
//! nova `network/manager.py` `allocate_fixed_ip`.

use model::finding::Confidence;

use super::{Look, Spec, letters};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sieved {
        sql:
        "SELECT {f.id}, {f.address}, {f.network_id}, {f.virtual_interface_id}, {v.network_id}, \
         {key f as text}, {key v as text}, {name i} \
         FROM fixed_ips f \
         JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND {live v} \
         LEFT JOIN instances i ON {tie i f} \
         WHERE {live f} AND {key f} IS NOT NULL AND ({key v} <> {key f} OR v.network_id <> f.network_id) \
         ORDER BY f.id",
        keep: is_not_its_own,
    },
    columns: &[
        "id",
        "address",
        "network_id",
        "virtual_interface_id",
        "NIC's network_id",
        "instance_uuid",
        "NIC's instance_uuid",
        "instance",
    ],
    one: "fixed IP {address} of {instance} is tied to a NIC that is not its own",
    many: "{count} fixed IPs are tied to NICs of another instance or network",
    cause: "DHCP and the filters disagree whose address it is",
    confidence: Confidence::Proven,
    repair: "SELECT id, address, network_id FROM virtual_interfaces WHERE {key is instance_uuid} AND {live}",
    note: "reads; then set virtual_interface_id to the NIC of that network",
};

/// The NIC is on another network, or the two instances are two. Of no network nobody says that it is another.
fn is_not_its_own(row: &[Cell]) -> bool {
    let [_, _, network, _, of_nic, own, nics, _] = row else { return false };
    let is_elsewhere = network.is_some() && of_nic.is_some() && network != of_nic;
    is_elsewhere || !letters::same(own, nics)
}
