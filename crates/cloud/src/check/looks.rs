//! Looks for every inconsistency in one read-only snapshot of the database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::finding::EvidenceKind;
use model::{Intent, Snapshot};

use super::letters::Uuids;
use super::repairs::by_hand;
use super::words::{For, TABLES, Words, columns};
use super::{
    DB_CATALOGUE, DbCheck, Inconsistency, Look, ROWS_MAX, Spec, caches, instance_without_nic, networks,
};
use crate::cells::Cell;
use crate::database::{Session, block_on};
use crate::database_error::{DatabaseError, classify};
use crate::records;
use crate::schema::{Lack, Schema};
use crate::secret_url::DatabaseUrl;

/// What nova gave back must be free a minute after its time-out: the task that frees it runs once a minute
/// (nova/network/manager.py `_disassociate_stale_fixed_ips`).
const TASK_PERIOD_S: u64 = 60;
/// Ten years: more than any clock that a server subtracts it from can need, and less than what overflows.
const TIMEOUT_MAX_S: u64 = 315_360_000;
/// Who is recorded on a host, which should have it.
const ON_HOSTS: [&str; 2] = [
    "SELECT DISTINCT {i.host} FROM instances i WHERE {live i} AND {named i.host}",
    "SELECT DISTINCT {fl.host} FROM floating_ips fl WHERE {live fl} AND {named fl.host}",
];
/// A statement over a whole table may take so many times the patience for an answer.
const STATEMENT_PATIENCE: u32 = 60;

/// What time it is, and how long nova waits.
#[derive(Debug, Clone)]
pub struct Clock {
    /// `YYYY-MM-DD HH:MM:SS` in UTC, of digits and nothing else: it becomes part of statements. The server's own time
    /// where none is given.
    pub now: Option<String>,
    /// nova.conf's `fixed_ip_disassociate_timeout`, in seconds.
    pub timeout_s: u64,
}

impl Default for Clock {
    /// Now, and nova's default.
    fn default() -> Clock {
        Clock { now: None, timeout_s: 600 }
    }
}

