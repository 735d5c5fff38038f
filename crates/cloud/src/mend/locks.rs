//! The rows that a change depends on, kept as they are until it is done.

use super::bound;
use crate::database::Session;
use crate::schema::{Dialect, Schema};

/// Locks a row, those with which it may be one of several, the fixed IP that it leads to, and the instance behind it.
/// In the order of ids, so that two of us wait for each other one way only.
pub(super) async fn lock(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    row: u64,
) -> Result<(), sqlx::Error> {
    if schema.dialect == Dialect::Sqlite {
        return Ok(());
    }
    let own = |column: &str| format!("(SELECT {column} FROM {table} WHERE id = {row})");
    let mut conditions = vec![(table, format!("id = {row}"))];
    for column in twins(table) {
        conditions.insert(0, (table, format!("{column} = {}", own(column))));
    }
    let fixed = match table {
        "floating_ips" => {
            conditions.push(("fixed_ips", format!("id = {}", own("fixed_ip_id"))));
            Some(own("fixed_ip_id"))
        }
        "fixed_ips" => Some(row.to_string()),
        _ => None,
    };
    let (theirs, key) = match schema.instance_key("fixed_ips") {
        "instance_uuid" => ("uuid", "instance_uuid"),
        other => ("id", other),
    };
    if let Some(fixed) = fixed {
        let owner = format!("(SELECT {key} FROM fixed_ips WHERE id = {fixed})");
        conditions.push(("instances", format!("{theirs} = {owner}")));
    } else if schema.has(table, key) {
        conditions.push(("instances", format!("{theirs} = {}", own(key))));
    }
    for (table, condition) in conditions {
        let id = schema.text(table, "id");
        let lock = bound::for_update(schema.dialect);
        let sql = format!("SELECT {id} FROM {table} WHERE {condition} ORDER BY {table}.id{lock}");
        bound::rows(session, &sql, &[]).await?;
    }
    Ok(())
}

/// Columns by which a row of the table may be one of several.
fn twins(table: &str) -> &'static [&'static str] {
    match table {
        "floating_ips" => &["address", "fixed_ip_id"],
        "fixed_ips" => &["address"],
        _ => &[],
    }
}
