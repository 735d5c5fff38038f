//! The rows that some instances have to do with, found by indexes alone: those that are tied to them, and those that
//! have an address or a MAC of theirs as well.
//!
//! What is looked for in whole tables is looked for among these with the same statements: `{and f}` holds a table to
//! its own part of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::Mac;

use super::cached::cached;
use super::words::{Words, table};
use crate::cells::Cell;
use crate::database::Session;
use crate::records::{address, number};
use crate::whose::is_among;

/// Rows by table and id, each with the `instances.id` that it concerns; none of what is looked at only beside them.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows(BTreeMap<&'static str, BTreeMap<u64, BTreeSet<u64>>>);

impl Rows {
    /// The instances themselves.
    pub(super) fn of(instances: &[u64]) -> Rows {
        let mut rows = Rows::default();
        instances.iter().for_each(|id| rows.add("instances", *id, Some(*id)));
        rows
    }

    /// Rows of one table, of nobody.
    pub(super) fn only(table: &'static str, ids: impl Iterator<Item = u64>) -> Rows {
        let mut rows = Rows::default();
        ids.for_each(|id| rows.add(table, id, None));
        rows
    }

    fn add(&mut self, table: &'static str, row: u64, instances: impl IntoIterator<Item = u64>) {
        self.0.entry(table).or_default().entry(row).or_default().extend(instances);
    }

    /// Whom the row concerns.
    pub(super) fn whose(&self, table: &str, row: u64) -> impl Iterator<Item = u64> + '_ {
        self.0.get(table).and_then(|rows| rows.get(&row)).into_iter().flatten().copied()
    }

    /// With these rows alone of one table, and of the others those that concern the same instances, or nobody.
    pub(super) fn narrowed(&self, table: &str, ids: &BTreeSet<u64>) -> Rows {
        let theirs: BTreeSet<u64> = ids.iter().flat_map(|id| self.whose(table, *id)).collect();
        let mut narrowed = self.clone();
        for (of, rows) in &mut narrowed.0 {
            rows.retain(|id, whose| {
                if *of == table { ids.contains(id) } else { whose.is_empty() || !whose.is_disjoint(&theirs) }
            });
        }
        narrowed
    }

    /// There are any in the table.
    pub(super) fn has_any(&self, table: &str) -> bool {
        self.0.get(table).is_some_and(|rows| !rows.is_empty())
    }

    /// Condition: the row of the table with this alias is one of them.
    pub(super) fn condition(&self, alias: &str) -> String {
        let ids = self.0.get(table(alias)).into_iter().flat_map(BTreeMap::keys).copied();
        is_among(&format!("{alias}.id"), ids)
    }
}

/// The rows of some instances.
pub(super) struct Those {
    /// What is tied to them.
    pub(super) own: Rows,
    /// That, and what has the same address or MAC, or is tied to their NICs.
    pub(super) touched: Rows,
    /// `networks.id`, with whom is on each.
    pub(super) networks: Whose<u64>,
}

/// Whom each concerns: rows by their number, addresses, MACs.
type Whose<K> = BTreeMap<K, BTreeSet<u64>>;

/// What instances have that others may have as well.
#[derive(Default)]
struct Marks {
    macs: Whose<Mac>,
    fixed: Whose<Ipv4Addr>,
    floating: Whose<Ipv4Addr>,
    /// NICs of theirs, and those that their fixed IPs name.
    vifs: Whose<u64>,
    /// Rows of `fixed_ips`.
    rows: Whose<u64>,
    /// Rows of `security_groups`.
    groups: Whose<u64>,
}

const VIFS: &str = "SELECT {v.id}, {i.id}, {v.address}, {v.network_id} FROM virtual_interfaces v \
                    JOIN instances i ON {tie v i} WHERE {live v}{and i}";
const FIXED: &str = "SELECT {f.id}, {i.id}, {f.address}, {f.network_id}, {f.virtual_interface_id} FROM fixed_ips f \
                     JOIN instances i ON {tie f i} WHERE {live f}{and i}";
