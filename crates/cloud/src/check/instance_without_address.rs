//! # instance-without-address
//!
//! An active instance has a NIC, and no fixed IP on it.
//!
//! ## What it means
//! dnsmasq has no line for its MAC: it gets no lease, and security groups have nothing to hold on to.
//!
//! ## How hopline knows
//! The instance is active and at rest, the NIC's row lives, and no allocated fixed IP is tied to both. An instance in
//! `error`, or one that is being built, has none rightly.
//!
//! ## What it looks like
//! The API shows no address for it, and its console waits for DHCP.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-vif-mismatch`: its address is tied to another's NIC.
//! * `info-cache-differs`: only the API does not show it.
//!
//! ## Fix
//! Add a fixed IP through the API (`nova add-fixed-ip`). Undo: `nova remove-fixed-ip`.
//!
//! ## References
//! nova `network/manager.py` `add_fixed_ip_to_instance`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "virtual_interfaces",
    needs: &[],
    look: Look::Sql(
        "SELECT {v.id}, {v.address}, {v.network_id}, {key v as text}, {name i} \
         FROM virtual_interfaces v \
         JOIN instances i ON {tie i v} AND {live i} \
         LEFT JOIN fixed_ips f ON {tie f i} AND {live f} AND {yes f.allocated} AND \
         f.virtual_interface_id = v.id \
         WHERE {live v} AND {is i.vm_state active} AND {raw i.task_state} IS NULL AND f.id IS NULL \
         ORDER BY v.id",
    ),
    columns: &["id", "MAC", "network_id", "instance_uuid", "instance"],
    one: "{instance} is active, and its NIC {MAC} has no fixed IP",
    many: "{count} NICs of active instances have no fixed IP",
    cause: "dnsmasq does not know the MAC, so the instance gets no lease",
    confidence: Confidence::Proven,
    repair: "nova add-fixed-ip {instance_uuid} NETWORK-UUID",
    note: "gives it the next free address of that network",
};
