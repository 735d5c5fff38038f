//! One instance as the database records it, read by its own rows: quick, however large the cloud is.

mod cache;
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use model::intent::Instance;
use thiserror::Error;

use crate::cells::Cell;
use crate::database::{Session, block_on};
use crate::database_error::{DatabaseError, classify};
use crate::find::Candidates;
use crate::part::Part;
use crate::records::{self, Records, address, flag, number};
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;
use crate::whose::Whose;

/// An instance that lives, and all that is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its rows: of instances this one alone; every network, without the count of its free addresses.
    pub records: Records,
    /// `fixed_ips.leased` of each of its addresses: dnsmasq has told nova of a lease.
    pub leased: BTreeMap<Ipv4Addr, bool>,
    /// `networks.dns1` and `dns2`, by `networks.id`.
    pub dns: BTreeMap<u64, Vec<Ipv4Addr>>,
    /// What nova's API tells its users.
    pub cache: InfoCache,
}

/// `instance_info_caches.network_info`, beside the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfoCache {
    /// There is no such row, or no such table.
    Absent,
    /// It is not what nova writes.
    Unreadable,
    /// It has the NICs and addresses that the tables have.
    Same(String),
    /// It says the one, the tables the other.
    Differs {
        /// Its own.
        cache: String,
        /// Those of the tables.
        tables: String,
    },
}

/// Why there is nothing to show. Words are shown with control characters written out.
#[derive(Debug, Error)]
pub enum ShowError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Several are called so.
    #[error(
        "`{wanted}` fits {} instances: {candidates}; say which by its uuid or address", .candidates.count
    )]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Those that fit.
        candidates: Candidates,
    },
    /// It lives no more.
    #[error("`{wanted}` is {instance}, which is deleted{}", since(.at.as_deref()))]
    Deleted {
        /// What was asked for.
        wanted: String,
        /// `web1 (uuid)`.
        instance: String,
        /// `instances.deleted_at`.
        at: Option<String>,
    },
    /// nova itself does not see the row.
    #[error("`{wanted}` is {instance}, which nova does not see: `deleted` of its row is NULL")]
    Unseen {
        /// What was asked for.
        wanted: String,
        /// `web1 (uuid)`.
        instance: String,
    },
    /// No row fits.
    #[error("the database has no instance `{wanted}`, nor a deleted one")]
    Unknown {
        /// What was asked for.
        wanted: String,
    },
}

fn since(at: Option<&str>) -> String {
    at.map(|at| format!(", since {at} UTC")).unwrap_or_default()
}

/// Reads what is recorded of the living instance with this number, name, uuid, libvirt name, fixed or floating IP or
/// MAC, waiting no longer than `timeout` for all of it.
///
/// Blocks, on a runtime of its own: not to be called from inside another. Writes nothing.
pub fn show(url: &DatabaseUrl, timeout: Duration, wanted: &str) -> Result<Record, ShowError> {
    block_on(url, timeout, async {
        let mut session = Session::start(url, timeout).await?;
        let schema = records::schema_of(&mut session, url).await?;
        let failed = |error: sqlx::Error| classify(url, &error);
        let rows = named::rows(&mut session, &schema, wanted).await.map_err(failed)?;
        let id = named::only(rows, wanted)?;
        let record = read(&mut session, &schema, url, id).await.map_err(failed);
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        Ok(record?)
    })
}

async fn read(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    id: u64,
) -> Result<Record, sqlx::Error> {
    let record = read_of(session, schema, url, Whose::Those(&[id])).await?;
    if !schema.minds_capitals() || is_whole(&record, schema) {
        return Ok(record);
    }
    read_of(session, schema, url, Whose::ThoseInAnyLetters(&[id])).await
}

/// It has what every instance has that is in order. What is not there may be tied to it by a uuid in other letters,
/// which no index finds.
fn is_whole(record: &Record, schema: &Schema) -> bool {
    let has_groups = |instance: &Instance| {
        !instance.security_groups.is_empty() || !record.records.missing_tables.is_empty()
    };
    let has_all = |instance: &Instance| {
        let vifs = &instance.vifs;
        let has_nics = !vifs.is_empty() && vifs.iter().all(|vif| vif.mac.is_some() && !vif.fixed.is_empty());
        has_nics && has_groups(instance)
    };
    let has_cache =
        record.cache != InfoCache::Absent || !schema.missing(&["instance_info_caches"]).is_empty();
    has_cache && record.records.instances.iter().all(has_all)
}

async fn read_of(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    whose: Whose<'_>,
) -> Result<Record, sqlx::Error> {
    let mut records = records::begun(session, schema, url).await?;
    records::add(&mut records, session, schema, whose).await?;
    let part = Part { hosts: hosts(&records), networks: Vec::new() };
    let ids = records.network_index();
    records::host_addresses(session, schema, &mut records.networks, &ids, Some(&part)).await?;
    let leased = leased(session, schema, whose).await?;
    let dns = dns(session, schema).await?;
    let cache = cache::read(session, schema, whose).await?;
    Ok(Record { records, leased, dns, cache })
}

/// The hosts that are to have anything of it, by nova's names: it may run on another of them than is recorded.
fn hosts(records: &Records) -> Vec<String> {
    let instances = records.instances.iter();
    let recorded = instances.clone().filter_map(|instance| instance.recorded_host.clone());
    let floating =
        instances.clone().flat_map(Instance::floating).filter_map(|floating| floating.host.clone());
    let networks = instances.flat_map(|instance| &instance.vifs).filter_map(|vif| vif.network);
    let serving = networks.filter_map(|at| records.networks.get(at)?.host.clone());
    let hosts: BTreeSet<String> = recorded.chain(floating).chain(serving).collect();
    hosts.into_iter().collect()
}

async fn leased(
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'_>,
) -> Result<BTreeMap<Ipv4Addr, bool>, sqlx::Error> {
    let sql = format!(
        "SELECT {} FROM {} WHERE {} AND {}{}",
        schema.texts("fixed_ips", &["address", "leased"]),
        whose.from(schema, "fixed_ips"),
        schema.live("fixed_ips"),
        schema.is("fixed_ips", "allocated", true),
        whose.only(),
    );
    let rows = session.rows(sql).await?.into_iter();
    Ok(rows.filter_map(|[ip, leased]| Some((address(ip.as_ref())?, flag(leased.as_ref())))).collect())
}

async fn dns(session: &mut Session, schema: &Schema) -> Result<BTreeMap<u64, Vec<Ipv4Addr>>, sqlx::Error> {
    let columns = schema.texts("networks", &["id", "dns1", "dns2"]);
    let sql = format!("SELECT {columns} FROM networks WHERE {}", schema.live("networks"));
    let servers = |[id, first, second]: [Cell; 3]| {
        let servers = [first, second].iter().filter_map(|ip| address(ip.as_ref())).collect();
        Some((number(id.as_ref())?, servers))
    };
    Ok(session.rows(sql).await?.into_iter().filter_map(servers).collect())
}
