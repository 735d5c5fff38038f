//! # instance-without-nic
//!
//! An active instance had a NIC, and the tables have none of it.
//!
//! ## What it means
//! The rows of its NICs are deleted, and its fixed IPs are given back: nova did so when it began to end the instance
//! and did not get to the end, or somebody did it by hand. The instance may run on as before, with an address that nova
//! gives to another next; after a hard reboot it has no NIC.
//!
//! ## How hopline knows
//! The instance is active and at rest. No live row of `virtual_interfaces` and no allocated fixed IP names it, and its
//! info cache, which nova writes from these rows, still has a NIC on a network that lives. An instance that was built
//! with `--nic none` has an empty cache, as has one that was built when there was no network, and neither is told. Nor
//! is one whose cache was written since, as nova-compute does with one instance a minute: nothing in the database tells
//! it from those.
//!
//! ## What it looks like
//! The API shows an address for it, and nobody's row has that address; two instances answer for it later.
//!
//! ## Nearest look-alikes
//! * `instance-without-address`: the NIC is there, and has no fixed IP.
//! * `fixed-ip-without-vif`: the fixed IP is there, and has no NIC.
//! * `info-cache-differs`: the cache has other addresses than the tables. This one is told in its place, since a
//!   refreshed cache would forget the NIC.
//!
//! ## Fix
//! Look what is left of its NICs, and who has its address now. `nova add-fixed-ip` makes a new NIC, with another MAC,
//! and a hard reboot plugs it. Undo: `nova remove-fixed-ip`.
//!
//! ## References
//! nova `network/manager.py` `deallocate_for_instance`, `allocate_fixed_ip`; nova `compute/manager.py`
//! `_allocate_network_async` (`none`), `_heal_instance_info_cache`.

use std::collections::BTreeSet;

use model::finding::Confidence;
use serde_json::Value;

use super::cached::{cached, list};
use super::words::Words;
use super::{Look, Spec};
use crate::cells::Cell;
use crate::database::Session;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "instances",
    needs: &["instance_info_caches"],
    look: Look::CachedNics,
    columns: &["id", "MAC", "cache", "instance_uuid", "instance"],
    one: "{instance} is active and had NIC {MAC} with {cache}, and the tables have no NIC of it",
    many: "{count} active instances had NICs, and the tables have none of them",
    cause: "nova gives its address to another, and no NIC to the instance at its next hard reboot",
    confidence: Confidence::Proven,
    repair: "SELECT id, address, network_id, deleted FROM virtual_interfaces WHERE {address is MAC}",
    note: "reads what is left of its NICs; `nova add-fixed-ip` and a hard reboot give it a new one",
};

/// Active instances at rest that nothing is tied to, with their caches, where they have one. These are large: outer
/// joined they are looked at last, and only those.
pub(super) const SQL: &str = "SELECT {i.id}, {key c as text}, {name i}, {brief c.network_info} FROM instances i \
                              LEFT JOIN virtual_interfaces v ON {tie v i} AND {live v} \
                              LEFT JOIN fixed_ips f ON {tie f i} AND {live f} AND {yes f.allocated} \
                              LEFT JOIN instance_info_caches c ON {tie c i} AND {live c} \
                              WHERE {live i} AND {is i.vm_state active} AND {raw i.task_state} IS NULL \
                              AND v.id IS NULL AND f.id IS NULL{and i} ORDER BY i.id, c.id";
/// What caches call networks.
pub(super) const NETWORKS: &str = "SELECT {n.uuid} FROM networks n WHERE {live n}";

/// Hands each row to `take`.
pub(super) async fn look(
    session: &mut Session,
    words: &Words<'_>,
    mut take: impl FnMut(Vec<Cell>),
) -> Result<(), sqlx::Error> {
    let mut networks: BTreeSet<String> = BTreeSet::new();
    let uuid = |row: Vec<Cell>| row.into_iter().next().flatten().map(|uuid| uuid.to_ascii_lowercase());
    session.each(words.of(NETWORKS), |row| networks.extend(uuid(row))).await?;
    let bare = |row: Vec<Cell>| {
        let [id, uuid, name, info] = row.as_slice() else { return };
        let macs = macs(info.as_deref(), |network| networks.contains(&network.to_ascii_lowercase()));
        if !macs.is_empty() {
            let addresses = cached(info.as_deref()).map(|addresses| list(&addresses));
            take(vec![id.clone(), Some(macs.join(" ")), addresses, uuid.clone(), name.clone()]);
        }
    };
    session.each(words.of(SQL), bare).await
}

/// Of the NICs that a cache has on such networks; of Neutron's, and of one that went, nothing follows.
fn macs(network_info: Option<&str>, is_known: impl Fn(&str) -> bool) -> Vec<String> {
    let info: Option<Value> = network_info.and_then(|text| serde_json::from_str(text).ok());
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let nics = info.as_ref().and_then(Value::as_array).into_iter().flatten();
    let known = nics.filter(|nic| text(nic.pointer("/network/id")).is_some_and(|network| is_known(&network)));
    known.filter_map(|nic| text(nic.get("address"))).collect()
}

#[cfg(test)]
mod tests {
    use super::macs;

    #[test]
    fn only_nics_on_networks_that_are_there_count() {
        let nic = |network: &str| format!(r#"{{"address": "fa:16:3e:00:00:01", "network": {{"id": {network}}}}}"#);
        let of = |text: &str| macs(Some(text), |network| network == "n1");
        assert_eq!(of(&format!("[{}]", nic("\"n1\""))), ["fa:16:3e:00:00:01"]);
        assert_eq!(of(&format!("[{}, {}]", nic("\"n2\""), nic("7"))), [""; 0]);
        for text in ["", "[]", "[{", "{}", "null", r#"[{"network": {"id": "n1"}}]"#] {
            assert_eq!(of(text), [""; 0], "{text}");
        }
        assert_eq!(macs(None, |_| true), [""; 0]);
    }
}
