//! # fixed-ip-leaked
//!
//! Fixed IPs of a network are taken, and no instance has them.
//!
//! ## What it means
//! Rows of `fixed_ips` are allocated to instances that are deleted or to none at all, or leased by nobody. What names
//! an instance, or is leased, nova never gives out again, and its time-out frees none of them: the network has that
//! many addresses less, and the project's quota those of its deleted instances. Nothing stops as long as others are
//! free. What is only marked as allocated, and nobody's, is given out all the same; the mark is wrong.
//!
//! ## How hopline knows
//! The database: the row lives; it is `allocated` and its instance is deleted or gone, or it names none, is `allocated`
//! or `leased`, and not reserved. `hopline db check` counts reserved rows of deleted instances, too, which stay
//! reserved when they are untied. Not counted: a host's own address, what an instance gave back and has still
//! leased (it ends by itself), and rows whose `deleted` is NULL, which nova cannot see.
//!
//! ## What it looks like
//! `No fixed IP addresses available for network`, or a quota error, though few instances run.
//!
//! ## Nearest look-alikes
//! * `float-tied-to-deleted-instance`: a floating IP hangs on the row, too; it is told there.
//! * `dnsmasq-pool-exhausted`: dnsmasq has no address left, whatever the database says.
//!
//! ## Fix
//! Free the rows, each by its id and only where it is still tied as it was. First release a floating IP that hangs on
//! one, which would lead to whoever gets the address next, and end the domain where a host still runs it; `hopline db
//! repair` looks for both and refuses. No restart is needed: nova looks at the rows when it next gives an address.
//! Undo: the old values.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `db/sqlalchemy/api.py` `fixed_ip_associate_pool`,
//! `fixed_ip_disassociate_all_by_timeout`.

use std::collections::BTreeMap;

use model::finding::{Confidence, EvidenceKind, Remedy};
use model::intent::{LeakedFixed, Network, RowWords};
use model::path::{Place, Stage};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::sql;
use crate::view::View;

/// Rows named in evidence and remedy; a network with more is counted.
const ROWS_MAX: usize = 20;

/// Looks for addresses that nobody has: one finding a network in question.
pub fn check(view: &View) -> Vec<Found> {
    let remains = &view.intent().remains;
    let is_told = |leaked: &LeakedFixed| remains.floating.iter().any(|tied| tied.fixed_id == leaked.id);
    let mut by_network: BTreeMap<usize, Vec<&LeakedFixed>> = BTreeMap::new();
    for leaked in remains.fixed.iter().filter(|leaked| !is_told(leaked)) {
        if let Some(network) = leaked.network {
            by_network.entry(network).or_default().push(leaked);
        }
    }
    by_network.into_iter().filter_map(|(network, leaked)| finding(view, network, &leaked)).collect()
}

fn finding(view: &View, network: usize, leaked: &[&LeakedFixed]) -> Option<Found> {
    let network = view.intent().networks.get(network)?;
    let hop = place(view, network)?;
    let count = leaked.len();
    let addresses = match leaked {
        [only] => format!("{} of network {} is taken, and no instance has it", only.address, network.label),
        _ => format!("{count} fixed IPs of network {} are taken, and no instance has them", network.label),
    };
    let left = network.free.map(|(free, all)| format!(": {free} of {all} are free")).unwrap_or_default();
    let shown = leaked.iter().take(ROWS_MAX);
    let ids: Vec<String> = shown.clone().map(|leaked| leaked.id.to_string()).collect();
    let words = &view.intent().remains.words;
    let RowWords { instance, live } = words;
    let select = format!(
        "SELECT id, address, allocated, leased, {instance} FROM fixed_ips WHERE id IN ({}) AND {live}",
        ids.join(", ")
    );
    let mut rows: Vec<String> = shown.map(|leaked| row(leaked)).collect();
    if let (1.., Some(last)) = (count.saturating_sub(ROWS_MAX), rows.last_mut()) {
        last.push_str(&format!(" (and {} more)", count - ROWS_MAX));
    }
    let fault = Fault {
        code: "fixed-ip-leaked",
        hop,
        summary: format!("{addresses}{left}"),
        cause: "an instance ended without giving its address back, and nova's time-out frees only what was given back"
            .to_owned(),
        confidence: Confidence::Proven,
        evidence: rows
            .into_iter()
            .map(|row| evidence::record(EvidenceKind::Db, select.clone(), row))
            .collect(),
        owner: "nova-network",
        remedy: leaked.iter().take(ROWS_MAX).flat_map(|leaked| freed(leaked, words)).collect(),
        instances: Vec::new(),
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found())
}

/// Where the network's addresses are given out: at the gateway of an instance in question, else at the network's
/// bridge on a host in question.
fn place(view: &View, network: &Network) -> Option<Place> {
    let bridge = network.bridge.as_deref()?;
    let is_on = |of: Option<&Network>| of.is_some_and(|of| std::ptr::eq(of, network));
    let seat = view.vifs().find(|seat| is_on(seat.network));
    let host = || view.hosts().find(|(_, ns)| ns.link_named(bridge).is_some()).map(|(_, ns)| ns);
    let ns = seat.map(|seat| seat.server_ns).or_else(host)?;
    Some(at(ns, bridge, Stage::Service))
}

