//! The cloud's database of record: SQLite with nova's own tables, filled as nova fills them.

use std::fs::File;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::ruleset::DEFAULT_GROUP;
use crate::error::{LabError, file};
use crate::layout::{
    BRIDGE, BRIDGE_ADDRESS, COMPUTE, DHCP_START, EXTERNAL, FLAT_LINK, FREE_FLOATING, INSTANCES, Instance,
    NETWORK, NETWORK_GATEWAY, NETWORK_LABEL, NETWORK_UUID, PROJECT, UPLINK,
};

/// How long to wait for another process's transaction: dnsmasq's script and an operator may write at once.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Who owns everything.
const USER: &str = "0f3d6f1c8b8e4c2f9d37a2f3b7f1e9aa";

/// A lease as dnsmasq's lease file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub mac: String,
    pub address: String,
    pub hostname: String,
}

/// Makes the file with everything that nova would have in it for this lab.
pub(crate) fn create(path: &Path) -> Result<(), LabError> {
    File::create_new(path).map_err(file("create", path))?;
    with_database(path, "create the tables", async |db| {
        let mut db = db.begin().await?;
        sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *db).await?;
        insert_network(&mut db).await?;
        sqlx::query(include_str!("fixed_ips.sql"))
            .bind(i64::from(u32::from(NETWORK.network())))
            .bind(1_i64 << (32 - NETWORK.prefix_len()))
            .execute(&mut *db)
            .await?;
        sqlx::query("UPDATE fixed_ips SET host = ? WHERE address = ?")
            .bind(COMPUTE)
            .bind(BRIDGE_ADDRESS.addr().to_string())
            .execute(&mut *db)
            .await?;
        insert_default_group(&mut db).await?;
        for instance in INSTANCES {
            insert_instance(&mut db, &instance).await?;
        }
        for floating in FREE_FLOATING {
            insert_floating(&mut db, floating, None).await?;
        }
        for binary in ["nova-network", "nova-compute"] {
            insert_service(&mut db, binary).await?;
        }
        db.commit().await
    })
}

/// Every leased address of an instance on this host.
pub(crate) fn leases(path: &Path) -> Result<Vec<Lease>, LabError> {
    with_database(path, "list the leases", async |db| {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT v.address, f.address, i.hostname FROM fixed_ips f \
             JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND v.deleted = 0 \
             JOIN instances i ON i.uuid = f.instance_uuid \
             WHERE f.deleted = 0 AND f.leased = 1 AND i.host = ? ORDER BY f.id",
        )
        .bind(COMPUTE)
        .fetch_all(db)
        .await?;
        let lease = |(mac, address, hostname): (String, String, Option<String>)| Lease {
            mac,
            address,
            hostname: hostname.unwrap_or_else(|| "*".to_owned()),
        };
        Ok(rows.into_iter().map(lease).collect())
    })
}

/// nova-network's `lease_fixed_ip`.
pub(crate) fn lease(path: &Path, address: &str) -> Result<(), LabError> {
    with_database(path, "note the lease", async |db| {
        sqlx::query(
            "UPDATE fixed_ips SET leased = 1, updated_at = datetime('now') WHERE address = ? AND deleted = 0",
        )
        .bind(address)
        .execute(db)
        .await?;
        Ok(())
    })
}

/// nova-network's `release_fixed_ip`: the address becomes free where its instance is gone already.
pub(crate) fn release(path: &Path, address: &str) -> Result<(), LabError> {
    with_database(path, "note the release", async |db| {
        sqlx::query(
            "UPDATE fixed_ips SET leased = 0, updated_at = datetime('now'), \
             instance_uuid = CASE allocated WHEN 0 THEN NULL ELSE instance_uuid END, \
             virtual_interface_id = CASE allocated WHEN 0 THEN NULL ELSE virtual_interface_id END \
             WHERE address = ? AND deleted = 0",
        )
        .bind(address)
        .execute(db)
        .await?;
        Ok(())
    })
}

