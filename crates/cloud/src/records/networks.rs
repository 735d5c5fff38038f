//! Networks as rows of nova's tables: what each is, how many of its addresses are free, and the hosts' own among them.

use std::collections::BTreeMap;

use model::intent::Network;

use super::{NetworkIndex, address, address_v6, filled, flag, number, prefix};
use crate::cells::Cell;
use crate::database::Session;
use crate::mend::bound;
use crate::part::Part;
use crate::schema::Schema;

pub(super) async fn networks(session: &mut Session, schema: &Schema) -> Result<Vec<Network>, sqlx::Error> {
    let columns = [
        "id",
        "label",
        "cidr",
        "bridge",
        "bridge_interface",
        "vlan",
        "gateway",
        "dhcp_server",
        "dhcp_start",
        "multi_host",
        "share_address",
        "host",
        "cidr_v6",
        "gateway_v6",
    ];
    let columns = schema.texts("networks", &columns);
    let live = schema.live("networks");
    let sql = format!("SELECT {columns} FROM networks WHERE {live} ORDER BY networks.id");
    let network = |row: [Cell; 14]| {
        let [
            id,
            label,
            cidr,
            bridge,
            bridge_interface,
            vlan,
            gateway,
            dhcp_server,
            dhcp_start,
            multi,
            share,
            host,
            cidr_v6,
            gateway_v6,
        ] = row;
        Network {
            id: number(id.as_ref()),
            label: label.unwrap_or_default(),
            cidr: prefix(cidr.as_ref()).map(|cidr| cidr.trunc()),
            cidr_v6: cidr_v6.and_then(|cidr| cidr.trim().parse().ok()),
            gateway_v6: address_v6(gateway_v6.as_ref()),
            bridge: filled(bridge),
            bridge_interface: filled(bridge_interface),
            vlan: number(vlan.as_ref()),
            gateway: address(gateway.as_ref()),
            dhcp_server: address(dhcp_server.as_ref()),
            dhcp_start: address(dhcp_start.as_ref()),
            multi_host: flag(multi.as_ref()),
            share_address: flag(share.as_ref()),
            host_addresses: Vec::new(),
            host: filled(host),
            free: None,
        }
    };
    Ok(session.rows(sql).await?.into_iter().map(network).collect())
}

/// Counted by the server, of all networks or of some: a /16 has 65,536 rows. What is free is what nova's own query
/// would give (nova/db/sqlalchemy/api.py `fixed_ip_associate_pool`); it does not look at `allocated`.
pub(crate) async fn count_addresses(
    session: &mut Session,
    schema: &Schema,
    networks: &mut [Network],
    ids: &NetworkIndex,
    only: &str,
) -> Result<(), sqlx::Error> {
    let unreserved = schema.is("fixed_ips", "reserved", false);
    let unleased = schema.is("fixed_ips", "leased", false);
    let instance = schema.instance_key("fixed_ips");
    let free = format!("{unreserved} AND {unleased} AND {instance} IS NULL AND host IS NULL");
    let texts = ["network_id", "free", "every"].map(|count| schema.as_text(&format!("counted.{count}")));
    // Cast outside: of an expression in a larger one ONLY_FULL_GROUP_BY says that it is not grouped by.
    let sql = format!(
        "SELECT {} FROM (SELECT {network} AS network_id, SUM(CASE WHEN {free} THEN 1 ELSE 0 END) AS free, \
         SUM(CASE WHEN {unreserved} THEN 1 ELSE 0 END) AS every FROM fixed_ips WHERE {}{only} \
         GROUP BY {network}) counted",
        texts.join(", "),
        schema.live_of_all("fixed_ips"),
        network = schema.scanned("fixed_ips.network_id"),
    );
    for [network, free, all] in session.rows(sql).await? {
        let network =
            number(network.as_ref()).and_then(|id| ids.get(&id)).and_then(|at| networks.get_mut(*at));
        if let (Some(network), Some(free), Some(all)) = (network, number(free.as_ref()), number(all.as_ref()))
        {
            network.free = Some((free, all));
        }
    }
    Ok(())
}

/// The addresses that hosts have themselves, of all networks and hosts or of a part.
pub(crate) async fn host_addresses(
    session: &mut Session,
    schema: &Schema,
    networks: &mut [Network],
    ids: &NetworkIndex,
    part: Option<&Part>,
) -> Result<(), sqlx::Error> {
    let key = schema.unindexed(&format!("fixed_ips.{}", schema.instance_key("fixed_ips")));
    let select = |live: String| {
        format!(
            "SELECT {} FROM fixed_ips WHERE {live} AND {key} IS NULL AND fixed_ips.host IS NOT NULL",
            schema.texts("fixed_ips", &["id", "address", "network_id", "host"]),
        )
    };
    let mut rows: BTreeMap<u64, [Cell; 3]> = BTreeMap::new();
    let mut take = |row: [Cell; 4]| {
        let [id, ip, network, host] = row;
        rows.extend(number(id.as_ref()).map(|id| (id, [ip, network, host])));
    };
    match part {
        None => {
            let of_all = session.rows(select(schema.live_of_all("fixed_ips"))).await?;
            of_all.into_iter().for_each(&mut take);
        }
        // Two statements, each of which has an index to go by.
        Some(part) => {
            let live = schema.live("fixed_ips");
            let of_networks =
                format!("{} AND {}", select(live.clone()), part.in_networks("fixed_ips.network_id"));
            session.rows(of_networks).await?.into_iter().for_each(&mut take);
            let of_hosts = format!("{} AND {}", select(live), part.on_hosts("fixed_ips.host"));
            let of_hosts = bound::rows(session, &of_hosts, &part.names()).await?;
            of_hosts.into_iter().filter_map(|row| row.try_into().ok()).for_each(&mut take);
        }
    }
    for [ip, network, host] in rows.into_values() {
        let network =
            number(network.as_ref()).and_then(|id| ids.get(&id)).and_then(|at| networks.get_mut(*at));
        if let (Some(network), Some(host), Some(ip)) = (network, host, address(ip.as_ref())) {
            network.host_addresses.push((host, ip));
        }
    }
    Ok(())
}