const CACHES: &str = "SELECT {c.id}, {i.id}, {brief c.network_info} FROM instance_info_caches c \
                      JOIN instances i ON {tie c i} WHERE {live i}{and i}";
const MEMBERS: &str = "SELECT {m.id}, {i.id}, {m.security_group_id} FROM security_group_instance_association m \
                       JOIN instances i ON {tie m i} WHERE {live m}{and i}";
/// What is asked for follows these.
const FLOATING: &str =
    "SELECT {fl.id}, {fl.fixed_ip_id}, {fl.address} FROM floating_ips fl WHERE {live fl} AND ";
const RULES: &str = "SELECT {r.id}, {r.parent_group_id} FROM security_group_rules r WHERE {live r} AND ";
const VIFS_BESIDE: &str = "SELECT {v.id}, {v.address} FROM virtual_interfaces v WHERE {live v} AND ";
const FIXED_BESIDE: &str =
    "SELECT {f.id}, {f.address}, {f.virtual_interface_id} FROM fixed_ips f WHERE {live f} AND ";

/// Finds them. The words must be held to the instances.
pub(super) async fn find(
    session: &mut Session,
    words: &Words<'_>,
    instances: &[u64],
) -> Result<Those, sqlx::Error> {
    let (mut own, mut marks) = (Rows::of(instances), Marks::default());
    let mut networks: Whose<u64> = Whose::new();
    let take = |row: Vec<Cell>| {
        let [id, instance, mac, network] = row.as_slice() else { return };
        let Some((id, instance)) = keys(id, instance) else { return };
        own.add("virtual_interfaces", id, [instance]);
        mark(&mut marks.vifs, Some(id), instance);
        mark(&mut marks.macs, mac.as_deref().and_then(|mac| mac.trim().parse().ok()), instance);
        mark(&mut networks, number(network.as_ref()), instance);
    };
    session.each(words.of(VIFS), take).await?;
    let take = |row: Vec<Cell>| {
        let [id, instance, ip, network, vif] = row.as_slice() else { return };
        let Some((id, instance)) = keys(id, instance) else { return };
        own.add("fixed_ips", id, [instance]);
        mark(&mut marks.rows, Some(id), instance);
        mark(&mut marks.fixed, address(ip.as_ref()), instance);
        mark(&mut networks, number(network.as_ref()), instance);
        mark(&mut marks.vifs, number(vif.as_ref()), instance);
    };
    session.each(words.of(FIXED), take).await?;
    if words.schema.missing(&["instance_info_caches"]).is_empty() {
        let take = |row: Vec<Cell>| {
            let [id, instance, info] = row.as_slice() else { return };
            let Some((id, instance)) = keys(id, instance) else { return };
            own.add("instance_info_caches", id, [instance]);
            // A cache may say what is the instance's no more: whether that has just changed is asked, too.
            for said in cached(info.as_deref()).into_iter().flatten() {
                marks.fixed.entry(said.fixed).or_default();
                for ip in said.floating {
                    marks.floating.entry(ip).or_default();
                }
            }
        };
        session.each(words.of(CACHES), take).await?;
    }
    if words.schema.missing(&["security_group_instance_association"]).is_empty() {
        let take = |row: Vec<Cell>| {
            let [id, instance, group] = row.as_slice() else { return };
            let Some((id, instance)) = keys(id, instance) else { return };
            own.add("security_group_instance_association", id, [instance]);
            mark(&mut marks.groups, number(group.as_ref()), instance);
        };
        session.each(words.of(MEMBERS), take).await?;
    }
    hanging(session, words, &mut own, &mut marks).await?;
    let touched = beside(session, words, own.clone(), &marks).await?;
    Ok(Those { own, touched, networks })
}

fn keys(row: &Cell, instance: &Cell) -> Option<(u64, u64)> {
    number(row.as_ref()).zip(number(instance.as_ref()))
}

fn mark<K: Ord>(whose: &mut Whose<K>, key: Option<K>, instance: u64) {
    if let Some(key) = key {
        whose.entry(key).or_default().insert(instance);
    }
}

/// Whom what was read concerns.
fn of<K: Ord>(whose: &Whose<K>, key: Option<K>) -> BTreeSet<u64> {
    key.and_then(|key| whose.get(&key)).cloned().unwrap_or_default()
}