/// Soft deletes the rule that lets ICMP into the group `default`, as nova's API does.
pub(crate) fn delete_icmp_rule(path: &Path) -> Result<(), LabError> {
    with_database(path, "delete the ICMP rule", async |db| {
        sqlx::query(
            "UPDATE security_group_rules SET deleted = id, deleted_at = datetime('now') \
             WHERE protocol = 'icmp' AND deleted = 0",
        )
        .execute(db)
        .await?;
        Ok(())
    })
}

/// Takes that back.
pub(crate) fn restore_icmp_rule(path: &Path) -> Result<(), LabError> {
    with_database(path, "restore the ICMP rule", async |db| {
        sqlx::query(
            "UPDATE security_group_rules SET deleted = 0, deleted_at = NULL \
             WHERE protocol = 'icmp' AND deleted = id",
        )
        .execute(db)
        .await?;
        Ok(())
    })
}

async fn insert_network(db: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO networks (created_at, id, injected, cidr, netmask, bridge, gateway, broadcast, dns1, \
         dhcp_start, label, bridge_interface, multi_host, uuid, deleted, mtu, dhcp_server, enable_dhcp, \
         share_address) \
         VALUES (datetime('now'), 1, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, 0, NULL, ?, 1, 0)",
    )
    .bind(NETWORK.to_string())
    .bind(NETWORK.netmask().to_string())
    .bind(BRIDGE)
    .bind(NETWORK_GATEWAY.to_string())
    .bind(NETWORK.broadcast().to_string())
    .bind(EXTERNAL.addr().to_string())
    .bind(DHCP_START.to_string())
    .bind(NETWORK_LABEL)
    .bind(FLAT_LINK)
    .bind(NETWORK_UUID)
    .bind(NETWORK_GATEWAY.to_string())
    .execute(db)
    .await?;
    Ok(())
}

async fn insert_default_group(db: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO security_groups (created_at, id, name, description, user_id, project_id, deleted) \
         VALUES (datetime('now'), 1, 'default', 'default', ?, ?, 0)",
    )
    .bind(USER)
    .bind(PROJECT)
    .execute(&mut *db)
    .await?;
    for rule in DEFAULT_GROUP {
        let (protocol, from_port, to_port) = rule.traffic.columns();
        sqlx::query(
            "INSERT INTO security_group_rules (created_at, parent_group_id, protocol, from_port, to_port, \
             cidr, deleted) VALUES (datetime('now'), 1, ?, ?, ?, ?, 0)",
        )
        .bind(protocol)
        .bind(from_port)
        .bind(to_port)
        .bind(rule.source.to_string())
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// An instance with its NIC, its addresses, its group and what the API answers about it.
async fn insert_instance(db: &mut SqliteConnection, instance: &Instance) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO instances (created_at, id, user_id, project_id, power_state, vm_state, memory_mb, \
         vcpus, hostname, host, launched_at, display_name, launched_on, uuid, node, deleted, cleaned, \
         locked, hidden) VALUES (datetime('now'), ?, ?, ?, 1, 'active', 64, 1, ?, ?, datetime('now'), ?, ?, \
         ?, ?, 0, 0, 0, 0)",
    )
    .bind(instance.id)
    .bind(USER)
    .bind(PROJECT)
    .bind(instance.name)
    .bind(COMPUTE)
    .bind(instance.name)
    .bind(COMPUTE)
    .bind(instance.uuid)
    .bind(COMPUTE)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO virtual_interfaces (created_at, id, address, network_id, uuid, instance_uuid, deleted) \
         VALUES (datetime('now'), ?, ?, 1, ?, ?, 0)",
    )
    .bind(instance.id)
    .bind(instance.mac.to_string())
    .bind(instance.vif_uuid)
    .bind(instance.uuid)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE fixed_ips SET allocated = 1, instance_uuid = ?, virtual_interface_id = ?, \
         updated_at = datetime('now') WHERE address = ?",
    )
    .bind(instance.uuid)
    .bind(instance.id)
    .bind(instance.fixed.to_string())
    .execute(&mut *db)
    .await?;
    if let Some(floating) = instance.floating {
        insert_floating(db, floating, Some(instance)).await?;
    }
    sqlx::query(
        "INSERT INTO security_group_instance_association (created_at, security_group_id, instance_uuid, \
         deleted) VALUES (datetime('now'), 1, ?, 0)",
    )
    .bind(instance.uuid)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO instance_info_caches (created_at, updated_at, network_info, instance_uuid, deleted) \
         VALUES (datetime('now'), datetime('now'), ?, ?, 0)",
    )
    .bind(network_info(instance).to_string())
    .bind(instance.uuid)
    .execute(db)
    .await?;
    Ok(())
}

