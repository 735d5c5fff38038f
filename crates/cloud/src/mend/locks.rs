//! The rows that a change depends on, kept as they are until it is done.
//!
//! Whoever locks does so in one order: the row with its twins by ascending id, one statement a row, then the fixed IP
//! behind it, then the instance behind that. A statement that finds and locks several rows takes them in the order of
//! whatever index it uses, so that two of us could meet head-on: which rows they are is looked up before.
//!
//! Last comes what is not there, the ties of floating IPs to a fixed one. nova looks whose that is, and then ties,
//! without a lock: no lock of ours on the fixed IP would make it wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::bound;
use super::change::{Row, Value};
use crate::cells::Cell;
use crate::connection::Connection;
use crate::database::{Keeps, Session};
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

/// How long PostgreSQL is asked for the table again and again, in which others write: whoever of these waits for a row
/// that we have locked waits as long.
const TABLE_PATIENCE: Duration = Duration::from_secs(1);
/// In between.
const TABLE_PAUSE: Duration = Duration::from_millis(10);

/// The fixed IP to which nobody may tie a floating one while a row is changed: the row itself, whose look tells that
/// none hangs on it.
pub(super) fn kept_free(table: &str, row: u64) -> Option<u64> {
    (table == "fixed_ips").then_some(row)
}

/// The same of a row that gets its old values back: where another hangs by now on what it hung on, it does not.
pub(super) fn kept_as_it_was(table: &str, row: u64, before: &Row) -> Option<u64> {
    let tied = || before.get("fixed_ip_id")?.as_deref()?.parse().ok();
    kept_free(table, row).or_else(|| if table == "floating_ips" { tied() } else { None })
}

/// What a transaction has to keep for it.
pub(super) fn keeps(fixed: Option<u64>) -> Keeps {
    if fixed.is_some() { Keeps::Gaps } else { Keeps::Rows }
}

/// Has whoever would tie a floating IP to the fixed one wait until we are done. Those who have tied one, and have not
/// committed it, are waited for.
///
/// `InnoDB` locks the gap in the index. PostgreSQL knows no such lock, and SERIALIZABLE only counts those who chose it,
/// too: there nobody writes into the table for the few milliseconds. It is not queued for, since whoever comes later
/// would queue behind us, and whoever has written into it and waits for our row would be in a knot with us, from which
/// the server might free us by ending them.
pub(super) async fn lock_ties(session: &mut Session, fixed: Option<u64>) -> Result<(), sqlx::Error> {
    let Some(fixed) = fixed else { return Ok(()) };
    match session.0 {
        Connection::Sqlite(_) => Ok(()),
        Connection::MySql(_) => {
            let sql = format!("SELECT id FROM floating_ips WHERE fixed_ip_id = {fixed} LOCK IN SHARE MODE");
            session.run(sql).await
        }
        Connection::Postgres(_) => {
            let deadline = Instant::now() + TABLE_PATIENCE;
            session.run("SAVEPOINT ties".to_owned()).await?;
            loop {
                let sql = "LOCK TABLE floating_ips IN SHARE ROW EXCLUSIVE MODE NOWAIT";
                match session.run(sql.to_owned()).await {
                    Err(error) if is_taken(&error) && Instant::now() < deadline => {
                        session.run("ROLLBACK TO SAVEPOINT ties".to_owned()).await?;
                        tokio::time::sleep(TABLE_PAUSE).await;
                    }
                    other => return other,
                }
            }
        }
    }
}

/// PostgreSQL manual, appendix A: 55P03 lock not available.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
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
    let sql = format!(
        "SELECT {} FROM {table} WHERE {column} = {} FOR UPDATE",
        schema.text(table, wanted),
        bound::place(schema, table, column)
    );
    let found = bound::rows(session, &sql, &[Value::Text(Some(value.to_owned()))]).await?;
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
