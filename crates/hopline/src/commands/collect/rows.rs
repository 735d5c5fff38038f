//! What the database has of the hosts that are read, and what contradicts in it, asked while it can be asked: whoever
//! reads the bundle cannot.

use std::collections::BTreeMap;
use std::time::Duration;

use bundle::{CloudFacts, Facts, Member};
use cloud::{Clock, Contradictions, DatabaseError, DatabaseUrl, Records, Sought};
use model::Snapshot;
use model::intent::Instance;
use model::snapshot::Gap;

use crate::failure::Failure;
use crate::inconsistent;
use crate::site_file::Site;

/// Adds the rows of the instances on the site's hosts, and of those that these show, as a diagnosis of all of them
/// reads them: a cloud may be a thousand times as large.
pub(super) fn add(site: &Site, facts: &mut Facts, timeout: Duration) {
    facts.cloud = CloudFacts { entries: site.instances.clone(), ..CloudFacts::default() };
    let Some(url) = &site.database else { return };
    let (snapshot, unread) = read(facts);
    let sought =
        Sought::of(&snapshot, &site.instances, &[]).with_unread_hosts(unread.iter().map(String::as_str));
    match cloud::read_site(url, timeout, &snapshot, &sought) {
        Ok(records) => {
            let (contradictions, untold) = contradictions(url, timeout, &records);
            facts.cloud.contradictions = contradictions;
            facts.cloud.records = Some(records);
            facts.manifest.gaps.extend(untold);
        }
        Err(error) => facts.manifest.gaps.push(unread_database(&error)),
    }
}

/// The site as it was read, and the machines of it that were not.
fn read(facts: &Facts) -> (Snapshot, Vec<String>) {
    let member = |(position, (name, inside, outcome)): (usize, &(String, bool, _))| Member {
        name: name.clone(),
        inside: *inside,
        position,
        boot_id: String::new(),
        taken_at: facts.manifest.taken_at,
        outcome: Clone::clone(outcome),
    };
    let assembled = bundle::assemble(facts.machines.iter().enumerate().map(member).collect());
    (assembled.snapshot, assembled.missing.into_iter().map(|(name, _)| name).collect())
}

/// What contradicts in the rows of these; with what could not be looked for. `None` where nobody was asked about.
fn contradictions(
    url: &DatabaseUrl,
    timeout: Duration,
    records: &Records,
) -> (Option<Contradictions>, Vec<Gap>) {
    let whose = records.instances.iter().filter_map(|Instance { id, name, .. }| Some(((*id)?, name.clone())));
    let whose: BTreeMap<u64, String> = whose.collect();
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

fn unread_database(error: &DatabaseError) -> Gap {
    Gap {
        what: bundle::DATABASE.to_owned(),
        why: Failure::of(error).to_string(),
        would_need: "`[cloud] database` of the site file, in reach of where the bundle is made".to_owned(),
    }
}
