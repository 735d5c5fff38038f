//! Database URLs as nova.conf and the site file write them (SQLAlchemy's form), with the password kept
//! out of everything that prints.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::tls::{self, Tls};

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
    /// Reads `mysql://`, `mariadb://`, `postgresql://` (each with any `+driver`), `sqlite:PATH` and
    /// `sqlite:///ABSOLUTE`. `${NAME}` is replaced by that environment variable as if its value stood
    /// there; user and password are %-decoded; the last `@` ends the password, as in SQLAlchemy.
    pub fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
        parse_with(text, |name| std::env::var(name).ok())
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

    /// Blanks out the password wherever a driver's or server's message may repeat it.
    pub(crate) fn without_password(&self, message: &str) -> String {
        let password = match &self.target {
            Target::Sqlite(_) => None,
            Target::MySql(server) | Target::Postgres(server) => server.password.as_deref(),
        };
        match password {
            Some(password) if !password.is_empty() => printable(&message.replace(password, "***")),
            Some(_) | None => printable(message),
        }
    }
}

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

fn parse_with(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<DatabaseUrl, UrlError> {
    let text = expand(text.trim(), &variable)?;
    let (scheme, rest) = text.split_once(':').ok_or(UrlError::NoScheme)?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return Err(UrlError::NoScheme);
    }
    let scheme = scheme.to_ascii_lowercase();
    let kind = scheme.split_once('+').map_or(scheme.as_str(), |(kind, _driver)| kind);
    if kind == "sqlite" {
        return Ok(DatabaseUrl { target: Target::Sqlite(sqlite_path(rest)?) });
    }
    let rest = rest.strip_prefix("//").ok_or(UrlError::NoScheme)?;
    let target = match kind {
        "mysql" | "mariadb" => Target::MySql(server(rest, "unix_socket", tls::of_mysql)?),
        "postgresql" | "postgres" => {
            let with_environment =
                |parameters: &_| tls::of_postgres(&tls::with_libpqs(parameters, &variable));
            let server = server(rest, "host", with_environment)?;
            // As libpq does, and the driver; known here, it is kept out of what prints as well.
            let of_environment = || variable("PGPASSWORD").filter(|password| !password.is_empty());
            let password = server.password.clone().or_else(of_environment);
            Target::Postgres(Server { password, ..server })
        }
        _ => return Err(UrlError::UnknownScheme { scheme: kind.to_owned() }),
    };
    Ok(DatabaseUrl { target })
}

/// Replaces each `${NAME}`. What a variable holds is not looked into for further ones.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, UrlError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or(UrlError::BadVariable)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(UrlError::BadVariable);
        }
        let value = variable(name).ok_or_else(|| UrlError::Unset { name: name.to_owned() })?;
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// `PATH`, `//PATH`, `///ABSOLUTE` or, as SQLAlchemy has it, `////ABSOLUTE`.
fn sqlite_path(rest: &str) -> Result<PathBuf, UrlError> {
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = if path.starts_with("//") { path.split_at(1).1 } else { path };
    if path.is_empty() || path == "/" || path.contains(":memory:") {
        return Err(UrlError::NoFile);
    }
    Ok(PathBuf::from(path))
}

/// `[USER[:PASSWORD]@][HOST][:PORT]/DATABASE[?QUERY]`
fn server(
    rest: &str,
    socket_parameter: &str,
    tls: impl Fn(&BTreeMap<String, String>) -> Result<Tls, UrlError>,
) -> Result<Server, UrlError> {
    let (account, place) = match rest.rsplit_once('@') {
        Some((account, _)) if has_query(account) => return Err(UrlError::AtInQuery),
        Some((account, place)) => (Some(account), place),
        None => (None, rest),
    };
    let (user, password) = match account.map(|a| a.split_once(':').map_or((a, None), |(u, p)| (u, Some(p)))) {
        Some((user, password)) => (Some(decode(user)), password.map(decode)),
        None => (None, None),
    };
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let (address, database) = place.split_once('/').ok_or(UrlError::NoDatabase)?;
    let (host, port) = host_and_port(address)?;
    if database.is_empty() {
        return Err(UrlError::NoDatabase);
    }
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameters: BTreeMap<_, _> = pairs.map(|(key, value)| (decode(key), decode(value))).collect();
    let socket = parameters.get(socket_parameter).filter(|p| p.starts_with('/')).map(PathBuf::from);
    Ok(Server {
        host: host.to_owned(),
        port,
        user: user.filter(|u| !u.is_empty()),
        password,
        database: decode(database),
        socket,
        tls: tls(&parameters)?,
    })
}

/// What should be a user and a password goes on to a database and a parameter: `USER:PASSWORD@HOST/DATABASE?KEY=VALUE`,
/// or `HOST/DATABASE?KEY=VALUE`.
fn has_query(account: &str) -> bool {
    let behind = account.split_once('@').map_or(account, |(_, place)| place);
    let query = behind.split_once('/').and_then(|(_, database)| database.split_once('?'));
    query.is_some_and(|(_, query)| query.contains('='))
}

fn host_and_port(address: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((v6, "")) => (v6, None),
        Some((v6, port)) => (v6, Some(port.strip_prefix(':').ok_or(UrlError::BadPort)?)),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    match port {
        None | Some("") => Ok((host, None)),
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => Err(UrlError::BadPort),
            Ok(port) => Ok((host, Some(port))),
        },
    }
}

