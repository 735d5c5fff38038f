//! Rows that speak of instances which live no more: what nova gives back by itself in time is not among them.

use std::net::Ipv4Addr;

use model::intent::{Floating, LeakedFixed, Remains, RowWords, TiedFloating};

use crate::cells::Cell;
use crate::database::Session;
use crate::mend::bound;
use crate::part::Part;
use crate::records::{NetworkIndex, address, filled, flag, number};
use crate::schema::{Schema, unnamed};

/// Reads them, each list by ascending id: all, or those of a part, with the floating addresses that no host is
/// recorded to carry. A floating address that hangs on one of the part's networks is of it wherever it is carried:
/// without it the fixed address that it keeps would look free to take. Nobody is gone whose uuid is only written in
/// other letters.
pub(crate) async fn read(
    session: &mut Session,
    schema: &Schema,
    networks: &NetworkIndex,
    part: Option<&Part>,
) -> Result<Remains, sqlx::Error> {
    let found = look(session, schema, networks, part, Letters::Count).await?;
    let of_floating = found.floating.iter().map(|tied| (&tied.instance, &tied.name));
    let mut all = of_floating.chain(found.fixed.iter().map(|leaked| (&leaked.instance, &leaked.name)));
    let is_unknown = all.any(|(instance, name)| instance.is_some() && name.is_none());
    if is_unknown && schema.minds_capitals() {
        return look(session, schema, networks, part, Letters::MayDiffer).await;
    }
    Ok(found)
}

/// Whether a uuid in other letters is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// As the columns compare, by their indexes.
    Count,
    /// In capitals it is the same.
    MayDiffer,
}

async fn look(
    session: &mut Session,
    schema: &Schema,
    networks: &NetworkIndex,
    part: Option<&Part>,
    letters: Letters,
) -> Result<Remains, sqlx::Error> {
    let column = "floating_ips.host";
    let (floating, names) = match part {
        None => (String::new(), Vec::new()),
        Some(part) => {
            let own = part.on_hosts(column);
            let networks = part.in_networks("fixed_ips.network_id");
            (format!(" AND ({} OR {networks} OR {own})", unnamed(column)), part.names())
        }
    };
    let floating = bound::rows(session, &floating_sql(schema, letters, &floating), &names).await?;
    let floating = floating.into_iter().filter_map(|row| tied(row.try_into().ok()?)).collect();
    let mut fixed: Vec<LeakedFixed> = Vec::new();
    for sql in fixed_sqls(schema, letters, part) {
        fixed.extend(session.rows(sql).await?.into_iter().filter_map(|row| leaked(row, networks)));
    }
    fixed.sort_by_key(|leaked| leaked.id);
    Ok(Remains { floating, fixed, words: words(schema) })
}

fn words(schema: &Schema) -> RowWords {
    let live = if schema.is_boolean("fixed_ips", "deleted") == Some(true) {
        "deleted = false"
    } else {
        "deleted = 0"
    };
    RowWords { instance: schema.instance_key("fixed_ips").to_owned(), live: live.to_owned() }
}

/// Joins `instances` to `fixed_ips`, deleted ones too, and the name that people use.
fn owner(schema: &Schema, letters: Letters) -> (String, String) {
    let (own, key) = (schema.own_key(), format!("fixed_ips.{}", schema.instance_key("fixed_ips")));
    let tied = match letters {
        Letters::Count => format!("instances.{own} = {key}"),
        Letters::MayDiffer => schema.tied_by_any_letters("instances", own, &key),
    };
    let join = format!("LEFT JOIN instances ON {tied}");
    let names = [schema.text("instances", "hostname"), schema.text("instances", "display_name")];
    (join, format!("COALESCE({})", names.join(", ")))
}

/// Condition: the row joined by [`owner`] is missing or deleted. One whose `deleted` is NULL is invisible to nova and
/// may be anything.
fn is_gone(schema: &Schema) -> String {
    format!("(instances.id IS NULL OR NOT ({}))", schema.live_of_all("instances"))
}

fn floating_sql(schema: &Schema, letters: Letters, only: &str) -> String {
    let (join, name) = owner(schema, letters);
    let columns = schema.texts("floating_ips", &["id", "address", "host"]);
    let fixed = schema.texts("fixed_ips", &["id", "address", schema.instance_key("fixed_ips")]);
    format!(
        "SELECT {columns}, {fixed}, {name} FROM floating_ips \
         JOIN fixed_ips ON fixed_ips.id = floating_ips.fixed_ip_id {join} \
         WHERE {} AND {} AND {}{only} ORDER BY floating_ips.id",
        schema.live_of_all("floating_ips"),
        schema.live_of_all("fixed_ips"),
        is_gone(schema),
    )
}

fn tied(row: [Cell; 7]) -> Option<TiedFloating> {
    let [id, floating, host, fixed_id, fixed, instance, name] = row;
    let ip = |cell: Cell| -> Option<Ipv4Addr> { address(cell.as_ref()) };
    let id = number(id.as_ref())?;
    Some(TiedFloating {
        id,
        floating: Floating { id: Some(id), address: ip(floating)?, fixed: ip(fixed)?, host: filled(host) },
        fixed_id: number(fixed_id.as_ref())?,
        instance: filled(instance),
        name: filled(name),
    })
}

/// Networks that one statement is about.
const NETWORKS_AT_ONCE: usize = 20;

/// Of a part each network is looked at by itself: of several at once MySQL goes through the whole table.
fn fixed_sqls(schema: &Schema, letters: Letters, part: Option<&Part>) -> Vec<String> {
    let Some(part) = part else { return vec![fixed_sql(schema, letters, "")] };
    let of_one = |id: &u64| fixed_sql(schema, letters, &format!(" AND fixed_ips.network_id = {id}"));
    let some = part.networks.chunks(NETWORKS_AT_ONCE);
    some.map(|ids| ids.iter().map(of_one).collect::<Vec<_>>().join(" UNION ALL ")).collect()
}

/// Allocated to who is deleted, never was or is not named; or leased by nobody, which nova's pool query never takes
/// again and its time-out never ends. What an instance gave back and has still leased is on its way to be free; what
/// names a host and no instance is that host's own.
fn fixed_sql(schema: &Schema, letters: Letters, only: &str) -> String {
    let (join, name) = owner(schema, letters);
    let key = schema.instance_key("fixed_ips");
    let columns = ["id", "address", "network_id", "allocated", "leased", key];
    let columns = schema.texts("fixed_ips", &columns);
    let allocated = schema.is("fixed_ips", "allocated", true);
    let leased = schema.is("fixed_ips", "leased", true);
    format!(
        "SELECT {columns}, {name} FROM fixed_ips {join} WHERE {} AND {} \
         AND (({allocated} AND {gone}) OR (fixed_ips.{key} IS NULL AND {leased})) \
         AND (fixed_ips.{key} IS NOT NULL OR {unnamed}){only}",
        schema.live_of_all("fixed_ips"),
        schema.is("fixed_ips", "reserved", false),
        gone = is_gone(schema),
        unnamed = unnamed("fixed_ips.host"),
    )
}

fn leaked(row: [Cell; 7], networks: &NetworkIndex) -> Option<LeakedFixed> {
    let [id, ip, network, allocated, leased, instance, name] = row;
    Some(LeakedFixed {
        id: number(id.as_ref())?,
        address: address(ip.as_ref())?,
        network: number(network.as_ref()).and_then(|id| networks.get(&id)).copied(),
        allocated: flag(allocated.as_ref()),
        leased: flag(leased.as_ref()),
        instance: filled(instance),
        name: filled(name),
    })
}
