//! A change, taken back.

use std::path::Path;
use std::time::Duration;

use super::apply::commit;
use super::change::{Change, Row};
use super::error::MendError;
use super::record::{Record, State};
use super::{STATEMENT_PATIENCE, bound, novas};
use crate::database::{Session, block_on};
use crate::database_error::classify;
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;

/// A change that was taken back.
#[derive(Debug)]
pub struct Undone {
    /// What was taken back; `before` is the row as it is now.
    pub change: Change,
}

/// Restores the values that a row had before the change `id`, unless anybody has changed the row since.
pub fn undo(url: &DatabaseUrl, timeout: Duration, folder: &Path, id: &str) -> Result<Undone, MendError> {
    let (mut record, change) = Record::open(folder, id)?;
    let ours = url.to_string();
    if record.database() != ours {
        let (id, theirs) = (id.to_owned(), record.database().to_owned());
        return Err(MendError::OtherDatabase { id, theirs, ours });
    }
    block_on(url, timeout * STATEMENT_PATIENCE, async {
        let mut session = Session::start_to_change(url, timeout).await?;
        restore(&mut session, url, id, &change, record.state()).await?;
        record.note(State::Undoing)?;
        commit(session, url, timeout, &mut record, State::Undone).await?;
        Ok(Undone { change })
    })
}

async fn restore(
    session: &mut Session,
    url: &DatabaseUrl,
    id: &str,
    change: &Change,
    state: State,
) -> Result<(), MendError> {
    let failed = |error: sqlx::Error| classify(url, &error);
    let Change { table, row, .. } = change;
    let schema = novas(session, url).await?;
    let lock = bound::for_update(schema.dialect);
    let now = bound::row(session, &schema, table, *row, lock).await.map_err(failed)?.unwrap_or_default();
    if now == change.before {
        let why = match state {
            State::Undoing | State::Undone => "it was taken back already",
            State::Prepared | State::Committed => "the row is as it was before",
        };
        return Err(MendError::NotApplied { id: id.to_owned(), why });
    }
    if now != change.after {
        let (id, table, columns) = (id.to_owned(), table.clone(), differing(&now, &change.after));
        return Err(MendError::ChangedSince { id, table, row: *row, columns });
    }
    let (sql, values) = statement(&schema, change);
    let changed = bound::execute(session, &sql, &values).await.map_err(failed)?;
    let now = bound::row(session, &schema, table, *row, "").await.map_err(failed)?;
    if changed != 1 || now.as_ref() != Some(&change.before) {
        return Err(MendError::Moved { table: table.clone(), row: *row });
    }
    Ok(())
}

/// Sets every column back that differs.
fn statement(schema: &Schema, change: &Change) -> (String, Vec<super::Value>) {
    let mut values = Vec::new();
    let set = change.differences().map(|(column, old, _)| {
        values.push(super::Value::Text(old.clone()));
        match schema.cast_to(&change.table, column) {
            Some(type_name) => format!("{column} = CAST(? AS {type_name})"),
            None => format!("{column} = ?"),
        }
    });
    let set: Vec<String> = set.collect();
    (format!("UPDATE {} SET {} WHERE id = {}", change.table, set.join(", "), change.row), values)
}

fn differing(now: &Row, then: &Row) -> String {
    if now.is_empty() {
        return "it is gone".to_owned();
    }
    let columns = then.iter().filter(|(column, value)| now.get(*column) != Some(value));
    columns.map(|(column, _)| column.as_str()).collect::<Vec<_>>().join(", ")
}
