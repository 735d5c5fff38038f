//! Which database it is, however its URL is spelt and whoever logs in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cells::Cell;
use crate::connection::Connection;
use crate::database::Session;
use crate::secret_url::{DatabaseUrl, printable};

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Identity {
    /// The path of SQLite's file, without links.
    File(String),
    /// Of PostgreSQL: a number that its data were given when they were made, and that a standby has, too
    /// (`pg_control_system()`, since 9.6). What has another number is another database.
    Data {
        /// `system_identifier`
        system: String,
        /// By the server's own name for it, which is not a pooler's.
        database: String,
        /// In which nova's tables are found.
        schema: String,
    },
    /// Of MySQL: the machine that the server is on and its port, the folder of its data, and when its table
    /// `instances` was made. Any of it may become another, and it is the same database.
    Machine {
        /// `hostname:port datadir`
        server: String,
        /// Its own name.
        database: String,
        /// Seconds since 1970.
        made_s: String,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Identity::File(path) => format!("the file {path}"),
            Identity::Data { system, database, schema } => {
                format!("system identifier {system}, database {database}, schema {schema}")
            }
            Identity::Machine { server, database, made_s: _ } => {
                format!("server {server}, database {database}")
            }
        };
        f.write_str(&printable(&text))
    }
}

/// The database of a session.
pub(super) async fn named(session: &mut Session, url: &DatabaseUrl) -> Result<Named, sqlx::Error> {
    Ok(Named { url: url.to_string(), identity: of(session, url).await? })
}

/// Asks the database; `None` where it does not tell. To be done before a transaction that changes something: in some,
/// what is read first fixes what is read later.
async fn of(session: &mut Session, url: &DatabaseUrl) -> Result<Option<Identity>, sqlx::Error> {
    match &session.0 {
        Connection::Sqlite(_) => {
            let path = url.file().and_then(|path| path.canonicalize().ok());
            Ok(path.map(|path| Identity::File(path.to_string_lossy().into_owned())))
        }
        Connection::Postgres(_) => of_postgres(session).await,
        Connection::MySql(_) => of_mysql(session).await,
    }
}

/// Servers before 9.6 have no such function, and a statement that names it would end the transaction; an administrator
/// may have taken it from everybody.
async fn of_postgres(session: &mut Session) -> Result<Option<Identity>, sqlx::Error> {
    let sql = "SELECT CAST(COUNT(*) AS TEXT) FROM pg_catalog.pg_proc WHERE proname = 'pg_control_system' \
               AND pg_catalog.pg_function_is_visible(oid) AND pg_catalog.has_function_privilege(oid, 'EXECUTE')";
    let [[told]] = session.rows::<1>(sql.to_owned()).await?.try_into().unwrap_or_default();
    if told.as_deref() != Some("1") {
        return Ok(None);
    }
    let sql = "SELECT CAST(system_identifier AS TEXT), CAST(pg_catalog.current_database() AS TEXT), \
               (SELECT CAST(n.nspname AS TEXT) FROM pg_catalog.pg_class c \
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                WHERE c.relname = 'instances' AND pg_catalog.pg_table_is_visible(c.oid)) \
               FROM pg_catalog.pg_control_system()";
    let found: Vec<[Cell; 3]> = session.rows(sql.to_owned()).await?;
    Ok(found.into_iter().find_map(|[system, database, schema]| {
        Some(Identity::Data { system: system?, database: database?, schema: schema? })
    }))
}

async fn of_mysql(session: &mut Session) -> Result<Option<Identity>, sqlx::Error> {
    let sql = "SELECT CAST(CONCAT(@@hostname, ':', @@port, ' ', @@datadir) AS CHAR), CAST(DATABASE() AS CHAR), \
               CAST(UNIX_TIMESTAMP(CREATE_TIME) AS CHAR) FROM information_schema.TABLES \
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'instances'";
    let found: Vec<[Cell; 3]> = session.rows(sql.to_owned()).await?;
    Ok(found.into_iter().find_map(|[server, database, made_s]| {
        Some(Identity::Machine { server: server?, database: database?, made_s: made_s? })
    }))
}

/// A database as a URL names it, without password, and as it names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) url: String,
    pub(super) identity: Option<Identity>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{} ({identity})", self.url),
            None => f.write_str(&self.url),
        }
    }
}

/// Whether both are one. What a database says of itself decides, and where that is not known, or may have become
/// another, the URL does: of it the server and the database, and not the user.
pub(super) fn is_same(a: &Named, b: &Named) -> bool {
    match (&a.identity, &b.identity) {
        (Some(a), Some(b)) if a == b => true,
        (Some(Identity::File(_) | Identity::Data { .. }), Some(_)) => false,
        (Some(_) | None, Some(_) | None) => place(&a.url) == place(&b.url),
    }
}

