//! What contradicts in the rows of some instances, kept for later: whoever then asks about one of them has the answer
//! that the database would have given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::finding::EvidenceKind;
use serde::{Deserialize, Serialize};

use super::of_instances::{Looking, join, look};
use super::{Checked, Clock, DB_CATALOGUE, DbCheck, Inconsistency, ROWS_MAX};
use crate::cells::Cell;
use crate::database_error::DatabaseError;
use crate::schema::{KeptSchema, Lack, Schema};
use crate::secret_url::DatabaseUrl;

/// What was found in the rows of some instances, and whose each row is. It may come of strangers: of their texts values
/// of rows alone are told, and statements are made anew, in the words of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Contradictions {
    /// Whose rows were looked at, by `instances.id`.
    of: BTreeSet<u64>,
    in_words_of: KeptSchema,
    found: Vec<Kept>,
}

/// One code's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    code: String,
    /// What the cells of a row are called.
    columns: Vec<String>,
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
    let (checked, schema) = look(url, timeout, clock, instances)?;
    let found = checked.found.into_iter().map(kept).collect();
    let kept =
        Contradictions { of: instances.keys().copied().collect(), in_words_of: (&schema).into(), found };
    Ok((kept, checked.not_looked_for))
}

/// All rows in the order in which they were found, and behind them those of which only whose they are is known: they
/// were more than are shown.
fn kept(found: Inconsistency) -> Kept {
    let Inconsistency { check, rows, mut whose, .. } = found;
    let first = rows.into_iter().filter_map(|cells| Some(KeptRow { whose: whose.remove(&cells)?, cells }));
    let mut rows: Vec<KeptRow> = first.collect();
    rows.extend(whose.into_iter().map(|(cells, whose)| KeptRow { cells, whose }));
    let columns = check.inconsistency.columns.iter().map(|column| (*column).to_owned()).collect();
    Kept { code: check.code.to_owned(), columns, rows }
}

impl Contradictions {
    /// Whether this instance's rows were looked at.
    pub fn is_of(&self, instance: u64) -> bool {
        self.of.contains(&instance)
    }

    /// What was found in the rows of these instances, each by its `instances.id` and its name. A code of another
    /// version of hopline is passed over, and so is one whose rows were others.
    fn held_to(&self, clock: &Clock, instances: &BTreeMap<u64, String>) -> Vec<Inconsistency> {
        let schema = Schema::from(&self.in_words_of);
        let looking = Looking { schema: &schema, clock, instances };
        let held = self.found.iter().filter_map(|kept| kept.held_to(looking));
        held.filter(|found| found.count > 0).collect()
    }

    /// Leaves out what this version of hopline does not know, and so cannot say what its rows hold.
    pub fn forget_unknown(&mut self) {
        self.found.retain(|kept| kept.check().is_some());
    }

    /// Every value by its column, of what is known.
    pub fn each_cell(&mut self, mut visit: impl FnMut(KeptCell<'_>)) {
        for kept in &mut self.found {
            let Some(check) = kept.check() else { continue };
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
        clock: &Clock,
        instances: &BTreeMap<u64, String>,
    ) -> (Checked, BTreeMap<u64, String>) {
        let mut unknown = instances.clone();
        let mut found = Vec::new();
        for kept in kept {
            let theirs: BTreeMap<u64, String> =
                unknown.extract_if(.., |instance, _| kept.is_of(*instance)).collect();
            kept.held_to(clock, &theirs).into_iter().for_each(|more| join(&mut found, more));
        }
        let (looked_for, not_looked_for, hosts) = (Vec::new(), Vec::new(), BTreeSet::new());
        (Checked { found, looked_for, not_looked_for, hosts }, unknown)
    }
}

impl Kept {
    fn check(&self) -> Option<&'static DbCheck> {
        let check = DB_CATALOGUE.iter().find(|check| check.code == self.code)?;
        let columns = check.inconsistency.columns;
        let is_whole = |row: &KeptRow| row.cells.len() == columns.len();
        (self.columns == columns && self.rows.iter().all(is_whole)).then_some(check)
    }

    fn held_to(&self, looking: Looking<'_>) -> Option<Inconsistency> {
        let check = self.check()?;
        let mut found = Inconsistency { kind: EvidenceKind::Db, ..Inconsistency::none(check) };
        for row in &self.rows {
            let asked = row.whose.iter().copied().filter(|id| looking.instances.contains_key(id));
            let whose: BTreeSet<u64> = asked.collect();
            if whose.is_empty() || found.whose.insert(row.cells.clone(), whose).is_some() {
                continue;
            }
            if found.rows.len() < ROWS_MAX {
                found.rows.push(row.cells.clone());
            }
        }
        looking.conclude(&mut found);
        found.select = looking.shown_by(&found);
        Some(found)
    }
}
