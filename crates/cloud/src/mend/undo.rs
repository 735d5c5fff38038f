//! A change, taken back.

use std::path::Path;
use std::time::Duration;

use super::change::{Change, Row, Value, differing};
use super::commit::commit;
use super::error::MendError;
use super::kept::{self, Kept};
use super::record::{Record, State};
use super::{STATEMENT_PATIENCE, behind, bound, identity, locks, ties};
use crate::cells::Cell;
use crate::connection::Connection;
use crate::database::{Session, block_on_then};
use crate::database_error::classify;
use crate::records;
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;

/// A change that was taken back.
#[derive(Debug)]
pub struct Undone {
    /// What was taken back; `before` is the row as it is now.
    pub change: Change,
}

/// Restores the values that a row had before the change `id`, unless anybody has changed the row since, or
/// what those values lean on: the fixed IP that is another instance's by now, say.
pub fn undo(url: &DatabaseUrl, timeout: Duration, folder: &Path, id: &str) -> Result<Undone, MendError> {
    let (mut record, change) = Record::open(folder, id)?;
    let other = |record: &Record, ours: String| {
        let (id, theirs) = (record.id().to_owned(), record.database().to_string());
        MendError::OtherDatabase { id, theirs, ours }
    };
    if !identity::may_be_same(record.database(), url) {
        return Err(other(&record, url.to_string()));
    }
    let work = async move {
        let mut session = Session::start_to_change(url, timeout).await?;
        let ours = identity::named(&mut session, url).await.map_err(|error| classify(url, &error))?;
        if !identity::is_same(record.database(), &ours) {
            return Err(other(&record, ours.to_string()));
        }
        restore(&mut session, url, timeout, &record, &change).await?;
        record.note(State::Undoing)?;
        Ok((session, record, change))
    };
    block_on_then(url, timeout * STATEMENT_PATIENCE, work, async |(session, mut record, change)| {
        commit(session, url, timeout, &mut record, State::Undone).await?;
        Ok(Undone { change })
    })
}

/// Everything but the commit. An error ends the session, and with it the transaction.
async fn restore(
    session: &mut Session,
    url: &DatabaseUrl,
    timeout: Duration,
    record: &Record,
    change: &Change,
) -> Result<(), MendError> {
    let failed = |error: sqlx::Error| classify(url, &error);
    let Change { table, row, before, after, .. } = change;
    let id = || record.id().to_owned();
    let schema = records::schema_of(session, url).await?;
    let columns = schema.columns(table);
    // What is on record stands in statements as it is, so it must be names that the database has, too.
    if !before.keys().all(|column| columns.contains(&column.as_str())) || before.is_empty() {
        let columns = "its table has other columns now".to_owned();
        return Err(MendError::ChangedSince { id: id(), table: table.clone(), row: *row, columns });
    }
    let twins = locks::twins(session, &schema, table, *row, before).await.map_err(failed)?;
    let fixed = ties::while_restored(table, *row, before);
    session.begin_to_change(timeout, ties::keeps(fixed)).await.map_err(failed)?;
    locks::lock(session, &schema, table, &twins, before).await.map_err(failed)?;
    ties::lock(session, fixed).await.map_err(failed)?;
    let now = bound::row(session, &schema, table, *row).await.map_err(failed)?.unwrap_or_default();
    if now == *before {
        let why = match record.state() {
            State::Undoing | State::Undone => "it was taken back already",
            State::Prepared | State::Committed => "the row is as it was before",
        };
        return Err(MendError::NotApplied { id: id(), why });
    }
    if now != *after {
        let (table, columns) = (table.clone(), moved(&now, after));
        return Err(MendError::ChangedSince { id: id(), table, row: *row, columns });
    }
    let leans = behind::leans(session, &schema, change).await.map_err(failed)?;
    if let Some(what) = behind::moved(record.leans(), &leans) {
        return Err(MendError::GivenElsewhere { id: id(), table: table.clone(), row: *row, what });
    }
    if set_back(session, &schema, change).await.map_err(failed)? != 1 {
        return Err(MendError::Moved { table: table.clone(), row: *row });
    }
    let now = bound::row(session, &schema, table, *row).await.map_err(failed)?.unwrap_or_default();
    let literals = kept::literals(session, &schema, table, *row).await.map_err(failed)?;
    let by_text = differing(before.iter(), &now);
    match by_text.or_else(|| differing(change.literals.iter(), &literals)) {
        None => Ok(()),
        Some(columns) => Err(MendError::NotAsBefore { id: id(), table: table.clone(), row: *row, columns }),
    }
}

/// Sets every column back that differs; how many rows that changed.
async fn set_back(session: &mut Session, schema: &Schema, change: &Change) -> Result<u64, sqlx::Error> {
    let Change { table, row, literals, .. } = change;
    let set = change
        .differences()
        .map(|(column, _, _)| format!("{} = {}", schema.name(column), bound::place(schema, table, column)));
    let set: Vec<String> = set.collect();
    let sql = format!("UPDATE {table} SET {} WHERE id = {row}", set.join(", "));
    if let Connection::Sqlite(connection) = &mut session.0 {
        let olds = change.differences().map(|(column, old, _)| Kept::of(literals.get(column), old));
        return kept::execute(connection, sql, olds.collect()).await;
    }
    let olds: Vec<Value> = change.differences().map(|(_, old, _)| Value::Text(old.clone())).collect();
    bound::execute(session, &sql, &olds).await
}

/// What the row has now where it has something else than then.
fn moved(now: &Row, then: &Row) -> String {
    if now.is_empty() {
        return "it is gone".to_owned();
    }
    let columns = then.iter().filter_map(|(column, was)| {
        let is = now.get(column)?;
        let text = |cell: &Cell| cell.clone().unwrap_or_else(|| "NULL".to_owned());
        (is != was).then(|| format!("{column}: was {}, and is {} now", text(was), text(is)))
    });
    let columns: Vec<String> = columns.collect();
    if columns.is_empty() { "its table has other columns now".to_owned() } else { columns.join("; ") }
}