fn row(leaked: &LeakedFixed) -> String {
    let whose = match (&leaked.name, &leaked.instance) {
        (Some(name), Some(uuid)) => format!("{name} ({uuid}), deleted"),
        (None, Some(uuid)) => format!("{uuid}, which is gone"),
        (_, None) => "none".to_owned(),
    };
    let flag = |set: bool| u8::from(set);
    format!(
        "fixed_ips {}: {}, allocated {}, leased {}, instance {whose}",
        leaked.id,
        leaked.address,
        flag(leaked.allocated),
        flag(leaked.leased)
    )
}

fn freed(leaked: &LeakedFixed, words: &RowWords) -> Vec<Remedy> {
    let LeakedFixed { id, allocated, leased, .. } = leaked;
    let RowWords { instance, live } = words;
    let by_hopline = words.are_usual().then(|| sql::by_hopline(&format!("repair fixed-ip-leaked {id}")));
    let (is_it, was) = match leaked.instance.as_deref().map(sql::string) {
        Some(Some(key)) => (format!("{instance} = {key}"), key),
        Some(None) => return by_hopline.into_iter().chain([sql::untypable(instance)]).collect(),
        None => (format!("{instance} IS NULL"), "NULL".to_owned()),
    };
    let by_hand = Remedy {
        command: format!(
            "UPDATE fixed_ips SET allocated = FALSE, leased = FALSE, {instance} = NULL, virtual_interface_id = NULL \
             WHERE id = {id} AND {is_it} AND {live}"
        ),
        undo: format!(
            "UPDATE fixed_ips SET allocated = {allocated}, leased = {leased}, {instance} = {was} \
             WHERE id = {id} AND {instance} IS NULL"
        ),
        note: "one row, on which no floating IP hangs, and whose instance no host still runs".to_owned(),
    };
    by_hopline.into_iter().chain([by_hand]).collect()
}

#[cfg(test)]
mod tests {
    use model::intent::RowWords;
    use model::path::Exchange;

    use crate::fixture::{broken, codes};

    #[test]
    fn fires_once_a_network_with_every_row() {
        let mut cloud = broken("fixed-ip-leaked");
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["fixed-ip-leaked compute1//br100"]);
        assert_eq!(found.findings[0].exchange, Exchange::None);
        let one = "fixed_ips 78: 10.0.2.40, allocated 1, leased 1, instance gone1 (u), deleted";
        assert_eq!(found.findings[0].evidence[0].text, one);

        let first = cloud.intent.remains.fixed[0].clone();
        let more = (79..=110).map(|id| model::intent::LeakedFixed { id, instance: None, ..first.clone() });
        cloud.intent.remains.fixed.extend(more);
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["fixed-ip-leaked compute1//br100"]);
        assert_eq!(found.findings[0].evidence.len(), 20);
        assert!(found.findings[0].evidence[19].text.ends_with("instance none (and 13 more)"), "{found:?}");
    }

    #[test]
    fn its_statement_is_in_the_words_of_the_series() {
        let mut cloud = broken("fixed-ip-leaked");
        let commands = |cloud: &crate::fixture::Cloud| -> Vec<String> {
            let remedy = cloud.diagnose("web1").findings.remove(0).remedy;
            remedy.into_iter().map(|remedy| remedy.command).collect()
        };
        let [first, second] = commands(&cloud).try_into().unwrap();
        assert_eq!(first, "hopline db repair fixed-ip-leaked 78 --apply");
        assert!(second.ends_with("WHERE id = 78 AND instance_uuid = 'u' AND deleted = 0"), "{second}");
        // Essex on PostgreSQL; hopline's own repair speaks of columns that are not there.
        cloud.intent.remains.words =
            RowWords { instance: "instance_id".to_owned(), live: "deleted = false".to_owned() };
        cloud.intent.remains.fixed[0].instance = Some("7".to_owned());
        let [only] = commands(&cloud).try_into().unwrap();
        assert!(only.ends_with("WHERE id = 78 AND instance_id = '7' AND deleted = false"), "{only}");
        assert!(!only.contains("uuid"), "{only}");
    }

    #[test]
    fn stays_silent_where_a_floating_address_tells_it() {
        let found = codes(&broken("float-tied-to-deleted-instance").diagnose("web1"));
        assert_eq!(found, ["float-tied-to-deleted-instance compute1//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_network_that_is_not_in_question() {
        let mut cloud = broken("fixed-ip-leaked");
        let elsewhere =
            model::intent::Network { bridge: Some("br7".to_owned()), ..cloud.intent.networks[0].clone() };
        cloud.intent.networks.push(elsewhere);
        cloud.intent.remains.fixed[0].network = Some(cloud.intent.networks.len() - 1);
        assert_eq!(codes(&cloud.check("compute1")), [""; 0]);
    }
}
