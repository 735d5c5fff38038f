//! # network-full
//!
//! A network has no fixed IP left to give, or hardly any.
//!
//! ## What it means
//! The next instance on it does not start. Addresses that leaked come back once they are freed.
//!
//! ## How hopline knows
//! Counted as nova chooses: not reserved, not leased, with neither instance nor host. Told where fewer than one in
//! fifty is left; whether more are wanted nobody knows, so it is only likely a fault. Beside it stands how many would
//! come free once each of `fixed-ip-leaked` and `fixed-ip-not-released` is mended. What is marked as allocated and is
//! nobody's is free already: nova does not look at that mark.
//!
//! ## What it looks like
//! `No fixed IP addresses available for network`.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-pool-exhausted`: dnsmasq's range is full, not nova's table.
//! * `fixed-ip-leaked`: addresses that nobody has.
//!
//! ## Fix
//! Free what leaked (`fixed-ip-leaked`, `fixed-ip-not-released`), or add a network. Undo: as there.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `fixed_ip_associate_pool`.

use model::finding::Confidence;

use super::{Look, Spec};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "networks",
    needs: &[],
    look: Look::Sieved {
        sql: "SELECT {n.id}, {n.label}, {n.cidr}, {text counted.free}, {text counted.every}, \
              {text counted.leaked}, {text counted.unreleased} \
              FROM networks n \
              JOIN (SELECT {scan f.network_id} AS network_id, SUM(CASE WHEN {no f.reserved} AND {no f.leased} AND \
              {key f} IS NULL AND {raw f.host} IS NULL THEN 1 ELSE 0 END) AS free, \
              SUM(CASE WHEN {no f.reserved} THEN 1 ELSE 0 END) AS \
              every, SUM(CASE WHEN {no f.reserved} AND {unnamed f.host} AND (({key f} IS NOT NULL AND \
              ({yes f.allocated} OR {raw f.allocated} IS NULL) AND {gone i}) OR ({key f} IS NULL AND \
              {yes f.leased})) THEN 1 ELSE 0 END) AS leaked, \
              SUM(CASE WHEN {no f.reserved} AND {unnamed f.host} AND {key f} IS NOT NULL AND {no f.allocated} AND \
              {expired f.updated_at} THEN 1 ELSE 0 END) AS unreleased \
              FROM fixed_ips f \
              LEFT JOIN instances i ON {tie i f} \
              WHERE {live f} \
              GROUP BY {scan f.network_id}) counted ON counted.network_id = n.id \
              WHERE {live n} \
              ORDER BY n.id",
        keep: is_full,
    },
    columns: &["id", "label", "range", "free", "of", "leaked", "not released"],
    one: "network {label} has {free} of {of} fixed IPs left; {leaked} that leaked and {not released} that were not \
        released would come free",
    many: "{count} networks have hardly any fixed IPs left",
    cause: "nova gives out no address that is leased, tied or reserved",
    confidence: Confidence::Likely,
    repair: "SELECT id, address, {key} FROM fixed_ips WHERE network_id = {id} AND allocated = FALSE AND \
        {key} IS NOT NULL AND {live}",
    note: "reads what is on its way to be free; free what leaked, or add a network",
};

/// One in so many must be free, or it is said.
const FEW: u64 = 50;

fn is_full(row: &[Cell]) -> bool {
    let [_, _, _, free, all, ..] = row else { return false };
    // Sums are decimals in MySQL and PostgreSQL.
    let sum = |cell: &Cell| -> Option<u64> { cell.as_ref()?.split('.').next()?.parse().ok() };
    sum(free).zip(sum(all)).is_some_and(|(free, all)| all > 0 && free < all.div_ceil(FEW))
}
