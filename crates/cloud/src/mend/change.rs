//! A change of one row: its statement with the values bound, and the row before and after.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bound;
use super::had::Had;
use super::kept::Literals;
use crate::cells::Cell;
use crate::check::{Template, compares, replaced};
use crate::database::Session;
use crate::schema::Schema;

/// A row, by column, each value as text.
pub type Row = BTreeMap<String, Cell>;

/// A bound value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(i64),
    /// Anything else; `None` for NULL.
    Text(Option<String>),
}

/// A change of one row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it puts right, in a sentence.
    pub summary: String,
    /// What it disturbs.
    pub note: String,
    /// The table.
    pub table: String,
    /// `id` of the row.
    pub row: u64,
    /// The statement, with `?` for each value.
    pub sql: String,
    /// The values, in order.
    pub values: Vec<Value>,
    /// The row as it is.
    pub before: Row,
    /// The row as it becomes. Times are the server's own, and are [`NOW`] until they are known.
    pub after: Row,
    /// What SQLite keeps of `before` beside its text; nothing of a server's.
    #[serde(default, skip_serializing_if = "Literals::is_empty")]
    pub(super) literals: Literals,
    /// Who may still have what it gives away; of a change that is only planned or just made.
    #[serde(skip)]
    pub had: Had,
}

/// What [`Change::after`] has for a time that is not yet known.
pub(super) const NOW: &str = "now";

impl Change {
    /// Columns that change, with what was and what will be.
    pub fn differences(&self) -> impl Iterator<Item = (&str, &Cell, &Cell)> {
        let pairs = self.before.iter().filter_map(|(column, old)| {
            let new = self.after.get(column)?;
            Some((column.as_str(), old, new))
        });
        pairs.filter(|(_, old, new)| old != new)
    }

    /// Writes the values that it sets as their columns will give them back, so that they are known again.
    pub(super) async fn as_kept(
        &mut self,
        session: &mut Session,
        schema: &Schema,
    ) -> Result<(), sqlx::Error> {
        let set = self.differences().filter_map(|(column, _, new)| Some((column.to_owned(), new.clone()?)));
        let set: Vec<(String, String)> = set.filter(|(_, new)| new != NOW).collect();
        for (column, value) in set {
            let kept = bound::as_kept(session, schema, &self.table, &column, &value).await?;
            self.after.insert(column, kept);
        }
        Ok(())
    }
}

/// Which columns have something else than they should.
pub(super) fn differing<'c, V: PartialEq + 'c>(
    should: impl Iterator<Item = (&'c String, &'c V)>,
    has: &BTreeMap<String, V>,
) -> Option<String> {
    let others = should.filter(|(column, value)| has.get(*column) != Some(*value));
    let others: Vec<&str> = others.map(|(column, _)| column.as_str()).collect();
    (!others.is_empty()).then(|| others.join(", "))
}

/// What a column is set to.
pub(super) enum To {
    Null,
    Flag(bool),
    /// The row's own id: how nova marks what is deleted.
    Id,
    Cell(Cell),
}

/// A statement that is being put together.
pub(super) struct Draft<'d> {
    schema: &'d Schema,
    table: &'d str,
    row: u64,
    set: Vec<String>,
    values: Vec<Value>,
    after: Row,
}

