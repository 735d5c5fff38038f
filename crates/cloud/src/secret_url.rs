//! Database URLs as nova.conf and the site file write them (SQLAlchemy's form), with the password kept
//! out of everything that prints.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::tls::Tls;

/// Where nova's database is and how to log in. Prints without its password.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) target: Target,
}

/// Which driver, and what it needs.
#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    MySql(Server),
    Postgres(Server),
}

/// A database server and an account on it. Has no `Debug`: it holds the password.
#[derive(Clone)]
pub(crate) struct Server {
    /// Empty for the driver's default.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    /// Path of a Unix socket (MySQL: the socket, PostgreSQL: its directory).
    pub(crate) socket: Option<PathBuf>,
    /// How far the connection is to be protected.
    pub(crate) tls: Tls,
}

/// Why a text is not a database URL. No variant repeats the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// There is no `SCHEME:` in front.
    #[error(
        "the database URL names no kind of database; \
         write mysql://USER:PASSWORD@HOST/nova, postgresql://USER:PASSWORD@HOST/nova or sqlite:PATH"
    )]
    NoScheme,
    /// A kind of database that cannot be read.
    #[error("databases of kind `{scheme}` cannot be read; use mysql, mariadb, postgresql or sqlite")]
    UnknownScheme {
        /// The kind that the URL names.
        scheme: String,
    },
    /// An `@` behind what looks like the query: the host could be either.
    #[error(
        "the database URL has an @ behind its `?`; write it as %40 there, and as %40 in the password, \
         so that the host is the one that is meant"
    )]
    AtInQuery,
    /// What follows the host's colon is no port number.
    #[error(
        "the database URL's port is not a number from 1 to 65535; \
         where an @, : or / is part of the password, write it as %40, %3A or %2F"
    )]
    BadPort,
    /// No database after the host.
    #[error("the database URL names no database on the server; end it with /nova")]
    NoDatabase,
    /// A parameter that tells how the connection is to be protected, and does not.
    #[error(
        "the database URL's {parameter} must be {wanted}: without that the connection would not be protected as meant"
    )]
    Tls {
        /// The parameter's name.
        parameter: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// SQLite without a file.
    #[error(
        "the sqlite URL names no file; write sqlite:PATH (a database in memory cannot be read from outside)"
    )]
    NoFile,
    /// `${NAME}` of a variable that is not set.
    #[error("the database URL uses ${{{name}}}, and the environment variable {name} is not set; export it")]
    Unset {
        /// The variable.
        name: String,
    },
    /// `${` that is not followed by a name and `}`.
    #[error(
        "the database URL has a `${{` that no variable's name and `}}` follow; \
         write ${{NAME}}, or %24 for a `$`"
    )]
    BadVariable,
}

impl DatabaseUrl {
    /// Reads `mysql://`, `mariadb://`, `postgresql://` (each with any `+driver`), `sqlite:PATH` and SQLAlchemy's
    /// `sqlite:///RELATIVE` and `sqlite:////ABSOLUTE`. `${NAME}` is replaced by that environment variable as if its
    /// value stood there; user and password are %-decoded; the last `@` ends the password, as in SQLAlchemy, and what
    /// the query says of server and account has the last word.
    pub fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
        parse::parse_with(text, |name| std::env::var(name).ok())
    }

    /// A SQLite file.
    pub fn sqlite(path: PathBuf) -> DatabaseUrl {
        DatabaseUrl { target: Target::Sqlite(path) }
    }

    /// The file, of a SQLite database.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::Sqlite(path) => Some(path),
            Target::MySql(_) | Target::Postgres(_) => None,
        }
    }

    /// Blanks out the password wherever a driver's or server's message may repeat it. Within what this URL shows of
    /// itself and what servers say to everybody it stays, since there it is not the password: a user's name has to be
    /// readable, and a word that is missing in a sentence that everybody knows would tell what it is.
    pub(crate) fn without_password(&self, message: &str) -> String {
        let (Target::MySql(server) | Target::Postgres(server)) = &self.target else {
            return printable(message);
        };
        let Some(password) = server.password.as_deref() else { return printable(message) };
        let shown = [Some(server.host.as_str()), server.user.as_deref(), Some(server.database.as_str())];
        let shown = shown.into_iter().flatten().chain(SAID_TO_EVERYBODY);
        let places = shown.flat_map(|word| message.match_indices(word));
        let places: Vec<_> = places.map(|(at, word)| at..at + word.len()).collect();
        let (mut text, mut rest) = (String::with_capacity(message.len()), 0);
        for (at, _) in message.match_indices(password) {
            let end = at + password.len();
            if places.iter().any(|place| place.start <= at && end <= place.end) {
                continue;
            }
            text.push_str(message.get(rest..at).unwrap_or_default());
            text.push_str("***");
            rest = end;
        }
        text.push_str(message.get(rest..).unwrap_or_default());
        printable(&text)
    }
}

/// What MySQL (`ER_ACCESS_DENIED_ERROR`) and PostgreSQL (`src/backend/libpq/auth.c auth_failed`) say to whoever does
/// not get in.
const SAID_TO_EVERYBODY: [&str; 3] =
    ["Access denied for user '", "(using password: YES)", "password authentication failed for user \""];

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, server) = match &self.target {
            Target::Sqlite(path) => return write!(f, "sqlite:{}", printable(&path.to_string_lossy())),
            Target::MySql(server) => ("mysql", server),
            Target::Postgres(server) => ("postgresql", server),
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = &server.user {
            write!(f, "{}@", printable(user))?;
        }
        match &server.socket {
            Some(socket) => write!(f, "unix({})", printable(&socket.to_string_lossy()))?,
            None if server.host.contains(':') => write!(f, "[{}]", printable(&server.host))?,
            None => f.write_str(&printable(&server.host))?,
        }
        if let Some(port) = server.port {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", printable(&server.database))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Text from outside with its control and invisible characters written out.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' => out.push(c),
            other => out.extend(other.escape_debug()),
        }
    }
    out
}
