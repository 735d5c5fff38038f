//! The part of a cloud's records that concerns a site: as much as the site has, however large the cloud is.
//!
//! First the instances that nova runs on the site's hosts, or on none, that have a floating address there, or that a
//! network serves whose one host is there. Then those that the site shows by number, uuid, MAC or address, or that are
//! asked for; a few neighbours of each network of theirs on other hosts; and whoever has a MAC or an address of one of
//! these as well. Of all of them the whole is read, and of the site's hosts and networks what is recorded of nobody who
//! lives.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use model::intent::{Instance, Network, OFF};
use model::{Mac, Snapshot};

use crate::cells::Cell;
use crate::database::{Session, block_on};
use crate::database_error::{DatabaseError, classify};
use crate::host_name::short;
use crate::mend::{Value, bound};
use crate::part::{Part, one_of};
use crate::records::{self, Records, filled, number};
use crate::remains;
use crate::schema::Schema;
use crate::secret_url::DatabaseUrl;
use crate::sought::Sought;
use crate::whose::{Whose, among, is_among};

/// Values that one statement names at most.
const VALUES_MAX: usize = 500;
/// Neighbours of a network on hosts beyond the site: the ladder asks for four.
const NEIGHBOURS_MAX: usize = 4;
/// Networks of which one statement looks for neighbours.
const NETWORKS_AT_ONCE: usize = 20;

/// Reads it, waiting no longer than `timeout` for all of it. Free addresses are counted of the site's networks alone.
///
/// Blocks, on a runtime of its own: not to be called from inside another. Writes nothing.
pub fn read_site(
    url: &DatabaseUrl,
    timeout: Duration,
    snapshot: &Snapshot,
    sought: &Sought,
) -> Result<Records, DatabaseError> {
    block_on(url, timeout, async {
        let mut session = Session::start(url, timeout).await?;
        let schema = records::schema_of(&mut session, url).await?;
        let records = match read(&mut session, &schema, url, (snapshot, sought)).await {
            // What is read of everybody names nobody.
            Err(error) if cannot_be_named(&error) => {
                session = Session::start(url, timeout).await?;
                records::read(&mut session, url).await
            }
            read => read.map_err(|error| classify(url, &error)),
        };
        // What was read stands, whether or not the server hears our goodbye.
        let _ = session.0.close().await;
        records
    })
}

/// The database's encoding lacks a letter of a name (PostgreSQL's `untranslatable_character`).
fn cannot_be_named(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "22P05")
}

async fn read(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    (snapshot, sought): (&Snapshot, &Sought),
) -> Result<Records, sqlx::Error> {
    let mut records = records::begun(session, schema, url).await?;
    let hosts = hosts(session, schema, &records, (snapshot, sought)).await?;
    let mut part = Part { networks: networks_there(&records, snapshot, &hosts), hosts };
    let served = networks_served(&records, &part.hosts);
    let mut search = Search { session, schema, found: BTreeSet::new() };
    search.on_hosts(&part).await?;
    search.in_networks(&served).await?;
    search.shown(sought).await?;
    add(&mut records, &mut search, &BTreeSet::new()).await?;
    part.networks.extend(networks_of(&records));
    part.networks.extend(twins(&records, &part.networks));
    part.networks.sort_unstable();
    part.networks.dedup();
    // Whoever shares a MAC or an address with one of those that are known by now is part of what happens to it.
    let known = search.found.clone();
    search.neighbours(&part).await?;
    search.shown(&same(&records, sought)).await?;
    add(&mut records, &mut search, &known).await?;
    records.instances.sort_by_key(|instance| instance.id);

    let ids = records.network_index();
    records::host_addresses(search.session, schema, &mut records.networks, &ids, Some(&part)).await?;
    records.remains = remains::read(search.session, schema, &ids, Some(&part)).await?;
    // One that has come to no network may have been meant for any.
    let is_of_none =
        |one: &Instance| !one.host.is_empty() && one.vifs.iter().all(|vif| vif.network.is_none());
    if records.instances.iter().any(is_of_none) {
        records::count_addresses(search.session, schema, &mut records.networks, &ids, "").await?;
        return Ok(records);
    }
    // Each by itself: of several at once MySQL goes through the whole table.
    for id in &part.networks {
        let only = among("fixed_ips.network_id", std::iter::once(*id));
        records::count_addresses(search.session, schema, &mut records.networks, &ids, &only).await?;
    }
    Ok(records)
}

