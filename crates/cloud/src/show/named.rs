//! Which rows of `instances` a word means, deleted ones too, found by the database: nothing else is read.

use std::net::Ipv4Addr;

use model::Mac;

use super::ShowError;
use crate::cells::Cell;
use crate::database::Session;
use crate::find::{Candidates, LISTED_MAX};
use crate::mend::{Value, bound};
use crate::records::{filled, number};
use crate::schema::Schema;
use crate::secret_url::printable;

/// A row that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    id: u64,
    uuid: Option<String>,
    name: String,
    /// `hostname` and `display_name`.
    called: [Option<String>; 2],
    host: Option<String>,
    /// `deleted`; `None` for NULL.
    deleted: Option<String>,
    deleted_at: Option<String>,
    lives: bool,
}

impl Named {
    fn text(&self) -> String {
        let uuid = self.uuid.as_deref().map_or_else(|| self.id.to_string(), printable);
        format!("{} ({uuid})", printable(&self.name))
    }
}

/// Those that fit, each once.
pub(super) async fn rows(
    session: &mut Session,
    schema: &Schema,
    wanted: &str,
) -> Result<Vec<Named>, sqlx::Error> {
    let columns = ["id", "uuid", "hostname", "display_name", "host", "deleted", "deleted_at"];
    let select = format!(
        "SELECT {}, CASE WHEN {} THEN '1' ELSE '0' END FROM instances",
        schema.texts("instances", &columns),
        schema.live("instances")
    );
    let mut found: Vec<Named> = Vec::new();
    let mut ties: Vec<Tie> = vec![Schema::tied];
    if schema.minds_capitals() {
        ties.push(Schema::tied_by_any_letters);
    }
    // Only where the quick way finds nothing the slow one is gone.
    for tie in ties {
        for condition in conditions(schema, wanted, tie) {
            let rows = session.rows(format!("{select} {condition}")).await?;
            found.extend(rows.into_iter().filter_map(|row: [Cell; 8]| named(row.to_vec())));
        }
        if !found.is_empty() {
            break;
        }
    }
    // A number or an address may be another's name. A uuid that there is names one alone, whatever others are called.
    if !is_uuid(wanted) || found.is_empty() {
        let sql = format!("{select} WHERE instances.hostname = ? OR instances.display_name = ?");
        let name = Value::Text(Some(wanted.to_owned()));
        let rows = bound::rows(session, &sql, &[name.clone(), name]).await?;
        // MySQL finds `WEB1`, too, where `web1` is asked for.
        let is_called = |row: &Named| row.called.iter().flatten().any(|name| name == wanted);
        found.extend(rows.into_iter().filter_map(named).filter(is_called));
    }
    found.sort_by_key(|row| row.id);
    found.dedup();
    Ok(found)
}

/// How a column is said to have the value that ties a row to an instance.
type Tie = fn(&Schema, table: &str, column: &str, other: &str) -> String;

/// What follows the list of columns, for all that is no name. Addresses and numbers are printed anew from what was
/// understood of the word, and a uuid has no letters that mean anything to a server.
fn conditions(schema: &Schema, wanted: &str, tie: Tie) -> Vec<String> {
    let key = schema.instance_key("fixed_ips");
    let own = schema.own_key();
    let tied = tie(schema, "instances", own, &format!("fixed_ips.{key}"));
    let fixed = format!("JOIN fixed_ips ON {tied} AND {}", schema.live("fixed_ips"));
    if let Ok(ip) = wanted.parse::<Ipv4Addr>() {
        let given = schema.is("fixed_ips", "allocated", true);
        let floating = format!(
            "JOIN floating_ips ON floating_ips.fixed_ip_id = fixed_ips.id AND {}",
            schema.live("floating_ips")
        );
        return vec![
            format!("{fixed} WHERE fixed_ips.address = '{ip}' AND {given}"),
            format!("{fixed} {floating} WHERE floating_ips.address = '{ip}'"),
        ];
    }
    if let Ok(mac) = wanted.parse::<Mac>() {
        let key = schema.instance_key("virtual_interfaces");
        let own = schema.own_key_of("virtual_interfaces");
        let mac = mac.to_string();
        // The tap's MAC, as `ip link` on the host shows it; nova's own begin with fa (nova/utils.py).
        let guest = mac.strip_prefix("fe").map_or_else(|| mac.clone(), |rest| format!("fa{rest}"));
        let tied = tie(schema, "instances", own, &format!("virtual_interfaces.{key}"));
        return vec![format!(
            "JOIN virtual_interfaces ON {tied} AND {} \
             WHERE virtual_interfaces.address IN ('{mac}', '{guest}')",
            schema.live("virtual_interfaces")
        )];
    }
    let libvirts = wanted.strip_prefix("instance-").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let id = libvirts.filter(|id| format!("instance-{id:08x}") == wanted).or_else(|| wanted.parse().ok());
    let by_id = id.map(|id| format!("WHERE instances.id = {id}"));
    let by_uuid = is_uuid(wanted)
        .then(|| format!("WHERE {}", tie(schema, "instances", "uuid", &format!("'{wanted}'"))));
    by_id.into_iter().chain(by_uuid).collect()
}

fn is_uuid(wanted: &str) -> bool {
    wanted.len() == 36 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn named(row: Vec<Cell>) -> Option<Named> {
    let [id, uuid, hostname, display_name, host, deleted, deleted_at, lives] = row.try_into().ok()?;
    let id: u64 = number(id.as_ref())?;
    let called = [filled(hostname), filled(display_name)];
    let name = called.iter().flatten().next().cloned().unwrap_or_else(|| format!("instance-{id:08x}"));
    let lives = lives.as_deref() == Some("1");
    Some(Named { id, uuid: filled(uuid), name, called, host: filled(host), deleted, deleted_at, lives })
}

/// The number of the one that lives.
pub(super) fn only(rows: Vec<Named>, wanted: &str) -> Result<u64, ShowError> {
    let shown = printable(wanted);
    let alive: Vec<&Named> = rows.iter().filter(|row| row.lives).collect();
    match (alive.as_slice(), rows.last()) {
        ([one], _) => Ok(one.id),
        ([], None) => Err(ShowError::Unknown { wanted: shown }),
        ([], Some(row)) if row.deleted.is_none() => {
            Err(ShowError::Unseen { wanted: shown, instance: row.text() })
        }
        ([], Some(row)) => {
            let (instance, at) = (row.text(), row.deleted_at.as_deref().map(printable));
            Err(ShowError::Deleted { wanted: shown, instance, at })
        }
        (several, _) => {
            let text = |row: &&Named| {
                let host = row.host.as_deref().map_or_else(|| "no host".to_owned(), printable);
                format!("{} on {host}", row.text())
            };
            let candidates = Candidates {
                count: several.len(),
                shown: several.iter().take(LISTED_MAX).map(text).collect(),
            };
            Err(ShowError::Ambiguous { wanted: shown, candidates })
        }
    }
}
