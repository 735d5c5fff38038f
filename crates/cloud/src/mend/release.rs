//! A floating IP that is to be tied to nothing, as nova's `disassociate_floating_ip` would leave it; and with its pool,
//! as `deallocate_floating_ip` would (nova/db/sqlalchemy/api.py `floating_ip_disassociate`, `floating_ip_deallocate`).

use std::net::Ipv4Addr;

use super::behind::{self, Fixed, Owner};
use super::bound;
use super::change::{Change, Draft, Row, To};
use super::error::MendError;
use crate::database::Session;
use crate::database_error::classify;
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;

const TABLE: &str = "floating_ips";

/// What is written. The row is found by its own id: found by what it leads to, it would be lost once that is cut.
pub(super) async fn plan(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    address: Ipv4Addr,
    from_pool: bool,
) -> Result<Change, MendError> {
    let failed = |error: sqlx::Error| classify(url, &error);
    let sql = format!(
        "SELECT {} FROM {TABLE} WHERE address = '{address}' AND {} ORDER BY {TABLE}.id",
        schema.text(TABLE, "id"),
        schema.live(TABLE)
    );
    let found = bound::rows(session, &sql, &[]).await.map_err(failed)?;
    let ids: Vec<String> = found.into_iter().flatten().flatten().collect();
    let row = match ids.as_slice() {
        [id] => id.parse().map_err(|_| MendError::NoFloating { address })?,
        [] => return Err(MendError::NoFloating { address }),
        _ => {
            let instead = of_twins(session, schema, &ids).await.map_err(failed)?;
            return Err(MendError::FloatingTwice { address, rows: ids, instead });
        }
    };
    let before = bound::row(session, schema, TABLE, row).await.map_err(failed)?;
    let before = before.ok_or(MendError::NoFloating { address })?;
    let fixed_id = cell(&before, "fixed_ip_id");
    let fixed = match fixed_id {
        Some(id) => behind::fixed(session, schema, id).await.map_err(failed)?,
        None => None,
    };
    if let Some(Fixed { is_live: true, owner: Owner::Lives(instance), .. }) = fixed {
        return Err(MendError::Lives { address, instance });
    }
    let is_free = fixed_id.is_none() && cell(&before, "host").is_none();
    let is_pooled = cell(&before, "project_id").is_none();
    if is_free && (is_pooled || !from_pool) {
        let what = if is_pooled { "in its pool" } else { "tied to nothing" };
        return Err(MendError::Free { address, what });
    }
    let summary = match (fixed_id, fixed) {
        (Some(_), Some(fixed)) => format!("floating IP {address} hangs on {fixed}"),
        (Some(id), None) => format!("floating IP {address} hangs on row {id} of fixed_ips, which is gone"),
        (None, _) => match cell(&before, "host") {
            Some(host) => format!("floating IP {address} hangs on nothing, and names {host} as its host"),
            None => format!("floating IP {address} hangs on nothing"),
        },
    };
    Ok(statement(schema, row, before, from_pool, summary))
}

/// What is typed of several rows with one address: one that hangs on nothing is taken away, one that hangs on nobody's
/// fixed IP is untied first, and of those that instances have nova unties one.
async fn of_twins(session: &mut Session, schema: &Schema, ids: &[String]) -> Result<String, sqlx::Error> {
    let mut tied = Vec::new();
    for id in ids {
        let row = match id.parse() {
            Ok(id) => bound::row(session, schema, TABLE, id).await?.unwrap_or_default(),
            Err(_) => Row::new(),
        };
        let Some(fixed_id) = cell(&row, "fixed_ip_id") else {
            return Ok(format!(
                "`hopline db repair floating-ip-twice {id}` takes away the one that hangs on nothing"
            ));
        };
        tied.push((id, behind::fixed(session, schema, fixed_id).await?));
    }
    let instead = tied.into_iter().find_map(|(id, fixed)| match fixed {
        None | Some(Fixed { is_live: false, .. }) => {
            Some(format!("`hopline db repair float-fixed-ip-gone {id}` first, which hangs on no fixed IP"))
        }
        Some(Fixed { owner: Owner::Lives(_) | Owner::Unseen(_), .. }) => None,
        Some(fixed @ Fixed { owner: Owner::Nobody | Owner::Gone(_) | Owner::Deleted(_), .. }) => Some(
            format!("`hopline db repair float-tied-to-deleted-instance {id}` first, which hangs on {fixed}"),
        ),
    });
    let through_nova = "each hangs on an instance: take the address off all but one of them through nova";
    Ok(instead.unwrap_or_else(|| through_nova.to_owned()))
}

fn statement(schema: &Schema, row: u64, before: Row, from_pool: bool, summary: String) -> Change {
    let mut draft = Draft::new(schema, TABLE, row, &before);
    draft.set("fixed_ip_id", To::Null);
    draft.set("host", To::Null);
    if from_pool {
        draft.set("project_id", To::Null);
        draft.set("auto_assigned", To::Flag(false));
    }
    let id = draft.bind_number(row);
    let tied = match cell(&before, "fixed_ip_id").and_then(|id| id.parse().ok()) {
        Some(fixed) => format!("fixed_ip_id = {}", draft.bind_number(fixed)),
        None => "fixed_ip_id IS NULL".to_owned(),
    };
    let condition = format!("id = {id} AND {tied} AND {}", schema.live(TABLE));
    let is_automatic = cell(&before, "auto_assigned").is_some_and(|flag| matches!(flag, "1" | "true"));
    let note = match (from_pool, is_automatic) {
        (true, _) => "one row; anybody may get the address next",
        (false, true) => {
            "one row; its project keeps the address, which nova assigned by itself and would have put \
             back into the pool: `--from-pool` does"
        }
        (false, false) => "one row; its project keeps the address",
    };
    draft.finish(&condition, before, summary, note.to_owned())
}

/// A value that is there; an empty one is none.
fn cell<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    row.get(column)?.as_deref().filter(|text| !text.is_empty())
}