/// By which names nova knows the site's hosts. The site's own names are among them whatever the tables hold.
async fn hosts(
    session: &mut Session,
    schema: &Schema,
    records: &Records,
    (snapshot, sought): (&Snapshot, &Sought),
) -> Result<Vec<String>, sqlx::Error> {
    let read = snapshot.hosts.iter().flat_map(|host| {
        let novas = host.nova.as_ref().and_then(|nova| nova.get("host")).map(str::to_owned);
        novas.into_iter().chain([host.name.clone()])
    });
    let own: BTreeSet<String> = read.chain(sought.unread_hosts.iter().cloned()).collect();
    let known: BTreeSet<String> = own.iter().map(|name| short(name)).collect();
    let is_sites = |name: &String| known.contains(&short(name));
    let mut names: BTreeSet<String> =
        records.networks.iter().filter_map(|network| network.host.clone()).collect();
    for table in ["instances", "floating_ips", "fixed_ips"] {
        let host = schema.text(table, "host");
        let sql = format!(
            "SELECT {host} FROM (SELECT DISTINCT {table}.host FROM {table} WHERE {table}.host IS NOT NULL) {table}"
        );
        let found: Vec<[Cell; 1]> = session.rows(sql).await?;
        names.extend(found.into_iter().filter_map(|[host]| filled(host)));
    }
    names.retain(is_sites);
    names.extend(own);
    Ok(names.into_iter().collect())
}

/// Networks whose bridge is on one of the site's hosts.
fn networks_there(records: &Records, snapshot: &Snapshot, hosts: &[String]) -> Vec<u64> {
    let mains = snapshot.hosts.iter().filter_map(|host| snapshot.main_netns(&host.name));
    let links: BTreeSet<&str> =
        mains.flat_map(model::Netns::bridges).map(|link| link.name.as_str()).collect();
    let there = records.networks.iter().filter(|network| {
        let derived = network.vlan.map(|vlan| format!("br{vlan}"));
        let named = network.bridge.as_deref().or(derived.as_deref());
        // nova.conf may name the bridge of one that has none.
        named.is_none_or(|bridge| links.contains(bridge))
            || network.host.as_ref().is_some_and(|host| hosts.contains(host))
    });
    there.filter_map(|network| network.id).collect()
}

/// Networks whose one host, for whomever is on them, is the site's.
fn networks_served(records: &Records, hosts: &[String]) -> Vec<u64> {
    let served = records.networks.iter().filter(|network| {
        !network.multi_host && network.host.as_ref().is_some_and(|host| hosts.contains(host))
    });
    served.filter_map(|network| network.id).collect()
}

fn networks_of(records: &Records) -> Vec<u64> {
    let vifs = records.instances.iter().flat_map(|instance| &instance.vifs);
    vifs.filter_map(|vif| records.networks.get(vif.network?)?.id).collect()
}

/// Networks of the same range as one of these: whoever asks for a neighbour takes them for one.
fn twins(records: &Records, networks: &[u64]) -> Vec<u64> {
    let is_one = |network: &&Network| network.id.is_some_and(|id| networks.contains(&id));
    let ranges: BTreeSet<_> =
        records.networks.iter().filter(is_one).filter_map(|network| network.cidr).collect();
    let alike =
        records.networks.iter().filter(|network| network.cidr.is_some_and(|cidr| ranges.contains(&cidr)));
    alike.filter_map(|network| network.id).collect()
}

