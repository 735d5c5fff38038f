//! Hosts that the database names and the site file does not: nobody held them to it.

use std::collections::BTreeSet;

use model::snapshot::Gap;

use crate::gather::Facts;
use crate::site_file::Site;

/// Names in a gap; more are counted.
const NAMES_SHOWN: usize = 3;

/// What is not known for want of them: one gap, however many they are.
pub(super) fn gap(site: &Site, facts: Option<&Facts>, recorded: &BTreeSet<String>) -> Option<Gap> {
    let machines = site.machines.iter().filter(|machine| !machine.instance).map(|machine| &machine.name);
    let bundled = site.bundled.iter().filter(|machine| !machine.inside).map(|machine| &machine.name);
    let named: Vec<&String> = machines.chain(bundled).collect();
    // A host's own nova.conf may give it a name that the site file has not.
    let is_read = |name: &str| facts.is_some_and(|facts| cloud::site_name(&facts.snapshot, name).is_some());
    let is_named = |name: &str| is_read(name) || named.iter().any(|known| short(known) == short(name));
    told(recorded.iter().map(|name| name.trim_end()).filter(|name| !is_named(name)).collect())
}

fn told(unnamed: BTreeSet<&str>) -> Option<Gap> {
    let first: Vec<&str> = unnamed.iter().take(NAMES_SHOWN).copied().collect();
    let what = match (unnamed.len(), first.join(", ")) {
        (0, _) => return None,
        (1, name) => format!("whether {name} has what the database says"),
        (count, names) => {
            let more = if count > NAMES_SHOWN { ", ..." } else { "" };
            format!("whether {count} hosts have what the database says: {names}{more}")
        }
    };
    Some(Gap {
        what,
        why: "live instances or floating IPs are recorded there, and the site file names no such host"
            .to_owned(),
        would_need: "`hopline db check` with every such host in the site file".to_owned(),
    })
}

/// A host goes by its full name, too, and by other capitals: as nova's own database would find it.
pub(super) fn short(name: &str) -> String {
    name.trim_end().split('.').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_named_and_all_are_counted() {
        let what = |names: &[&'static str]| told(names.iter().copied().collect()).map(|gap| gap.what);
        assert_eq!(what(&[]), None);
        assert_eq!(what(&["c8"]).unwrap(), "whether c8 has what the database says");
        assert_eq!(what(&["c9", "c8"]).unwrap(), "whether 2 hosts have what the database says: c8, c9");
        let many = what(&["c9", "c8", "c7", "c6", "c5"]).unwrap();
        assert_eq!(many, "whether 5 hosts have what the database says: c5, c6, c7, ...");
    }
}
