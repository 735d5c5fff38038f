//! What contradicts in the database's rows, asked while it can be asked: whoever reads the bundle cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bundle::Facts;
use cloud::{Clock, Contradictions};
use model::intent::Instance;
use model::snapshot::Gap;

use crate::inconsistent;
use crate::site_file::Site;

/// Asks of the instances on the site's hosts; with what could not be looked for. `None` where there is none to ask.
pub(super) fn ask(site: &Site, facts: &Facts, timeout: Duration) -> (Option<Contradictions>, Vec<Gap>) {
    let records = facts.cloud.records.as_ref();
    let Some((url, records)) = site.database.as_ref().zip(records) else { return (None, Vec::new()) };
    let here = Here::of(facts);
    let here = records.instances.iter().filter(|instance| here.has(instance));
    let whose: BTreeMap<u64, String> =
        here.filter_map(|instance| Some((instance.id?, instance.name.clone()))).collect();
    if whose.is_empty() {
        return (None, Vec::new());
    }
    match cloud::contradictions(url, timeout, &Clock::default(), &whose) {
        Ok((found, not_looked_for)) => {
            let gaps = not_looked_for.iter().map(|(code, lack)| inconsistent::not_looked_for(code, *lack));
            (Some(found), gaps.collect())
        }
        Err(error) => (None, vec![inconsistent::unasked(&error)]),
    }
}

/// By what an instance may be on one of the site's hosts: rather too many are asked of than one too few.
struct Here {
    /// Hosts as the site and as nova calls them, without their domains, in small letters.
    hosts: BTreeSet<String>,
    /// Of libvirt's domains, in small letters.
    uuids: BTreeSet<String>,
    libvirt_names: BTreeSet<String>,
}

impl Here {
    fn of(facts: &Facts) -> Here {
        let names = facts.machines.iter().filter(|(_, inside, _)| !inside).map(|(name, ..)| short(name));
        let read = || facts.machines.iter().filter_map(|(.., outcome)| outcome.as_ref().ok()?.host.as_ref());
        let in_nova = read().filter_map(|host| host.nova.as_ref()?.get("host")).map(short);
        let domains = || read().flat_map(|host| &host.domains);
        let uuids = domains().filter_map(|domain| domain.uuid.as_ref());
        Here {
            hosts: names.chain(in_nova).collect(),
            uuids: uuids.map(|uuid| uuid.to_ascii_lowercase()).collect(),
            libvirt_names: domains().map(|domain| domain.name.clone()).collect(),
        }
    }

    fn has(&self, instance: &Instance) -> bool {
        let uuid = instance.uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase());
        self.hosts.contains(&short(&instance.host))
            || uuid.is_some_and(|uuid| self.uuids.contains(&uuid))
            || instance.libvirt_name.as_ref().is_some_and(|name| self.libvirt_names.contains(name))
    }
}

fn short(name: &str) -> String {
    name.trim_end().split('.').next().unwrap_or_default().to_ascii_lowercase()
}
