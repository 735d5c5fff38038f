//! Rows as text, whatever the types of their columns in the database.

use sqlx::mysql::MySqlRow;
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row, Type, ValueRef};

/// One value of a row; `None` for NULL.
pub type Cell = Option<String>;

/// A row whose values, each cast to text by the statement, are octets in whatever encoding somebody wrote them: a
/// SQLite file and a PostgreSQL database of `SQL_ASCII` keep what they are given.
pub trait Octets: Row {
    /// The octets of a value; `None` for NULL.
    fn octets(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error>;
}

impl Octets for MySqlRow {
    fn octets(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        self.try_get_unchecked(column)
    }
}

impl Octets for PgRow {
    fn octets(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        let value: PgValueRef<'_> = self.try_get_raw(column)?;
        if value.is_null() {
            return Ok(None);
        }
        value.as_bytes().map(Some).map_err(sqlx::Error::Decode)
    }
}

impl Octets for SqliteRow {
    fn octets(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        self.try_get_unchecked(column)
    }
}

/// A value to be read by people and compared with others: what is no UTF-8 becomes U+FFFD.
fn cell<R: Octets>(row: &R, column: usize) -> Result<Cell, sqlx::Error> {
    Ok(row.octets(column)?.map(|octets| String::from_utf8_lossy(octets).into_owned()))
}

/// A row of `N` columns, each of which the statement has cast to text.
pub fn cells<R: Octets, const N: usize>(row: &R) -> Result<[Cell; N], sqlx::Error> {
    let mut cells = [const { None }; N];
    for (column, to) in cells.iter_mut().enumerate() {
        *to = cell(row, column)?;
    }
    Ok(cells)
}

/// A row of as many columns as the statement has, each cast to text.
pub(crate) fn every_cell<R: Octets>(row: &R) -> Result<Vec<Cell>, sqlx::Error> {
    (0..row.len()).map(|column| cell(row, column)).collect()
}

/// The same for what is written back: an error where a value is no UTF-8, since it would not be the same again.
pub(crate) fn exact_cells<R: Row>(row: &R) -> Result<Vec<Cell>, sqlx::Error>
where
    usize: ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    (0..row.len()).map(|column| row.try_get(column)).collect()
}
