//! Whose rows are read: every instance's, or those of some.

use crate::schema::Schema;

/// Whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose<'i> {
    /// Every instance's.
    Everybodys,
    /// Those of the instances with these `instances.id`. Statements name no more of them than these numbers, so that
    /// nothing from outside enters them.
    Those(&'i [u64]),
    /// The same, where what ties rows to them may be a uuid in any mixture of small letters and capitals, which no
    /// index finds.
    ThoseInAnyLetters(&'i [u64]),
}

impl Whose<'_> {
    /// Condition: the row is not deleted.
    pub(crate) fn live(self, schema: &Schema, table: &str) -> String {
        match self {
            Whose::Everybodys => schema.live_of_all(table),
            Whose::Those(_) | Whose::ThoseInAnyLetters(_) => schema.live(table),
        }
    }

    /// A table whose rows are tied to instances, joined to these where they are not everybody's: old servers go through
    /// the whole of a table for `IN (SELECT ...)`.
    pub(crate) fn from(self, schema: &Schema, table: &str) -> String {
        self.joined(schema, table, schema.own_key_of(table))
    }

    /// The same of `instance_info_caches`, which is tied by uuid in every series.
    pub(crate) fn caches(self, schema: &Schema) -> String {
        self.joined(schema, "instance_info_caches", "uuid")
    }

    fn joined(self, schema: &Schema, table: &str, own: &str) -> String {
        let tie: fn(&Schema, &str, &str, &str) -> String = match self {
            Whose::Everybodys => return table.to_owned(),
            Whose::Those(_) => Schema::tied,
            Whose::ThoseInAnyLetters(_) => Schema::tied_by_any_letters,
        };
        let tied = tie(schema, table, schema.instance_key(table), &format!("instances.{own}"));
        format!("{table} JOIN instances ON {tied}")
    }

    /// What is added to a condition on `instances`, or on what was joined to it.
    pub(crate) fn only(self) -> String {
        match self {
            Whose::Everybodys => String::new(),
            Whose::Those(ids) | Whose::ThoseInAnyLetters(ids) => among("instances.id", ids.iter().copied()),
        }
    }

    /// What is added to a condition on a column that refers to rows read before: nothing where they are everybody's.
    pub(crate) fn among(self, column: &str, ids: impl Iterator<Item = u64>) -> String {
        match self {
            Whose::Everybodys => String::new(),
            Whose::Those(_) | Whose::ThoseInAnyLetters(_) => among(column, ids),
        }
    }
}

/// What is added to a condition: see [`is_among`].
pub(crate) fn among(column: &str, ids: impl Iterator<Item = u64>) -> String {
    format!(" AND {}", is_among(column, ids))
}

/// Condition: the column is one of these. Never true of none, so that the statement need not be known to be needless.
pub(crate) fn is_among(column: &str, ids: impl Iterator<Item = u64>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    if ids.is_empty() { "1 = 0".to_owned() } else { format!("{column} IN ({})", ids.join(", ")) }
}
