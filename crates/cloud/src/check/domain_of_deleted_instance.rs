//! # domain-of-deleted-instance
//!
//! A host runs a domain whose instance is not in the database any more.
//!
//! ## What it means
//! nova gave the instance up, and libvirt runs it on: it keeps memory and disk, answers for an address that nova
//! gives to somebody else, and no security group holds for it.
//!
//! ## How hopline knows
//! libvirt runs a domain of nova's name (`instance-0000000a`), and no living instance has its uuid. Domains of other
//! names are the operator's.
//!
//! ## What it looks like
//! Two machines answer for one address, one of which nobody has ordered.
//!
//! ## Nearest look-alikes
//! * `db-host-mismatch`: the instance lives, and is recorded on another host.
//! * `duplicate-ip-foreign`: what it looks like on the wire.
//!
//! ## Fix
//! Make sure that nobody needs it, then end it: `virsh destroy`, `virsh undefine`. nova-compute does so by itself
//! with `running_deleted_instance_action = reap`. Undo: none for what is undefined.
//!
//! ## References
//! nova `compute/manager.py` `_cleanup_running_deleted_instances`.

use std::collections::BTreeSet;

use model::intent::Instance;
use model::service::Domain;
use model::{Intent, Snapshot};
use model::finding::{Confidence, EvidenceKind};

use super::{Look, Spec};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "instances",
    needs: &[],
    look: Look::Hosts { look: unknown, kind: EvidenceKind::State, shown_by: "virsh list --uuid --name" },
    columns: &["domain", "host", "instance_uuid"],
    one: "{host} runs {domain}, and no living instance is it",
    many: "{count} domains run whose instances are not in the database any more",
    cause: "the domain keeps its address, which nova may give to another",
    confidence: Confidence::Proven,
    repair: "virsh destroy {domain}",
    note: "ends it at once, on the host named",
};

fn unknown(snapshot: &Snapshot, intent: &Intent) -> Vec<Vec<Cell>> {
    // Only what the database has bears its number: libvirt's word for the domain itself proves nothing. A living row
    // without a host is alive all the same.
    let recorded = || intent.instances.iter().filter(|instance| instance.id.is_some());
    let uuids: BTreeSet<String> =
        recorded().filter_map(|i| i.uuid.as_ref()).map(|uuid| uuid.to_ascii_lowercase()).collect();
    let named = |of: fn(&Instance) -> bool| -> BTreeSet<&str> {
        recorded().filter(|instance| of(instance)).filter_map(|instance| instance.libvirt_name.as_deref()).collect()
    };
    let (names, names_without_uuid) = (named(|_| true), named(|instance| instance.uuid.is_none()));
    let lives = |domain: &Domain| match &domain.uuid {
        Some(uuid) => {
            uuids.contains(&uuid.to_ascii_lowercase()) || names_without_uuid.contains(domain.name.as_str())
        }
        None => names.contains(domain.name.as_str()),
    };
    let all = snapshot.hosts.iter().flat_map(|host| host.domains.iter().map(move |domain| (host, domain)));
    let ours = all.filter(|(_, domain)| domain.live && domain.name.starts_with("instance-"));
    let unknown = ours.filter(|(_, domain)| !lives(domain));
    unknown
        .map(|(host, domain)| vec![Some(domain.name.clone()), Some(host.name.clone()), domain.uuid.clone()])
        .collect()
}

#[cfg(test)]
mod tests {
    use model::snapshot::Host;

    use super::*;

    #[test]
    fn an_instance_without_a_host_lives() {
        let domain = Domain { name: "instance-00000007".to_owned(), live: true, ..Domain::default() };
        let host = Host { name: "c1".to_owned(), domains: vec![domain], ..Host::default() };
        let snapshot = Snapshot { hosts: vec![host], ..Snapshot::default() };
        let named = |id| Instance { id, libvirt_name: Some("instance-00000007".to_owned()), ..Instance::default() };
        let intent = |id| Intent { instances: vec![named(id)], ..Intent::default() };
        assert_eq!(unknown(&snapshot, &intent(Some(7))), Vec::<Vec<Cell>>::new());
        // What libvirt alone tells of is the domain itself.
        assert_eq!(unknown(&snapshot, &intent(None)).len(), 1);
    }
}
