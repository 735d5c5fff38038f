//! A repair in the words of one database: the series of nova decides what ties a row to an instance, and how a row is
//! marked as deleted.
//!
//! Beside a column of the finding, there stands in braces:
//!
//! | word | means |
//! |---|---|
//! | `{key}` | what ties a row of the statement's table to an instance: uuid, or the number that Essex used |
//! | `{live}` | the row is not deleted |
//! | `{mark}` | what `deleted` is set to: the row's own id, or until Folsom a flag |
//! | `{alive}` | what it has in a row that is not deleted |
//! | `{host is right host}` | the row's `host` is what the finding's `right host` is, also where that is NULL |
//! | `{unhung}` | no live floating IP hangs on the row of `fixed_ips` |
//! | `{spare}` | the row's address is none that its network itself needs, see `roles` |
//!
//! A statement holds the row to what was seen: typed later, it changes nothing of what has become of it.

use super::braces::{compares, replaced};
use super::roles;
use super::told::is_sql;
use super::words::TABLES;
use crate::schema::Schema;

/// What a repair calls its derived table.
const DERIVED: &str = "other";

/// Words that hold a statement to other tables.
#[cfg(test)]
pub(super) const GUARDS: [&str; 2] = ["unhung", "spare"];

/// How the tables of a database say it.
pub(super) struct Series {
    key: &'static str,
    live: &'static str,
    alive: &'static str,
    mark: &'static str,
}

impl Series {
    /// Since Grizzly.
    #[cfg(test)]
    pub(super) const LATE: Series =
        Series { key: "instance_uuid", live: "deleted = 0", alive: "0", mark: "id" };

    fn of(schema: &Schema, table: &str) -> Series {
        Series {
            key: schema.instance_key(table),
            live: if schema.is_boolean(table, "deleted") == Some(true) {
                "deleted = FALSE"
            } else {
                "deleted = 0"
            },
            alive: if schema.is_boolean(table, "deleted") == Some(true) { "FALSE" } else { "0" },
            mark: if schema.is_flag(table, "deleted") { "TRUE" } else { "id" },
        }
    }
}

/// The repair, with nothing in braces but what a row has; or why it cannot be said to this database.
pub(super) fn statement(schema: &Schema, repair: &str) -> Result<String, String> {
    if !is_sql(repair) {
        return Ok(repair.to_owned());
    }
    let table = names(repair).into_iter().find(|name| is_table(name)).unwrap_or_default();
    let mut said = said(repair, &Series::of(schema, &table));
    // A row is not held to what its table does not have.
    for (own, name) in comparisons(&said) {
        if !schema.has(&table, &own) {
            said = said.replace(&format!(" AND {{{own} is {name}}}"), "");
        }
    }
    let lacks = |name: &String| !is_table(name) && name != DERIVED && !schema.has(&table, name);
    match names(&said).into_iter().find(lacks) {
        Some(column) => Err(format!("this database has no {table}.{column}")),
        None => Ok(said.replace("{unhung}", &unhung(schema)).replace("{spare}", &spare(schema))),
    }
}

/// The same as a person types it, who also notes when the row was changed or deleted, as nova does: by the one it gives
/// addresses out in turn, and waits for those that were given back.
pub(super) fn by_hand(schema: &Schema, repair: &str) -> Result<String, String> {
    let said = statement(schema, repair)?;
    let Some((table, (set, condition))) = said
        .strip_prefix("UPDATE ")
        .and_then(|rest| rest.split_once(" SET "))
        .and_then(|(table, rest)| Some((table, rest.split_once(" WHERE ")?)))
    else {
        return Ok(said);
    };
    let deletes = set.contains(&format!("deleted = {}", Series::of(schema, table).mark));
    let column = if deletes { "deleted_at" } else { "updated_at" };
    if !schema.has(table, column) {
        return Ok(said);
    }
    Ok(format!("UPDATE {table} SET {set}, {column} = {} WHERE {condition}", schema.now()))
}

/// nova ties no floating IP to a row that is nobody's: what hangs there was left behind, and would lead to whoever gets
/// the address next.
fn unhung(schema: &Schema) -> String {
    let live = Series::of(schema, "floating_ips").live;
    format!("NOT EXISTS (SELECT 1 FROM floating_ips AS hung WHERE hung.fixed_ip_id = {{id}} AND hung.{live})")
}

fn spare(schema: &Schema) -> String {
    let needed = roles::needed(schema, "fixed_ips.address", "own");
    format!("NOT EXISTS (SELECT 1 FROM networks AS own WHERE own.id = fixed_ips.network_id AND {needed})")
}

/// The repair in the words of a series.
pub(super) fn said(repair: &str, series: &Series) -> String {
    replaced(repair, |word| match (word, compares(word)) {
        ("key", _) => series.key.to_owned(),
        ("live", _) => series.live.to_owned(),
        ("alive", _) => series.alive.to_owned(),
        ("mark", _) => series.mark.to_owned(),
        (_, Some(("key", column))) => format!("{{{} is {column}}}", series.key),
        (other, _) => format!("{{{other}}}"),
    })
}

/// Each word that compares: the table's column, and the finding's.
fn comparisons(said: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    replaced(said, |word| {
        found.extend(compares(word).map(|(own, name)| (own.to_owned(), name.to_owned())));
        String::new()
    });
    found
}

fn is_table(name: &str) -> bool {
    TABLES.iter().any(|(_, table)| *table == name)
}

/// The names in a repair: its words in lower case, but for columns of the finding.
fn names(repair: &str) -> Vec<String> {
    let outside = replaced(repair, |word| compares(word).map_or(String::new(), |(own, _)| own.to_owned()));
    let words = outside.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).map(str::to_owned).collect()
}
