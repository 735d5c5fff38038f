//! One dialect for three databases: statements are written once, with `?` for bound values and a few words in
//! braces, and put in the database's own words here.

use std::time::Duration;

pub(crate) use cloud::Cell;
use cloud::{Access, Connection, DatabaseUrl, cells, classify};
use sqlx::AssertSqlSafe;

use crate::DbError;

/// How long to wait for another process's transaction: dnsmasq's script and an operator may write at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A value to bind. A missing one has a type all the same, which PostgreSQL wants to know.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

/// What can be bound.
pub(crate) trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::Text(Some(self.to_owned()))
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::Text(Some(self))
    }
}

impl IntoValue for Option<String> {
    fn into_value(self) -> Value {
        Value::Text(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::Int(Some(self))
    }
}

impl IntoValue for Option<i64> {
    fn into_value(self) -> Value {
        Value::Int(self)
    }
}

impl IntoValue for u64 {
    fn into_value(self) -> Value {
        Value::Int(i64::try_from(self).ok())
    }
}

/// The values of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sql::IntoValue::into_value($value)),*]
    };
}
pub(crate) use values;

/// Binds the values to a query of any of the three drivers, whose types have nothing in common.
macro_rules! bind {
    ($query:expr, $values:expr) => {
        $values.iter().fold($query, |query, value| match value.clone() {
            Value::Text(text) => query.bind(text),
            Value::Int(int) => query.bind(int),
        })
    };
}

/// A transaction under way: it ends whole with [`Work::commit`], or not at all.
pub(crate) struct Work {
    connection: Connection,
    url: DatabaseUrl,
}

impl Work {
    /// Connects and begins. A SQLite transaction takes the right to write at once, so that two that first read and
    /// then write do not stand in each other's way for ever (`SQLITE_BUSY` without a wait).
    pub(crate) async fn begin(url: &DatabaseUrl) -> Result<Work, DbError> {
        let connect = url.connect(Access::Write, PATIENCE);
        let connection = tokio::time::timeout(PATIENCE, connect)
            .await
            .map_err(|_| cloud::DatabaseError::Timeout { database: url.to_string(), after: PATIENCE })?
            .map_err(|e| classify(url, &e))?;
        let mut work = Work { connection, url: url.clone() };
        let begin = match &work.connection {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE",
            Connection::MySql(_) => "START TRANSACTION",
            Connection::Postgres(_) => "BEGIN",
        };
        work.raw(begin.to_owned()).await?;
        Ok(work)
    }

    /// Ends the transaction whole.
    pub(crate) async fn commit(mut self) -> Result<(), DbError> {
        self.raw("COMMIT".to_owned()).await?;
        // What is committed stands, whether or not the server hears our goodbye.
        let _ = self.connection.close().await;
        Ok(())
    }

    /// The URL, without its password.
    pub(crate) fn database(&self) -> String {
        self.url.to_string()
    }

