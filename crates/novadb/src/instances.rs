//! Instances: booted, switched off and on, terminated cleanly or not (nova/compute/manager.py,
//! nova/network/manager.py `allocate_for_instance`, `deallocate_for_instance`).

use std::net::Ipv4Addr;

use model::Mac;

use crate::networks::free_address;
use crate::rows::{Cloud, Instance, Network};
use crate::sql::{Work, values};
use crate::{Database, DbError, groups, info_cache, read};

/// Who owns everything.
pub(crate) const USER: &str = "0f3d6f1c8b8e4c2f9d37a2f3b7f1e9aa";
/// nova/compute/power_state.py.
const RUNNING: i64 = 1;
const SHUTDOWN: i64 = 4;

/// An instance to be booted.
#[derive(Debug, Clone, Default)]
pub struct NewInstance {
    /// `hostname`, unlike any other living one.
    pub name: String,
    /// `uuid`; `None` for one that follows from the id.
    pub uuid: Option<String>,
    /// `virtual_interfaces.uuid` of its first NIC; `None` likewise.
    pub vif_uuid: Option<String>,
    /// MAC of its first NIC; `None` likewise, with nova's prefix fa:16:3e.
    pub mac: Option<Mac>,
    /// The host that it is to run on.
    pub host: String,
    /// `project_id`.
    pub project: String,
    /// Its NICs: ids of their networks, each with a fixed address or `None` for the next that is free.
    pub networks: Vec<(u64, Option<Ipv4Addr>)>,
    /// Names of its security groups.
    pub groups: Vec<String>,
}

impl Database {
    /// Writes an instance with its NICs, addresses and groups, as a boot does.
    pub fn boot(&self, new: &NewInstance) -> Result<Instance, DbError> {
        self.work(async |work| boot(work, new).await)
    }

    /// The instance is switched off.
    pub fn stop(&self, name: &str) -> Result<(), DbError> {
        self.work(async |work| set_state(work, name, "stopped", SHUTDOWN).await)
    }

    /// The instance is switched on.
    pub fn start(&self, name: &str) -> Result<(), DbError> {
        self.work(async |work| set_state(work, name, "active", RUNNING).await)
    }

    /// Terminates the instance: its floating addresses come off, its fixed ones are given back, and stay tied to it
    /// while they are leased ([`Database::release`] unties them), and its rows are marked as deleted.
    pub fn delete(&self, name: &str) -> Result<(), DbError> {
        self.work(async |work| delete(work, name).await)
    }

    /// Ends the instance badly, as the guide has it: its row and cache are marked as deleted, and that is all.
    pub fn delete_unclean(&self, name: &str) -> Result<(), DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let instance = named(&cloud, name)?;
            delete_rows(work, &["instances"], "uuid", &instance.uuid).await?;
            delete_rows(work, &["instance_info_caches"], "instance_uuid", &instance.uuid).await
        })
    }
}

/// The living instance of this name.
pub(crate) fn named<'c>(cloud: &'c Cloud, name: &str) -> Result<&'c Instance, DbError> {
    let found = cloud.instances.iter().find(|instance| instance.name == name);
    found.ok_or_else(|| DbError::Unknown { what: "instance", name: name.to_owned() })
}

async fn boot(work: &mut Work, new: &NewInstance) -> Result<Instance, DbError> {
    let cloud = read::cloud(work).await?;
    if cloud.instances.iter().any(|instance| instance.name == new.name) {
        return Err(DbError::NameTaken { name: new.name.clone() });
    }
    let mut memberships = Vec::new();
    for name in &new.groups {
        memberships.push(groups::ensure(work, &cloud, &new.project, name).await?);
    }
    let id = work
        .insert(
            "INSERT INTO instances (created_at, user_id, project_id, power_state, vm_state, memory_mb, vcpus, \
             hostname, host, launched_at, display_name, launched_on, uuid, node, deleted, cleaned, locked, hidden) \
             VALUES ({now}, ?, ?, 1, 'active', 64, 1, ?, ?, {now}, ?, ?, ?, ?, 0, 0, FALSE, FALSE)",
            values![
                USER,
                new.project.as_str(),
                new.name.as_str(),
                new.host.as_str(),
                new.name.as_str(),
                new.host.as_str(),
                // Its own follows from the id, which is not known yet.
                format!("booting-{}", new.name.chars().take(20).collect::<String>()),
                new.host.as_str(),
            ],
        )
        .await?;
    let uuid = new.uuid.clone().unwrap_or_else(|| format!("8d7b1f36-5f4e-4b1c-9a55-{id:012x}"));
    work.execute("UPDATE instances SET uuid = ? WHERE id = ?", values![uuid.as_str(), id]).await?;
    for (at, (network, address)) in new.networks.iter().enumerate() {
        let network = usable_network(&cloud, *network, &new.project)?;
        add_nic(work, new, &uuid, at, (network, *address)).await?;
    }
    for group in memberships {
        work.insert(
            "INSERT INTO security_group_instance_association (created_at, security_group_id, instance_uuid, \
             deleted) VALUES ({now}, ?, ?, 0)",
            values![group, uuid.as_str()],
        )
        .await?;
    }
    work.insert(
        "INSERT INTO instance_info_caches (created_at, updated_at, network_info, instance_uuid, deleted) \
         VALUES ({now}, {now}, '[]', ?, 0)",
        values![uuid.as_str()],
    )
    .await?;
    info_cache::refresh(work, &uuid).await?;
    let cloud = read::cloud(work).await?;
    named(&cloud, &new.name).cloned()
}

