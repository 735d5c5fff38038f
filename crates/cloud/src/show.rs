//! One instance as the database records it, read by its own rows: quick, however large the cloud is.

mod cache;
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::Ipv6Net;
use model::Mac;
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
    /// `networks.cidr_v6` and `gateway_v6`, by `networks.id`: of those that have one.
    pub v6: BTreeMap<u64, RangeV6>,
    /// What nova's API tells its users.
    pub cache: InfoCache,
}

/// A network's range of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeV6 {
    /// Its prefix, with the bits that it has behind it.
    pub cidr: Ipv6Net,
    /// Where its instances send what is not theirs.
    pub gateway: Option<Ipv6Addr>,
}

impl RangeV6 {
    /// The address that nova gives the NIC with this MAC, and no row has: its EUI-64 in this range
    /// (nova/ipv6/rfc2462.py `to_global`, for `ipv6_backend`'s default).
    pub fn address_of(&self, mac: Mac) -> Ipv6Addr {
        let Mac([v1, v2, v3, n1, n2, n3]) = mac;
        let own = u64::from_be_bytes([v1 ^ 2, v2, v3, 0xff, 0xfe, n1, n2, n3]);
        Ipv6Addr::from_bits(self.cidr.addr().to_bits() | u128::from(own))
    }
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
    let v6 = ranges_v6(session, schema).await?;
    let cache = cache::read(session, schema, whose).await?;
    Ok(Record { records, leased, dns, v6, cache })
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

async fn ranges_v6(session: &mut Session, schema: &Schema) -> Result<BTreeMap<u64, RangeV6>, sqlx::Error> {
    let columns = schema.texts("networks", &["id", "cidr_v6", "gateway_v6"]);
    let sql = format!("SELECT {columns} FROM networks WHERE {}", schema.live("networks"));
    let range = |[id, cidr, gateway]: [Cell; 3]| {
        let cidr = cidr?.trim().parse().ok()?;
        // PostgreSQL's `inet` prints an address with its length.
        let gateway = gateway.and_then(|ip| ip.split('/').next()?.trim().parse().ok());
        Some((number(id.as_ref())?, RangeV6 { cidr, gateway }))
    };
    Ok(session.rows(sql).await?.into_iter().filter_map(range).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nic_has_the_address_of_its_mac() {
        // The second from nova's own tests (nova/tests/unit/test_ipv6.py).
        for (cidr, mac, address) in [
            ("fd00:1::/64", "fa:16:3e:00:00:01", "fd00:1::f816:3eff:fe00:1"),
            ("2001:db8::/64", "02:16:3e:33:44:55", "2001:db8::16:3eff:fe33:4455"),
        ] {
            let range = RangeV6 { cidr: cidr.parse().unwrap(), gateway: None };
            assert_eq!(range.address_of(mac.parse().unwrap()).to_string(), address);
        }
    }
}
