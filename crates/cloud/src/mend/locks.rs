//! The rows that a change depends on, kept as they are until it is done.
//!
//! Whoever locks does so in one order: the row with its twins by ascending id, one statement a row, then the fixed IP
//! behind it, then the instance behind that. A statement that finds and locks several rows takes them in the order of
//! whatever index it uses, so that two of us could meet head-on: which rows they are is looked up before.

use std::collections::BTreeSet;

use super::bound;
use super::change::{Row, Value};
use crate::cells::Cell;
use crate::database::Session;
use crate::schema::{Dialect, Schema};

/// The row, and the live ones with which it is or may be one of several: looked up before the transaction, to be
/// locked in it, and once more when they are.
pub(super) async fn twins(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    row: u64,
    values: &Row,
) -> Result<BTreeSet<u64>, sqlx::Error> {
    let mut ids = BTreeSet::from([row]);
    for column in shared(table) {
        let Some(Some(value)) = values.get(*column) else { continue };
        let sql = format!(
            "SELECT {} FROM {table} WHERE {column} = {} AND {}",
            schema.text(table, "id"),
            bound::place(schema, table, column),
            schema.live(table)
        );
        let found = bound::rows(session, &sql, &[Value::Text(Some(value.clone()))]).await?;
        ids.extend(found.into_iter().flatten().flatten().filter_map(|id| id.parse::<u64>().ok()));
    }
    Ok(ids)
}

/// Locks those rows of a table, and what is behind one that has these values.
pub(super) async fn lock(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    ids: &BTreeSet<u64>,
    values: &Row,
) -> Result<(), sqlx::Error> {
    if schema.dialect == Dialect::Sqlite {
        return Ok(());
    }
    for id in ids {
        by(session, schema, table, "id", &id.to_string(), "id").await?;
    }
    let key = schema.instance_key("fixed_ips");
    let fixed = values.get("fixed_ip_id").cloned().flatten();
    let owner = match (table, fixed) {
        ("floating_ips", Some(fixed)) => by(session, schema, "fixed_ips", "id", &fixed, key).await?,
        (_, Some(_) | None) => values.get(key).cloned().flatten(),
    };
    if let Some(owner) = owner {
        // A cache is tied by uuid in every series, whatever its column is called.
        let theirs = if table == "instance_info_caches" { "uuid" } else { schema.own_key() };
        by(session, schema, "instances", theirs, &owner, "id").await?;
    }
    Ok(())
}

/// Locks the row whose column has a value, and says what another column of it has.
async fn by(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    column: &str,
    value: &str,
    wanted: &str,
) -> Result<Cell, sqlx::Error> {
    let tied = schema.tied(table, column, &bound::place(schema, table, column));
    let values = vec![Value::Text(Some(value.to_owned())); tied.matches('?').count()];
    let sql = format!("SELECT {} FROM {table} WHERE {tied} FOR UPDATE", schema.text(table, wanted));
    let found = bound::rows(session, &sql, &values).await?;
    Ok(found.into_iter().flatten().next().flatten())
}

/// Columns by which a row of the table may be one of several.
pub(super) fn shared(table: &str) -> &'static [&'static str] {
    match table {
        "floating_ips" => &["address", "fixed_ip_id"],
        "fixed_ips" | "virtual_interfaces" => &["address"],
        _ => &[],
    }
}
