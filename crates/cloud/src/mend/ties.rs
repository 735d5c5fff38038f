//! That nobody ties a floating IP to a fixed one while a row is changed. nova looks whose the fixed one is, and then
//! ties, without a lock: no lock of ours on the fixed IP's row would make it wait.

use std::time::{Duration, Instant};

use super::change::Row;
use crate::connection::Connection;
use crate::database::{Keeps, Session};

/// How long PostgreSQL is asked for the table again and again, in which others write: whoever of these waits for a row
/// that we have locked waits as long.
const TABLE_PATIENCE: Duration = Duration::from_secs(1);
/// In between.
const TABLE_PAUSE: Duration = Duration::from_millis(10);

/// The fixed IP to which nobody may tie a floating one while a row is changed: the row itself, whose look tells that
/// none hangs on it.
pub(super) fn while_changed(table: &str, row: u64) -> Option<u64> {
    (table == "fixed_ips").then_some(row)
}

/// The same of a row that gets its old values back: where another hangs by now on what it hung on, it does not.
pub(super) fn while_restored(table: &str, row: u64, before: &Row) -> Option<u64> {
    let tied = || before.get("fixed_ip_id")?.as_deref()?.parse().ok();
    while_changed(table, row).or_else(|| if table == "floating_ips" { tied() } else { None })
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
pub(super) async fn lock(session: &mut Session, fixed: Option<u64>) -> Result<(), sqlx::Error> {
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
