//! The change, made: in one transaction, and on record before it is committed.

use std::path::Path;
use std::time::Duration;

use super::behind::{self, Leans};
use super::change::{Change, NOW, Value, differing};
use super::commit::commit;
use super::error::MendError;
use super::record::{Record, State};
use super::{Ask, STATEMENT_PATIENCE, bound, identity, locks, plan_in, ties};
use crate::check::Clock;
use crate::database::{Session, block_on_then};
use crate::database_error::classify;
use crate::records;
use crate::schema::{Dialect, Schema};
use crate::secret_url::DatabaseUrl;

/// A change that was made.
#[derive(Debug)]
pub struct Applied {
    /// Under which it can be taken back.
    pub id: String,
    /// With the row as it is now.
    pub change: Change,
}

/// Makes a change that [`super::plan`] gave, unless what is planned now, with the rows locked, is another. Its undo
/// record goes to `folder`, which is made where it is missing.
///
/// Where the process ends at any point, the database has the row before or after; the record holds both.
pub fn apply(
    url: &DatabaseUrl,
    timeout: Duration,
    ask: &Ask,
    clock: &Clock,
    planned: &Change,
    folder: &Path,
) -> Result<Applied, MendError> {
    let work = async {
        let mut session = Session::start_to_change(url, timeout).await?;
        let database = identity::named(&mut session, url).await.map_err(|error| classify(url, &error))?;
        let (change, leans) = change(&mut session, url, timeout, ask, clock, planned).await?;
        let record = Record::create(folder, database, &change, leans)?;
        Ok((session, change, record))
    };
    block_on_then(url, timeout * STATEMENT_PATIENCE, work, async |(session, change, mut record)| {
        commit(session, url, timeout, &mut record, State::Committed).await?;
        Ok(Applied { id: record.id().to_owned(), change })
    })
}

/// Everything but the commit. An error ends the session, and with it the transaction.
async fn change(
    session: &mut Session,
    url: &DatabaseUrl,
    timeout: Duration,
    ask: &Ask,
    clock: &Clock,
    planned: &Change,
) -> Result<(Change, Leans), MendError> {
    let failed = |error: sqlx::Error| classify(url, &error);
    let Change { table, row, before, .. } = planned;
    let moved = || MendError::Moved { table: table.clone(), row: *row };
    let schema = records::schema_of(session, url).await?;
    transacts(session, url, &schema, table).await?;
    let twins = locks::twins(session, &schema, table, *row, before).await.map_err(failed)?;
    let fixed = ties::while_changed(table, *row);
    session.begin_to_change(timeout, ties::keeps(fixed)).await.map_err(failed)?;
    locks::lock(session, &schema, table, &twins, before).await.map_err(failed)?;
    ties::lock(session, fixed).await.map_err(failed)?;
    let mut change = plan_in(session, &schema, url, ask, clock).await?;
    let twins_now = locks::twins(session, &schema, table, *row, before).await.map_err(failed)?;
    if change != *planned || !twins_now.is_subset(&twins) {
        return Err(moved());
    }
    if bound::execute(session, &change.sql, &change.values).await.map_err(failed)? != 1 {
        return Err(moved());
    }
    let now = bound::row(session, &schema, table, *row).await.map_err(failed)?.ok_or_else(moved)?;
    // A trigger of somebody's may write more than was told.
    let told = change.after.iter().filter(|(_, told)| told.as_deref() != Some(NOW));
    if let Some(columns) = differing(told, &now) {
        return Err(MendError::NotAsTold { table: table.clone(), row: *row, columns });
    }
    change.after = now;
    let leans = behind::leans(session, &schema, &change).await.map_err(failed)?;
    Ok((change, leans))
}

/// Of MySQL's tables some are of engines without transactions (`information_schema.ENGINES`).
async fn transacts(
    session: &mut Session,
    url: &DatabaseUrl,
    schema: &Schema,
    table: &str,
) -> Result<(), MendError> {
    if schema.dialect != Dialect::MySql {
        return Ok(());
    }
    let sql = "SELECT CAST(t.ENGINE AS CHAR), CAST(e.TRANSACTIONS AS CHAR) FROM information_schema.TABLES t \
               LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
               WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = ?";
    let found = bound::rows(session, sql, &[Value::Text(Some(table.to_owned()))]).await;
    let found = found.map_err(|error| classify(url, &error))?;
    let of_none = |row: &Vec<Option<String>>| row.get(1).cloned().flatten().as_deref() != Some("YES");
    match found.into_iter().find(of_none) {
        None => Ok(()),
        Some(row) => {
            let engine = row.into_iter().next().flatten().unwrap_or_else(|| "a view".to_owned());
            Err(MendError::NoTransactions { table: table.to_owned(), engine })
        }
    }
}
