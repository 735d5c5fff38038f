//! What was found, as findings of the contract's report.

use model::Finding;
use model::finding::{Evidence, Remedy};
use model::path::{Direction, Exchange, Place, Stage};

use super::{Inconsistency, Spec};
use crate::cells::Cell;

/// Repairs that are spelt out; the statement is the same for the other rows.
const REPAIRS_MAX: usize = 20;
/// The column that names whom a row hits.
const INSTANCE: &str = "instance";

impl Inconsistency {
    /// As a finding, with `rows_max` rows as evidence at most. It stops nothing by itself, so its exchange is `none`.
    pub fn finding(&self, rows_max: usize) -> Finding {
        let spec = &self.check.inconsistency;
        let shown = self.rows.iter().take(rows_max);
        let mut texts: Vec<String> = shown.map(|row| line(spec, row)).collect();
        let more = self.count.saturating_sub(texts.len().try_into().unwrap_or(u64::MAX));
        if let (1.., Some(last)) = (more, texts.last_mut()) {
            last.push_str(&format!(" (and {more} more)"));
        }
        let evidence =
            texts.into_iter().map(|text| Evidence { kind: self.kind, source: self.select.clone(), text });
        let summary = match (self.count, self.rows.first()) {
            (1, Some(only)) => filled(spec, spec.one, only, Quoting::None),
            _ => spec.many.replace("{count}", &self.count.to_string()),
        };
        Finding {
            code: self.check.code.to_owned(),
            hop: Place {
                host: "database".to_owned(),
                netns: String::new(),
                device: spec.table.to_owned(),
                stage: Stage::Service,
            },
            direction: Direction::Both,
            exchange: Exchange::None,
            summary,
            cause: spec.cause.to_owned(),
            confidence: spec.confidence,
            evidence: evidence.collect(),
            owner: "nova".to_owned(),
            remedy: self.remedy(spec),
            instances: self.instances(spec),
        }
    }

    fn remedy(&self, spec: &Spec) -> Vec<Remedy> {
        let repair = |row: &Vec<Cell>| Remedy {
            command: filled(spec, spec.repair, row, Quoting::Sql),
            undo: String::new(),
            note: spec.note.to_owned(),
        };
        let mut remedy: Vec<Remedy> = self.rows.iter().take(REPAIRS_MAX).map(repair).collect();
        remedy.dedup_by(|a, b| a.command == b.command);
        remedy
    }

    fn instances(&self, spec: &Spec) -> Vec<String> {
        let named = spec.columns.iter().position(|column| *column == INSTANCE);
        let cells = self.rows.iter().filter_map(|row| row.get(named?)?.clone());
        let mut instances: Vec<String> = Vec::new();
        let mut known = std::collections::BTreeSet::new();
        instances.extend(cells.filter(|name| known.insert(name.clone())));
        instances
    }
}

/// A row as evidence: its table and id, then each column by name.
fn line(spec: &Spec, row: &[Cell]) -> String {
    let mut pairs = spec.columns.iter().zip(row);
    let id = pairs.next().and_then(|(_, cell)| cell.as_deref()).unwrap_or("NULL");
    let mut line = format!("{} {id}", spec.table);
    for (at, (column, cell)) in pairs.enumerate() {
        let cell = cell.as_deref().unwrap_or("NULL");
        line.push_str(&format!("{} {column} {cell}", if at == 0 { ":" } else { "," }));
    }
    line
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// For people.
    None,
    /// As a value of a statement: a number as it is, all else as a string.
    Sql,
}

/// A sentence or statement with the row's values in place of `{column}`.
fn filled(spec: &Spec, template: &str, row: &[Cell], quoting: Quoting) -> String {
    let mut text = template.to_owned();
    for (column, cell) in spec.columns.iter().zip(row) {
        let value = match (cell, quoting) {
            (Some(cell), Quoting::Sql) if cell.parse::<u64>().is_err() => {
                format!("'{}'", cell.replace('\'', "''"))
            }
            (Some(cell), Quoting::None | Quoting::Sql) => cell.clone(),
            (None, Quoting::Sql) => "NULL".to_owned(),
            (None, Quoting::None) => "none".to_owned(),
        };
        text = text.replace(&format!("{{{column}}}"), &value);
    }
    text
}
