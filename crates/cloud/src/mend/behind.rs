//! What a row leads to, in words: whose a fixed IP is, and whether what the old values of a row lean on is still as it
//! was when they were taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bound;
use super::change::{Change, Value};
use super::locks::shared;
use crate::cells::Cell;
use crate::database::Session;
use crate::schema::Schema;

/// A fixed IP, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) address: String,
    /// Its own row is live.
    pub(super) is_live: bool,
    pub(super) owner: Owner,
}

/// Whose a fixed IP is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// Its row names no instance.
    Nobody,
    /// It names one that has no row: by its key.
    Gone(String),
    /// It names one that is deleted: by its name.
    Deleted(String),
    /// It names one whose `deleted` is NULL, so that nova does not see it.
    Unseen(String),
    /// It names one that lives.
    Lives(String),
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fixed { address, is_live, owner } = self;
        if !is_live {
            // Whose it was means nothing any more.
            return write!(f, "{address}, whose own row is deleted");
        }
        match owner {
            Owner::Nobody => write!(f, "{address}, which is no instance's"),
            Owner::Gone(key) => write!(f, "{address}, whose instance ({key}) is gone"),
            Owner::Deleted(name) => write!(f, "{address}, whose instance ({name}) is deleted"),
            Owner::Unseen(name) => {
                write!(f, "{address}, whose instance ({name}) nova cannot see: its `deleted` is NULL")
            }
            Owner::Lives(name) => write!(f, "{address} of {name}, which lives"),
        }
    }
}

/// The row of `fixed_ips`; `None` where there is none. Nobody is gone whose uuid is only written in other letters.
pub(super) async fn fixed(
    session: &mut Session,
    schema: &Schema,
    id: &str,
) -> Result<Option<Fixed>, sqlx::Error> {
    let other = format!("fixed_ips.{}", schema.instance_key("fixed_ips"));
    let by_index = schema.tied("instances", schema.own_key(), &other);
    let found = tied(session, schema, id, &by_index).await?;
    let is_gone = matches!(&found, Some(Fixed { owner: Owner::Gone(_), .. }));
    if !(is_gone && schema.minds_capitals()) {
        return Ok(found);
    }
    tied(session, schema, id, &schema.tied_by_any_letters("instances", schema.own_key(), &other)).await
}

/// The same, with the instance that is tied to it so.
async fn tied(
    session: &mut Session,
    schema: &Schema,
    id: &str,
    tie: &str,
) -> Result<Option<Fixed>, sqlx::Error> {
    let key = schema.instance_key("fixed_ips");
    let names = ["hostname", "display_name", "uuid", "id"].map(|column| schema.text("instances", column));
    let sql = format!(
        "SELECT {}, CASE WHEN {} THEN '1' ELSE '0' END, {}, {}, COALESCE({}) FROM fixed_ips \
         LEFT JOIN instances ON {tie} WHERE fixed_ips.id = {}",
        schema.text("fixed_ips", "address"),
        schema.live("fixed_ips"),
        schema.text("fixed_ips", key),
        state(schema, "instances"),
        names.join(", "),
        bound::place(schema, "fixed_ips", "id"),
    );
    let found = bound::rows(session, &sql, &[Value::Text(Some(id.to_owned()))]).await?;
    let Some(Ok([address, live, key, state, name])) = found.into_iter().next().map(<[Cell; 5]>::try_from)
    else {
        return Ok(None);
    };
    let owner = match (key.filter(|key| !key.is_empty()), state.as_deref(), name) {
        (None, _, _) => Owner::Nobody,
        (Some(_), Some("lives"), Some(name)) => Owner::Lives(name),
        (Some(_), Some("deleted"), Some(name)) => Owner::Deleted(name),
        (Some(_), Some("unseen"), Some(name)) => Owner::Unseen(name),
        (Some(key), _, _) => Owner::Gone(key),
    };
    // PostgreSQL's `inet` prints an address with its length.
    let address = address.as_deref().map_or("an address that is none", |text| text.trim_end_matches("/32"));
    Ok(Some(Fixed { address: address.to_owned(), is_live: live.as_deref() == Some("1"), owner }))
}

/// Whether the row of a table lives, is deleted, or is not seen by nova; a row that an outer join misses is gone.
fn state(schema: &Schema, table: &str) -> String {
    let (live, deleted) = (schema.live(table), schema.text(table, "deleted"));
    format!(
        "CASE WHEN {table}.id IS NULL THEN 'gone' WHEN {live} THEN 'lives' WHEN {deleted} IS NULL THEN 'unseen' \
         ELSE 'deleted' END"
    )
}

/// What the old values of a changed row lean on, and how each is.
pub(super) type Leans = BTreeMap<String, Lean>;

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Lean {
    /// In words.
    Is(String),
    /// The ids of the rows that have it.
    Rows(BTreeSet<String>),
}

