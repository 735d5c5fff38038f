//! # fixed-ip-reserved-in-use
//!
//! A reserved fixed IP is given to an instance that lives.
//!
//! ## What it means
//! Reserved are a network's own address, its gateway, its broadcast address and what the operator set aside. An
//! instance that has one of them takes the gateway's place, or answers for somebody else.
//!
//! ## How hopline knows
//! `reserved` is set and an instance is named that is not deleted. `networks.vpn_private_address` is reserved for a VPN
//! instance and rightly in use.
//!
//! ## What it looks like
//! The network's instances lose their gateway when this one is up.
//!
//! ## Nearest look-alikes
//! * `host-address-in-use`: the address is a host's own.
//! * `fixed-ip-leaked`: the instance is gone; it is untied, and the address stays reserved.
//!
//! ## Fix
//! Give the instance another address through the API. If the reservation is out of date, clear it; never that of the
//! network's first or last address, its gateway or its DHCP server. Undo: `reserved = TRUE`.
//!
//! ## References
//! nova `network/manager.py` `_create_fixed_ips`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {flag f.allocated}, {key f as text}, {name i} \
         FROM fixed_ips f \
         LEFT JOIN networks n ON n.id = f.network_id AND {live n} \
         JOIN instances i ON {tie i f} AND {live i} \
         WHERE {live f} AND {yes f.reserved} AND {key f} IS NOT NULL AND \
         ({n.vpn_private_address} IS NULL OR {f.address} <> {n.vpn_private_address}) \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "allocated", "instance_uuid", "instance"],
    one: "{address} is reserved, and {instance} has it",
    many: "{count} reserved fixed IPs are given to instances",
    cause: "a reserved address is the gateway's, the broadcast address or somebody else's outside the cloud",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET reserved = FALSE WHERE id = {id} AND {key is instance_uuid} AND {live} AND \
        {spare}",
    note: "one row, where the reservation is what is wrong, and the network itself does not need the address; else \
        give the instance another",
};