/// What the instances have that others may have as well, but for what was looked for.
fn same(records: &Records, sought: &Sought) -> Sought {
    let vifs = || records.instances.iter().flat_map(|instance| &instance.vifs);
    let floating = records.instances.iter().flat_map(Instance::floating).map(|floating| floating.address);
    let macs: BTreeSet<Mac> = vifs().filter_map(|vif| vif.mac).collect();
    let addresses: BTreeSet<Ipv4Addr> = vifs().flat_map(|vif| vif.fixed.clone()).chain(floating).collect();
    Sought {
        macs: macs.difference(&sought.macs).copied().collect(),
        addresses: addresses.difference(&sought.addresses).copied().collect(),
        ..Sought::default()
    }
}

/// Reads those that were found, but for those that are known.
async fn add(
    records: &mut Records,
    search: &mut Search<'_>,
    known: &BTreeSet<u64>,
) -> Result<(), sqlx::Error> {
    let ids: Vec<u64> = search.found.difference(known).copied().collect();
    for ids in ids.chunks(VALUES_MAX) {
        records::add(records, search.session, search.schema, Whose::Those(ids)).await?;
    }
    Ok(())
}

/// The numbers of living instances, found by and by.
struct Search<'s> {
    session: &'s mut Session,
    schema: &'s Schema,
    found: BTreeSet<u64>,
}

