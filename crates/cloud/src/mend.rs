//! Putting one row of the cloud's database right, and taking that back.
//!
//! [`plan`] only reads. [`apply`] plans once more in one transaction with the rows locked, and changes nothing unless
//! that gives the same plan; the undo record is on the disk before the commit. [`undo`] restores the very values,
//! unless the row has changed since, or what these lean on. [`listed`] tells what is on record.

mod apply;
mod behind;
pub(crate) mod bound;
mod change;
mod cluster;
mod commit;
mod error;
mod had;
mod held;
mod identity;
mod kept;
mod listed;
mod locks;
mod record;
mod release;
mod ties;
mod undo;

pub use apply::{Applied, apply};
pub use change::{Change, Row, Value};
pub use error::MendError;
pub use had::Had;
pub use listed::{Listed, Listing, Now, listed};
pub use record::{RecordError, State};
pub use undo::{Undone, undo};

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::check::{Clock, Repair, repair};
use crate::database::{Session, block_on};
use crate::database_error::classify;
use crate::records;
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;

/// Statements that look at one row may, where nothing indexes what they ask for, look at a whole table.
const STATEMENT_PATIENCE: u32 = 60;

/// What is to be put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A floating IP is to be tied to nothing.
    Release {
        /// It.
        address: Ipv4Addr,
        /// And no project's: back in its pool.
        from_pool: bool,
    },
    /// A row of a finding.
    Repair {
        /// The finding's code.
        code: String,
        /// The row's id.
        row: u64,
    },
}

/// What would be changed. Writes nothing: the session is read-only.
pub fn plan(url: &DatabaseUrl, timeout: Duration, ask: &Ask, clock: &Clock) -> Result<Change, MendError> {
    block_on(url, timeout * STATEMENT_PATIENCE, async {
        let mut session = Session::start(url, timeout).await?;
        let schema = records::schema_of(&mut session, url).await?;
        let change = plan_in(&mut session, &schema, url, ask, clock).await;
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        change
    })
}

async fn plan_in(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    ask: &Ask,
    clock: &Clock,
) -> Result<Change, MendError> {
    let failed = |error: sqlx::Error| classify(url, &error);
    let mut change = asked_in(session, schema, url, ask, clock).await?;
    change.as_kept(session, schema).await.map_err(failed)?;
    change.literals = kept::literals(session, schema, &change.table, change.row).await.map_err(failed)?;
    change.had = had::of(session, schema, &change).await.map_err(failed)?;
    change.note = cluster::noted(session, change.note).await.map_err(failed)?;
    Ok(change)
}

async fn asked_in(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    ask: &Ask,
    clock: &Clock,
) -> Result<Change, MendError> {
    let (code, row) = match ask {
        Ask::Release { address, from_pool } => {
            return release::plan(session, schema, url, *address, *from_pool).await;
        }
        Ask::Repair { code, row } => (code, *row),
    };
    let repair = repair(session, schema, clock, code, row).await.map_err(|error| classify(url, &error))?;
    let named = || code.clone();
    match repair {
        Repair::UnknownCode => Err(MendError::UnknownCode { code: named() }),
        Repair::NoStatement { instead, note } => {
            Err(MendError::NoStatement { code: named(), row, instead, note })
        }
        Repair::OfHosts { instead, note } => Err(MendError::OfHosts { code: named(), instead, note }),
        Repair::Unsayable(why) => Err(MendError::Unsayable { code: named(), row, why }),
        Repair::NotFound { table } => Err(MendError::NotFound { code: named(), table, row }),
        Repair::Statement(template) => {
            let failed = |error: sqlx::Error| classify(url, &error);
            match change::of_template(session, schema, &template, row).await.map_err(failed)? {
                Some(change) => Ok(change),
                None => Err(held::why(session, schema, code, row, &template.sql).await.map_err(failed)?),
            }
        }
    }
}
