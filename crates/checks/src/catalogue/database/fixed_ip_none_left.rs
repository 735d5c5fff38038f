//! # fixed-ip-none-left
//!
//! The instance has no address because its network has none left to give.
//!
//! ## What it means
//! nova gives an instance its fixed address before it starts it. Where every address of the network is given, leased or
//! reserved, the instance ends in the state `ERROR` and is never plugged in: no hop of any way is wrong.
//!
//! ## How hopline knows
//! By the database alone: the instance is in error, or is being built, and has no fixed address; its network has not
//! one that is free, counted as nova chooses: not reserved, not leased, with neither instance nor host. Where not
//! even its network is recorded, as after a failed start, all networks are as full. Likely: why an instance failed
//! stands in nova's logs.
//!
//! ## What it looks like
//! `nova show`: status ERROR, no addresses. nova-network's log: `NoMoreFixedIps`, in later series `No fixed IP
//! addresses available for network`.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-pool-exhausted`: nova has given an address, and dnsmasq has none.
//! * `fixed-ip-leaked`: addresses that are out of the pool, with nobody who has them.
//! * an instance that failed for another reason: it has an address, or its network has free ones.
//!
//! ## Fix
//! Free what leaked (`hopline db check`), delete instances that nobody needs, or add a network; then build the instance
//! anew. No undo.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `fixed_ip_associate_pool`; nova `network/manager.py` `allocate_fixed_ip`; nova
//! `exception.NoMoreFixedIps`.

use model::finding::{Confidence, EvidenceKind};
use model::intent::{Instance, Network};
use model::path::{Direction, Exchange, Place, Stage};

use crate::evidence;
use crate::found::{Fault, Found};
use crate::restart::operand;
use crate::view::View;

/// Looks at the instances in question that have no address: one finding each.
pub fn check(view: &View) -> Vec<Found> {
    let asked = view.instances.iter().filter_map(|at| view.intent().instances.get(*at));
    asked.filter_map(|instance| without(view, instance)).collect()
}

/// It failed, or is not done; who runs without an address has another story.
fn is_unborn(instance: &Instance) -> bool {
    matches!(instance.vm_state.as_deref(), Some("error" | "building"))
}

fn without(view: &View, instance: &Instance) -> Option<Found> {
    let intent = view.intent();
    if !intent.from_database || !is_unborn(instance) || instance.fixed().next().is_some() {
        return None;
    }
    let own = || instance.vifs.iter().filter_map(|vif| intent.networks.get(vif.network?));
    let of_it: Vec<&Network> =
        if own().next().is_some() { own().collect() } else { intent.networks.iter().collect() };
    let full: Vec<(&Network, u64)> = of_it
        .iter()
        .filter_map(|network| match network.free {
            Some((0, all)) => Some((*network, all)),
            Some(_) | None => None,
        })
        .collect();
    let (first, _) = full.first().filter(|_| full.len() == of_it.len())?;
    let (name, live) = (&instance.name, &intent.remains.words.live);
    let counted = full.iter().map(|(network, all)| {
        let of_it = network.id.map(|id| format!(" AND network_id = {id}")).unwrap_or_default();
        let sql = format!("SELECT address, allocated, leased, reserved FROM fixed_ips WHERE {live}{of_it}");
        evidence::record(EvidenceKind::Db, sql, format!("{}: 0 of {all} fixed IPs are free", network.label))
    });
    let state = instance.vm_state.as_deref().unwrap_or_default();
    let recorded = evidence::record(
        EvidenceKind::Db,
        format!("nova show {}", operand(name)),
        format!("{name}: {state}, without a fixed address"),
    );
    let labels: Vec<&str> = full.iter().map(|(network, _)| network.label.as_str()).collect();
    let fault = Fault {
        code: "fixed-ip-none-left",
        hop: hop(instance, first),
        summary: format!("{name} has no address: network {} has no fixed IP left to give", labels.join(", ")),
        cause: format!("every fixed address of {} is given, leased or reserved", labels.join(", ")),
        confidence: Confidence::Likely,
        evidence: [recorded].into_iter().chain(counted).collect(),
        owner: "nova-network",
        remedy: vec![
            evidence::advice("hopline db check", "shows addresses that leaked, and how each is given back"),
            evidence::advice(
                format!("nova delete {0}, and boot it anew", operand(name)),
                "once an address is free; what failed does not start again by itself",
            ),
        ],
        instances: vec![name.clone()],
        // Without a NIC its packets begin nowhere.
        stopped: view.stop_of(instance, |s| s.hop.at.device.is_empty()),
        mend: Vec::new(),
    };
    let mut found = fault.found().breaks(Exchange::Dhcp, Direction::Both);
    (found.finding.exchange, found.finding.direction) = (Exchange::Dhcp, Direction::Both);
    Some(found)
}

/// The bridge that it would be on; in the tables where it is on no host any more: later series take it off.
fn hop(instance: &Instance, network: &Network) -> Place {
    let (host, device) = match instance.host.as_str() {
        "" => ("database", "fixed_ips"),
        host => (host, network.bridge.as_deref().unwrap_or_default()),
    };
    Place { host: host.to_owned(), netns: String::new(), device: device.to_owned(), stage: Stage::Service }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks};

    const CODE: &str = "fixed-ip-none-left";

    #[test]
    fn fires_where_the_network_of_the_failed_instance_is_full() {
        let mut cloud = broken(CODE);
        assert_eq!(codes(&cloud.diagnose("web1")), ["fixed-ip-none-left compute1//br100"]);
        // After a failed start not even its NIC is left.
        cloud.intent.instances[0].vifs.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), ["fixed-ip-none-left compute1//br100"]);
        assert!(lacks(&cloud.diagnose("web2"), CODE), "it was there before");
        // nova has given it up: its host is not recorded any more.
        cloud.intent.instances[0].host.clear();
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told), ["fixed-ip-none-left database//fixed_ips"]);
        assert_eq!((told.paths.len(), told.coverage.gaps.len()), (0, 0), "it has never sent a packet");
    }

    #[test]
    fn stays_silent_where_one_is_left_or_the_instance_has_its_own_or_nobody_counted() {
        let mut free = broken(CODE);
        free.intent.networks[0].free = Some((1, 65_533));
        assert!(lacks(&free.diagnose("web1"), CODE));
        let mut has = broken(CODE);
        has.intent.instances[0].vifs[0].fixed = vec![[10, 0, 2, 24].into()];
        assert!(lacks(&has.diagnose("web1"), CODE));
        let mut uncounted = broken(CODE);
        uncounted.intent.networks[0].free = None;
        assert!(lacks(&uncounted.diagnose("web1"), CODE));
        let mut runs = broken(CODE);
        runs.intent.instances[0].vm_state = Some("active".to_owned());
        assert!(lacks(&runs.diagnose("web1"), CODE));
        let mut another = broken(CODE);
        another.intent.instances[0].vifs.clear();
        let spare = model::intent::Network { free: Some((9, 9)), ..another.intent.networks[0].clone() };
        another.intent.networks.push(spare);
        assert!(lacks(&another.diagnose("web1"), CODE), "which network it asked for is not known");
    }
}
