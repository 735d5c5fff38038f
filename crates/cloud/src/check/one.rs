//! One row of one finding: whether it is still so, and the statement that puts it right, with its values.

use super::braces::replaced;
use super::letters::Uuids;
use super::looks::words;
use super::repairs::statement;
use super::told::{changes, command, filled, is_number, untypable};
use super::words::{For, TABLES};
use super::{Clock, DB_CATALOGUE, Look, Spec, caches, instance_without_nic, networks};
use crate::cells::Cell;
use crate::database::Session;
use crate::schema::Schema;

/// What can be done about a row.
pub(crate) enum Repair {
    /// There is no such finding.
    UnknownCode,
    /// No statement puts it right: what is typed instead for this row, and what is to be known about it.
    NoStatement { instead: String, note: &'static str },
    /// The finding is of what hosts have, and of no row: what is typed there, and what is to be known about it.
    OfHosts { instead: String, note: &'static str },
    /// The statement cannot be said here: why.
    Unsayable(String),
    /// The finding is not there, or is not this row's.
    NotFound { table: &'static str },
    /// This statement.
    Statement(Template),
}

/// A statement with the values that it takes.
pub(crate) struct Template {
    /// `UPDATE TABLE SET ... WHERE ...`, with columns of the finding, and comparisons with them, in braces.
    pub(crate) sql: String,
    /// What was found, in a sentence.
    pub(crate) summary: String,
    /// What the repair disturbs.
    pub(crate) note: &'static str,
    columns: &'static [&'static str],
    row: Vec<Cell>,
}

impl Template {
    /// What a column in braces holds.
    pub(crate) fn cell(&self, column: &str) -> Cell {
        let at = self.columns.iter().position(|known| *known == column)?;
        self.row.get(at)?.clone()
    }

    /// It holds a row's number.
    pub(crate) fn is_number(column: &str) -> bool {
        is_number(column)
    }
}

/// Looks at a row again.
pub(crate) async fn repair(
    session: &mut Session,
    schema: &Schema,
    clock: &Clock,
    code: &str,
    row: u64,
) -> Result<Repair, sqlx::Error> {
    let Some(check) = DB_CATALOGUE.iter().find(|check| check.code == code) else {
        return Ok(Repair::UnknownCode);
    };
    let spec = &check.inconsistency;
    if matches!(spec.look, Look::Hosts { .. }) {
        // Of which of them, `db check` tells.
        let instead = replaced(spec.repair, str::to_ascii_uppercase);
        return Ok(Repair::OfHosts { instead, note: spec.note });
    }
    if let Some(table) = schema.missing(spec.needs).first() {
        return Ok(Repair::Unsayable(format!("this database has no table {table}")));
    }
    let sql = match statement(schema, spec.repair) {
        Ok(sql) => sql,
        Err(why) => return Ok(Repair::Unsayable(why)),
    };
    let found = look(session, schema, clock, spec, row).await?;
    let id = row.to_string();
    let Some(row) = found.into_iter().find(|row| row.first() == Some(&Some(id.clone()))) else {
        return Ok(Repair::NotFound { table: spec.table });
    };
    if let Some(column) = untypable(spec, &row) {
        return Ok(Repair::Unsayable(format!("its {column} has characters that no name has")));
    }
    if !changes(spec) {
        return Ok(Repair::NoStatement { instead: command(spec, &sql, &row), note: spec.note });
    }
    let summary = filled(spec, spec.one, &row, |_, cell| cell.unwrap_or("none").to_owned());
    let (note, columns) = (spec.note, spec.columns);
    Ok(Repair::Statement(Template { sql, summary, note, columns, row }))
}

async fn look(
    session: &mut Session,
    schema: &Schema,
    clock: &Clock,
    spec: &Spec,
    row: u64,
) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
    let words = words(schema, clock, Uuids::of(session, schema).await?, For::Server);
    let mut found = Vec::new();
    match &spec.look {
        Look::Sql(sql) | Look::Guarded { guard: _, sql } => {
            session.each(words.of(&only(spec, sql, row)), |row| found.push(row)).await?;
        }
        Look::Sieved { sql, keep } => {
            session.each(words.of(&only(spec, sql, row)), |row| found.push(row)).await?;
            found.retain(|row| keep(row));
        }
        Look::Networks(look) => {
            found.extend(look(&networks::read(session, &words).await?).into_iter().map(|odd| odd.row));
        }
        Look::Caches => caches::look(session, &words, |row| found.push(row)).await?,
        Look::CachedNics => instance_without_nic::look(session, &words, |row| found.push(row)).await?,
        // What hosts have is no row.
        Look::Hosts { .. } => {}
    }
    Ok(found)
}

/// The statement for one row of its table, of all that it looks at. Each of them ends with a condition and an order.
fn only(spec: &Spec, sql: &str, row: u64) -> String {
    let alias = TABLES.iter().find(|(_, table)| *table == spec.table).map_or("", |(alias, _)| alias);
    match sql.rsplit_once(" ORDER BY ") {
        Some((head, order)) => format!("{head} AND {alias}.id = {row} ORDER BY {order}"),
        None => sql.to_owned(),
    }
}