impl Search<'_> {
    /// Those of which the condition holds, which follows the tables that it is about.
    async fn find(&mut self, joins: &str, condition: &str, values: &[Value]) -> Result<(), sqlx::Error> {
        let sql = format!(
            "SELECT {} FROM instances{joins} WHERE {} AND {condition}",
            self.schema.text("instances", "id"),
            self.schema.live_of_all("instances")
        );
        let rows = bound::rows(self.session, &sql, values).await?;
        self.found.extend(rows.iter().filter_map(|row| number::<u64>(row.first()?.as_ref())));
        Ok(())
    }

    /// A table whose rows are tied to instances, those that live. What is sought has an index, and most rows live.
    fn joined(&self, table: &str) -> String {
        let key = format!("{table}.{}", self.schema.instance_key(table));
        let tied = self.schema.tied("instances", self.schema.own_key_of(table), &key);
        let live = self.schema.live_of_all(table);
        format!(" JOIN {table} ON {tied} AND {live}")
    }

    /// Instances with their fixed and their floating addresses.
    fn with_floating(&self) -> String {
        let live = self.schema.live_of_all("floating_ips");
        let fixed = self.joined("fixed_ips");
        format!("{fixed} JOIN floating_ips ON floating_ips.fixed_ip_id = fixed_ips.id AND {live}")
    }

    /// On these hosts, or on none; or by a floating address that is recorded there, wherever they run.
    async fn on_hosts(&mut self, part: &Part) -> Result<(), sqlx::Error> {
        let floating = self.with_floating();
        for names in part.hosts.chunks(VALUES_MAX) {
            let some = Part { hosts: names.to_vec(), networks: Vec::new() };
            self.find("", &some.on_hosts("instances.host"), &some.names()).await?;
            self.find(&floating, &some.on_hosts("floating_ips.host"), &some.names()).await?;
        }
        self.find("", "instances.host IS NULL", &[]).await?;
        self.find("", "instances.host = ''", &[]).await
    }

    /// With an address or a NIC in these networks.
    async fn in_networks(&mut self, networks: &[u64]) -> Result<(), sqlx::Error> {
        for ids in networks.chunks(VALUES_MAX) {
            for table in ["fixed_ips", "virtual_interfaces"] {
                let condition = is_among(&format!("{table}.network_id"), ids.iter().copied());
                self.find(&self.joined(table), &condition, &[]).await?;
            }
        }
        Ok(())
    }

    /// By what a site shows. Addresses, MACs and uuids are printed anew from what was understood of them.
    async fn shown(&mut self, sought: &Sought) -> Result<(), sqlx::Error> {
        for condition in literals("instances.id", sought.ids.iter()) {
            self.find("", &condition, &[]).await?;
        }
        // Only MySQL takes capitals and small letters for the same.
        let spelled = |word: String| [format!("'{}'", word.to_ascii_uppercase()), format!("'{word}'")];
        let uuids = sought.uuids.iter().cloned().flat_map(spelled);
        for condition in literals("instances.uuid", uuids) {
            self.find("", &condition, &[]).await?;
        }
        let macs = sought.macs.iter().map(ToString::to_string).flat_map(spelled);
        for condition in literals("virtual_interfaces.address", macs) {
            self.find(&self.joined("virtual_interfaces"), &condition, &[]).await?;
        }
        let addresses = || sought.addresses.iter().map(|ip| format!("'{ip}'"));
        let fixed = self.joined("fixed_ips");
        for condition in literals("fixed_ips.address", addresses()) {
            self.find(&fixed, &condition, &[]).await?;
        }
        let floating = self.with_floating();
        for condition in literals("floating_ips.address", addresses()) {
            self.find(&floating, &condition, &[]).await?;
        }
        self.named(&sought.names.iter().collect::<Vec<_>>()).await
    }

    /// nova has no index on names: each statement goes through the whole table.
    async fn named(&mut self, names: &[&String]) -> Result<(), sqlx::Error> {
        let columns =
            ["hostname", "display_name"].into_iter().filter(|column| self.schema.has("instances", column));
        let columns: Vec<&str> = columns.collect();
        for names in names.chunks(VALUES_MAX) {
            let values: Vec<Value> = names.iter().map(|name| Value::Text(Some((*name).clone()))).collect();
            let is_one = |column: &&str| one_of(&format!("instances.{column}"), values.len());
            let condition: Vec<String> = columns.iter().map(is_one).collect();
            if !condition.is_empty() {
                let values = vec![values.clone(); condition.len()].concat();
                self.find("", &format!("({})", condition.join(" OR ")), &values).await?;
            }
        }
        Ok(())
    }

    /// The first few of each network, by their numbers, that run on hosts beyond the site.
    async fn neighbours(&mut self, part: &Part) -> Result<(), sqlx::Error> {
        let schema = self.schema;
        let at_once = (VALUES_MAX / part.hosts.len().max(1)).clamp(1, NETWORKS_AT_ONCE);
        for networks in part.networks.chunks(at_once) {
            let of_network = |network: &u64| {
                format!(
                    "SELECT * FROM (SELECT {id} AS id FROM fixed_ips \
                     JOIN instances ON instances.{own} = fixed_ips.{key} AND {live} \
                     WHERE fixed_ips.network_id = {network} AND {given_live} AND {given} AND {runs} \
                     AND instances.host <> '' AND NOT {here} \
                     ORDER BY instances.id LIMIT {NEIGHBOURS_MAX}) n{network}",
                    id = schema.text("instances", "id"),
                    own = schema.own_key(),
                    key = schema.instance_key("fixed_ips"),
                    live = schema.live("instances"),
                    given_live = schema.live("fixed_ips"),
                    given = schema.is("fixed_ips", "allocated", true),
                    runs = runs(schema),
                    here = part.on_hosts("instances.host"),
                )
            };
            let sql: Vec<String> = networks.iter().map(of_network).collect();
            let values = vec![part.names(); networks.len()].concat();
            let rows = bound::rows(self.session, &sql.join(" UNION ALL "), &values).await?;
            self.found.extend(rows.iter().filter_map(|row| number::<u64>(row.first()?.as_ref())));
        }
        Ok(())
    }
}

/// Condition: the instance is not meant to be off.
fn runs(schema: &Schema) -> String {
    if !schema.has("instances", "vm_state") {
        return "1 = 1".to_owned();
    }
    let off = OFF.map(|state| format!("'{state}'")).join(", ");
    format!("(instances.vm_state IS NULL OR instances.vm_state NOT IN ({off}))")
}

/// Conditions that the column is one of these, which must be no more than numbers or plain words in quotes.
fn literals<T: ToString>(column: &str, values: impl Iterator<Item = T>) -> Vec<String> {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    values.chunks(VALUES_MAX).map(|values| format!("{column} IN ({})", values.join(", "))).collect()
}
