//! Instances that run on another host than the database records. The hosts of their floating IPs are held to that
//! record, so that nothing follows from it before it is put right itself: the floating IP may well be where it works.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use cloud::{Ask, Change, Checked};
use model::intent::Instance;
use model::{Intent, Snapshot};

use crate::failure::Failure;
use crate::gather::Facts;

/// The finding that leans on `instances.host`.
const LEANS: &str = "float-host-mismatch";

/// Takes back what is found of such floating IPs; `db-host-mismatch` tells of their instances.
pub(super) fn set_aside(checked: &mut Checked, facts: &Facts) {
    let theirs = floating(&facts.snapshot, &facts.intent);
    checked.take_back(LEANS, "address", |text| address(text).is_some_and(|ip| theirs.contains(&ip)));
}

/// Refuses to put such a floating IP onto the host that is wrongly recorded.
pub(super) fn refuse(ask: &Ask, change: &Change, facts: &Facts) -> Result<(), Failure> {
    let Ask::Repair { code, row: _ } = ask else { return Ok(()) };
    let own = change.before.get("address").cloned().flatten().and_then(|text| address(&text));
    let theirs = floating(&facts.snapshot, &facts.intent);
    match own.filter(|ip| code == LEANS && theirs.contains(ip)) {
        None => Ok(()),
        Some(ip) => {
            let why = format!(
                "{ip} is on an instance that runs on another host than the database records, so that its own host is \
                 not known to be wrong: nothing was changed"
            );
            Err(Failure::new(why)
                .hint("`hopline db check` tells it as db-host-mismatch, which is put right first"))
        }
    }
}

/// Theirs, on networks where a floating IP is carried by the instance's own host.
fn floating(snapshot: &Snapshot, intent: &Intent) -> BTreeSet<Ipv4Addr> {
    let moved = intent.instances.iter().filter(|instance| runs_elsewhere(snapshot, instance));
    let vifs = moved.flat_map(|instance| &instance.vifs);
    let follow = vifs.filter(|vif| {
        let network = vif.network.and_then(|at| intent.networks.get(at));
        network.is_none_or(|network| network.multi_host)
    });
    follow.flat_map(|vif| &vif.floating).map(|floating| floating.address).collect()
}

fn runs_elsewhere(snapshot: &Snapshot, instance: &Instance) -> bool {
    let Some(recorded) = &instance.recorded_host else { return false };
    let mut running = snapshot.hosts.iter().filter(|host| checks::runs(host, instance)).peekable();
    running.peek().is_some() && running.all(|host| host.name != *recorded)
}

/// PostgreSQL's `inet` prints an address with its length.
fn address(text: &str) -> Option<Ipv4Addr> {
    text.trim_end_matches("/32").parse().ok()
}

#[cfg(test)]
mod tests {
    use model::intent::{Floating, Network, Vif};
    use model::service::Domain;
    use model::snapshot::Host;

    use super::*;

    const FLOATING: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 30);
    const NAME: &str = "instance-00000001";

    /// web1 is recorded on compute2 and has a floating IP; it runs on these.
    fn theirs(running: &[&str], multi_host: bool) -> Vec<Ipv4Addr> {
        let domain = || Domain { name: NAME.to_owned(), live: true, ..Domain::default() };
        let host =
            |name: &&str| Host { name: (*name).to_owned(), domains: vec![domain()], ..Host::default() };
        let snapshot = Snapshot { hosts: running.iter().map(host).collect(), ..Snapshot::default() };
        let its = Floating { id: None, address: FLOATING, fixed: Ipv4Addr::new(10, 0, 0, 2), host: None };
        let web1 = Instance {
            libvirt_name: Some(NAME.to_owned()),
            recorded_host: Some("compute2".to_owned()),
            vifs: vec![Vif { network: Some(0), floating: vec![its], ..Vif::default() }],
            ..Instance::default()
        };
        let networks = vec![Network { multi_host, ..Network::default() }];
        let intent = Intent { instances: vec![web1], networks, ..Intent::default() };
        floating(&snapshot, &intent).into_iter().collect()
    }

    #[test]
    fn only_what_leans_on_a_wrong_record_is_set_aside() {
        assert_eq!(theirs(&["compute1"], true), [FLOATING]);
        for (running, multi_host, why) in [
            (&["compute2"][..], true, "the record is right"),
            (&[], true, "nobody runs it"),
            (&["compute1", "compute2"], true, "both do: the record is not wrong"),
            (&["compute1"], false, "the network's one host carries it"),
        ] {
            assert!(theirs(running, multi_host).is_empty(), "{why}");
        }
    }
}