    /// Which kind of database it is.
    pub(crate) fn dialect(&self) -> Dialect {
        match &self.connection {
            Connection::MySql(_) => Dialect::MySql,
            Connection::Postgres(_) => Dialect::Postgres,
            Connection::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs statements of our own words, without values.
    pub(crate) async fn raw(&mut self, sql: String) -> Result<(), DbError> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        let result = match &mut self.connection {
            Connection::MySql(connection) => query.execute(connection).await.map(drop),
            Connection::Postgres(connection) => query.execute(connection).await.map(drop),
            Connection::Sqlite(connection) => query.execute(connection).await.map(drop),
        };
        result.map_err(|e| self.error(&e))
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, DbError> {
        let sql = self.dialect().words(sql);
        let result = match &mut self.connection {
            Connection::MySql(connection) => {
                let query = bind!(sqlx::query::<sqlx::MySql>(AssertSqlSafe(sql)), values);
                query.execute(connection).await.map(|done| done.rows_affected())
            }
            Connection::Postgres(connection) => {
                let query = bind!(sqlx::query::<sqlx::Postgres>(AssertSqlSafe(sql)), values);
                query.execute(connection).await.map(|done| done.rows_affected())
            }
            Connection::Sqlite(connection) => {
                let query = bind!(sqlx::query::<sqlx::Sqlite>(AssertSqlSafe(sql)), values);
                query.execute(connection).await.map(|done| done.rows_affected())
            }
        };
        result.map_err(|e| self.error(&e))
    }

    /// Inserts a row; its id.
    pub(crate) async fn insert(&mut self, sql: &str, values: &[Value]) -> Result<u64, DbError> {
        if self.dialect() == Dialect::Postgres {
            let rows: Vec<[Cell; 1]> = self.rows(&format!("{sql} RETURNING {{text:id}}"), values).await?;
            let id = rows.into_iter().next().and_then(|[id]| id?.parse().ok());
            return Ok(id.unwrap_or_default());
        }
        let sql = self.dialect().words(sql);
        let result = match &mut self.connection {
            Connection::MySql(connection) => {
                let query = bind!(sqlx::query::<sqlx::MySql>(AssertSqlSafe(sql)), values);
                query.execute(connection).await.map(|done| done.last_insert_id())
            }
            Connection::Sqlite(connection) => {
                let query = bind!(sqlx::query::<sqlx::Sqlite>(AssertSqlSafe(sql)), values);
                let inserted = query.execute(connection).await.map(|done| done.last_insert_rowid());
                inserted.map(i64::cast_unsigned)
            }
            Connection::Postgres(_) => Ok(0),
        };
        result.map_err(|e| self.error(&e))
    }

    /// Runs a SELECT of `N` columns, each as text.
    pub(crate) async fn rows<const N: usize>(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<[Cell; N]>, DbError> {
        let sql = self.dialect().words(sql);
        let result = match &mut self.connection {
            Connection::MySql(connection) => {
                let query = bind!(sqlx::query::<sqlx::MySql>(AssertSqlSafe(sql)), values);
                query.fetch_all(connection).await.and_then(|rows| rows.iter().map(cells).collect())
            }
            Connection::Postgres(connection) => {
                let query = bind!(sqlx::query::<sqlx::Postgres>(AssertSqlSafe(sql)), values);
                query.fetch_all(connection).await.and_then(|rows| rows.iter().map(cells).collect())
            }
            Connection::Sqlite(connection) => {
                let query = bind!(sqlx::query::<sqlx::Sqlite>(AssertSqlSafe(sql)), values);
                query.fetch_all(connection).await.and_then(|rows| rows.iter().map(cells).collect())
            }
        };
        result.map_err(|e| self.error(&e))
    }

    /// The same for one row at most.
    pub(crate) async fn row<const N: usize>(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Option<[Cell; N]>, DbError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    fn error(&self, error: &sqlx::Error) -> DbError {
        classify(&self.url, error).into()
    }
}

/// Which database's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// The statement in this database's words: `?` becomes `$1` and so on, `{now}` the time in UTC, `{binary}` that
    /// column's name, which is a word of MySQL's, `{text:COLUMN}` the column as text, `{lock}` what keeps a row that
    /// is read from other writers.
    pub(crate) fn words(self, sql: &str) -> String {
        let (now, binary, text, lock) = match self {
            Dialect::MySql => ("UTC_TIMESTAMP()", "`binary`", "CHAR", " FOR UPDATE"),
            Dialect::Postgres => ("(now() AT TIME ZONE 'utc')", "\"binary\"", "TEXT", " FOR UPDATE"),
            Dialect::Sqlite => ("datetime('now')", "\"binary\"", "TEXT", ""),
        };
        let mut words = String::with_capacity(sql.len() + 64);
        let mut bound = 0;
        let mut rest = sql;
        while let Some(at) = rest.find(['?', '{']) {
            let (before, from) = rest.split_at(at);
            words.push_str(before);
            if let Some(after) = from.strip_prefix('?') {
                bound += 1;
                match self {
                    Dialect::Postgres => words.push_str(&format!("${bound}")),
                    Dialect::MySql | Dialect::Sqlite => words.push('?'),
                }
                rest = after;
                continue;
            }
            let (word, after) = from[1..].split_once('}').unwrap_or((&from[1..], ""));
            match word {
                "now" => words.push_str(now),
                "binary" => words.push_str(binary),
                "lock" => words.push_str(lock),
                other => {
                    let column = other.strip_prefix("text:").unwrap_or(other);
                    let column = if column == "binary" { binary } else { column };
                    // Under a name of its own: PostgreSQL would call it as the column, and sort by the text.
                    words.push_str(&format!("CAST({column} AS {text}) AS as_text"));
                }
            }
            rest = after;
        }
        words.push_str(rest);
        words
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn one_statement_in_three_dialects() {
        let sql = "SELECT {text:id} FROM t WHERE a = ? AND updated_at < {now} AND b = ? ORDER BY id";
        assert_eq!(
            Dialect::Sqlite.words(sql),
            "SELECT CAST(id AS TEXT) AS as_text FROM t WHERE a = ? AND updated_at < datetime('now') \
             AND b = ? ORDER BY id"
        );
        assert_eq!(
            Dialect::MySql.words(sql),
            "SELECT CAST(id AS CHAR) AS as_text FROM t WHERE a = ? AND updated_at < UTC_TIMESTAMP() \
             AND b = ? ORDER BY id"
        );
        assert_eq!(
            Dialect::Postgres.words(sql),
            "SELECT CAST(id AS TEXT) AS as_text FROM t WHERE a = $1 AND updated_at < (now() AT TIME ZONE 'utc') \
             AND b = $2 ORDER BY id"
        );
        assert_eq!(
            Dialect::MySql.words("SELECT {text:binary} FROM s{lock}"),
            "SELECT CAST(`binary` AS CHAR) AS as_text FROM s FOR UPDATE"
        );
    }
}