/// What hangs on their rows is theirs, too.
async fn hanging(
    session: &mut Session,
    words: &Words<'_>,
    own: &mut Rows,
    marks: &mut Marks,
) -> Result<(), sqlx::Error> {
    if !marks.rows.is_empty() {
        let sql = format!("{FLOATING}{}", is_among("fl.fixed_ip_id", marks.rows.keys().copied()));
        let take = |row: Vec<Cell>| {
            let [id, fixed, ip] = row.as_slice() else { return };
            let Some(id) = number(id.as_ref()) else { return };
            let whose = of(&marks.rows, number(fixed.as_ref()));
            whose.iter().for_each(|instance| mark(&mut marks.floating, address(ip.as_ref()), *instance));
            own.add("floating_ips", id, whose);
        };
        session.each(words.of(&sql), take).await?;
    }
    if !marks.groups.is_empty() && words.schema.missing(&["security_group_rules"]).is_empty() {
        let sql = format!("{RULES}{}", is_among("r.parent_group_id", marks.groups.keys().copied()));
        let take = |row: Vec<Cell>| {
            let [id, group] = row.as_slice() else { return };
            if let Some(id) = number(id.as_ref()) {
                own.add("security_group_rules", id, of(&marks.groups, number(group.as_ref())));
            }
        };
        session.each(words.of(&sql), take).await?;
    }
    Ok(())
}

/// What has the same as they have, beside what is theirs. Addresses and MACs are printed anew from what was understood
/// of them.
async fn beside(
    session: &mut Session,
    words: &Words<'_>,
    mut touched: Rows,
    marks: &Marks,
) -> Result<Rows, sqlx::Error> {
    // Only MySQL takes capitals and small letters for the same.
    let spelled = |mac: &Mac| [mac.to_string(), mac.to_string().to_ascii_uppercase()];
    let macs = marks.macs.keys().flat_map(spelled);
    let named = is_among("v.id", marks.vifs.keys().copied());
    for condition in [Some(named), literals("v.address", macs)].into_iter().flatten() {
        let take = |row: Vec<Cell>| {
            let [id, mac] = row.as_slice() else { return };
            let Some(id) = number(id.as_ref()) else { return };
            let mac = mac.as_deref().and_then(|mac| mac.trim().parse().ok());
            touched.add("virtual_interfaces", id, of(&marks.vifs, Some(id)));
            touched.add("virtual_interfaces", id, of(&marks.macs, mac));
        };
        session.each(words.of(&format!("{VIFS_BESIDE}{condition}")), take).await?;
    }
    let tied = is_among("f.virtual_interface_id", marks.vifs.keys().copied());
    for condition in [Some(tied), literals("f.address", marks.fixed.keys())].into_iter().flatten() {
        let take = |row: Vec<Cell>| {
            let [id, ip, vif] = row.as_slice() else { return };
            let Some(id) = number(id.as_ref()) else { return };
            touched.add("fixed_ips", id, of(&marks.fixed, address(ip.as_ref())));
            touched.add("fixed_ips", id, of(&marks.vifs, number(vif.as_ref())));
        };
        session.each(words.of(&format!("{FIXED_BESIDE}{condition}")), take).await?;
    }
    if let Some(condition) = literals("fl.address", marks.floating.keys()) {
        let take = |row: Vec<Cell>| {
            let [id, _, ip] = row.as_slice() else { return };
            if let Some(id) = number(id.as_ref()) {
                touched.add("floating_ips", id, of(&marks.floating, address(ip.as_ref())));
            }
        };
        session.each(words.of(&format!("{FLOATING}{condition}")), take).await?;
    }
    Ok(touched)
}

/// Condition: the column is one of these, which must be no more than plain words in quotes; none where none are.
fn literals(column: &str, values: impl Iterator<Item = impl ToString>) -> Option<String> {
    let values: Vec<String> = values.map(|value| format!("'{}'", value.to_string())).collect();
    (!values.is_empty()).then(|| format!("{column} IN ({})", values.join(", ")))
}
