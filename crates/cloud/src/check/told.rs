//! What was found, as findings of the contract's report.

use model::Finding;
use model::finding::{Evidence, Remedy};
use model::path::{Direction, Exchange, Place, Stage};
use model::shell;

use super::braces::{compares, replaced};
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
            (1, Some(only)) => filled(spec, spec.one, only, |_, cell| cell.unwrap_or("none").to_owned()),
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
        let template = match &self.repair {
            Ok(template) => template,
            Err(why) => {
                let (command, undo) = (String::new(), String::new());
                return vec![Remedy { command, undo, note: format!("no statement for its rows: {why}") }];
            }
        };
        let by_hand = |row: &Vec<Cell>| match untypable(spec, row) {
            None => Remedy {
                command: command(spec, template, row),
                undo: String::new(),
                note: spec.note.to_owned(),
            },
            Some(column) => Remedy {
                command: String::new(),
                undo: String::new(),
                note: format!("no statement for this row: its {column} has characters that no name has"),
            },
        };
        let rows = self.rows.iter().take(REPAIRS_MAX);
        let by_hopline = rows.clone().filter_map(|row| self.by_hopline(spec, row));
        let mut remedy: Vec<Remedy> = by_hopline.chain(rows.map(by_hand)).collect();
        remedy.dedup();
        remedy
    }

    /// What `hopline db repair` takes: a change of a row by a statement that can be typed.
    fn by_hopline(&self, spec: &Spec, row: &[Cell]) -> Option<Remedy> {
        let id: u64 = row.first()?.as_deref()?.parse().ok()?;
        let is_done = changes(spec) && untypable(spec, row).is_none();
        is_done.then(|| Remedy::by_hopline(&format!("repair {} {id}", self.check.code), spec.note))
    }

    fn instances(&self, spec: &Spec) -> Vec<String> {
        let named = spec.columns.iter().position(|column| *column == INSTANCE);
        let cells = self.rows.iter().filter_map(|row| row.get(named?)?.clone());
        let mut instances: Vec<String> = Vec::new();
        let mut known = std::collections::BTreeSet::new();
        instances.extend(cells.chain(self.hit.iter().cloned()).filter(|name| known.insert(name.clone())));
        instances
    }
}

/// What is typed for a row, into the database's own client or into a shell.
pub(super) fn command(spec: &Spec, template: &str, row: &[Cell]) -> String {
    filled(spec, template, row, if is_sql(template) { quoted } else { typed })
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

/// The column that the repair uses and nobody should type: MySQL takes a backslash for the beginning of an escape, so
/// that a row's value could end its string and go on as a statement; control characters do the like to terminals.
pub(crate) fn untypable(spec: &Spec, row: &[Cell]) -> Option<&'static str> {
    let is_used = |column: &str| {
        [format!("{{{column}}}"), format!(" is {column}}}")].iter().any(|word| spec.repair.contains(word))
    };
    let is_odd = |cell: &Cell| cell.iter().flat_map(|text| text.chars()).any(|c| c == '\\' || c.is_control());
    let mut pairs = spec.columns.iter().copied().zip(row);
    pairs.find(|(column, cell)| is_used(column) && is_odd(cell)).map(|(column, _)| column)
}

