//! What SQLite keeps beside a value: its storage class, which is any of five in any column, whatever that was declared
//! as. A number that came back as text, or octets as text, would not be the same again.
//!
//! Columns of the servers have one type each, so that of these nothing is kept.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::bound;
use crate::cells::Cell;
use crate::database::Session;
use crate::schema::{Dialect, Schema};

/// By column, those values of a row that are no text, as SQLite writes them: `7`, `0.1`, `X'00FF'`.
pub(super) type Literals = BTreeMap<String, String>;

/// The column as text, to be shown and compared; octets as SQLite writes them, since they need be no UTF-8.
pub(super) fn text(schema: &Schema, table: &str, column: &str) -> String {
    let text = schema.text(table, column);
    match schema.dialect {
        Dialect::MySql | Dialect::Postgres => text,
        Dialect::Sqlite => {
            let own = format!("{table}.{}", schema.name(column));
            format!("CASE typeof({own}) WHEN 'blob' THEN quote({own}) ELSE {text} END")
        }
    }
}

/// Reads them of a row.
pub(super) async fn literals(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    id: u64,
) -> Result<Literals, sqlx::Error> {
    if schema.dialect != Dialect::Sqlite {
        return Ok(Literals::new());
    }
    let columns = schema.columns(table);
    let literal = |column: &&str| {
        let own = format!("{table}.{}", schema.name(column));
        format!("CASE WHEN typeof({own}) <> 'text' AND {own} IS NOT NULL THEN quote({own}) END")
    };
    let each: Vec<String> = columns.iter().map(literal).collect();
    let sql = format!("SELECT {} FROM {table} WHERE id = {id}", each.join(", "));
    let found = bound::rows(session, &sql, &[]).await?;
    let cells = found.into_iter().next().unwrap_or_default();
    let pairs = columns.into_iter().zip(cells);
    Ok(pairs.filter_map(|(column, cell)| Some((column.to_owned(), cell?))).collect())
}

/// A value as it is bound, so that SQLite keeps it as it was.
#[derive(Debug, PartialEq)]
pub(super) enum Kept {
    Text(Cell),
    Integer(i64),
    Real(f64),
    Octets(Vec<u8>),
}

impl Kept {
    /// Of a literal, or without one of text or NULL.
    pub(super) fn of(literal: Option<&String>, text: &Cell) -> Kept {
        let Some(literal) = literal else { return Kept::Text(text.clone()) };
        if let Some(octets) = octets(literal) {
            return Kept::Octets(octets);
        }
        let real = || literal.parse().map(Kept::Real).ok();
        let number = literal.parse().map(Kept::Integer).ok().or_else(real);
        number.unwrap_or_else(|| Kept::Text(text.clone()))
    }
}

/// Of `X'00FF'`.
fn octets(literal: &str) -> Option<Vec<u8>> {
    let digits = literal.strip_prefix("X'")?.strip_suffix('\'')?;
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

/// How many rows the statement changed.
pub(super) async fn execute(
    connection: &mut SqliteConnection,
    sql: String,
    values: Vec<Kept>,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query::<sqlx::Sqlite>(AssertSqlSafe(sql));
    let query = values.into_iter().fold(query, |query, value| match value {
        Kept::Text(text) => query.bind(text),
        Kept::Integer(number) => query.bind(number),
        Kept::Real(number) => query.bind(number),
        Kept::Octets(octets) => query.bind(octets),
    });
    query.execute(connection).await.map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn a_literal_tells_what_is_bound() {
        let of = |literal: &str| Kept::of(Some(&literal.to_owned()), &None);
        assert_eq!(of("-7"), Kept::Integer(-7));
        assert_eq!(of("1.0"), Kept::Real(1.0));
        assert_eq!(of("3.00000000000000044e-01"), Kept::Real(0.1 + 0.2));
        // Too large for a double is how SQLite writes infinity.
        assert_eq!(of("-9.0e+999"), Kept::Real(f64::NEG_INFINITY));
        assert_eq!(of("X'00FF27'"), Kept::Octets(vec![0, 255, 39]));
        assert_eq!(of("X''"), Kept::Octets(Vec::new()));
        assert_eq!(Kept::of(None, &Some("7".to_owned())), Kept::Text(Some("7".to_owned())));
    }

    #[test]
    fn what_is_no_literal_is_text() {
        let text = Some("as it was".to_owned());
        for literal in ["", "X'0'", "X'zz'", "X'\u{e9}'", "x'00", "seven", "'7'"] {
            assert_eq!(Kept::of(Some(&literal.to_owned()), &text), Kept::Text(text.clone()), "{literal}");
        }
    }
}
