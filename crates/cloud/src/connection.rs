//! Connections to nova's database, of one of the three drivers.

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, MySqlConnection, PgConnection, SqliteConnection};

use crate::secret_url::{DatabaseUrl, Server, Target};
use crate::tls::Demand;
use crate::tls_error;

/// A connection of one of the three drivers.
#[derive(Debug)]
pub enum Connection {
    /// MySQL or MariaDB.
    MySql(MySqlConnection),
    /// PostgreSQL.
    Postgres(PgConnection),
    /// A file.
    Sqlite(SqliteConnection),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read: a SQLite file is opened read-only, a server's session must be told.
    Read,
    /// To write. A SQLite file must be there already, and nothing waits for the disk: what is written so is
    /// the lab's, which a machine that loses power loses anyway.
    Write,
    /// To change a cloud that somebody lives on: as [`Access::Write`], and what is committed is on the disk.
    Change,
}

impl DatabaseUrl {
    /// Connects. A SQLite file that another process writes to is waited for as long as `timeout`, and none is ever
    /// made.
    pub async fn connect(&self, access: Access, timeout: Duration) -> Result<Connection, sqlx::Error> {
        Ok(match &self.target {
            Target::MySql(server) => {
                let connect = async |demand| mysql_options(server, demand).connect().await;
                Connection::MySql(protected(server.tls.demand, connect).await?)
            }
            Target::Postgres(server) => {
                let connect = async |demand| postgres_options(server, demand).connect().await;
                Connection::Postgres(protected(server.tls.demand, connect).await?)
            }
            Target::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).busy_timeout(timeout);
                let options = match access {
                    Access::Read => options.read_only(true),
                    Access::Write => options.synchronous(SqliteSynchronous::Off),
                    Access::Change => options.synchronous(SqliteSynchronous::Full),
                };
                let options = options.create_if_missing(false).disable_statement_logging();
                Connection::Sqlite(options.connect().await?)
            }
        })
    }
}

impl Connection {
    /// Says goodbye.
    pub async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Connection::MySql(connection) => connection.close().await,
            Connection::Postgres(connection) => connection.close().await,
            Connection::Sqlite(connection) => connection.close().await,
        }
    }
}

/// Connects as far protected as is demanded. Where TLS is welcome and no more, a server whose TLS is too old for us is
/// met without it, as nova's own drivers do.
async fn protected<C>(
    demand: Demand,
    connect: impl AsyncFn(Demand) -> Result<C, sqlx::Error>,
) -> Result<C, sqlx::Error> {
    match connect(demand).await {
        Err(error) if demand == Demand::IfOffered && tls_error::problem(&error).is_some() => {
            connect(Demand::Never).await
        }
        other => other,
    }
}

fn mysql_options(server: &Server, demand: Demand) -> MySqlConnectOptions {
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
    if let Some(ca) = &server.tls.ca {
        options = options.ssl_ca(ca);
    }
    if let Some((cert, key)) = &server.tls.own {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    options.ssl_mode(match demand {
        Demand::Never => MySqlSslMode::Disabled,
        Demand::IfOffered => MySqlSslMode::Preferred,
        Demand::Always => MySqlSslMode::Required,
        Demand::KnownCa => MySqlSslMode::VerifyCa,
        Demand::KnownName => MySqlSslMode::VerifyIdentity,
    })
}

/// By a Unix socket nobody listens in: libpq does not look at `sslmode` there (libpq manual, `sslmode`).
fn is_by_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

/// The same of a server that is not yet connected to: the environment may name its socket.
pub(crate) fn is_postgres_by_socket(server: &Server) -> bool {
    is_by_socket(&postgres_options(server, Demand::Never))
}

fn postgres_options(server: &Server, demand: Demand) -> PgConnectOptions {
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
    if let Some(ca) = &server.tls.ca {
        options = options.ssl_root_cert(ca);
    }
    if let Some((cert, key)) = &server.tls.own {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    let demand = if is_by_socket(&options) { Demand::Never } else { demand };
    options.ssl_mode(match demand {
        Demand::Never => PgSslMode::Disable,
        Demand::IfOffered => PgSslMode::Prefer,
        Demand::Always => PgSslMode::Require,
        Demand::KnownCa => PgSslMode::VerifyCa,
        Demand::KnownName => PgSslMode::VerifyFull,
    })
}
