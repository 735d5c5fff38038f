//! # fixed-ip-outside-network
//!
//! A fixed IP is outside its network's range.
//!
//! ## What it means
//! The host's bridge has the network's range and routes nothing else to it: an instance with this address reaches
//! nobody, and no rule of the network's holds for it.
//!
//! ## How hopline knows
//! The address is compared with the prefix in `cidr` (`netmask` may itself be wrong). .0 and .255 inside a wider
//! range are valid. A row with a host and no instance is that host's own gateway or DHCP address, which an operator may
//! have put anywhere, and is left alone.
//!
//! ## What it looks like
//! An instance without any network, of a network whose range was changed by hand.
//!
//! ## Nearest look-alikes
//! * `network-mask-wrong`: range and netmask contradict each other.
//!
//! ## Fix
//! Put the row on the network that has the range, or delete it where it is free. Undo: the old values.
//!
//! ## References
//! nova `network/manager.py` `_create_fixed_ips`.

use ipnet::Ipv4Net;
use model::finding::Confidence;

use super::{Look, Spec};
use crate::cells::Cell;
use crate::records::address;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sieved {
        sql: "SELECT {f.id}, {f.address}, {f.network_id}, {n.cidr}, {name i} \
              FROM fixed_ips f \
              JOIN networks n ON n.id = {scan f.network_id} AND {live n} \
              LEFT JOIN instances i ON {tie i f} AND {live i} \
              WHERE {live f} AND {outside f n} AND ({key f} IS NOT NULL OR {unnamed f.host}) \
              ORDER BY f.id",
        keep: is_outside,
    },
    columns: &["id", "address", "network_id", "range", "instance"],
    one: "fixed IP {address} is outside {range}, the range of its network",
    many: "{count} fixed IPs are outside the range of their network",
    cause: "nothing routes to the address on the network's bridge",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET deleted = {mark} WHERE id = {id} AND {address is address} AND \
        {network_id is network_id} AND {key} IS NULL AND host IS NULL AND {live} AND {unhung}",
    note: "one row, where nobody has it; else the instance needs another address first, and a floating IP that hangs \
        on it is released first",
};

/// What the server was not asked, or may have got wrong.
fn is_outside(row: &[Cell]) -> bool {
    let [_, ip, _, cidr, _] = row else { return false };
    let range: Option<Ipv4Net> = cidr.as_ref().and_then(|cidr| cidr.trim().parse().ok());
    // An address of IPv6, or a range that cannot be read, says nothing.
    let (Some(range), Some(text)) = (range, ip) else { return false };
    address(Some(text)).map_or(!text.contains(':'), |ip| !range.contains(&ip))
}
