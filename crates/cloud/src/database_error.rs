//! Why the database could not be read, each as one sentence that says what to do, none with a password.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::mysql::MySqlDatabaseError;
use thiserror::Error;

use crate::secret_url::{DatabaseUrl, Target};
use crate::tls_error::{self, TlsProblem};

/// Why nova's database could not be read. `database` is the URL without its password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DatabaseError {
    /// The SQLite file cannot be opened.
    #[error("cannot open {database}: {why}; name an existing file that you may read in [cloud] database")]
    File {
        /// The URL.
        database: String,
        /// The system's reason.
        why: String,
    },
    /// No connection came about.
    #[error(
        "cannot reach the database {database}: {why}; \
         check that its server runs, and host and port in [cloud] database"
    )]
    Unreachable {
        /// The URL.
        database: String,
        /// The system's reason.
        why: String,
    },
    /// The connection is not protected as far as it must be.
    #[error("no TLS connection to the database {database} that can be used ({why}): {problem}")]
    Tls {
        /// The URL.
        database: String,
        /// What is in the way.
        problem: TlsProblem,
        /// The driver's or the server's words.
        why: String,
    },
    /// A file that the URL names for TLS is of no use.
    #[error(
        "cannot use {path}, which the URL of the database {database} names for TLS: {why}; \
         name a PEM file that you may read in [cloud] database"
    )]
    TlsFile {
        /// The URL.
        database: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The connection was there, and went.
    #[error(
        "the database {database} broke the connection off: {why}; nothing was changed. \
         Its server's log tells why; try again when it runs"
    )]
    Lost {
        /// The URL.
        database: String,
        /// The system's or the server's reason.
        why: String,
    },
    /// The server refuses user or password.
    #[error("the database {database} refuses this user and password: {why}; check both in [cloud] database")]
    Login {
        /// The URL.
        database: String,
        /// The server's reason.
        why: String,
    },
    /// The server wants a way of logging in that sqlx does not speak (MariaDB's ed25519, for one).
    #[error(
        "the database {database} asks for a way of logging in that hopline does not speak ({why}); \
         give it a user with mysql_native_password, or a copy of the tables as sqlite:PATH"
    )]
    LoginMethod {
        /// The URL.
        database: String,
        /// The driver's words.
        why: String,
    },
    /// The server has no database of this name.
    #[error(
        "there is no such database as {database}; name the one that holds nova's tables in [cloud] database"
    )]
    Unknown {
        /// The URL.
        database: String,
    },
    /// Tables are missing.
    #[error(
        "{database} is not a nova database: it has no table {} (or none that this user may see); \
         name the one that holds nova's own tables (with cells, the cell's) in [cloud] database",
        .missing.join(", ")
    )]
    NotNova {
        /// The URL.
        database: String,
        /// The tables that are not there.
        missing: Vec<String>,
    },
    /// A table is not as in any series of nova.
    #[error(
        "{database} is not a nova database that can be read: {why}; \
         name the one that holds nova's own tables in [cloud] database, or grant this user SELECT on all of them"
    )]
    Misshapen {
        /// The URL.
        database: String,
        /// What is lacking.
        why: String,
    },
    /// The user may not read, or not change.
    #[error(
        "the database {database} does not let this user do that: {why}; \
         grant it SELECT on nova's tables, and where rows are to be changed UPDATE on these and on fixed_ips, \
         floating_ips and instances, which are locked meanwhile"
    )]
    Denied {
        /// The URL.
        database: String,
        /// The server's reason.
        why: String,
    },
    /// Nothing can be written there.
    #[error(
        "the database {database} cannot be written: {why}; nothing was changed. \
         Where it is a replica, name the server that nova writes to in [cloud] database"
    )]
    ReadOnly {
        /// The URL.
        database: String,
        /// The server's reason.
        why: String,
    },
    /// Somebody else holds the row, or what must not change meanwhile.
    #[error(
        "another session of {database} holds what is to be locked: {why}; nothing was changed, try again"
    )]
    Held {
        /// The URL.
        database: String,
        /// The server's reason.
        why: String,
    },
    /// It took too long.
    #[error(
        "the database {database} did not answer within {} s; \
         check that nothing between drops the packets, or raise --timeout",
        .after.as_secs_f32()
    )]
    Timeout {
        /// The URL.
        database: String,
        /// How long was waited.
        after: Duration,
    },
    /// Anything else, in the server's or driver's words.
    #[error(
        "reading the database {database} failed: {why}; try the same user with the database's own client"
    )]
    Failed {
        /// The URL.
        database: String,
        /// The server's or driver's reason.
        why: String,
    },
}

