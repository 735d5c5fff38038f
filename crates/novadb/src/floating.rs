//! Floating addresses: out of the pool, onto an instance, off it and back (nova/network/floating_ips.py).

use std::net::Ipv4Addr;

use crate::instances::named;
use crate::rows::Floating;
use crate::sql::{Cell, Work, values};
use crate::{Database, DbError, info_cache, read};

/// `default_floating_pool`.
const DEFAULT_POOL: &str = "nova";

impl Database {
    /// Adds addresses to a pool (`nova floating-ip-bulk-create`).
    pub fn floating_create(
        &self,
        addresses: &[Ipv4Addr],
        pool: &str,
        interface: &str,
    ) -> Result<(), DbError> {
        self.work(async |work| {
            for address in addresses {
                work.insert(
                    "INSERT INTO floating_ips (created_at, address, auto_assigned, pool, interface, deleted) \
                     VALUES ({now}, ?, FALSE, ?, ?, 0)",
                    values![address.to_string(), pool, interface],
                )
                .await?;
            }
            Ok(())
        })
    }

    /// Gives a project the first address of the pool that is free; `None` for the default pool.
    pub fn floating_allocate(&self, project: &str, pool: Option<&str>) -> Result<Ipv4Addr, DbError> {
        let pool = pool.unwrap_or(DEFAULT_POOL);
        self.work(async |work| {
            let row: Option<[Cell; 2]> = work
                .row(
                    "SELECT {text:id}, address FROM floating_ips WHERE deleted = 0 AND project_id IS NULL \
                     AND fixed_ip_id IS NULL AND pool = ? ORDER BY id LIMIT 1{lock}",
                    values![pool],
                )
                .await?;
            let [_, address] = row.ok_or_else(|| DbError::PoolEmpty { pool: pool.to_owned() })?;
            let address = read::value(work, "floating_ips", address.as_ref())?;
            allocate(work, project, address).await?;
            Ok(address)
        })
    }

    /// Gives a project this address, if it is free.
    pub fn floating_allocate_address(&self, project: &str, address: Ipv4Addr) -> Result<(), DbError> {
        self.work(async |work| allocate(work, project, address).await)
    }

    /// Puts an address on an instance: on the given fixed address, or its first. The host that carries it is the
    /// instance's in multi-host mode, else the network's.
    pub fn floating_associate(
        &self,
        floating: Ipv4Addr,
        instance: &str,
        fixed: Option<Ipv4Addr>,
    ) -> Result<(), DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let row = row_of(&cloud.floating, floating)?;
            let instance = named(&cloud, instance)?;
            let refuse = |why: String| DbError::Floating { address: floating, why };
            if row.project.as_deref() != Some(instance.project.as_str()) {
                let why = match &row.project {
                    None => "is free in the pool: allocate it first".to_owned(),
                    Some(project) => format!("is of project {project}, and {} is not", instance.name),
                };
                return Err(refuse(why));
            }
            if let Some(fixed) = row.fixed {
                return Err(refuse(format!("leads to {fixed} already: disassociate it first")));
            }
            let every = instance.vifs.iter().flat_map(|vif| vif.fixed.iter().map(move |own| (vif, own)));
            let mut allocated = every.filter(|(_, own)| own.allocated);
            let found = allocated.find(|(_, own)| fixed.is_none_or(|wanted| wanted == own.address));
            let none = || refuse(format!("finds no such fixed address on {}", instance.name));
            let (vif, own) = found.ok_or_else(none)?;
            let network = cloud.networks.iter().find(|network| network.id == vif.network_id);
            let host = match network {
                Some(network) if !network.multi_host => network.host.clone(),
                _ => Some(instance.host.clone()),
            };
            let sql = "UPDATE floating_ips SET fixed_ip_id = ?, host = ?, updated_at = {now} \
                       WHERE id = ? AND fixed_ip_id IS NULL AND deleted = 0";
            if work.execute(sql, values![own.id, host, row.id]).await? != 1 {
                return Err(DbError::Moved { what: floating.to_string() });
            }
            info_cache::refresh(work, &instance.uuid).await
        })
    }

    /// Takes an address off whatever it leads to.
    pub fn floating_disassociate(&self, floating: Ipv4Addr) -> Result<(), DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let row = row_of(&cloud.floating, floating)?;
            let Some(fixed) = row.fixed_ip_id else {
                let why = "leads to no instance".to_owned();
                return Err(DbError::Floating { address: floating, why });
            };
            let sql = "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL, updated_at = {now} \
                       WHERE id = ? AND fixed_ip_id = ?";
            if work.execute(sql, values![row.id, fixed]).await? != 1 {
                return Err(DbError::Moved { what: floating.to_string() });
            }
            let has_it = |instance: &&crate::rows::Instance| {
                instance.vifs.iter().flat_map(|vif| &vif.fixed).any(|own| own.id == fixed)
            };
            match cloud.instances.iter().find(has_it) {
                Some(instance) => info_cache::refresh(work, &instance.uuid).await,
                None => Ok(()),
            }
        })
    }

    /// Puts an address back into its pool.
    pub fn floating_release(&self, floating: Ipv4Addr) -> Result<(), DbError> {
        self.work(async |work| {
            let cloud = read::cloud(work).await?;
            let row = row_of(&cloud.floating, floating)?;
            let refuse = |why: &str| DbError::Floating { address: floating, why: why.to_owned() };
            if row.project.is_none() {
                return Err(refuse("is in the pool already"));
            }
            let sql = "UPDATE floating_ips SET project_id = NULL, host = NULL, auto_assigned = FALSE, \
                       updated_at = {now} WHERE id = ? AND fixed_ip_id IS NULL AND deleted = 0";
            match work.execute(sql, values![row.id]).await? {
                1 => Ok(()),
                _ => Err(refuse("leads to an instance: disassociate it first")),
            }
        })
    }
}

fn row_of(floating: &[Floating], address: Ipv4Addr) -> Result<&Floating, DbError> {
    let found = floating.iter().find(|row| row.address == address);
    found.ok_or_else(|| DbError::Unknown { what: "floating address", name: address.to_string() })
}

async fn allocate(work: &mut Work, project: &str, address: Ipv4Addr) -> Result<(), DbError> {
    let sql = "UPDATE floating_ips SET project_id = ?, updated_at = {now} \
               WHERE address = ? AND deleted = 0 AND project_id IS NULL AND fixed_ip_id IS NULL";
    match work.execute(sql, values![project, address.to_string()]).await? {
        1 => Ok(()),
        _ => Err(DbError::Floating { address, why: "is not free in the pool".to_owned() }),
    }
}