/// A value of a statement: a number as it is where its column holds numbers, all else as a string. A project or a host
/// may be called by digits alone, which PostgreSQL does not compare with a number.
fn quoted(column: &str, cell: Option<&str>) -> String {
    match cell {
        Some(cell) if is_number(column) && cell.parse::<u64>().is_ok() => cell.to_owned(),
        Some(cell) => format!("'{}'", cell.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

/// The operand of a command.
fn typed(_column: &str, cell: Option<&str>) -> String {
    shell::operand(cell.unwrap_or_default())
}

/// The repair changes a row: what only reads, and what is typed elsewhere, hopline does not do itself.
pub(super) fn changes(spec: &Spec) -> bool {
    spec.repair.starts_with("UPDATE ")
}

/// Typed into the database's own client, and not into a shell.
pub(super) fn is_sql(repair: &str) -> bool {
    ["UPDATE ", "SELECT "].iter().any(|verb| repair.starts_with(verb))
}

/// What a column of a look is called tells whether it holds a row's number.
pub(crate) fn is_number(column: &str) -> bool {
    column == "id" || (column.ends_with("_id") && column != "project_id")
}

/// A sentence or statement with the row's values in place of `{column}`, and in place of `{own is column}` what holds
/// the table's own column to such a value. What a row holds may itself look like a column in braces.
pub(crate) fn filled(
    spec: &Spec,
    template: &str,
    row: &[Cell],
    mut value: impl FnMut(&str, Option<&str>) -> String,
) -> String {
    let cell = |column: &str| {
        let at = spec.columns.iter().position(|known| *known == column)?;
        row.get(at)?.as_deref()
    };
    replaced(template, |word| match compares(word) {
        None => value(word, cell(word)),
        Some((own, column)) => match cell(column) {
            Some(text) => format!("{own} = {}", value(own, Some(text))),
            None => format!("{own} IS NULL"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::DB_CATALOGUE;
    use super::super::repairs::{GUARDS, Series, said};
    use super::*;

    fn found(code: &str, row: &[&str]) -> Finding {
        let check = DB_CATALOGUE.iter().find(|check| check.code == code).unwrap();
        let row = row.iter().map(|cell| Some((*cell).to_owned())).collect();
        let (kind, select) = (model::finding::EvidenceKind::Db, String::new());
        let repair = Ok(said(check.inconsistency.repair, &Series::LATE));
        let found =
            Inconsistency { kind, select, count: 1, rows: vec![row], repair, ..Inconsistency::none(check) };
        found.finding(1)
    }

    /// The statement that is typed in place of hopline's own repair.
    fn by_hand(finding: &Finding) -> &str {
        let mut commands = finding.remedy.iter().map(|remedy| remedy.command.as_str());
        commands.find(|command| command.starts_with("UPDATE ")).unwrap_or_else(|| panic!("{finding:?}"))
    }

    #[test]
    fn what_hopline_repairs_itself_is_told_first_with_its_undo() {
        let finding = found("host-address-in-use", &["7", "10.0.0.7", "c2", "c1", "u", "web1"]);
        let [first, by_hand] = finding.remedy.as_slice() else { panic!("{finding:?}") };
        assert_eq!(first.command, "hopline db repair host-address-in-use 7 --apply");
        assert_eq!(first.undo, "hopline db undo ID");
        assert!(first.note.starts_with("without --apply it says what it would do"), "{first:?}");
        assert!(first.note.ends_with(by_hand.note.as_str()), "{first:?}");
        // It repairs neither what another program must, nor a row of which it reads no more than that it is there.
        for code in ["info-cache-differs", "fixed-ip-without-vif", "domain-of-deleted-instance"] {
            let finding = found(code, &["7"; 10]);
            assert!(
                finding.remedy.iter().all(|remedy| !remedy.command.starts_with("hopline ")),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn what_a_row_holds_does_not_become_a_statement() {
        let finding =
            found("host-address-in-use", &["7", "10.0.0.7", "{instance}' x", "c1", "u", "' OR 1=1 -- "]);
        assert_eq!(
            by_hand(&finding),
            "UPDATE fixed_ips SET host = NULL WHERE id = 7 AND host = '{instance}'' x' AND instance_uuid = 'u' AND \
             deleted = 0"
        );
        assert!(finding.summary.contains("of {instance}' x, and"), "{finding:?}");
    }

    #[test]
    fn a_project_of_digits_is_a_string() {
        let finding = found("float-without-project", &["7", "203.0.113.7", "9", "12345", "web1"]);
        assert!(by_hand(&finding).contains("project_id = '12345' WHERE id = 7 "), "{finding:?}");
    }

    #[test]
    fn what_mysql_would_unescape_is_told_in_words() {
        for host in ["x\\' OR 1=1 -- ", "x\n", "x\u{1b}[2K"] {
            let remedy = &found("host-address-in-use", &["7", "10.0.0.7", host, "c1", "u", "web"]).remedy[0];
            assert_eq!(remedy.command, "", "{host:?}");
            assert!(remedy.note.contains("its host has characters"), "{remedy:?}");
        }
        // The repair does not say the instance's name.
        let finding = found("host-address-in-use", &["7", "10.0.0.7", "c2", "c1", "u", "we\\b"]);
        assert!(by_hand(&finding).starts_with("UPDATE fixed_ips "), "{finding:?}");
    }

    #[test]
    fn a_command_is_typed_as_a_shell_reads_it() {
        let finding = found("domain-of-deleted-instance", &["it's;x"; 7]);
        assert_eq!(finding.remedy[0].command, "virsh destroy 'it'\\''s;x'");
        let finding = found("domain-of-deleted-instance", &["--help"; 7]);
        assert_eq!(finding.remedy[0].command, "virsh destroy -- --help");
    }

    #[test]
    fn every_template_names_columns_that_are_there() {
        for check in DB_CATALOGUE {
            let spec = &check.inconsistency;
            for template in [spec.one, &said(spec.repair, &Series::LATE)] {
                let named = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
                named.for_each(|(word, _)| {
                    let column = compares(word).map_or(word, |(_, column)| column);
                    let is_known = spec.columns.contains(&column) || GUARDS.contains(&column);
                    assert!(is_known, "{}: {column}", check.code);
                });
            }
        }
    }
}