/// %-decodes; what is no escape stays as it is, since passwords with a bare `%` are common.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Value of an ASCII hex digit.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
        parse_with(text, |name| (name == "PW").then(|| "s3cr3t@x".to_owned()))
    }

    fn account(url: &DatabaseUrl) -> &Server {
        match &url.target {
            Target::MySql(server) | Target::Postgres(server) => server,
            Target::Sqlite(_) => panic!("{url} is a file"),
        }
    }

    #[test]
    fn sqlalchemy_forms_are_read() {
        let url = parse("mysql+pymysql://nova:p%40ss%2Fw%25d@db.example:3307/nova?charset=utf8").unwrap();
        let server = account(&url);
        assert_eq!((server.host.as_str(), server.port), ("db.example", Some(3307)));
        assert_eq!(server.password.as_deref(), Some("p@ss/w%d"));
        assert_eq!(url.to_string(), "mysql://nova@db.example:3307/nova");

        let url = parse("postgresql+psycopg2://nova:x%zz@[2001:db8::1]/nova").unwrap();
        assert_eq!(account(&url).password.as_deref(), Some("x%zz"));
        assert_eq!(url.to_string(), "postgresql://nova@[2001:db8::1]/nova");

        let url = parse("mariadb://nova@localhost/nova?unix_socket=/run/mysqld/mysqld.sock").unwrap();
        assert_eq!(account(&url).socket.as_deref(), Some("/run/mysqld/mysqld.sock".as_ref()));
        assert_eq!(url.to_string(), "mysql://nova@unix(/run/mysqld/mysqld.sock)/nova");
    }

    #[test]
    fn an_at_sign_in_the_query_makes_no_host_of_what_follows() {
        for query in [
            "mysql+pymysql://nova:pw@db/nova?ssl_ca=/etc/a@b/ca.pem",
            "mysql://db/nova?ssl_ca=/etc/a@b/ca.pem",
            "mysql:///nova?unix_socket=/run/a@b/s",
        ] {
            let refused = parse(query);
            assert!(matches!(refused, Err(UrlError::AtInQuery)), "{query}: {refused:?}");
        }
        assert!(parse("mysql://nova:pw@db/nova?ssl_ca=/etc/a%40b/ca.pem").is_ok());
        assert!(parse("mysql://nova:p?=@db/nova").is_ok());
    }

    #[test]
    fn a_bare_at_sign_and_slash_belong_to_the_password() {
        let url = parse("mysql://nova:a@b/c:d@db/nova").unwrap();
        assert_eq!(account(&url).password.as_deref(), Some("a@b/c:d"));
        assert_eq!(url.to_string(), "mysql://nova@db/nova");
    }

    #[test]
    fn sqlite_paths() {
        let expected = [
            ("sqlite:nova.db", "nova.db"),
            ("sqlite:/var/lib/nova.db", "/var/lib/nova.db"),
            ("sqlite://nova.db", "nova.db"),
            ("sqlite:///var/lib/nova.db?mode=ro", "/var/lib/nova.db"),
            ("sqlite:////var/lib/nova.db", "/var/lib/nova.db"),
            ("sqlite+pysqlite:////var/lib/nova.db", "/var/lib/nova.db"),
        ];
        for (text, path) in expected {
            match parse(text).unwrap().target {
                Target::Sqlite(found) => assert_eq!(found, PathBuf::from(path), "{text}"),
                Target::MySql(_) | Target::Postgres(_) => panic!("{text} is a file"),
            }
        }
        for text in ["sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite::memory:"] {
            assert_eq!(parse(text).unwrap_err(), UrlError::NoFile, "{text}");
        }
    }

    #[test]
    fn variables_are_expanded_and_a_missing_one_is_named() {
        let url = parse("mysql://nova:${PW}@db/nova").unwrap();
        assert_eq!(account(&url).password.as_deref(), Some("s3cr3t@x"));
        let error = parse("mysql://nova:${NOVA_PW}@db/nova").unwrap_err();
        assert_eq!(error, UrlError::Unset { name: "NOVA_PW".into() });
        assert!(error.to_string().contains("NOVA_PW is not set"), "{error}");
        assert_eq!(parse("mysql://nova:${PW@db/nova").unwrap_err(), UrlError::BadVariable);
    }

    #[test]
    fn errors_are_told_apart() {
        assert_eq!(parse("nova").unwrap_err(), UrlError::NoScheme);
        assert_eq!(parse("mysql:nova").unwrap_err(), UrlError::NoScheme);
        assert_eq!(parse("oracle://x/y").unwrap_err(), UrlError::UnknownScheme { scheme: "oracle".into() });
        assert_eq!(parse("mysql://nova:pw@db").unwrap_err(), UrlError::NoDatabase);
        assert_eq!(parse("mysql://nova:pw@db/?x=y").unwrap_err(), UrlError::NoDatabase);
        assert_eq!(parse("mysql://nova:pw/nova").unwrap_err(), UrlError::BadPort);
    }

    #[test]
    fn a_password_of_the_environment_is_as_secret_as_one_of_the_url() {
        let variable = |name: &str| (name == "PGPASSWORD").then(|| "hunter2".to_owned());
        let url = parse_with("postgresql://nova@db/nova", variable).unwrap();
        assert_eq!(account(&url).password.as_deref(), Some("hunter2"));
        assert_eq!(url.without_password("no pg_hba line for 'hunter2'"), "no pg_hba line for '***'");
        assert!(!format!("{url} {url:?}").contains("hunter2"));
        let url = parse_with("postgresql://nova:own@db/nova", variable).unwrap();
        assert_eq!(account(&url).password.as_deref(), Some("own"), "the URL has the last word");
        let url = parse_with("mysql://nova@db/nova", variable).unwrap();
        assert_eq!(account(&url).password, None);
    }

    #[test]
    fn what_a_server_says_is_shown_without_password_and_escapes() {
        let url = parse("mysql://nova:hunter2@db/nova").unwrap();
        assert_eq!(url.without_password("no \u{1b}[31m for 'hunter2'"), "no \\u{1b}[31m for '***'");
    }
}
