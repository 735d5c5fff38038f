//! # info-cache-differs
//!
//! What the API says of an instance's NICs and addresses differs from the tables.
//!
//! ## What it means
//! nova's API answers from `instance_info_caches`, and nova-compute plugs NICs and writes rules of security groups by
//! it. Users see addresses that the instance has not, or miss some that it has, and the next hard reboot gives it a NIC
//! of another MAC or in another network.
//!
//! ## How hopline knows
//! Each fixed IP in the cache's JSON is compared with its row: the NIC that has it (its MAC and its uuid), its network,
//! and the floating IPs that hang on it; the tables are right. What a cache does not say is not compared, since older
//! series wrote less. Nor is an address that was given back and is still tied to the instance, or whose NIC or network
//! is gone: nova itself keeps the one in the cache and leaves out the other. Not while nova is at work with the
//! instance, and an address does not count whose row has changed within a minute: nova writes the caches last.
//!
//! ## What it looks like
//! `nova list` shows an old address, or none; `nova interface-list` another MAC; source-group rules name the wrong one.
//!
//! ## Nearest look-alikes
//! * `instance-without-address`: the tables have none either.
//! * `fixed-ip-without-vif`, `fixed-ip-vif-mismatch`: the tables contradict each other, whatever the cache says.
//!
//! ## Fix
//! Have nova write it again: `nova refresh-network`, or any change of the instance's addresses; nova-compute does so
//! in turn by itself. Undo: none needed.
//!
//! ## References
//! nova `network/base_api.py` `refresh_cache`; `network/manager.py` `get_instance_nw_info`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "instance_info_caches",
    needs: &["instance_info_caches"],
    look: Look::Caches,
    columns: &["id", "instance_uuid", "instance", "cache", "tables"],
    one: "the API says {cache} of {instance}, and the tables say {tables}",
    many: "{count} instances have other NICs or addresses in the API than in the tables",
    cause: "a change of the tables did not reach the cache, as after one by hand",
    confidence: Confidence::Proven,
    repair: "nova refresh-network {instance_uuid}",
    note: "reads the tables again; disturbs nobody",
};
