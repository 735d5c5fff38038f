//! Networks: made with a row for each of their addresses, as nova makes them (nova/network/manager.py
//! `create_networks`, `_create_fixed_ips`).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::rows::Network;
use crate::sql::{Cell, Work, values};
use crate::{Database, DbError, read};

/// Rows of one INSERT.
const BATCH: usize = 2000;
/// The smallest network: its own address, the gateway, an instance, the broadcast address.
const LONGEST_PREFIX: u8 = 30;

/// A network to be made.
#[derive(Debug, Clone, Default)]
pub struct NewNetwork {
    /// `label`.
    pub label: String,
    /// `cidr`.
    pub cidr: Ipv4Net,
    /// `bridge`.
    pub bridge: String,
    /// `bridge_interface`.
    pub bridge_interface: Option<String>,
    /// `vlan`, of a VlanManager's network.
    pub vlan: Option<u16>,
    /// `gateway`; `None` for the first address.
    pub gateway: Option<Ipv4Addr>,
    /// `dhcp_start`; `None` for the second address, and under VlanManager the third, after the VPN's.
    pub dhcp_start: Option<Ipv4Addr>,
    /// `dns1`.
    pub dns1: Option<Ipv4Addr>,
    /// `multi_host`.
    pub multi_host: bool,
    /// `share_address`.
    pub share_address: bool,
    /// `project_id`.
    pub project: Option<String>,
}

impl Database {
    /// Makes the network and the rows of its addresses; its id.
    pub fn network_create(&self, new: &NewNetwork) -> Result<u64, DbError> {
        self.work(async |work| create(work, new).await)
    }

    /// Makes a host the network's one host.
    pub fn network_set_host(&self, id: u64, host: &str) -> Result<(), DbError> {
        self.work(async |work| {
            let sql = "UPDATE networks SET host = ?, updated_at = {now} WHERE id = ? AND deleted = 0";
            match work.execute(sql, values![host, id]).await? {
                1 => Ok(()),
                _ => Err(DbError::Unknown { what: "network", name: id.to_string() }),
            }
        })
    }

    /// The host's own address in a multi-host network, given to it if it has none yet: the wanted one, or the next
    /// that is free.
    pub fn host_address(
        &self,
        network: u64,
        host: &str,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let found = cloud.networks.iter().find(|other| other.id == network);
            let unknown = || DbError::Unknown { what: "network", name: network.to_string() };
            let found = found.ok_or_else(unknown)?;
            if let Some((_, own)) = found.host_addresses.iter().find(|(name, _)| name == host) {
                return Ok(*own);
            }
            let (id, address) = free_address(work, found, wanted).await?;
            let sql = "UPDATE fixed_ips SET host = ?, updated_at = {now} \
                       WHERE id = ? AND host IS NULL AND instance_uuid IS NULL";
            match work.execute(sql, values![host, id]).await? {
                1 => Ok(address),
                _ => Err(DbError::Moved { what: address.to_string() }),
            }
        })
    }

    /// Makes a service known, as it does itself when it starts.
    pub fn service_create(&self, host: &str, binary: &str) -> Result<(), DbError> {
        let topic = binary.trim_start_matches("nova-");
        self.work(async |work| {
            work.insert(
                "INSERT INTO services (created_at, updated_at, host, {binary}, topic, report_count, disabled, \
                 deleted, last_seen_up, forced_down, version) \
                 VALUES ({now}, {now}, ?, ?, ?, 1, FALSE, 0, {now}, FALSE, 22)",
                values![host, binary, topic],
            )
            .await
            .map(drop)
        })
    }
}

async fn create(work: &mut Work, new: &NewNetwork) -> Result<u64, DbError> {
    let cidr = new.cidr.trunc();
    if cidr.prefix_len() > LONGEST_PREFIX {
        return Err(DbError::TooSmall { cidr: cidr.to_string() });
    }
    refuse_twins(work, new, cidr).await?;
    let nth = |offset: u32| Ipv4Addr::from(u32::from(cidr.network()).wrapping_add(offset));
    let gateway = new.gateway.unwrap_or_else(|| nth(1));
    let vpn = new.vlan.map(|_| nth(2));
    let dhcp_start = new.dhcp_start.unwrap_or_else(|| nth(if vpn.is_some() { 3 } else { 2 }));
    let text = |address: Option<Ipv4Addr>| address.map(|address| address.to_string());
    let id = work
        .insert(
            "INSERT INTO networks (created_at, injected, cidr, netmask, bridge, gateway, broadcast, dns1, vlan, \
             vpn_private_address, dhcp_start, project_id, label, bridge_interface, multi_host, uuid, deleted, \
             dhcp_server, enable_dhcp, share_address) \
             VALUES ({now}, FALSE, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {flag}, ?, 0, ?, TRUE, {shared})"
                .replace("{flag}", sql_flag(new.multi_host))
                .replace("{shared}", sql_flag(new.share_address))
                .as_str(),
            values![
                cidr.to_string(),
                cidr.netmask().to_string(),
                new.bridge.as_str(),
                gateway.to_string(),
                cidr.broadcast().to_string(),
                text(new.dns1),
                new.vlan.map(i64::from),
                text(vpn),
                dhcp_start.to_string(),
                new.project.clone(),
                new.label.as_str(),
                new.bridge_interface.clone(),
                network_uuid(cidr),
                gateway.to_string(),
            ],
        )
        .await?;
    let reserved = [Some(cidr.network()), Some(gateway), vpn, Some(cidr.broadcast())];
    // Each row is our own numbers, so they may stand in the statement itself: a /16 in thirty-three of them.
    let mut addresses =
        (u32::from(cidr.network())..=u32::from(cidr.broadcast())).map(Ipv4Addr::from).peekable();
    while addresses.peek().is_some() {
        let rows: Vec<String> = addresses
            .by_ref()
            .take(BATCH)
            .map(|address| {
                let reserved = sql_flag(reserved.contains(&Some(address)));
                format!("({{now}}, '{address}', {id}, FALSE, FALSE, {reserved}, 0)")
            })
            .collect();
        let columns = "created_at, address, network_id, allocated, leased, reserved, deleted";
        let sql = format!("INSERT INTO fixed_ips ({columns}) VALUES {}", rows.join(", "));
        let sql = work.dialect().words(&sql);
        work.raw(sql).await?;
    }
    Ok(id)
}

