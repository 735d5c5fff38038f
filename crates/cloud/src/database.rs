//! One read-only session with nova's database, and the rows it gives.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::AssertSqlSafe;

use crate::cells::{Cell, cells, every_cell};
use crate::connection::{Access, Connection};
use crate::database_error::{DatabaseError, classify};
use crate::records::{self, Records};
use crate::secret_url::{DatabaseUrl, Target};
use crate::tls;

/// Of MySQL's ways to understand a statement the plain one, whatever the server is set to: MariaDB's
/// `EMPTY_STRING_IS_NULL` finds nothing that is not empty. Where something is changed nothing is cut to fit.
const CHANGE_MODE: &str = "STRICT_ALL_TABLES";

/// What locks keep as it is, until a change is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Rows that are there.
    Rows,
    /// And that there are none between them, where that was looked for.
    Gaps,
}

/// A connection inside a read-only transaction.
pub(crate) struct Session(pub(crate) Connection);

/// Reads nova's records of living instances, waiting no longer than `timeout` for all of it.
///
/// Blocks, on a runtime of its own: not to be called from inside another. Writes nothing: the session
/// is read-only by the server's own rule, and a SQLite file is opened read-only and never made.
pub fn read(url: &DatabaseUrl, timeout: Duration) -> Result<Records, DatabaseError> {
    block_on(url, timeout, async {
        let mut session = Session::start(url, timeout).await?;
        let records = records::read(&mut session, url).await;
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        records
    })
}

/// Runs the work on a runtime of its own, no longer than `timeout`.
pub(crate) fn block_on<T, E: From<DatabaseError>>(
    url: &DatabaseUrl,
    timeout: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    block_on_then(url, timeout, work, async |done| Ok(done))
}

/// The same of work with an end that must not be cut off in the middle: `finish` bounds its own time.
pub(crate) fn block_on_then<P, T, E: From<DatabaseError>>(
    url: &DatabaseUrl,
    timeout: Duration,
    work: impl Future<Output = Result<P, E>>,
    finish: impl AsyncFnOnce(P) -> Result<T, E>,
) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        DatabaseError::Failed { database: url.to_string(), why: format!("no runtime: {error}") }
    })?;
    let outcome = runtime.block_on(async {
        let late = |_| DatabaseError::Timeout { database: url.to_string(), after: timeout };
        finish(tokio::time::timeout(timeout, work).await.map_err(late)??).await
    });
    // A host name being looked up holds a thread of the runtime, which must not hold us.
    runtime.shutdown_background();
    outcome
}

