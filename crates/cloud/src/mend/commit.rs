//! The end of a change: committed, taken back by the server, or nobody knows.

use std::time::Duration;

use sqlx::error::ErrorKind;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::error::MendError;
use super::record::{Record, State};
use crate::connection::Connection;
use crate::database::Session;
use crate::database_error::{DatabaseError, classify};
use crate::secret_url::DatabaseUrl;

/// Commits, and notes that it did. No answer within `timeout` is as bad as a broken connection; nothing else bounds
/// this, since what cuts it short could not tell either.
pub(super) async fn commit(
    mut session: Session,
    url: &DatabaseUrl,
    timeout: Duration,
    record: &mut Record,
    state: State,
) -> Result<(), MendError> {
    if let Connection::Sqlite(_) = session.0 {
        // Whoever reads the file is waited for, and not so long that nobody hears that it was in vain.
        let patience_ms = (timeout * 3 / 4).as_millis();
        let told = session.run(format!("PRAGMA busy_timeout = {patience_ms}")).await;
        told.map_err(|error| classify(url, &error))?;
    }
    let uncertain = |why: String| MendError::Uncertain { id: record.id().to_owned(), why };
    match tokio::time::timeout(timeout, session.run("COMMIT".to_owned())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(match classify(url, &error) {
                refused @ (DatabaseError::Held { .. } | DatabaseError::ReadOnly { .. }) => refused.into(),
                _ if is_taken_back(&error) => {
                    MendError::TakenBack { why: url.without_password(&error.to_string()) }
                }
                _ => uncertain(url.without_password(&error.to_string())),
            });
        }
        Err(_) => return Err(uncertain(format!("no answer within {} s", timeout.as_secs_f32()))),
    }
    // What is committed stands, whether or not the server hears our goodbye, and whether or not the record can be
    // added to: without the note the row tells.
    let _ = record.note(state);
    let _ = tokio::time::timeout(timeout, session.0.close()).await;
    Ok(())
}

/// The server says itself that nothing is committed: a constraint that is looked at last does not hold (SQLSTATE class
/// 23), or the transaction is rolled back (class 40). Whatever else a deferred trigger of PostgreSQL's raises, its
/// COMMIT has failed where that is an error and the session lives on (`src/backend/access/transam/xact.c
/// CommitTransaction`); 40003, and class 08 of whoever stands between, say that it is not known.
fn is_taken_back(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(from_server) = error else { return false };
    let code = from_server.code().unwrap_or_default();
    if let Some(error) = from_server.try_downcast_ref::<PgDatabaseError>() {
        return error.severity() == PgSeverity::Error && code != "40003" && !code.starts_with("08");
    }
    let is_state = |class: &str| code.len() == 5 && code.starts_with(class);
    from_server.kind() != ErrorKind::Other || is_state("23") || is_state("40")
}