fn sql_flag(is_set: bool) -> &'static str {
    if is_set { "TRUE" } else { "FALSE" }
}

/// Always the same for a prefix, so that two labs are alike.
fn network_uuid(cidr: Ipv4Net) -> String {
    let [a, b, c, d] = cidr.network().octets();
    format!("0d6a1ae1-4a35-4d8f-9d3c-{a:02x}{b:02x}{c:02x}{d:02x}{:02x}10", cidr.prefix_len())
}

async fn refuse_twins(work: &mut Work, new: &NewNetwork, cidr: Ipv4Net) -> Result<(), DbError> {
    for other in read::cloud(work).await?.networks {
        if other.cidr.contains(&cidr) || cidr.contains(&other.cidr) {
            let (cidr, label, other) = (cidr.to_string(), other.label, other.cidr.to_string());
            return Err(DbError::Overlap { cidr, label, other });
        }
        let same = [
            ("a network with the label", other.label == new.label, &new.label),
            ("a network with the bridge", other.bridge == new.bridge, &new.bridge),
        ];
        if let Some((what, _, name)) = same.into_iter().find(|(_, is_same, _)| *is_same) {
            return Err(DbError::Exists { what, name: name.clone() });
        }
        if new.vlan.is_some() && new.vlan == other.vlan {
            let name = new.vlan.unwrap_or_default().to_string();
            return Err(DbError::Exists { what: "a network with the VLAN", name });
        }
    }
    Ok(())
}

/// The row of a free address (nova/db/sqlalchemy/api.py `fixed_ip_associate_pool`, which does not look at
/// `allocated`): the wanted one, or the one that was not used for the longest time.
pub(crate) async fn free_address(
    work: &mut Work,
    network: &Network,
    wanted: Option<Ipv4Addr>,
) -> Result<(u64, Ipv4Addr), DbError> {
    const FREE: &str = "reserved = FALSE AND leased = FALSE AND instance_uuid IS NULL AND host IS NULL";
    let row: Option<[Cell; 2]> = match wanted {
        Some(address) => {
            refuse_unusable(work, network, address).await?;
            let sql = format!(
                "SELECT {{text:id}}, address FROM fixed_ips \
                 WHERE deleted = 0 AND network_id = ? AND address = ? AND {FREE}{{lock}}"
            );
            work.row(&sql, values![network.id, address.to_string()]).await?
        }
        None => {
            // NULL comes first on MySQL and SQLite, and last on PostgreSQL unless one asks.
            let sql = format!(
                "SELECT {{text:id}}, address FROM fixed_ips WHERE deleted = 0 AND network_id = ? AND {FREE} \
                 ORDER BY CASE WHEN updated_at IS NULL THEN 0 ELSE 1 END, updated_at, id LIMIT 1{{lock}}"
            );
            work.row(&sql, values![network.id]).await?
        }
    };
    match (row, wanted) {
        (Some([id, address]), _) => Ok((
            read::value(work, "fixed_ips", id.as_ref())?,
            read::value(work, "fixed_ips", address.as_ref())?,
        )),
        (None, Some(address)) => Err(DbError::AddressTaken { address }),
        (None, None) => Err(DbError::NoFixedIpLeft {
            uuid: network.uuid.clone(),
            label: network.label.clone(),
            cidr: network.cidr.to_string(),
        }),
    }
}

/// Refuses an address that no instance of the network may have.
async fn refuse_unusable(work: &mut Work, network: &Network, address: Ipv4Addr) -> Result<(), DbError> {
    let row: Option<[Cell; 1]> = work
        .row(
            "SELECT {text:reserved} FROM fixed_ips WHERE deleted = 0 AND network_id = ? AND address = ?",
            values![network.id, address.to_string()],
        )
        .await?;
    if row.is_some_and(|[reserved]| !read::flag(reserved.as_ref())) {
        return Ok(());
    }
    let (label, cidr) = (network.label.clone(), network.cidr.to_string());
    Err(DbError::AddressOutside { address, label, cidr })
}
