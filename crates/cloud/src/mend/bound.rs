//! Statements with bound values, on any of the three servers.

use sqlx::{AssertSqlSafe, Database as _};

use super::change::{Row, Value};
use super::kept;
use crate::cells::{Cell, every_cell, exact_cells};
use crate::connection::Connection;
use crate::database::Session;
use crate::schema::Schema;

/// Binds the values to a query of any of the three drivers, whose types have nothing in common. On PostgreSQL the
/// statement has no name, where one that a pooler keeps would be in the way of the next run's. MySQL's have numbers,
/// and stay until the session ends: to drop each at once is a packet without an answer, after which TCP holds the next
/// statement back until the server acknowledges, 40 ms later.
macro_rules! bind {
    ($driver:ty, $sql:expr, $values:expr) => {{
        let is_kept = <$driver as sqlx::Database>::NAME == sqlx::MySql::NAME;
        $values.iter().fold(
            sqlx::query::<$driver>(AssertSqlSafe($sql)).persistent(is_kept),
            |query, value| match value.clone() {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            },
        )
    }};
}

/// Nothing to bind.
const NONE: [Value; 0] = [];

/// How many rows the statement changed. MySQL, too, counts those that had the values already: sqlx asks it to.
pub(super) async fn execute(session: &mut Session, sql: &str, values: &[Value]) -> Result<u64, sqlx::Error> {
    match &mut session.0 {
        Connection::MySql(connection) => {
            let query = bind!(sqlx::MySql, sql.to_owned(), values);
            query.execute(connection).await.map(|done| done.rows_affected())
        }
        Connection::Postgres(connection) => {
            let query = bind!(sqlx::Postgres, numbered(sql), values);
            query.execute(connection).await.map(|done| done.rows_affected())
        }
        Connection::Sqlite(connection) => {
            let query = bind!(sqlx::Sqlite, sql.to_owned(), values);
            query.execute(connection).await.map(|done| done.rows_affected())
        }
    }
}

/// Runs a SELECT whose columns are cast to text, and reads each row by `$cells`.
macro_rules! fetch {
    ($session:expr, $sql:expr, $values:expr, $cells:path) => {
        match &mut $session.0 {
            Connection::MySql(connection) => {
                let query = bind!(sqlx::MySql, $sql.to_owned(), $values);
                query.fetch_all(connection).await?.iter().map($cells).collect()
            }
            Connection::Postgres(connection) => {
                let query = bind!(sqlx::Postgres, numbered($sql), $values);
                query.fetch_all(connection).await?.iter().map($cells).collect()
            }
            Connection::Sqlite(connection) => {
                let query = bind!(sqlx::Sqlite, $sql.to_owned(), $values);
                query.fetch_all(connection).await?.iter().map($cells).collect()
            }
        }
    };
}

/// The rows of a SELECT whose columns are cast to text.
pub(crate) async fn rows(
    session: &mut Session,
    sql: &str,
    values: &[Value],
) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
    fetch!(session, sql, values, every_cell)
}

/// The whole of a row, each column as text. An error where a value is no UTF-8: it could not be restored as it was.
pub(super) async fn row(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    id: u64,
) -> Result<Option<Row>, sqlx::Error> {
    let columns = schema.columns(table);
    let texts: Vec<String> = columns.iter().map(|column| kept::text(schema, table, column)).collect();
    let sql = format!("SELECT {} FROM {table} WHERE id = {id}", texts.join(", "));
    let found: Result<Vec<Vec<Cell>>, sqlx::Error> = fetch!(session, &sql, NONE, exact_cells);
    Ok(found?.into_iter().next().map(|cells| columns.into_iter().map(str::to_owned).zip(cells).collect()))
}

/// A place for a value of this column, which is bound as text.
pub(super) fn place(schema: &Schema, table: &str, column: &str) -> String {
    match schema.cast_to(table, column) {
        Some(type_name) => format!("CAST(? AS {type_name})"),
        None => "?".to_owned(),
    }
}

/// The value as the column will give it back: PostgreSQL's `inet` has a length, its `uuid` no capitals.
pub(super) async fn as_kept(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    column: &str,
    value: &str,
) -> Result<Cell, sqlx::Error> {
    if schema.cast_to(table, column).is_none() {
        return Ok(Some(value.to_owned()));
    }
    let sql = format!("SELECT {}", schema.as_text(&place(schema, table, column)));
    let kept = rows(session, &sql, &[Value::Text(Some(value.to_owned()))]).await?;
    Ok(kept.into_iter().flatten().next().flatten())
}

/// PostgreSQL's values are numbered. Our statements hold no other `?` than places of values.
fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 8);
    for (at, piece) in sql.split('?').enumerate() {
        if at > 0 {
            text.push_str(&format!("${at}"));
        }
        text.push_str(piece);
    }
    text
}
