//! The queues on our probes' way, read once more behind them: their counters have moved.

use std::collections::BTreeSet;

use model::Path;
use model::link::Link;
use model::probe::QueuesSeen;

use crate::gather::Facts;
use crate::site_file::Site;

/// Machines that are read again, at most: a diagnosis of one instance crosses a handful.
const MACHINES_MAX: usize = 64;

/// The queues of every machine on these ways that has one worth a second look. What cannot be read again proves nothing
/// and costs nothing.
pub(crate) fn after(site: &Site, facts: &Facts, ways: &[Path]) -> Vec<QueuesSeen> {
    let crossed: BTreeSet<(&str, &str)> = ways
        .iter()
        .flat_map(|path| &path.hops)
        .filter(|hop| hop.at.netns.is_empty())
        .map(|hop| (hop.at.host.as_str(), hop.at.device.as_str()))
        .collect();
    let has_queue = |name: &str| {
        let mut read = facts.snapshot.netns.iter();
        let ns = read.find(|ns| ns.machine == name && ns.name.is_empty());
        let links = ns.into_iter().flat_map(|ns| &ns.links);
        links.filter(|link| crossed.contains(&(name, link.name.as_str()))).any(is_worth_it)
    };
    let machines = site.machines.iter().filter(|machine| has_queue(&machine.name));
    let seen = machines.take(MACHINES_MAX).filter_map(|machine| {
        let queues = collect::queues(machine).ok()?;
        Some(QueuesSeen { machine: machine.name.clone(), netns: String::new(), queues })
    });
    seen.collect()
}

/// It makes packets wait, or filters them; a veth of the kernel's own making does neither.
fn is_worth_it(link: &Link) -> bool {
    !link.filters.is_empty() || link.root_qdisc().is_some_and(|root| root.kind != "noqueue")
}
