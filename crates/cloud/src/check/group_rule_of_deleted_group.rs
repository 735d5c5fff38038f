//! # group-rule-of-deleted-group
//!
//! A security group lets in a group that is deleted.
//!
//! ## What it means
//! The rule lets nobody in: nova finds no members. Who was meant to be let in is kept out, without a word.
//!
//! ## How hopline knows
//! The rule and its group live, and the source group is deleted or gone.
//!
//! ## What it looks like
//! Instances that used to reach a port do not any more, after a group was deleted.
//!
//! ## Nearest look-alikes
//! * `group-membership-of-deleted-group`: an instance is in such a group.
//!
//! ## Fix
//! Delete the rule, or make one with the group that is meant. Undo: `deleted = 0`.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `security_group_destroy`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "security_group_rules",
    needs: &["security_group_rules", "security_groups"],
    look: Look::Sql(
        "SELECT {r.id}, {r.protocol}, {r.from_port}, {r.to_port}, {r.group_id}, {g.name}, {g2.name} \
         FROM security_group_rules r \
         JOIN security_groups g2 ON g2.id = r.parent_group_id AND {live g2} \
         LEFT JOIN security_groups g ON g.id = r.group_id \
         WHERE {live r} AND r.group_id IS NOT NULL AND {gone g} \
         ORDER BY r.id",
    ),
    columns: &["id", "protocol", "from_port", "to_port", "group_id", "source group", "group"],
    one: "a rule of group {group} lets in group {source group}, which is deleted",
    many: "{count} rules let in groups that are deleted",
    cause: "a group without members lets nobody in",
    confidence: Confidence::Proven,
    repair: "UPDATE security_group_rules SET deleted = {mark} WHERE id = {id} AND {group_id is group_id} AND {live}",
    note: "one row; it lets nobody in",
};
