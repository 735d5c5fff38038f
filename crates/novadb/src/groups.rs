//! Security groups and their rules.

use ipnet::Ipv4Net;

use crate::instances::USER;
use crate::rows::{Cloud, Group};
use crate::sql::{Work, values};
use crate::{Database, DbError, read};

/// The group that every project has.
pub const DEFAULT_GROUP: &str = "default";

/// A rule to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRule {
    /// tcp, udp or icmp; `None` for all.
    pub protocol: Option<String>,
    /// First port, or ICMP type; -1 for all.
    pub from_port: Option<i32>,
    /// Last port, or ICMP code; -1 for all.
    pub to_port: Option<i32>,
    /// From these addresses.
    pub cidr: Option<Ipv4Net>,
    /// From the members of this group, by name.
    pub group: Option<String>,
}

impl Database {
    /// Makes a group that lets nothing in; its id.
    pub fn group_create(&self, project: &str, name: &str) -> Result<u64, DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            if named(&cloud, project, name).is_ok() {
                return Err(DbError::Exists { what: "security group", name: name.to_owned() });
            }
            insert(work, project, name).await
        })
    }

    /// Adds a rule; its id.
    pub fn group_rule_add(&self, project: &str, group: &str, rule: &NewRule) -> Result<u64, DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let parent = named(&cloud, project, group)?.id;
            let source = match &rule.group {
                Some(name) => i64::try_from(named(&cloud, project, name)?.id).ok(),
                None => None,
            };
            work.insert(
                "INSERT INTO security_group_rules (created_at, parent_group_id, protocol, from_port, to_port, \
                 cidr, group_id, deleted) VALUES ({now}, ?, ?, ?, ?, ?, ?, 0)",
                values![
                    parent,
                    rule.protocol.clone(),
                    rule.from_port.map(i64::from),
                    rule.to_port.map(i64::from),
                    rule.cidr.map(|cidr| cidr.to_string()),
                    source,
                ],
            )
            .await
        })
    }

    /// Marks a rule as deleted.
    pub fn group_rule_delete(&self, rule: u64) -> Result<(), DbError> {
        self.work(async |work| {
            let sql = "UPDATE security_group_rules SET deleted = id, deleted_at = {now} WHERE id = ? AND deleted = 0";
            match work.execute(sql, values![rule]).await? {
                1 => Ok(()),
                _ => Err(DbError::Unknown { what: "rule", name: rule.to_string() }),
            }
        })
    }

    /// Brings back a group's deleted rules of a protocol, as an operator would by hand.
    pub fn group_rules_restore(&self, project: &str, group: &str, protocol: &str) -> Result<(), DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let parent = named(&cloud, project, group)?.id;
            work.execute(
                "UPDATE security_group_rules SET deleted = 0, deleted_at = NULL \
                 WHERE parent_group_id = ? AND protocol = ? AND deleted = id",
                values![parent, protocol],
            )
            .await
            .map(drop)
        })
    }
}

/// The group's id; that of a project's default group also where nothing has asked for it before
/// (nova/db/sqlalchemy/api.py `security_group_ensure_default`).
pub(crate) async fn ensure(
    work: &mut Work,
    cloud: &Cloud,
    project: &str,
    name: &str,
) -> Result<u64, DbError> {
    match named(cloud, project, name) {
        Ok(group) => Ok(group.id),
        Err(_) if name == DEFAULT_GROUP => insert(work, project, name).await,
        Err(unknown) => Err(unknown),
    }
}

async fn insert(work: &mut Work, project: &str, name: &str) -> Result<u64, DbError> {
    work.insert(
        "INSERT INTO security_groups (created_at, name, description, user_id, project_id, deleted) \
         VALUES ({now}, ?, ?, ?, ?, 0)",
        values![name, name, USER, project],
    )
    .await
}

fn named<'c>(cloud: &'c Cloud, project: &str, name: &str) -> Result<&'c Group, DbError> {
    let found = cloud.groups.iter().find(|group| group.project == project && group.name == name);
    found.ok_or_else(|| DbError::Unknown { what: "security group", name: name.to_owned() })
}
