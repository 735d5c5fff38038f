//! A site whose cloud is in a database, which any of the three kinds of server keeps: Queens' tables with web1, which
//! lives, and web2, which is deleted and whose floating IP hangs on.

use std::path::{Path, PathBuf};

use cloud::{Access, Connection, DatabaseUrl};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use crate::planted::PATIENCE;
use crate::series::{self, MYSQL, POSTGRESQL, SQLITE};
use crate::servers::{self, Server};

/// web2's floating IP, row 2 of `floating_ips`.
pub(crate) const ADDRESS: &str = "203.0.113.20";
/// How the row is told apart from what it was before.
const STATE: &str = "SELECT CAST(CASE WHEN fixed_ip_id = 3 AND host = 'compute1' AND updated_at IS NULL THEN 'old' \
                     WHEN fixed_ip_id IS NULL AND host IS NULL AND project_id = 'p1' THEN 'new' ELSE 'other' END \
                     AS CHAR(5)) FROM floating_ips WHERE id = 2";

/// A site, and the server behind it.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    /// As whoever owns the tables.
    pub(crate) url: DatabaseUrl,
    /// `SCHEME://USER:PASSWORD@127.0.0.1:PORT/NAME`
    pub(crate) text: String,
    pub(crate) server: Option<Server>,
}

impl Site {
    pub(crate) fn sqlite() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nova.sqlite");
        std::fs::File::create_new(&path).unwrap();
        Site::of(folder, format!("sqlite:{}", path.display()), None, &series::cloud("queens", &SQLITE))
    }

    pub(crate) fn mariadb(arguments: &[&str]) -> Site {
        Site::mariadb_with(|_| arguments.iter().map(|text| (*text).to_owned()).collect())
    }

    /// With arguments that follow from what is written into the server's folder.
    pub(crate) fn mariadb_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Site {
        let server = servers::mariadb_with(prepare);
        let first = DatabaseUrl::parse(&server.url(server.first)).unwrap();
        run(&first, "CREATE DATABASE nova CHARACTER SET utf8");
        let text = server.url("nova");
        Site::of(tempfile::tempdir().unwrap(), text, Some(server), &series::cloud("queens", &MYSQL))
    }

    pub(crate) fn postgresql() -> Site {
        Site::postgresql_with(|_| Vec::new())
    }

    /// As [`Site::mariadb_with`].
    pub(crate) fn postgresql_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Site {
        let server = servers::postgresql_with(prepare);
        run(&DatabaseUrl::parse(&server.url(server.first)).unwrap(), "CREATE DATABASE nova");
        let text = server.url("nova");
        Site::of(tempfile::tempdir().unwrap(), text, Some(server), &series::cloud("queens", &POSTGRESQL))
    }

    fn of(folder: TempDir, text: String, server: Option<Server>, sql: &str) -> Site {
        let url = DatabaseUrl::parse(&text).unwrap();
        run(&url, sql);
        let site = Site { folder, url, text, server };
        site.names(&site.text);
        site
    }

    /// Writes the site file, whose only host is in a bundle, so that none is looked at.
    pub(crate) fn names(&self, database: &str) {
        let text = format!(
            "[[host]]\nname = \"compute1\"\nat = \"bundle:none.tar.zst\"\n\n\
             [cloud]\nkind = \"nova-network\"\ndatabase = \"{database}\"\n"
        );
        std::fs::write(self.path().join("site.toml"), text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `old` or `new`, once whoever holds the row has let it go.
    pub(crate) fn state(&self) -> String {
        let lock = if self.server.is_some() { " FOR UPDATE" } else { "" };
        value(&self.url, &format!("{STATE}{lock}"))
    }

    /// Undo records, by name.
    pub(crate) fn records(&self) -> Vec<PathBuf> {
        let folder = self.path().join(".local/state/hopline/undo");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|entry| entry.path()).collect()
    }
}

/// Runs statements.
pub(crate) fn run(url: &DatabaseUrl, sql: &str) {
    crate::planted::run(url, sql);
}

/// The one text that a statement gives.
pub(crate) fn value(url: &DatabaseUrl, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let text: String = runtime.block_on(async {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match url.connect(Access::Write, PATIENCE).await.unwrap() {
            Connection::MySql(mut connection) => query.fetch_one(&mut connection).await.unwrap().get(0),
            Connection::Postgres(mut connection) => query.fetch_one(&mut connection).await.unwrap().get(0),
            Connection::Sqlite(mut connection) => query.fetch_one(&mut connection).await.unwrap().get(0),
        }
    });
    text.trim().to_owned()
}

/// Another session of the same server, which keeps what it has taken until it is dropped.
pub(crate) struct Held {
    _connection: Connection,
    _runtime: tokio::runtime::Runtime,
}

impl Held {
    pub(crate) fn by(url: &DatabaseUrl, sql: &str) -> Held {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
            let mut connection = url.connect(Access::Write, PATIENCE).await.unwrap();
            match &mut connection {
                Connection::MySql(c) => drop(query.execute(c).await.unwrap()),
                Connection::Postgres(c) => drop(query.execute(c).await.unwrap()),
                Connection::Sqlite(c) => drop(query.execute(c).await.unwrap()),
            }
            connection
        });
        Held { _connection: connection, _runtime: runtime }
    }
}
