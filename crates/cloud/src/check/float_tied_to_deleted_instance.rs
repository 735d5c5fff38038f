//! `float-tied-to-deleted-instance` in all of the database; its page is the diagnosis's.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "floating_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {fl.id}, {fl.address}, {fl.host}, {f.id}, {f.address}, {key f as text}, {name i} \
         FROM floating_ips fl \
         JOIN fixed_ips f ON f.id = fl.fixed_ip_id \
         LEFT JOIN instances i ON {tie i f} \
         WHERE {live fl} AND {live f} AND {gone i} \
         ORDER BY fl.id",
    ),
    columns: &["id", "address", "host", "fixed_ip_id", "fixed IP", "instance_uuid", "instance"],
    one: "floating IP {address} hangs on {fixed IP}, whose instance ({instance}) is deleted",
    many: "{count} floating IPs hang on fixed IPs whose instances are deleted",
    cause: "nobody can use or release the address, its host goes on carrying it, and whoever gets the fixed \
        IP next gets it too",
    confidence: Confidence::Proven,
    repair: "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = {id} AND \
        {fixed_ip_id is fixed_ip_id} AND {live}",
    note: "one row; its project keeps the address, and the host its rules until nova-network restarts",
};