/// A floating address; on an instance's fixed address, or free in the pool.
async fn insert_floating(
    db: &mut SqliteConnection,
    floating: Ipv4Addr,
    instance: Option<&Instance>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO floating_ips (created_at, address, fixed_ip_id, project_id, host, auto_assigned, pool, \
         interface, deleted) \
         VALUES (datetime('now'), ?, (SELECT id FROM fixed_ips WHERE address = ?), ?, ?, 0, 'nova', ?, 0)",
    )
    .bind(floating.to_string())
    .bind(instance.map(|i| i.fixed.to_string()))
    .bind(instance.map(|_| PROJECT))
    .bind(instance.map(|_| COMPUTE))
    .bind(UPLINK)
    .execute(db)
    .await?;
    Ok(())
}

async fn insert_service(db: &mut SqliteConnection, binary: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO services (created_at, updated_at, host, \"binary\", topic, report_count, disabled, \
         deleted, last_seen_up, forced_down, version) VALUES (datetime('now'), datetime('now'), ?, ?, \
         ?, 1, 0, 0, datetime('now'), 0, 22)",
    )
    .bind(COMPUTE)
    .bind(binary)
    .bind(binary.trim_start_matches("nova-"))
    .execute(db)
    .await?;
    Ok(())
}

/// `instance_info_caches.network_info`: the list of NICs that nova's API answers from.
fn network_info(instance: &Instance) -> serde_json::Value {
    let floating: Vec<_> = instance
        .floating
        .iter()
        .map(|ip| serde_json::json!({ "address": ip, "type": "floating", "version": 4, "meta": {} }))
        .collect();
    serde_json::json!([{
        "id": instance.vif_uuid,
        "address": instance.mac.to_string(),
        "type": "bridge",
        "active": false,
        "devname": null,
        "network": {
            "id": NETWORK_UUID,
            "bridge": BRIDGE,
            "label": NETWORK_LABEL,
            "meta": {
                "tenant_id": null, "should_create_bridge": true, "bridge_interface": FLAT_LINK,
                "multi_host": true,
            },
            "subnets": [{
                "cidr": NETWORK.to_string(),
                "version": 4,
                "gateway": { "address": BRIDGE_ADDRESS.addr(), "type": "gateway", "version": 4, "meta": {} },
                "dns": [{ "address": EXTERNAL.addr(), "type": "dns", "version": 4, "meta": {} }],
                "routes": [],
                "ips": [{
                    "address": instance.fixed, "type": "fixed", "version": 4, "meta": {},
                    "floating_ips": floating,
                }],
                "meta": { "dhcp_server": BRIDGE_ADDRESS.addr() },
            }],
        },
        "meta": {}, "details": {}, "profile": null, "vnic_type": "normal", "qbh_params": null,
        "qbg_params": null, "ovs_interfaceid": null, "preserve_on_delete": false,
    }])
}

/// Opens the database, works on it and closes it, on a runtime of its own.
///
/// A file that is missing is made by `create` alone: dnsmasq's script may still run while `down` has
/// removed the state directory, and must not bring a part of it back.
fn with_database<T>(
    path: &Path,
    attempted: &'static str,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
) -> Result<T, LabError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        // A machine that loses power loses the lab's namespaces with it.
        .synchronous(SqliteSynchronous::Off)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    block_on(async {
        let mut db = options.connect().await?;
        let result = work(&mut db).await?;
        db.close().await?;
        Ok(result)
    })
    .map_err(|source| LabError::Database { attempted, path: path.to_owned(), source })
}

fn block_on<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(work)
}
