//! A floating IP that is to be tied to nothing, as nova's `disassociate_floating_ip` would leave it; and with its pool,
//! as `deallocate_floating_ip` would (nova/db/sqlalchemy/api.py `floating_ip_disassociate`, `floating_ip_deallocate`).

use std::net::Ipv4Addr;

use super::bound;
use super::change::{Change, Draft, Row, To};
use super::error::MendError;
use crate::cells::Cell;
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
        _ => return Err(MendError::FloatingTwice { address, rows: ids }),
    };
    let before = bound::row(session, schema, TABLE, row, "").await.map_err(failed)?;
    let before = before.ok_or(MendError::NoFloating { address })?;
    let behind = behind(session, schema, row).await.map_err(failed)?;
    if let Some(Behind { instance: Some(instance), lives: true, .. }) = behind {
        return Err(MendError::Lives { address, instance });
    }
    let is_free = ["fixed_ip_id", "host"].iter().all(|column| cell(&before, column).is_none());
    let is_pooled = cell(&before, "project_id").is_none();
    if is_free && (is_pooled || !from_pool) {
        let what = if is_pooled { "in its pool" } else { "tied to nothing" };
        return Err(MendError::Free { address, what });
    }
    let summary = match behind {
        Some(Behind { fixed, instance, .. }) => format!(
            "floating IP {address} hangs on {}, whose instance ({}) is deleted",
            fixed.as_deref().map_or("a fixed IP that is gone", |ip| ip.trim_end_matches("/32")),
            instance.as_deref().unwrap_or("none")
        ),
        None => format!("floating IP {address} is tied to no instance"),
    };
    Ok(statement(schema, row, before, from_pool, summary))
}

fn statement(schema: &Schema, row: u64, before: Row, from_pool: bool, summary: String) -> Change {
    let mut draft = Draft::new(schema, TABLE, row, &before);
    draft.set("fixed_ip_id", To::Null);
    draft.set("host", To::Null);
    if from_pool {
        draft.set("project_id", To::Null);
        draft.set("auto_assigned", To::False);
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

/// What a row leads to.
struct Behind {
    fixed: Cell,
    instance: Cell,
    lives: bool,
}

async fn behind(session: &mut Session, schema: &Schema, row: u64) -> Result<Option<Behind>, sqlx::Error> {
    let key = schema.instance_key("fixed_ips");
    let theirs = if key == "instance_uuid" { "uuid" } else { "id" };
    let names = [
        schema.text("instances", "hostname"),
        schema.text("instances", "uuid"),
        schema.text("instances", "id"),
    ];
    let sql = format!(
        "SELECT {}, COALESCE({}), CASE WHEN {} AND {} THEN '1' ELSE '0' END FROM floating_ips \
         JOIN fixed_ips ON fixed_ips.id = floating_ips.fixed_ip_id \
         LEFT JOIN instances ON instances.{theirs} = fixed_ips.{key} WHERE floating_ips.id = {row}",
        schema.text("fixed_ips", "address"),
        names.join(", "),
        schema.live("fixed_ips"),
        schema.live("instances"),
    );
    let found = bound::rows(session, &sql, &[]).await?.into_iter().next();
    Ok(found.and_then(|cells| match <[Cell; 3]>::try_from(cells) {
        Ok([fixed, instance, lives]) => {
            Some(Behind { fixed, instance, lives: lives.as_deref() == Some("1") })
        }
        Err(_) => None,
    }))
}

/// A value that is there; an empty one is none.
fn cell<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    row.get(column)?.as_deref().filter(|text| !text.is_empty())
}
