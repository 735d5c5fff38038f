//! What contradicts in the rows of some instances, kept for later: whoever then asks about one of them has the answer
//! that the database would have given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::finding::EvidenceKind;
use serde::{Deserialize, Serialize};

use super::of_instances::{check_instances, id_of, join};
use super::those::Rows;
use super::words::TABLES;
use super::{Checked, Clock, DB_CATALOGUE, DbCheck, Inconsistency};
use crate::cells::Cell;
use crate::database_error::DatabaseError;
use crate::schema::Lack;
use crate::secret_url::DatabaseUrl;

/// What was found in the rows of some instances, and whose each row is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Contradictions {
    /// Whose rows were looked at, by `instances.id`.
    of: BTreeSet<u64>,
    found: Vec<Kept>,
}

/// One code's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    code: String,
    /// The statement that shows them all.
    select: String,
    /// The repair in the database's words.
    repair: String,
    /// Why there are no such words.
    unrepairable: Option<String>,
    rows: Vec<KeptRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct KeptRow {
    cells: Vec<Cell>,
    /// `instances.id` of those whom it concerns.
    whose: BTreeSet<u64>,
}

/// A value of a row that is kept.
pub struct KeptCell<'c> {
    /// What its column is called in the finding's rows.
    pub column: &'static str,
    /// Its value, never NULL.
    pub text: &'c mut String,
}

/// Codes that were not looked for, each with what the database lacks for it.
pub type NotLookedFor = Vec<(&'static str, Lack)>;

/// Looks for what contradicts as [`check_instances`] does, to be kept.
pub fn contradictions(
    url: &DatabaseUrl,
    timeout: Duration,
    clock: &Clock,
    instances: &BTreeMap<u64, String>,
) -> Result<(Contradictions, NotLookedFor), DatabaseError> {
    let checked = check_instances(url, timeout, clock, instances)?;
    let found = checked.found.into_iter().map(kept).collect();
    Ok((Contradictions { of: instances.keys().copied().collect(), found }, checked.not_looked_for))
}

fn kept(found: Inconsistency) -> Kept {
    let Inconsistency { check, select, rows, mut whose, repair, .. } = found;
    let (repair, unrepairable) = match repair {
        Ok(repair) => (repair, None),
        Err(why) => (String::new(), Some(why)),
    };
    let row = |cells: Vec<Cell>| KeptRow { whose: whose.remove(&cells).unwrap_or_default(), cells };
    Kept {
        code: check.code.to_owned(),
        select,
        repair,
        unrepairable,
        rows: rows.into_iter().map(row).collect(),
    }
}

impl Contradictions {
    /// Whether this instance's rows were looked at.
    pub fn is_of(&self, instance: u64) -> bool {
        self.of.contains(&instance)
    }

    /// What was found in the rows of these instances, each by its `instances.id` and its name. A code of another
    /// version of hopline is passed over.
    pub fn held_to(&self, instances: &BTreeMap<u64, String>) -> Vec<Inconsistency> {
        let held = self.found.iter().filter_map(|kept| kept.held_to(instances));
        held.filter(|found| found.count > 0).collect()
    }

    /// Every value by its column.
    pub fn each_cell(&mut self, mut visit: impl FnMut(KeptCell<'_>)) {
        for kept in &mut self.found {
            let Some(check) = check_of(&kept.code) else { continue };
            for row in &mut kept.rows {
                let cells = check.inconsistency.columns.iter().zip(&mut row.cells);
                for (column, text) in cells.filter_map(|(column, cell)| Some((column, cell.as_mut()?))) {
                    visit(KeptCell { column, text });
                }
            }
        }
    }
}

impl Checked {
    /// What was kept, newest first, of these instances; and those of them whose rows were not looked at.
    pub fn of_kept(
        kept: &[Contradictions],
        instances: &BTreeMap<u64, String>,
    ) -> (Checked, BTreeMap<u64, String>) {
        let mut unknown = instances.clone();
        let mut found = Vec::new();
        for kept in kept {
            let theirs: BTreeMap<u64, String> =
                unknown.extract_if(.., |instance, _| kept.is_of(*instance)).collect();
            kept.held_to(&theirs).into_iter().for_each(|more| join(&mut found, more));
        }
        let (looked_for, not_looked_for, hosts) = (Vec::new(), Vec::new(), BTreeSet::new());
        (Checked { found, looked_for, not_looked_for, hosts }, unknown)
    }
}

impl Kept {
    fn held_to(&self, instances: &BTreeMap<u64, String>) -> Option<Inconsistency> {
        let check = check_of(&self.code)?;
        let is_theirs = |row: &&KeptRow| row.whose.iter().any(|id| instances.contains_key(id));
        let rows: Vec<&KeptRow> = self.rows.iter().filter(is_theirs).collect();
        let whose =
            |row: &KeptRow| row.whose.iter().copied().filter(|id| instances.contains_key(id)).collect();
        let all = condition(check, self.rows.iter());
        let mut found = Inconsistency {
            kind: EvidenceKind::Db,
            select: self.select.replace(&all, &condition(check, rows.iter().copied())),
            whose: rows.iter().map(|row| (row.cells.clone(), whose(row))).collect(),
            rows: rows.into_iter().map(|row| row.cells.clone()).collect(),
            repair: self.unrepairable.clone().map_or_else(|| Ok(self.repair.clone()), Err),
            ..Inconsistency::none(check)
        };
        found.name(instances);
        Some(found)
    }
}

/// What a statement holds its table to, so that it shows these rows.
fn condition<'r>(check: &DbCheck, rows: impl Iterator<Item = &'r KeptRow>) -> String {
    let table = check.inconsistency.table;
    let alias = TABLES.iter().find(|(_, known)| *known == table).map_or("", |(alias, _)| *alias);
    Rows::only(table, rows.filter_map(|row| id_of(&row.cells))).condition(alias)
}

fn check_of(code: &str) -> Option<&'static DbCheck> {
    DB_CATALOGUE.iter().find(|check| check.code == code)
}
