//! Why a repair's own conditions keep it from a row: what hangs on the row, or what its network needs it for.

use super::bound;
use super::change::Value;
use super::error::MendError;
use crate::cells::Cell;
use crate::check::ROLES;
use crate::database::Session;
use crate::schema::Schema;

/// In words, where it is one of these two. Only what the statement is held to is looked at.
pub(super) async fn why(
    session: &mut Session,
    schema: &Schema,
    code: &str,
    row: u64,
    sql: &str,
) -> Result<MendError, sqlx::Error> {
    let code = code.to_owned();
    if sql.contains("FROM floating_ips AS ") {
        let addresses = hanging(session, schema, row).await?;
        if !addresses.is_empty() {
            return Ok(MendError::FloatingHangs { code, row, addresses });
        }
    }
    if sql.contains("FROM networks AS ")
        && let Some((address, role)) = needed(session, schema, row).await?
    {
        return Ok(MendError::KeptBack { row, address, role });
    }
    Ok(MendError::Guarded { code, row })
}

/// The live floating IPs that hang on a row of `fixed_ips`.
async fn hanging(session: &mut Session, schema: &Schema, row: u64) -> Result<Vec<String>, sqlx::Error> {
    let sql = format!(
        "SELECT {} FROM floating_ips WHERE fixed_ip_id = ? AND {} ORDER BY floating_ips.id",
        schema.text("floating_ips", "address"),
        schema.live("floating_ips")
    );
    let found = bound::rows(session, &sql, &[Value::Number(row.cast_signed())]).await?;
    // PostgreSQL's `inet` prints an address with its length.
    Ok(found.into_iter().flatten().flatten().map(|ip| ip.trim_end_matches("/32").to_owned()).collect())
}

/// What the network of a row of `fixed_ips` needs its address for.
async fn needed(
    session: &mut Session,
    schema: &Schema,
    row: u64,
) -> Result<Option<(String, &'static str)>, sqlx::Error> {
    let roles = ROLES.map(|(column, _)| schema.text("networks", column)).join(", ");
    let sql = format!(
        "SELECT {}, {roles} FROM fixed_ips JOIN networks ON networks.id = fixed_ips.network_id \
         WHERE fixed_ips.id = {row}",
        schema.text("fixed_ips", "address")
    );
    let Some(cells) = bound::rows(session, &sql, &[]).await?.into_iter().next() else { return Ok(None) };
    let Some((own, needed)) = cells.split_first() else { return Ok(None) };
    let first = |cell: &Cell| Some(cell.as_ref()?.split('/').next()?.to_owned());
    let Some(own) = first(own) else { return Ok(None) };
    let role = ROLES.iter().zip(needed).find(|(_, cell)| first(cell).as_ref() == Some(&own));
    Ok(role.map(|((_, role), _)| (own, *role)))
}
