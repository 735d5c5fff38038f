//! One read-only session with nova's database, and the rows it gives.

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, ColumnIndex, ConnectOptions, Connection, Decode, MySqlConnection, PgConnection, Row,
    SqliteConnection, Type,
};

use crate::database_error::{DatabaseError, classify};
use crate::records::{self, Records};
use crate::secret_url::{DatabaseUrl, Server, Target};

/// A connection of one of the three drivers, inside a read-only transaction.
pub(crate) enum Session {
    MySql(MySqlConnection),
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// One value of a row, as text whatever its type in the database; `None` for NULL.
pub(crate) type Cell = Option<String>;

/// Reads nova's records of living instances, waiting no longer than `timeout` for all of it.
///
/// Blocks, on a runtime of its own: not to be called from inside another. Writes nothing: the session
/// is read-only by the server's own rule, and a SQLite file is opened read-only and never made.
pub fn read(url: &DatabaseUrl, timeout: Duration) -> Result<Records, DatabaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        DatabaseError::Failed { database: url.to_string(), why: format!("no runtime: {error}") }
    })?;
    let outcome = runtime.block_on(async { tokio::time::timeout(timeout, read_all(url, timeout)).await });
    // A host name being looked up holds a thread of the runtime, which must not hold us.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|_| Err(DatabaseError::Timeout { database: url.to_string(), after: timeout }))
}

async fn read_all(url: &DatabaseUrl, timeout: Duration) -> Result<Records, DatabaseError> {
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
    let mut session = Session::open(&url.target, timeout).await.map_err(|e| classify(url, &e))?;
    let records = records::read(&mut session, url).await;
    // What was read stands, whether or not the server hears our goodbye.
    let _ = session.close().await;
    records
}

impl Session {
    async fn open(target: &Target, timeout: Duration) -> Result<Session, sqlx::Error> {
        let mut session = match target {
            Target::MySql(server) => Session::MySql(mysql_options(server).connect().await?),
            Target::Postgres(server) => Session::Postgres(postgres_options(server).connect().await?),
            Target::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).busy_timeout(timeout);
                Session::Sqlite(options.read_only(true).create_if_missing(false).connect().await?)
            }
        };
        session.begin().await?;
        Ok(session)
    }

    /// One snapshot for all statements, so that rows read later fit those read before.
    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Session::MySql(connection) => {
                let sql = "SET SESSION TRANSACTION READ ONLY; \
                           START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
                sqlx::raw_sql(sql).execute(connection).await.map(drop)
            }
            Session::Postgres(connection) => {
                let sql = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; \
                           BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                sqlx::raw_sql(sql).execute(connection).await.map(drop)
            }
            Session::Sqlite(connection) => sqlx::raw_sql("BEGIN").execute(connection).await.map(drop),
        }
    }

    /// Runs a SELECT of `N` columns, each cast to text. `sql` must be made of this crate's own words:
    /// nothing from outside ever needs to enter a statement here, so none has a parameter.
    pub(crate) async fn rows<const N: usize>(&mut self, sql: String) -> Result<Vec<[Cell; N]>, sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Session::MySql(connection) => query.fetch_all(connection).await?.iter().map(cells).collect(),
            Session::Postgres(connection) => query.fetch_all(connection).await?.iter().map(cells).collect(),
            Session::Sqlite(connection) => query.fetch_all(connection).await?.iter().map(cells).collect(),
        }
    }

    async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Session::MySql(connection) => connection.close().await,
            Session::Postgres(connection) => connection.close().await,
            Session::Sqlite(connection) => connection.close().await,
        }
    }
}

fn cells<R: Row, const N: usize>(row: &R) -> Result<[Cell; N], sqlx::Error>
where
    usize: ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut cells = [const { None }; N];
    for (column, cell) in cells.iter_mut().enumerate() {
        *cell = row.try_get(column)?;
    }
    Ok(cells)
}

/// SQLAlchemy's MySQL drivers name their TLS files `ssl_ca`, `ssl_cert` and `ssl_key`.
fn mysql_options(server: &Server) -> MySqlConnectOptions {
    let host = if server.host.is_empty() { "localhost" } else { &server.host };
    let mut options = MySqlConnectOptions::new().host(host).database(&server.database);
    options = options.pipes_as_concat(false).no_engine_substitution(false).timezone(None);
    if let Some(port) = server.port {
        options = options.port(port);
    }
    if let Some(socket) = &server.socket {
        options = options.socket(socket);
    }
    if let Some(user) = &server.user {
        options = options.username(user);
    }
    if let Some(password) = &server.password {
        options = options.password(password);
    }
    if let Some(ca) = server.parameters.get("ssl_ca") {
        options = options.ssl_ca(ca).ssl_mode(MySqlSslMode::VerifyCa);
    }
    if let (Some(cert), Some(key)) = (server.parameters.get("ssl_cert"), server.parameters.get("ssl_key")) {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    options
}

/// libpq's parameters, which psycopg2 hands on as they are.
fn postgres_options(server: &Server) -> PgConnectOptions {
    let mut options = PgConnectOptions::new_without_pgpass().database(&server.database);
    options = options.application_name("hopline");
    if !server.host.is_empty() {
        options = options.host(&server.host);
    }
    if let Some(port) = server.port {
        options = options.port(port);
    }
    if let Some(socket) = &server.socket {
        options = options.socket(socket);
    }
    if let Some(user) = &server.user {
        options = options.username(user);
    }
    if let Some(password) = &server.password {
        options = options.password(password);
    }
    if let Some(mode) = server.parameters.get("sslmode").and_then(|mode| mode.parse::<PgSslMode>().ok()) {
        options = options.ssl_mode(mode);
    }
    if let Some(ca) = server.parameters.get("sslrootcert") {
        options = options.ssl_root_cert(ca);
    }
    if let (Some(cert), Some(key)) = (server.parameters.get("sslcert"), server.parameters.get("sslkey")) {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    options
}
