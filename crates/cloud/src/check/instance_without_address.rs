//! `instance-without-address` in all of the database; its page is the diagnosis's.

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
