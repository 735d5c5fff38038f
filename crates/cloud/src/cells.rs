//! Rows as text, whatever the types of their columns in the database.

use sqlx::{ColumnIndex, Decode, Row, Type};

/// One value of a row; `None` for NULL.
pub type Cell = Option<String>;

/// A row of `N` columns, each of which the statement has cast to text.
pub fn cells<R: Row, const N: usize>(row: &R) -> Result<[Cell; N], sqlx::Error>
where
    usize: ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut cells = [const { None }; N];
    for (column, cell) in cells.iter_mut().enumerate() {
        *cell = row.try_get(column)?;
    }
    Ok(cells)
}

/// A row of as many columns as the statement has, each cast to text.
pub(crate) fn every_cell<R: Row>(row: &R) -> Result<Vec<Cell>, sqlx::Error>
where
    usize: ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    (0..row.len()).map(|column| row.try_get(column)).collect()
}
