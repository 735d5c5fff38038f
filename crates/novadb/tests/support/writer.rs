//! A session of somebody else's, nova's, say, which keeps what it has locked until it ends.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cloud::{Access, Connection, DatabaseUrl};
use sqlx::{AssertSqlSafe, Row};
use tokio::runtime::{Builder, Runtime};

use crate::planted::PATIENCE;

/// The session.
pub(crate) struct Writer {
    runtime: Runtime,
    connection: Connection,
}

impl Writer {
    pub(crate) fn connect(url: &DatabaseUrl) -> Writer {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(url.connect(Access::Write, PATIENCE)).unwrap();
        Writer { runtime, connection }
    }

    pub(crate) fn run(&mut self, sql: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            match connection {
                Connection::MySql(connection) => drop(query.execute(connection).await.unwrap()),
                Connection::Postgres(connection) => drop(query.execute(connection).await.unwrap()),
                Connection::Sqlite(connection) => drop(query.execute(connection).await.unwrap()),
            }
        });
    }

    /// The single value that a statement gives.
    pub(crate) fn text(&mut self, sql: &str) -> String {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            match connection {
                Connection::MySql(connection) => query.fetch_one(connection).await.unwrap().get(0),
                Connection::Postgres(connection) => query.fetch_one(connection).await.unwrap().get(0),
                Connection::Sqlite(connection) => query.fetch_one(connection).await.unwrap().get(0),
            }
        })
    }
}