/// The driver's error, told apart by the server's own numbers: MySQL error numbers, SQLSTATE for
/// PostgreSQL, SQLite result codes.
pub fn classify(url: &DatabaseUrl, error: &sqlx::Error) -> DatabaseError {
    let database = url.to_string();
    let why = url.without_password(&reason(error));
    if let Some(problem) = tls_error::problem(error) {
        return DatabaseError::Tls { database, problem, why };
    }
    match error {
        sqlx::Error::Io(error) if is_loss(error.kind()) => DatabaseError::Lost { database, why },
        sqlx::Error::Io(_) => DatabaseError::Unreachable { database, why },
        sqlx::Error::Protocol(text) if text.contains("authentication") => {
            DatabaseError::LoginMethod { database, why }
        }
        // MySQL 8's caching_sha2_password without TLS needs RSA, which sqlx is built without.
        sqlx::Error::Configuration(text) if text.to_string().contains("RSA") => {
            DatabaseError::LoginMethod { database, why: "caching_sha2_password without TLS".to_owned() }
        }
        sqlx::Error::Database(from_server) => {
            let refusal = match &url.target {
                Target::MySql(_) => mysql(from_server.as_ref()),
                Target::Postgres(_) => postgres(from_server.as_ref()),
                Target::Sqlite(_) => sqlite(from_server.as_ref()),
            };
            match refusal {
                Refusal::Tls(problem) => DatabaseError::Tls { database, problem, why },
                Refusal::Lost => DatabaseError::Lost { database, why },
                Refusal::File => DatabaseError::File { database, why },
                Refusal::Login => {
                    DatabaseError::Login { database, why: format!("{why}{}", hidden_demand(url)) }
                }
                Refusal::Unknown => DatabaseError::Unknown { database },
                Refusal::Denied => DatabaseError::Denied { database, why },
                Refusal::ReadOnly => DatabaseError::ReadOnly { database, why },
                Refusal::Held => DatabaseError::Held { database, why },
                Refusal::Other => DatabaseError::Failed { database, why },
            }
        }
        _ => DatabaseError::Failed { database, why },
    }
}

/// The connection was there, and went: the server ended, or whoever stands between.
fn is_loss(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn hidden_demand(url: &DatabaseUrl) -> &'static str {
    match &url.target {
        Target::MySql(server) => tls_error::hidden_demand(server.tls.demand),
        Target::Postgres(_) | Target::Sqlite(_) => "",
    }
}

/// What a server's error number stands for.
enum Refusal {
    File,
    Tls(TlsProblem),
    Lost,
    Login,
    Unknown,
    Denied,
    ReadOnly,
    Held,
    Other,
}

/// MariaDB `mysqld_error.h`: `ER_DBACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_ERROR`, `ER_BAD_DB_ERROR`,
/// `ER_HOST_NOT_PRIVILEGED`, `ER_TABLEACCESS_DENIED_ERROR`, `ER_COLUMNACCESS_DENIED_ERROR`,
/// `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`; `ER_OPTION_PREVENTS_STATEMENT`, `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`,
/// `ER_READ_ONLY_MODE`; `ER_LOCK_WAIT_TIMEOUT`, `ER_LOCK_DEADLOCK`, and `ER_CHECKREAD`, with which MariaDB refuses a
/// row that was changed after the transaction's snapshot (`innodb_snapshot_isolation`); `ER_SERVER_SHUTDOWN`,
/// `ER_CONNECTION_KILLED`; and `ER_SECURE_TRANSPORT_REQUIRED`.
fn mysql(error: &dyn sqlx::error::DatabaseError) -> Refusal {
    match error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
        Some(1045 | 1130 | 1698) => Refusal::Login,
        Some(1049) => Refusal::Unknown,
        Some(1044 | 1142 | 1143) => Refusal::Denied,
        Some(1290 | 1792 | 1836) => Refusal::ReadOnly,
        Some(1020 | 1205 | 1213) => Refusal::Held,
        Some(1053 | 1927) => Refusal::Lost,
        Some(3159) => Refusal::Tls(TlsProblem::Demanded),
        Some(_) | None => Refusal::Other,
    }
}

/// PostgreSQL manual, appendix A: class 28 invalid authorization, 3D000 invalid catalog name, 42501
/// insufficient privilege, 25006 read only SQL transaction, 55P03 lock not available, class 40 rolled back, 57P01 to
/// 57P03 the server ends, crashed or is not up yet.
fn postgres(error: &dyn sqlx::error::DatabaseError) -> Refusal {
    match error.code().as_deref() {
        Some("28P01" | "28000") => {
            tls_error::of_postgres(error.message()).map_or(Refusal::Login, Refusal::Tls)
        }
        Some("57P01" | "57P02" | "57P03") => Refusal::Lost,
        Some("3D000") => Refusal::Unknown,
        Some("42501") => Refusal::Denied,
        Some("25006") => Refusal::ReadOnly,
        Some("55P03" | "40001" | "40P01") => Refusal::Held,
        Some(_) | None => Refusal::Other,
    }
}

/// sqlite.org/rescode.html: `SQLITE_CANTOPEN` 14 and its extensions, `SQLITE_NOTADB` 26, `SQLITE_BUSY` 5,
/// `SQLITE_READONLY` 8.
fn sqlite(error: &dyn sqlx::error::DatabaseError) -> Refusal {
    let code = error.code().and_then(|c| c.parse::<i32>().ok());
    match code.map(|c| c & 0xff) {
        Some(14 | 26) => Refusal::File,
        Some(5) => Refusal::Held,
        Some(8) => Refusal::ReadOnly,
        Some(_) | None => Refusal::Other,
    }
}

/// The words worth showing: a server's own message without the driver's preamble.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(from_server) => from_server.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
