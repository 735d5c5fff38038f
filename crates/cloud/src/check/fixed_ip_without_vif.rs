//! `fixed-ip-without-vif` in all of the database; its page is the diagnosis's.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {f.virtual_interface_id}, {key f as text}, {name i} \
         FROM fixed_ips f \
         JOIN instances i ON {tie i f} AND {live i} \
         LEFT JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND {live v} \
         WHERE {live f} AND {yes f.allocated} AND {raw i.task_state} IS NULL AND v.id IS NULL \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "virtual_interface_id", "instance_uuid", "instance"],
    one: "fixed IP {address} of {instance} belongs to no NIC",
    many: "{count} fixed IPs of instances belong to no NIC",
    cause: "the instance has no line in the hosts file of dnsmasq, and gets no lease",
    confidence: Confidence::Proven,
    repair: "SELECT id, address FROM virtual_interfaces WHERE {key is instance_uuid} AND {live}",
    note: "reads; then remove and add the fixed IP through the API, or set virtual_interface_id to the NIC \
        of that network",
};