/// What was found, and what could not be looked for.
pub struct Checked {
    /// Those that there are, in the catalogue's order.
    pub found: Vec<Inconsistency>,
    /// Codes that were looked for.
    pub looked_for: Vec<&'static str>,
    /// Codes that were not, each with why a table that it needs cannot be read.
    pub not_looked_for: Vec<(&'static str, Lack)>,
    /// Hosts that live instances or floating IPs are recorded on, by nova's names.
    pub hosts: BTreeSet<String>,
}

impl Checked {
    /// Takes back those rows of a finding whose `column` is so, since something else explains them. Of the rows that
    /// are only counted nobody can say that. Says how many they were.
    pub fn take_back(&mut self, code: &str, column: &str, is_so: impl Fn(&str) -> bool) -> usize {
        let mut taken_back = 0;
        for found in self.found.iter_mut().filter(|found| found.check.code == code) {
            let at = found.check.inconsistency.columns.iter().position(|known| *known == column);
            let kept = found.rows.len();
            found.rows.retain(|row| {
                let cell = at.and_then(|at| row.get(at)).and_then(Option::as_deref);
                !cell.is_some_and(&is_so)
            });
            let taken = kept - found.rows.len();
            taken_back += taken;
            found.count = found.count.saturating_sub(taken.try_into().unwrap_or(u64::MAX));
        }
        self.found.retain(|found| found.count > 0);
        taken_back
    }
}

/// Looks for every inconsistency. `timeout` is the patience for connecting; a statement may take sixty times as long.
/// `progress` is told each code before it is looked for.
///
/// Blocks, on a runtime of its own: not to be called from inside another. Writes nothing.
pub fn check(
    url: &DatabaseUrl,
    timeout: Duration,
    clock: &Clock,
    progress: impl Fn(&'static str),
) -> Result<Checked, DatabaseError> {
    block_on(url, timeout * STATEMENT_PATIENCE, async {
        let mut session = Session::start(url, timeout).await?;
        let failed = |error: sqlx::Error| classify(url, &error);
        let schema = records::schema_of(&mut session, url).await?;
        session.join_whole_tables().await.map_err(failed)?;
        let checked = look_for_all(&mut session, &schema, clock, progress).await.map_err(failed);
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        checked
    })
}

async fn look_for_all(
    session: &mut Session,
    schema: &Schema,
    clock: &Clock,
    progress: impl Fn(&'static str),
) -> Result<Checked, sqlx::Error> {
    let mut checked = Checked {
        found: Vec::new(),
        looked_for: Vec::new(),
        not_looked_for: Vec::new(),
        hosts: BTreeSet::new(),
    };
    let uuids = Uuids::of(session, schema).await?;
    for sql in ON_HOSTS {
        let host = |row: Vec<Cell>| checked.hosts.extend(row.into_iter().next().flatten());
        session.each(words(schema, clock, uuids, For::Server).of(sql), host).await?;
    }
    for check in DB_CATALOGUE {
        if let Some(lack) = lack(schema, &check.inconsistency) {
            checked.not_looked_for.push((check.code, lack));
            continue;
        }
        if matches!(check.inconsistency.look, Look::Hosts { .. }) {
            continue;
        }
        progress(check.code);
        let [server, people] = [For::Server, For::People].map(|reader| words(schema, clock, uuids, reader));
        let mut found = look_for(session, &server, check).await?;
        found.select = shown_by(&people, &check.inconsistency);
        checked.looked_for.push(check.code);
        checked.found.extend((found.count > 0).then_some(found));
    }
    Ok(checked)
}

/// Why it cannot be looked for: a table is missing, or a column of those that are there.
pub(super) fn lack(schema: &Schema, spec: &Spec) -> Option<Lack> {
    let statements: &[&'static str] = match &spec.look {
        Look::Sql(sql) | Look::Sieved { sql, .. } => &[sql],
        Look::Guarded { guard, sql } => &[guard, sql],
        Look::Networks(_) => &[networks::SQL],
        Look::Caches => &[caches::SQL, caches::FIXED, caches::FLOATING],
        Look::CachedNics => &[instance_without_nic::SQL, instance_without_nic::NETWORKS],
        Look::Hosts { .. } => &[],
    };
    let columns = statements.iter().flat_map(|sql| columns(sql));
    schema.lack(spec.needs).or_else(|| schema.lacks_one(columns))
}

/// What statements are put into.
pub(super) fn words<'w>(schema: &'w Schema, clock: &'w Clock, uuids: Uuids, reader: For) -> Words<'w> {
    let expiry_s = clock.timeout_s.min(TIMEOUT_MAX_S) + TASK_PERIOD_S;
    Words { schema, now: clock.now.as_deref(), expiry_s, uuids, reader, those: None }
}

/// Looks, in the words for the server.
pub(super) async fn look_for(
    session: &mut Session,
    words: &Words<'_>,
    check: &'static DbCheck,
) -> Result<Inconsistency, sqlx::Error> {
    let spec = &check.inconsistency;
    let mut found = Inconsistency::none(check);
    found.repair = by_hand(words.schema, spec.repair);
    match &spec.look {
        Look::Sql(sql) => session.each(words.of(&held(spec, sql)), |row| found.take(row)).await?,
        Look::Guarded { guard, sql } => {
            // Of some rows the statement itself is as quick.
            let mut is_there = words.those.is_some();
            if !is_there {
                session.each(words.of(guard), |_| is_there = true).await?;
            }
            if is_there {
                session.each(words.of(&held(spec, sql)), |row| found.take(row)).await?;
            }
        }
        Look::Sieved { sql, keep } => {
            let take = |row: Vec<Cell>| {
                if keep(&row) {
                    found.take(row);
                }
            };
            session.each(words.of(&held(spec, sql)), take).await?;
        }
        Look::Networks(look) => {
            let networks = networks::read(session, words).await?;
            look(&networks).into_iter().for_each(|odd| found.take(odd.row));
        }
        Look::Caches => caches::look(session, words, |row| found.take(row)).await?,
        Look::CachedNics => instance_without_nic::look(session, words, |row| found.take(row)).await?,
        // Not of the database alone: `check_hosts` looks.
        Look::Hosts { .. } => {}
    }
    Ok(found)
}

/// The statement that shows it, in the words for people.
pub(super) fn shown_by(words: &Words<'_>, spec: &Spec) -> String {
    match &spec.look {
        Look::Sql(sql) | Look::Guarded { guard: _, sql } | Look::Sieved { sql, keep: _ } => {
            words.of(&held(spec, sql))
        }
        Look::Networks(_) => words.of(networks::SQL),
        Look::Caches => words.of(caches::SQL),
        Look::CachedNics => words.of(instance_without_nic::SQL),
        Look::Hosts { shown_by, .. } => (*shown_by).to_owned(),
    }
}

/// The statement with a place for those rows of its table that are asked for. Each ends with a condition and an order.
fn held(spec: &Spec, sql: &str) -> String {
    let alias = TABLES.iter().find(|(_, table)| *table == spec.table).map_or("", |(alias, _)| alias);
    match sql.rsplit_once(" ORDER BY ") {
        Some((head, order)) => format!("{head}{{and {alias}}} ORDER BY {order}"),
        None => sql.to_owned(),
    }
}

/// Looks for what the hosts have and the database has not. Pure; the intent must come of the database.
pub fn check_hosts(snapshot: &Snapshot, intent: &Intent) -> Vec<Inconsistency> {
    let mut all = Vec::new();
    for check in DB_CATALOGUE {
        if let Look::Hosts { look, kind, shown_by } = check.inconsistency.look {
            let mut found = Inconsistency { kind, select: shown_by.to_owned(), ..Inconsistency::none(check) };
            look(snapshot, intent).into_iter().for_each(|row| found.take(row));
            all.extend((found.count > 0).then_some(found));
        }
    }
    all
}

impl Inconsistency {
    pub(super) fn none(check: &'static DbCheck) -> Inconsistency {
        Inconsistency {
            check,
            kind: EvidenceKind::Db,
            select: String::new(),
            count: 0,
            rows: Vec::new(),
            hit: Vec::new(),
            whose: BTreeMap::new(),
            repair: Ok(check.inconsistency.repair.to_owned()),
        }
    }

    /// Keeps the rows that one of the others has too, which was looked for at another time; false where none is left.
    /// Of rows that are only counted nobody can say that.
    pub fn keep_those_of(&mut self, others: &[Inconsistency]) -> bool {
        let same = others.iter().find(|other| other.check.code == self.check.code);
        let rows: BTreeSet<&Vec<Cell>> = same.into_iter().flat_map(|other| &other.rows).collect();
        self.rows.retain(|row| rows.contains(row));
        self.count = self.rows.len().try_into().unwrap_or(u64::MAX);
        self.count > 0
    }

    pub(super) fn take(&mut self, row: Vec<Cell>) {
        self.count += 1;
        if self.rows.len() < ROWS_MAX {
            self.rows.push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::service::Domain;
    use model::snapshot::Host;

    use super::*;

    #[test]
    fn what_was_nobodys_only_once_is_somebodys() {
        let domain = |name: &str| Domain { name: name.to_owned(), live: true, ..Domain::default() };
        let running = |names: &[&str]| {
            let domains = names.iter().map(|name| domain(name)).collect();
            let host = Host { name: "c1".to_owned(), domains, ..Host::default() };
            check_hosts(&Snapshot { hosts: vec![host], ..Snapshot::default() }, &Intent::default())
        };
        let kept = |first: &[&str], second: &[&str]| {
            let mut found = running(second);
            let first = running(first);
            found.retain_mut(|found| found.keep_those_of(&first));
            found.iter().map(|found| found.count).collect::<Vec<_>>()
        };
        let (seven, eight) = ("instance-00000007", "instance-00000008");
        assert_eq!(kept(&[seven, eight], &[seven]), [1]);
        assert_eq!(kept(&[seven], &[seven, eight]), [1]);
        assert_eq!(kept(&[seven], &[eight]), [0; 0]);
        assert_eq!(kept(&[], &[eight]), [0; 0]);
    }
}
