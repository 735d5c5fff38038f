//! What is inconsistent in the rows of some instances: the statements of the whole database, held to these.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::letters::Uuids;
use super::looks::{lack, look_for, shown_by, words};
use super::repairs::by_hand;
use super::those::{self, Rows, Those};
use super::words::{For, Words};
use super::{Checked, Clock, DB_CATALOGUE, DbCheck, Inconsistency, Look, networks};
use crate::cells::Cell;
use crate::database::{Session, block_on};
use crate::database_error::{DatabaseError, classify};
use crate::records::{self, number};
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;

/// Instances whose rows are looked at together.
const INSTANCES_MAX: usize = 500;

/// Which of an instance's rows a finding is looked for among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    /// Those that are tied to it.
    Own,
    /// And those that have the same address or MAC, or its NIC.
    Touched,
    /// The networks that it is on.
    Networks,
}

/// What can be wrong with an instance, its NICs, addresses, networks and groups. What the diagnosis finds by itself is
/// not among it, nor what is wrong with the pool alone.
const OF_INSTANCES: [(&str, Among); 22] = [
    ("float-without-project", Among::Own),
    ("float-twice-to-one", Among::Own),
    ("floating-ip-twice", Among::Touched),
    ("fixed-ip-vif-mismatch", Among::Touched),
    ("fixed-ip-reserved-in-use", Among::Own),
    ("host-address-in-use", Among::Own),
    ("fixed-ip-outside-network", Among::Own),
    ("fixed-ip-of-other-project", Among::Own),
    ("fixed-ip-twice", Among::Touched),
    ("fixed-ip-without-network", Among::Own),
    ("fixed-ip-flag-missing", Among::Own),
    ("mac-twice", Among::Touched),
    ("vif-orphan", Among::Touched),
    ("instance-without-nic", Among::Own),
    ("info-cache-differs", Among::Touched),
    ("info-cache-deleted", Among::Own),
    ("network-overlap", Among::Networks),
    ("network-vlan-twice", Among::Networks),
    ("network-bridge-twice", Among::Networks),
    ("network-mask-wrong", Among::Networks),
    ("group-rule-of-deleted-group", Among::Own),
    ("group-membership-of-deleted-group", Among::Own),
];

/// Looks for what is inconsistent in the rows of these instances, each by its `instances.id` and its name. As many
/// statements are asked of five hundred as of one, and none goes through a whole table but that of the networks.
///
/// Blocks, on a runtime of its own: not to be called from inside another. Writes nothing.
pub fn check_instances(
    url: &DatabaseUrl,
    timeout: Duration,
    clock: &Clock,
    instances: &BTreeMap<u64, String>,
) -> Result<Checked, DatabaseError> {
    look(url, timeout, clock, instances).map(|(checked, _)| checked)
}

/// The same, with the schema that it was put into words by.
pub(super) fn look(
    url: &DatabaseUrl,
    timeout: Duration,
    clock: &Clock,
    instances: &BTreeMap<u64, String>,
) -> Result<(Checked, Schema), DatabaseError> {
    block_on(url, timeout, async {
        let mut session = Session::start(url, timeout).await?;
        let schema = records::schema_of(&mut session, url).await?;
        let looking = Looking { schema: &schema, clock, instances };
        let checked = looking.for_all(&mut session).await.map_err(|error| classify(url, &error));
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        checked.map(|checked| (checked, schema))
    })
}

#[derive(Clone, Copy)]
pub(super) struct Looking<'l> {
    pub(super) schema: &'l Schema,
    pub(super) clock: &'l Clock,
    pub(super) instances: &'l BTreeMap<u64, String>,
}

