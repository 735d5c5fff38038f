//! Who may still have what a change gives away, beside the database: hosts know nothing of its rows.

use std::net::Ipv4Addr;

use super::behind::{self, Owner};
use super::change::Change;
use crate::database::Session;
use crate::schema::Schema;

/// What to look for on the hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Had {
    /// The fixed IP that the row is, or hangs on.
    pub fixed: Option<Ipv4Addr>,
    /// The instance that the row is taken from, where that is deleted or gone: by what tied the row to it, its uuid or
    /// the number that Essex used. A host may run it all the same.
    pub gone: Option<String>,
}

pub(super) async fn of(session: &mut Session, schema: &Schema, change: &Change) -> Result<Had, sqlx::Error> {
    let id = match change.table.as_str() {
        "fixed_ips" => Some(change.row.to_string()),
        "floating_ips" => change.before.get("fixed_ip_id").cloned().flatten(),
        _ => None,
    };
    let Some(id) = id else { return Ok(Had::default()) };
    let Some(fixed) = behind::fixed(session, schema, &id).await? else { return Ok(Had::default()) };
    let key = schema.instance_key("fixed_ips");
    let is_untied = change.differences().any(|(column, _, new)| column == key && new.is_none());
    let gone = match fixed.owner {
        Owner::Deleted(_) | Owner::Gone(_) => change.before.get(key).cloned().flatten(),
        Owner::Nobody | Owner::Unseen(_) | Owner::Lives(_) => None,
    };
    Ok(Had { fixed: fixed.address.parse().ok(), gone: gone.filter(|_| is_untied) })
}