/// Refuses a SQLite file that is none.
fn check_file(url: &DatabaseUrl) -> Result<(), DatabaseError> {
    if let Target::Sqlite(path) = &url.target {
        let file = std::fs::File::open(path).and_then(|file| file.metadata());
        let why = match file {
            Ok(file) if file.is_file() => None,
            Ok(_) => Some("not a file".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            return Err(DatabaseError::File { database: url.to_string(), why });
        }
    }
    Ok(())
}

impl Session {
    /// Connects and begins, waiting no longer than `timeout`.
    pub(crate) async fn start(url: &DatabaseUrl, timeout: Duration) -> Result<Session, DatabaseError> {
        Session::start_with(url, timeout, Session::open(url, timeout)).await
    }

    /// Connects to change what is there, once [`Session::begin_to_change`] has begun. Whoever holds a row is waited for
    /// as long as `timeout`.
    pub(crate) async fn start_to_change(
        url: &DatabaseUrl,
        timeout: Duration,
    ) -> Result<Session, DatabaseError> {
        Session::start_with(url, timeout, Session::open_to_change(url, timeout)).await
    }

    async fn start_with(
        url: &DatabaseUrl,
        timeout: Duration,
        open: impl Future<Output = Result<Session, sqlx::Error>>,
    ) -> Result<Session, DatabaseError> {
        check_file(url)?;
        tls::check_files(url)?;
        let opened = tokio::time::timeout(timeout, open).await;
        let late = |_| DatabaseError::Timeout { database: url.to_string(), after: timeout };
        opened.map_err(late)?.map_err(|e| classify(url, &e))
    }

    async fn open(url: &DatabaseUrl, timeout: Duration) -> Result<Session, sqlx::Error> {
        let mut session = Session(url.connect(Access::Read, timeout).await?);
        session.begin().await?;
        Ok(session)
    }

    /// A SQLite transaction takes the right to write at once. It is not asked for on a server, where whoever made
    /// sessions read-only meant it.
    async fn open_to_change(url: &DatabaseUrl, timeout: Duration) -> Result<Session, sqlx::Error> {
        let mut session = Session(url.connect(Access::Change, timeout).await?);
        match &session.0 {
            Connection::MySql(_) => {
                let isolation = session.mysql_isolation().await?;
                let patience_s = timeout.as_secs().clamp(1, 600);
                let sql = format!(
                    "SET SESSION sql_mode = '{CHANGE_MODE}'; \
                     SET SESSION innodb_lock_wait_timeout = {patience_s}; \
                     SET SESSION TRANSACTION ISOLATION LEVEL {isolation}"
                );
                session.run(sql).await?;
            }
            Connection::Postgres(_) | Connection::Sqlite(_) => {}
        }
        Ok(session)
    }

    /// A replication log of statements alone has `InnoDB` refuse every change under READ COMMITTED (error 1665). Under
    /// REPEATABLE READ, what is read first fixes what is read later: so whoever begins takes all locks first.
    async fn mysql_isolation(&mut self) -> Result<&'static str, sqlx::Error> {
        let sql = "SHOW SESSION VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format')";
        let told: Vec<[Cell; 2]> = self.rows(sql.to_owned()).await?;
        let says = |name: &str, value: &str| {
            let is_it =
                |cell: &Cell, text: &str| cell.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(text));
            told.iter().any(|[key, set]| is_it(key, name) && is_it(set, value))
        };
        let by_statement = says("log_bin", "ON") && says("binlog_format", "STATEMENT");
        Ok(if by_statement { "REPEATABLE READ" } else { "READ COMMITTED" })
    }

    /// Begins a transaction that ends whole or not at all. Under any isolation that was chosen, what is read after all
    /// locks were waited for is what their holders left: no snapshot of an earlier time.
    pub(crate) async fn begin_to_change(
        &mut self,
        timeout: Duration,
        keeps: Keeps,
    ) -> Result<(), sqlx::Error> {
        let begin = match &self.0 {
            Connection::MySql(_) => match keeps {
                Keeps::Rows => "START TRANSACTION".to_owned(),
                // READ COMMITTED locks no gaps. Of the next transaction, and not of the session.
                Keeps::Gaps => {
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION".to_owned()
                }
            },
            // Of the transaction and not of the session, which a pooler may hand on to another server process.
            Connection::Postgres(_) => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; \
                 SET LOCAL synchronous_commit = on",
                timeout.as_millis().clamp(1, 600_000)
            ),
            Connection::Sqlite(_) => "BEGIN IMMEDIATE".to_owned(),
        };
        self.run(begin).await
    }

    /// Runs statements of this crate's own words.
    pub(crate) async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match &mut self.0 {
            Connection::MySql(connection) => query.execute(connection).await.map(drop),
            Connection::Postgres(connection) => query.execute(connection).await.map(drop),
            Connection::Sqlite(connection) => query.execute(connection).await.map(drop),
        }
    }

    /// One snapshot for all statements, so that rows read later fit those read before.
    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.0 {
            Connection::MySql(connection) => {
                let sql = "SET SESSION sql_mode = ''; SET SESSION TRANSACTION READ ONLY; \
                           START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
                sqlx::raw_sql(sql).execute(connection).await.map(drop)
            }
            Connection::Postgres(connection) => {
                // A database of SQL_ASCII holds any octets, which the server would refuse to call UTF-8.
                let sql = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; \
                           BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                           SELECT set_config('client_encoding', 'SQL_ASCII', false) \
                           WHERE current_setting('server_encoding') = 'SQL_ASCII'";
                sqlx::raw_sql(sql).execute(connection).await.map(drop)
            }
            Connection::Sqlite(connection) => sqlx::raw_sql("BEGIN").execute(connection).await.map(drop),
        }
    }

    /// Has PostgreSQL join whole tables, each gone through once. One that was just filled has no statistics: it is
    /// taken for nearly empty, and gone through anew for each row of another. Holds for this transaction.
    pub(crate) async fn join_whole_tables(&mut self) -> Result<(), sqlx::Error> {
        match &self.0 {
            Connection::Postgres(_) => self.run("SET LOCAL enable_nestloop = off".to_owned()).await,
            Connection::MySql(_) | Connection::Sqlite(_) => Ok(()),
        }
    }

    /// Runs a SELECT of `N` columns, each cast to text. `sql` must be made of this crate's own words:
    /// nothing from outside ever needs to enter a statement here, so none has a parameter.
    pub(crate) async fn rows<const N: usize>(&mut self, sql: String) -> Result<Vec<[Cell; N]>, sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        // One after the other, since a row of the driver's takes several times what is in it.
        let mut all = Vec::new();
        match &mut self.0 {
            Connection::MySql(connection) => {
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    all.push(cells(&row)?);
                }
            }
            Connection::Postgres(connection) => {
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    all.push(cells(&row)?);
                }
            }
            Connection::Sqlite(connection) => {
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    all.push(cells(&row)?);
                }
            }
        }
        Ok(all)
    }

    /// Hands each row of a SELECT on as it comes, its columns cast to text: none is kept here. As with
    /// [`Session::rows`], `sql` is of this crate's own words.
    pub(crate) async fn each(
        &mut self,
        sql: String,
        mut take: impl FnMut(Vec<Cell>),
    ) -> Result<(), sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match &mut self.0 {
            Connection::MySql(connection) => {
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    take(every_cell(&row)?);
                }
            }
            Connection::Postgres(connection) => {
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    take(every_cell(&row)?);
                }
            }
            Connection::Sqlite(connection) => {
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    take(every_cell(&row)?);
                }
            }
        }
        Ok(())
    }
}