impl Looking<'_> {
    async fn for_all(self, session: &mut Session) -> Result<Checked, sqlx::Error> {
        let mut checked = Checked {
            found: Vec::new(),
            looked_for: Vec::new(),
            not_looked_for: Vec::new(),
            hosts: BTreeSet::new(),
        };
        let mut asked: Vec<(&DbCheck, Among)> = Vec::new();
        for check in DB_CATALOGUE {
            let Some((_, among)) = OF_INSTANCES.iter().find(|(code, _)| *code == check.code) else {
                continue;
            };
            match lack(self.schema, &check.inconsistency) {
                Some(lack) => checked.not_looked_for.push((check.code, lack)),
                None => asked.push((check, *among)),
            }
        }
        checked.looked_for.extend(asked.iter().map(|(check, _)| check.code));
        let ids: Vec<u64> = self.instances.keys().copied().collect();
        for ids in ids.chunks(INSTANCES_MAX) {
            for found in self.for_some(session, ids, &asked).await? {
                join(&mut checked.found, found);
            }
        }
        for found in &mut checked.found {
            found.select = self.shown_by(found);
        }
        Ok(checked)
    }

    async fn for_some(
        self,
        session: &mut Session,
        ids: &[u64],
        asked: &[(&'static DbCheck, Among)],
    ) -> Result<Vec<Inconsistency>, sqlx::Error> {
        let instances = Rows::of(ids);
        let of_these = self.words(Uuids::InEitherCase, For::Server, Some(&instances));
        let those = those::find(session, &of_these, ids).await?;
        let networks = networks::read(session, &of_these).await?;
        let mut all = Vec::new();
        for (check, among) in asked {
            let found = match (&check.inconsistency.look, among) {
                (Look::Networks(look), _) => self.of_networks(check, look(&networks), &those),
                (_, Among::Touched) => self.of_rows(session, check, &those.touched).await?,
                (_, Among::Own | Among::Networks) => self.of_rows(session, check, &those.own).await?,
            };
            all.extend((found.count > 0).then_some(found));
        }
        Ok(all)
    }

    /// Those rows that concern one of the instances.
    async fn of_rows(
        self,
        session: &mut Session,
        check: &'static DbCheck,
        rows: &Rows,
    ) -> Result<Inconsistency, sqlx::Error> {
        let found = self.of_rows_by(session, check, rows, Uuids::InEitherCase).await?;
        if found.count == 0 || !self.schema.minds_capitals() {
            return Ok(found);
        }
        // A row's instance may only seem to be gone, where its uuid is written in other letters. That goes through
        // whole tables for each row, of which there are few by now.
        let ids = found.rows.iter().filter_map(|row| id_of(row)).collect();
        let few = rows.narrowed(check.inconsistency.table, &ids);
        self.of_rows_by(session, check, &few, Uuids::Alike).await
    }

    async fn of_rows_by(
        self,
        session: &mut Session,
        check: &'static DbCheck,
        rows: &Rows,
        uuids: Uuids,
    ) -> Result<Inconsistency, sqlx::Error> {
        let table = check.inconsistency.table;
        if !rows.has_any(table) {
            return Ok(Inconsistency::none(check));
        }
        let words = self.words(uuids, For::Server, Some(rows));
        let mut found = look_for(session, &words, check).await?;
        found.rows.retain(|row| {
            let whose: BTreeSet<u64> = id_of(row).into_iter().flat_map(|id| rows.whose(table, id)).collect();
            let is_theirs = !whose.is_empty();
            if is_theirs {
                found.whose.entry(row.clone()).or_default().extend(whose);
            }
            is_theirs
        });
        self.conclude(&mut found);
        Ok(found)
    }

    fn of_networks(self, check: &'static DbCheck, odd: Vec<networks::Odd>, those: &Those) -> Inconsistency {
        let mut found = Inconsistency::none(check);
        for odd in odd {
            let on_them = odd.networks.iter().filter_map(|id| those.networks.get(id));
            let whose: BTreeSet<u64> = on_them.flatten().copied().collect();
            if !whose.is_empty() {
                found.whose.entry(odd.row.clone()).or_default().extend(whose);
                found.take(odd.row);
            }
        }
        self.conclude(&mut found);
        found
    }

    /// Counts the rows, says whom they hit and what puts them right.
    pub(super) fn conclude(self, found: &mut Inconsistency) {
        found.repair = by_hand(self.schema, found.check.inconsistency.repair);
        found.count = found.whose.len().try_into().unwrap_or(u64::MAX);
        let hit: BTreeSet<u64> = found.whose.values().flatten().copied().collect();
        found.hit = hit.iter().filter_map(|id| self.instances.get(id)).cloned().collect();
    }

    /// The statement that shows the rows which were found, and no more.
    pub(super) fn shown_by(self, found: &Inconsistency) -> String {
        let spec = &found.check.inconsistency;
        let rows = Rows::only(spec.table, found.rows.iter().filter_map(|row| id_of(row)));
        shown_by(&self.words(Uuids::AsTheyAre, For::People, Some(&rows)), spec)
    }

    fn words<'w>(self, uuids: Uuids, reader: For, those: Option<&'w Rows>) -> Words<'w>
    where
        Self: 'w,
    {
        Words { those, ..words(self.schema, self.clock, uuids, reader) }
    }
}

pub(super) fn id_of(row: &[Cell]) -> Option<u64> {
    number(row.first()?.as_ref())
}

/// Adds what was found of other instances; a row that concerns several is one.
pub(super) fn join(all: &mut Vec<Inconsistency>, found: Inconsistency) {
    let Some(known) = all.iter_mut().find(|known| known.check.code == found.check.code) else {
        return all.push(found);
    };
    for row in found.rows {
        if !known.whose.contains_key(&row) {
            known.take(row);
        }
    }
    known.hit.extend(found.hit);
    for (row, whose) in found.whose {
        known.whose.entry(row).or_default().extend(whose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_finding_that_has_a_page_of_its_own() {
        for (code, among) in OF_INSTANCES {
            let check = DB_CATALOGUE.iter().find(|check| check.code == code);
            let check = check.unwrap_or_else(|| panic!("{code}"));
            assert!(check.page().is_some(), "{code}: the diagnosis finds it by itself");
            let is_of_networks = matches!(check.inconsistency.look, Look::Networks(_));
            assert_eq!(is_of_networks, among == Among::Networks, "{code}");
        }
    }
}
