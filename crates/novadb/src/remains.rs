//! What instances that ended badly leave behind, and how it is given back; and an instance, or a floating
//! address, that is recorded where it is not.

use std::net::Ipv4Addr;

use crate::sql::{Cell, values};
use crate::{Database, DbError, read};

impl Database {
    /// Gives back what deleted instances of this name still hold: their floating addresses come off and their fixed
    /// ones are free again, leased or not. Returns each floating address with the fixed one that it hung on.
    pub fn give_back(&self, name: &str) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>, DbError> {
        self.work(async |work| {
            let gone = "SELECT uuid FROM instances WHERE hostname = ? AND deleted <> 0";
            let tied: Vec<[Cell; 2]> = work
                .rows(
                    &format!(
                        "SELECT floating_ips.address, fixed_ips.address FROM floating_ips \
                         JOIN fixed_ips ON fixed_ips.id = floating_ips.fixed_ip_id \
                         WHERE floating_ips.deleted = 0 AND fixed_ips.instance_uuid IN ({gone}) \
                         ORDER BY floating_ips.id"
                    ),
                    values![name],
                )
                .await?;
            let of_instance = format!("SELECT id FROM fixed_ips WHERE deleted = 0 AND instance_uuid IN ({gone})");
            let cut = "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL, updated_at = {now} \
                       WHERE deleted = 0 AND fixed_ip_id IN";
            work.execute(&format!("{cut} ({of_instance})"), values![name]).await?;
            let free = "UPDATE fixed_ips SET allocated = FALSE, leased = FALSE, instance_uuid = NULL, \
                        virtual_interface_id = NULL, updated_at = {now} WHERE deleted = 0 AND instance_uuid IN";
            work.execute(&format!("{free} ({gone})"), values![name]).await?;
            let nics = "UPDATE virtual_interfaces SET deleted = id, deleted_at = {now} \
                        WHERE deleted = 0 AND instance_uuid IN";
            work.execute(&format!("{nics} ({gone})"), values![name]).await?;
            let mut addresses = Vec::new();
            for [floating, fixed] in tied {
                let floating = read::value(work, "floating_ips", floating.as_ref())?;
                addresses.push((floating, read::value(work, "fixed_ips", fixed.as_ref())?));
            }
            Ok(addresses)
        })
    }

    /// Records a living instance on a host, wherever it runs.
    pub fn record_host(&self, name: &str, host: &str) -> Result<(), DbError> {
        self.work(async |work| {
            let sql = "UPDATE instances SET host = ?, updated_at = {now} WHERE hostname = ? AND deleted = 0";
            match work.execute(sql, values![host, name]).await? {
                0 => Err(DbError::Unknown { what: "instance", name: name.to_owned() }),
                _ => Ok(()),
            }
        })
    }

    /// Records a floating address on a host, wherever it leads.
    pub fn record_floating_host(&self, floating: Ipv4Addr, host: &str) -> Result<(), DbError> {
        self.work(async |work| {
            let sql =
                "UPDATE floating_ips SET host = ?, updated_at = {now} WHERE address = ? AND deleted = 0";
            match work.execute(sql, values![host, floating.to_string()]).await? {
                0 => Err(DbError::Unknown { what: "floating IP", name: floating.to_string() }),
                _ => Ok(()),
            }
        })
    }
}
