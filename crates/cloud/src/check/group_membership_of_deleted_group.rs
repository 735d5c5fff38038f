//! # group-membership-of-deleted-group
//!
//! An instance is in a security group that is deleted.
//!
//! ## What it means
//! Its rules hold no more: the instance is as open or closed as its other groups make it, which is not what was set.
//!
//! ## How hopline knows
//! The membership and the instance live, and the group is deleted or gone.
//!
//! ## What it looks like
//! An instance is not reached on ports that its owner has opened.
//!
//! ## Nearest look-alikes
//! * `group-rule-of-deleted-group`: a rule names such a group.
//!
//! ## Fix
//! Delete the membership, and add the group that is meant. Undo: `deleted = 0`.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `security_group_destroy`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "security_group_instance_association",
    needs: &["security_group_instance_association", "security_groups"],
    look: Look::Sql(
        "SELECT {m.id}, {m.security_group_id}, {g.name}, {key m as text}, {name i} \
         FROM security_group_instance_association m \
         JOIN instances i ON {tie i m} AND {live i} \
         LEFT JOIN security_groups g ON g.id = m.security_group_id \
         WHERE {live m} AND {gone g} \
         ORDER BY m.id",
    ),
    columns: &["id", "security_group_id", "group", "instance_uuid", "instance"],
    one: "{instance} is in security group {group}, which is deleted",
    many: "{count} instances are in security groups that are deleted",
    cause: "the rules of a deleted group hold no more",
    confidence: Confidence::Proven,
    repair: "UPDATE security_group_instance_association SET deleted = {mark} WHERE id = {id} AND \
        {security_group_id is security_group_id} AND {key is instance_uuid} AND {live}",
    note: "one row",
};
