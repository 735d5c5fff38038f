//! Whether a repair, which is written for the series since Grizzly, can be typed into an older one's database.

use super::DbCheck;
use super::told::is_sql;
use super::words::TABLES;
use crate::schema::{Dialect, Schema};

/// What a repair calls its derived table.
const DERIVED: &str = "other";

/// Why it cannot: Essex ties by number, and until Folsom `deleted` is a flag, which holds no id, and which PostgreSQL
/// does not compare with a number.
pub(super) fn unsayable(schema: &Schema, check: &DbCheck) -> Option<String> {
    let repair = check.inconsistency.repair;
    if !is_sql(repair) {
        return None;
    }
    let named = names(repair);
    let table = *named.iter().find(|name| is_table(name))?;
    let mut columns = named.iter().filter(|name| !is_table(name) && **name != DERIVED);
    if let Some(column) = columns.find(|column| !schema.has(table, column)) {
        return Some(format!("this database has no {table}.{column}"));
    }
    let is_marked = repair.contains("deleted = id");
    let is_compared = named.contains(&"deleted") && schema.dialect == Dialect::Postgres;
    let is_odd = (is_marked && schema.is_flag(table, "deleted"))
        || (is_compared && schema.is_boolean(table, "deleted") == Some(true));
    is_odd.then(|| format!("in this database {table}.deleted is a flag"))
}

fn is_table(name: &str) -> bool {
    TABLES.iter().any(|(_, table)| *table == name)
}

/// The names in a repair: its words in lower case, but for those in braces.
fn names(repair: &str) -> Vec<&str> {
    let outside = repair.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, after)| after));
    let words = outside.flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect()
}
