//! The changes that are on record, and what the rows have now.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::change::{Change, Row};
use super::identity::{self, is_same, may_be_same};
use super::record::{self, First, Folder, RecordError, State};
use super::{MendError, STATEMENT_PATIENCE, bound};
use crate::database::{Session, block_on};
use crate::database_error::{DatabaseError, classify};
use crate::records::schema_of;
use crate::secret_url::DatabaseUrl;

/// A change that is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// When it was put on record: seconds since 1970, in UTC.
    pub at_s: u64,
    /// The URL of its database, without its password.
    pub database: String,
    /// What it puts right, in a sentence.
    pub summary: String,
    /// The table.
    pub table: String,
    /// `id` of the row.
    pub row: u64,
    /// How far it came.
    pub state: State,
    /// What the row has now; `None` where that was not looked at.
    pub now: Option<Now>,
}

/// What a changed row has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// What it had before the change.
    Before,
    /// What the change left.
    After,
    /// Something else: others have written since.
    Other,
    /// It is gone.
    Gone,
}

/// All that a folder has on record.
#[derive(Debug)]
pub struct Listing {
    /// The changes, the newest first.
    pub changes: Vec<Listed>,
    /// Files that are no record, or cannot be read.
    pub unreadable: Vec<RecordError>,
    /// Why the rows were not looked at, where they should have been.
    pub unseen: Option<MendError>,
    /// Changes whose rows could not be read, by name, while others could.
    pub unread: Vec<(String, DatabaseError)>,
}

/// What is seen of a row.
type Seen = Result<Option<Now>, DatabaseError>;

/// Lists what is on record in a folder. The rows of `url`'s database are looked at, read-only.
pub fn listed(url: Option<&DatabaseUrl>, timeout: Duration, folder: &Path) -> Result<Listing, RecordError> {
    let Folder { records, unreadable } = record::list(folder)?;
    let wanted = |url| records.iter().map(|(first, _)| first).filter(move |f| may_be_same(&f.named(), url));
    let seen = match url.map(|url| (url, wanted(url).collect::<Vec<_>>())) {
        Some((url, wanted)) if !wanted.is_empty() => look(url, timeout, &wanted),
        Some(_) | None => Ok(BTreeMap::new()),
    };
    let (mut seen, unseen) = match seen {
        Ok(seen) => (seen, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    let mut unread = Vec::new();
    let change = |(first, state): (First, State)| {
        let now = seen.remove(&first.id).unwrap_or(Ok(None));
        let First { id, at_s, database, change, .. } = first;
        let now = now.unwrap_or_else(|why| {
            unread.push((id.clone(), why));
            None
        });
        Listed {
            id,
            at_s,
            database,
            summary: change.summary,
            table: change.table,
            row: change.row,
            state,
            now,
        }
    };
    let changes = records.into_iter().map(change).collect();
    Ok(Listing { changes, unreadable, unseen, unread })
}

/// What the row of each has now that is of this database; `None` of a table that is none of nova's. One that cannot be
/// read hides none of the others: PostgreSQL would refuse whatever follows in the transaction.
fn look(
    url: &DatabaseUrl,
    timeout: Duration,
    wanted: &[&First],
) -> Result<BTreeMap<String, Seen>, MendError> {
    block_on(url, timeout * STATEMENT_PATIENCE, async {
        let failed = |error: sqlx::Error| classify(url, &error);
        let mut session = Session::start(url, timeout).await?;
        let schema = schema_of(&mut session, url).await?;
        let ours = identity::named(&mut session, url).await.map_err(failed)?;
        session.run("SAVEPOINT listed".to_owned()).await.map_err(failed)?;
        let mut all = BTreeMap::new();
        for first in wanted.iter().filter(|first| is_same(&first.named(), &ours)) {
            let First { id, change, .. } = first;
            if schema.columns(&change.table).is_empty() {
                all.insert(id.clone(), Ok(None));
                continue;
            }
            match bound::row(&mut session, &schema, &change.table, change.row).await {
                Ok(row) => drop(all.insert(id.clone(), Ok(Some(held_to(change, row))))),
                Err(error) => {
                    all.insert(id.clone(), Err(failed(error)));
                    // Where the connection is gone, each of the others says so itself.
                    let _ = session.run("ROLLBACK TO SAVEPOINT listed".to_owned()).await;
                }
            }
        }
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        Ok(all)
    })
}

fn held_to(change: &Change, row: Option<Row>) -> Now {
    match row {
        None => Now::Gone,
        Some(now) if now == change.before => Now::Before,
        Some(now) if now == change.after => Now::After,
        Some(_) => Now::Other,
    }
}
