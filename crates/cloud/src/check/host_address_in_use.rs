//! # host-address-in-use
//!
//! A host's own fixed IP is given to an instance that lives.
//!
//! ## What it means
//! In multi-host mode each host takes a fixed IP as gateway of its instances: the row names the host and no instance.
//! Here it names both, and the host, if it is alive, has the address too.
//!
//! ## How hopline knows
//! `host` and an instance that is not deleted are both set. nova sets one of them only; the host named may be another
//! than the instance's.
//!
//! ## What it looks like
//! The instance and its neighbours lose their gateway, or ARP finds two machines.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-reserved-in-use`: the address is reserved.
//! * `fixed-ip-leaked`: the instance is gone; it is untied, and the address stays the host's.
//!
//! ## Fix
//! Where the host uses the address (`ip addr` on its bridge), give the instance another; else clear the host. Undo:
//! the old host.
//!
//! ## References
//! nova `network/manager.py` `NetworkManager._get_network_by_id`, `RPCAllocateFixedIP`; `fixed_ip_associate_pool`
//! with `host`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {f.host}, {i.host}, {key f as text}, {name i} \
         FROM fixed_ips f \
         JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live f} AND {key f} IS NOT NULL AND {named f.host} \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "host", "instance's host", "instance_uuid", "instance"],
    one: "{address} is the own address of {host}, and {instance} has it",
    many: "{count} own addresses of hosts are given to instances",
    cause: "host and instance have the same address",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET host = NULL WHERE id = {id} AND {host is host} AND {key is instance_uuid} AND \
        {live}",
    note: "one row, only where the host does not carry the address",
};
