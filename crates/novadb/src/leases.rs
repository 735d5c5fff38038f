//! Leases, as dnsmasq tells of them through nova-dhcpbridge (nova/network/manager.py `lease_fixed_ip`,
//! `release_fixed_ip`).

use std::net::Ipv4Addr;

use model::Mac;

use crate::sql::{Cell, values};
use crate::{Database, DbError, read};

/// A lease as dnsmasq's lease file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Of the NIC.
    pub mac: Mac,
    /// Its address.
    pub address: Ipv4Addr,
    /// The instance's, or `*`.
    pub hostname: String,
}

impl Database {
    /// dnsmasq has given the address to this NIC. That of another's address is not written: nova only logs it.
    pub fn lease(&self, mac: Mac, address: Ipv4Addr) -> Result<(), DbError> {
        self.work(async |work| {
            work.execute(
                "UPDATE fixed_ips SET leased = TRUE, updated_at = {now} WHERE address = ? AND deleted = 0 AND \
                 virtual_interface_id IN (SELECT id FROM virtual_interfaces WHERE address = ? AND deleted = 0)",
                values![address.to_string(), mac.to_string()],
            )
            .await
            .map(drop)
        })
    }

    /// The lease is over. An address that its instance has given back becomes free.
    pub fn release(&self, _mac: Mac, address: Ipv4Addr) -> Result<(), DbError> {
        self.work(async |work| {
            // One after the other: MySQL lets an assignment see what the one before it has assigned.
            work.execute(
                "UPDATE fixed_ips SET leased = FALSE, updated_at = {now} WHERE address = ? AND deleted = 0",
                values![address.to_string()],
            )
            .await?;
            work.execute(
                "UPDATE fixed_ips SET instance_uuid = NULL, virtual_interface_id = NULL \
                 WHERE address = ? AND deleted = 0 AND allocated = FALSE",
                values![address.to_string()],
            )
            .await
            .map(drop)
        })
    }

    /// Whether the address is leased.
    pub fn is_leased(&self, address: Ipv4Addr) -> Result<bool, DbError> {
        self.work(async |work| {
            let row: Option<[Cell; 1]> = work
                .row(
                    "SELECT {text:leased} FROM fixed_ips WHERE address = ? AND deleted = 0",
                    values![address.to_string()],
                )
                .await?;
            Ok(row.is_some_and(|[leased]| read::flag(leased.as_ref())))
        })
    }

    /// Every lease of the dnsmasq processes on a host: of its own instances in multi-host networks, and of all in those
    /// whose one host it is.
    pub fn leases(&self, host: &str) -> Result<Vec<Lease>, DbError> {
        self.work(async |work| {
            let rows: Vec<[Cell; 3]> = work
                .rows(
                    "SELECT v.address, f.address, i.hostname FROM fixed_ips f \
                     JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND v.deleted = 0 \
                     JOIN instances i ON i.uuid = f.instance_uuid \
                     JOIN networks n ON n.id = f.network_id \
                     WHERE f.deleted = 0 AND f.leased = TRUE AND \
                     ((n.multi_host = TRUE AND i.host = ?) OR (n.multi_host = FALSE AND n.host = ?)) ORDER BY f.id",
                    values![host, host],
                )
                .await?;
            let mut leases = Vec::new();
            for [mac, address, hostname] in rows {
                leases.push(Lease {
                    mac: read::value(work, "virtual_interfaces", mac.as_ref())?,
                    address: read::value(work, "fixed_ips", address.as_ref())?,
                    hostname: hostname.unwrap_or_else(|| "*".to_owned()),
                });
            }
            Ok(leases)
        })
    }
}