/// Whether both may be one, as far as it is known before a database was asked what it is.
pub(super) fn may_be_same(named: &Named, url: &DatabaseUrl) -> bool {
    let url = url.to_string();
    let kind = |url: &str| url.split_once(':').map(|(scheme, _)| scheme.to_owned());
    kind(&named.url) == kind(&url) && (named.identity.is_some() || place(&named.url) == place(&url))
}

/// A URL, as [`DatabaseUrl`] shows it, without its user, and without the port that is meant where none is said. A
/// user's name that could be something else stays: then the URLs are taken for different ones.
fn place(url: &str) -> String {
    let (scheme, port, rest) = match url.split_once("://") {
        Some(("mysql", rest)) => ("mysql", ":3306", rest),
        Some(("postgresql", rest)) => ("postgresql", ":5432", rest),
        Some(_) | None => return url.to_owned(),
    };
    let place = match rest.split_once('@') {
        Some((user, place)) if !user.contains(['/', '(', '@']) => place,
        Some(_) | None => rest,
    };
    let Some((host, database)) = place.rsplit_once('/') else { return url.to_owned() };
    // The name of a host has no capitals of its own; the path of a socket has.
    let host = if host.starts_with("unix(") { host.to_owned() } else { host.to_ascii_lowercase() };
    format!("{scheme}://{}/{database}", host.strip_suffix(port).unwrap_or(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(system: &str) -> Identity {
        let [system, database, schema] = [system, "nova", "public"].map(str::to_owned);
        Identity::Data { system, database, schema }
    }

    fn machine(made_s: &str) -> Identity {
        let [server, database, made_s] = ["db1:3306 /var/lib/mysql/", "nova", made_s].map(str::to_owned);
        Identity::Machine { server, database, made_s }
    }

    fn file(path: &str) -> Identity {
        Identity::File(path.to_owned())
    }

    fn same(a: (&str, Option<Identity>), b: (&str, Option<Identity>)) -> bool {
        let [a, b] = [a, b].map(|(url, identity)| Named { url: url.to_owned(), identity });
        assert_eq!(is_same(&a, &b), is_same(&b, &a), "{a} {b}");
        is_same(&a, &b)
    }

    #[test]
    fn a_user_is_no_part_of_a_database() {
        for (a, b) in [
            ("mysql://nova@db/nova", "mysql://root@db/nova"),
            ("mysql://db/nova", "mysql://root@DB:3306/nova"),
            ("postgresql://nova@[2001:db8::1]:5432/nova", "postgresql://[2001:db8::1]/nova"),
            ("mysql://nova@unix(/run/s)/nova", "mysql://unix(/run/s)/nova"),
            ("sqlite:/srv/nova.db", "sqlite:/srv/nova.db"),
        ] {
            assert!(same((a, None), (b, None)), "{a} {b}");
        }
    }

    #[test]
    fn another_server_or_database_is_another() {
        for (a, b) in [
            ("mysql://nova@db/nova", "mysql://nova@db2/nova"),
            ("mysql://nova@db/nova", "mysql://nova@db/nova2"),
            ("mysql://nova@db/nova", "mysql://nova@db:3307/nova"),
            ("mysql://nova@db/nova", "mysql://nova@db:5432/nova"),
            ("mysql://nova@db/nova", "postgresql://nova@db/nova"),
            ("mysql://unix(/a@b)/nova", "mysql://unix(/c@b)/nova"),
            ("mysql://unix(/run/S)/nova", "mysql://unix(/run/s)/nova"),
            ("mysql://a@b@db/nova", "mysql://b@db/nova"),
            ("sqlite:/srv/a/nova.db", "sqlite:/srv/b/nova.db"),
        ] {
            assert!(!same((a, None), (b, None)), "{a} {b}");
        }
    }

    #[test]
    fn what_a_database_says_of_itself_decides() {
        let (db, other) = ("postgresql://nova@db/nova", "postgresql://nova@10.0.0.5/nova");
        assert!(same((db, Some(data("1"))), (other, Some(data("1")))));
        assert!(!same((db, Some(data("1"))), (db, Some(data("2")))), "another server by the same address");
        assert!(same((db, Some(data("1"))), (db, None)), "a server that does not tell any more");
        assert!(!same((db, Some(data("1"))), (other, None)));
        assert!(same(
            ("sqlite:nova.db", Some(file("/a/nova.db"))),
            ("sqlite:/a/nova.db", Some(file("/a/nova.db")))
        ));
        assert!(!same(
            ("sqlite:nova.db", Some(file("/a/nova.db"))),
            ("sqlite:nova.db", Some(file("/b/nova.db")))
        ));
        let (db, other) = ("mysql://nova@db/nova", "mysql://nova@10.0.0.5/nova");
        assert!(same((db, Some(machine("1"))), (other, Some(machine("1")))));
        assert!(same((db, Some(machine("1"))), (db, Some(machine("2")))), "a table that was altered");
        assert!(!same((db, Some(machine("1"))), (other, Some(machine("2")))));
    }
}