fn usable_network<'c>(cloud: &'c Cloud, id: u64, project: &str) -> Result<&'c Network, DbError> {
    let found = cloud.networks.iter().find(|network| network.id == id);
    let network = found.ok_or_else(|| DbError::Unknown { what: "network", name: id.to_string() })?;
    match &network.project {
        Some(owner) if owner != project => Err(DbError::WrongProject {
            label: network.label.clone(),
            owner: owner.clone(),
            project: project.to_owned(),
        }),
        _ => Ok(network),
    }
}

/// First the NIC, then its address, as nova's `_add_virtual_interface` and `allocate_fixed_ip`.
async fn add_nic(
    work: &mut Work,
    new: &NewInstance,
    instance: &str,
    at: usize,
    (network, address): (&Network, Option<Ipv4Addr>),
) -> Result<(), DbError> {
    let own = |given: Option<String>| if at == 0 { given } else { None };
    let vif = work
        .insert(
            "INSERT INTO virtual_interfaces (created_at, address, network_id, uuid, instance_uuid, deleted) \
             VALUES ({now}, ?, ?, ?, ?, 0)",
            values![format!("booting-{instance}-{at}"), network.id, "", instance],
        )
        .await?;
    let [_, _, _, _, _, high, middle, low] = vif.to_be_bytes();
    let mac = own(new.mac.map(|mac| mac.to_string()))
        .unwrap_or_else(|| Mac([0xfa, 0x16, 0x3e, 0x80 | high, middle, low]).to_string());
    let uuid = own(new.vif_uuid.clone()).unwrap_or_else(|| format!("b1c3e0d2-76a4-4f0e-8f5d-{vif:012x}"));
    work.execute("UPDATE virtual_interfaces SET address = ?, uuid = ? WHERE id = ?", values![mac, uuid, vif])
        .await?;
    let (fixed, address) = free_address(work, network, address).await?;
    let sql = "UPDATE fixed_ips SET allocated = TRUE, instance_uuid = ?, virtual_interface_id = ?, \
               updated_at = {now} WHERE id = ? AND instance_uuid IS NULL AND host IS NULL AND leased = FALSE";
    match work.execute(sql, values![instance, vif, fixed]).await? {
        1 => Ok(()),
        _ => Err(DbError::Moved { what: address.to_string() }),
    }
}

async fn set_state(work: &mut Work, name: &str, vm_state: &str, power_state: i64) -> Result<(), DbError> {
    let sql = "UPDATE instances SET vm_state = ?, power_state = ?, task_state = NULL, updated_at = {now} \
               WHERE hostname = ? AND deleted = 0";
    match work.execute(sql, values![vm_state, power_state, name]).await? {
        0 => Err(DbError::Unknown { what: "instance", name: name.to_owned() }),
        _ => Ok(()),
    }
}

async fn delete(work: &mut Work, name: &str) -> Result<(), DbError> {
    let cloud = read::cloud(work).await?;
    let uuid = named(&cloud, name)?.uuid.clone();
    work.execute(
        "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL, updated_at = {now} WHERE deleted = 0 AND \
         fixed_ip_id IN (SELECT id FROM fixed_ips WHERE instance_uuid = ? AND deleted = 0)",
        values![uuid.as_str()],
    )
    .await?;
    work.execute(
        "UPDATE fixed_ips SET allocated = FALSE, updated_at = {now} WHERE instance_uuid = ? AND deleted = 0",
        values![uuid.as_str()],
    )
    .await?;
    // With force_dhcp_release what nobody has leased is untied at once.
    work.execute(
        "UPDATE fixed_ips SET instance_uuid = NULL, virtual_interface_id = NULL \
         WHERE instance_uuid = ? AND leased = FALSE AND deleted = 0",
        values![uuid.as_str()],
    )
    .await?;
    let of_instance = ["virtual_interfaces", "instance_info_caches", "security_group_instance_association"];
    delete_rows(work, &of_instance, "instance_uuid", &uuid).await?;
    work.execute(
        "UPDATE instances SET vm_state = 'deleted', power_state = 0, terminated_at = {now} WHERE uuid = ?",
        values![uuid.as_str()],
    )
    .await?;
    delete_rows(work, &["instances"], "uuid", &uuid).await
}

/// Soft deletion: `deleted` becomes the row's id.
async fn delete_rows(
    work: &mut Work,
    tables: &[&'static str],
    column: &str,
    value: &str,
) -> Result<(), DbError> {
    for table in tables {
        let sql = format!(
            "UPDATE {table} SET deleted = id, deleted_at = {{now}} WHERE {column} = ? AND deleted = 0"
        );
        work.execute(&sql, values![value]).await?;
    }
    Ok(())
}