impl<'d> Draft<'d> {
    /// Of a row that is now `before`.
    pub(super) fn new(schema: &'d Schema, table: &'d str, row: u64, before: &Row) -> Draft<'d> {
        Draft { schema, table, row, set: Vec::new(), values: Vec::new(), after: before.clone() }
    }

    /// Sets a column, where there is such a one.
    pub(super) fn set(&mut self, column: &str, to: To) {
        if !self.schema.has(self.table, column) {
            return;
        }
        let (expression, becomes) = match to {
            To::Null => ("NULL".to_owned(), None),
            To::Flag(is_set) => self.flag(column, is_set),
            To::Id => ("id".to_owned(), Some(self.row.to_string())),
            To::Cell(cell) => (self.bind(column, cell.clone()), cell),
        };
        self.set.push(format!("{column} = {expression}"));
        self.after.insert(column.to_owned(), becomes);
    }

    fn flag(&self, column: &str, is_set: bool) -> (String, Cell) {
        let is_boolean = self.schema.is_boolean(self.table, column) == Some(true);
        let (expression, becomes) = match (is_boolean, is_set) {
            (true, true) => ("TRUE", "true"),
            (true, false) => ("FALSE", "false"),
            (false, true) => ("1", "1"),
            (false, false) => ("0", "0"),
        };
        (expression.to_owned(), Some(becomes.to_owned()))
    }

    /// A place for a value of this column.
    pub(super) fn bind(&mut self, column: &str, cell: Cell) -> String {
        self.values.push(Value::Text(cell));
        bound::place(self.schema, self.table, column)
    }

    /// A place for a number.
    pub(super) fn bind_number(&mut self, number: u64) -> String {
        self.values.push(Value::Number(number.cast_signed()));
        "?".to_owned()
    }

    /// The statement for the row where the condition holds. nova notes when it last changed a row, and so do we.
    pub(super) fn finish(mut self, condition: &str, before: Row, summary: String, note: String) -> Change {
        // A row that is brought back was not deleted now.
        let is_alive = |cell: &Cell| matches!(cell.as_deref(), Some("0" | "false"));
        let deleted = self.after.get("deleted").filter(|cell| !is_alive(cell));
        let is_deleted = deleted.is_some() && before.get("deleted") != deleted;
        for (column, is_due) in [("updated_at", !is_deleted), ("deleted_at", is_deleted)] {
            if is_due && self.schema.has(self.table, column) {
                self.set.push(format!("{column} = {}", self.schema.now()));
                self.after.insert(column.to_owned(), Some(NOW.to_owned()));
            }
        }
        let sql = format!("UPDATE {} SET {} WHERE {condition}", self.table, self.set.join(", "));
        let (table, row, values, after) = (self.table.to_owned(), self.row, self.values, self.after);
        Change {
            summary,
            note,
            table,
            row,
            sql,
            values,
            before,
            after,
            literals: Literals::new(),
            had: Had::default(),
        }
    }
}

/// The change that a finding's repair makes; `None` where its own conditions keep it from it.
pub(super) async fn of_template(
    session: &mut Session,
    schema: &Schema,
    template: &Template,
    row: u64,
) -> Result<Option<Change>, sqlx::Error> {
    let Some((table, set, condition)) = parts(&template.sql) else { return Ok(None) };
    let Some(before) = bound::row(session, schema, table, row).await? else { return Ok(None) };
    let mut draft = Draft::new(schema, table, row, &before);
    for (column, to) in set.split(", ").filter_map(|pair| pair.split_once(" = ")) {
        let to = match to {
            "NULL" => To::Null,
            "TRUE" => To::Flag(true),
            "FALSE" | "0" => To::Flag(false),
            "id" => To::Id,
            value => To::Cell(template.cell(value.trim_matches(['{', '}']))),
        };
        draft.set(column, to);
    }
    let bound_before = draft.values.len();
    let condition = places(&mut draft, template, condition);
    let probe = format!("SELECT {} FROM {table} WHERE {condition}", schema.text(table, "id"));
    let values = draft.values.get(bound_before..).unwrap_or_default();
    if bound::rows(session, &probe, values).await?.len() != 1 {
        return Ok(None);
    }
    Ok(Some(draft.finish(&condition, before, template.summary.clone(), template.note.to_owned())))
}

/// `UPDATE TABLE SET SET WHERE CONDITION`
fn parts(sql: &str) -> Option<(&str, &str, &str)> {
    let (table, rest) = sql.strip_prefix("UPDATE ")?.split_once(" SET ")?;
    let (set, condition) = rest.split_once(" WHERE ")?;
    Some((table, set, condition))
}

/// The condition with a place for each column in braces.
fn places(draft: &mut Draft<'_>, template: &Template, condition: &str) -> String {
    let mut place = |column: &str, cell: Cell| {
        let number =
            cell.as_deref().filter(|_| Template::is_number(column)).and_then(|text| text.parse().ok());
        match number {
            Some(number) => draft.bind_number(number),
            None => draft.bind(column, cell),
        }
    };
    replaced(condition, |word| match compares(word) {
        None => place(word, template.cell(word)),
        Some((own, column)) => match template.cell(column) {
            Some(text) => format!("{own} = {}", place(own, Some(text))),
            None => format!("{own} IS NULL"),
        },
    })
}