impl fmt::Display for Lean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lean::Is(words) => f.write_str(words),
            Lean::Rows(ids) if ids.is_empty() => f.write_str("nobody"),
            Lean::Rows(ids) => {
                write!(f, "row {}", ids.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What columns that change point to.
const POINTERS: [(&str, &str); 7] = [
    ("instance_uuid", "instances"),
    ("instance_id", "instances"),
    ("virtual_interface_id", "virtual_interfaces"),
    ("network_id", "networks"),
    ("security_group_id", "security_groups"),
    ("parent_group_id", "security_groups"),
    ("group_id", "security_groups"),
];

/// Looks at them. Only what a column points to that the change took away counts, and, for a row that the change deleted
/// or cut off, who else has what it had.
pub(super) async fn leans(
    session: &mut Session,
    schema: &Schema,
    change: &Change,
) -> Result<Leans, sqlx::Error> {
    let Change { table, row, before, .. } = change;
    let mut leans = Leans::new();
    let is_deleted = differs(change, "deleted");
    let mut is_cut = is_deleted;
    if let Some(fixed_id) = taken(change, "fixed_ip_id", is_deleted) {
        is_cut = true;
        let is = fixed(session, schema, fixed_id).await?;
        let is = is.map_or_else(|| "gone".to_owned(), |fixed| fixed.to_string());
        leans.insert(format!("row {fixed_id} of fixed_ips"), Lean::Is(is));
    }
    for (column, pointed) in POINTERS {
        let Some(value) = taken(change, column, is_deleted) else { continue };
        is_cut = true;
        if schema.missing(&[pointed]).is_empty() {
            // A cache is tied by uuid in every series, whatever its column is called.
            let is_by_uuid = column == "instance_uuid" || table == "instance_info_caches";
            let by = if is_by_uuid { "uuid" } else { "id" };
            let is = one(session, schema, pointed, by, value).await?;
            leans.insert(format!("{by} {value} of {pointed}"), Lean::Is(is));
        }
    }
    if is_cut {
        for column in shared(table) {
            let Some(Some(value)) = before.get(*column) else { continue };
            let others = with(session, schema, table, column, value, Some(*row)).await?;
            leans.insert(format!("who else has {column} {value} in {table}"), others);
        }
        if table == "fixed_ips" {
            let tied = with(session, schema, "floating_ips", "fixed_ip_id", &row.to_string(), None).await?;
            leans.insert(format!("who has fixed_ip_id {row} in floating_ips"), tied);
        }
    }
    Ok(leans)
}

fn differs(change: &Change, column: &str) -> bool {
    change.before.get(column) != change.after.get(column)
}

/// What a column pointed to that the change cut, or that comes back with the row.
fn taken<'c>(change: &'c Change, column: &str, is_deleted: bool) -> Option<&'c str> {
    let is_taken = is_deleted || differs(change, column);
    change.before.get(column)?.as_deref().filter(|value| is_taken && !value.is_empty())
}

async fn one(
    session: &mut Session,
    schema: &Schema,
    table: &'static str,
    by: &str,
    value: &str,
) -> Result<String, sqlx::Error> {
    // Of a NIC it matters whose it is, too.
    let whose = schema.instance_key(table);
    let whose = if schema.has(table, whose) { schema.text(table, whose) } else { "NULL".to_owned() };
    let place = bound::place(schema, table, by);
    let sql = format!("SELECT {}, {whose} FROM {table} WHERE {by} = {place}", state(schema, table));
    let found = bound::rows(session, &sql, &[Value::Text(Some(value.to_owned()))]).await?;
    Ok(match found.into_iter().next().map(<[Cell; 2]>::try_from) {
        Some(Ok([Some(state), Some(whose)])) => format!("{state}, of instance {whose}"),
        Some(Ok([Some(state), None])) => state,
        Some(Ok([None, _]) | Err(_)) | None => "gone".to_owned(),
    })
}

/// The live rows that have a value in a column, but for one.
async fn with(
    session: &mut Session,
    schema: &Schema,
    table: &str,
    column: &str,
    value: &str,
    except: Option<u64>,
) -> Result<Lean, sqlx::Error> {
    let except = except.map(|row| format!(" AND id <> {row}")).unwrap_or_default();
    let sql = format!(
        "SELECT {} FROM {table} WHERE {column} = {} AND {}{except} ORDER BY {table}.id",
        schema.text(table, "id"),
        bound::place(schema, table, column),
        schema.live(table)
    );
    let found = bound::rows(session, &sql, &[Value::Text(Some(value.to_owned()))]).await?;
    Ok(Lean::Rows(found.into_iter().flatten().flatten().collect()))
}

/// What has changed since, in words. That fewer rows have something disturbs nobody.
pub(super) fn moved(then: &Leans, now: &Leans) -> Option<String> {
    let disturbs = |was: &Lean, is: &Lean| match (was, is) {
        (Lean::Rows(was), Lean::Rows(is)) => !is.is_subset(was),
        (Lean::Is(was), Lean::Is(is)) => was != is,
        (Lean::Rows(_), Lean::Is(_)) | (Lean::Is(_), Lean::Rows(_)) => true,
    };
    let told = then.iter().filter_map(|(what, was)| {
        match now.get(what) {
            Some(is) => disturbs(was, is).then(|| format!("{what}: was {was}, and is {is} now")),
            // Whether somebody else has it by now nobody can tell.
            None => Some(format!("{what}: was {was}, and cannot be looked at any more")),
        }
    });
    let all: Vec<String> = told.collect();
    (!all.is_empty()).then(|| all.join("; "))
}
