//! What is inconsistent in the database's rows of the instances in question, for what it breaks on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Checked, Clock, DatabaseError, Lack};
use model::intent::Instance;
use model::snapshot::Gap;
use model::{Snapshot, few};

use crate::gather::Facts;
use crate::site_file::Site;

/// Rows of a finding that are told.
const ROWS_MAX: usize = 20;

/// Those whose rows are looked at, by `instances.id`.
pub(crate) fn whose(facts: &Facts, is_asked: impl Fn(&Instance) -> bool) -> BTreeMap<u64, String> {
    let asked = facts.intent.instances.iter().filter(|instance| is_asked(instance));
    asked.filter_map(|instance| Some((instance.id?, instance.name.clone()))).collect()
}

/// What the site's database has of them, which is asked as often for all of them as for one; `None` where there is none
/// to ask.
pub(crate) fn ask(
    site: &Site,
    whose: &BTreeMap<u64, String>,
    timeout: Duration,
) -> Option<Result<Checked, DatabaseError>> {
    let url = site.database.as_ref().filter(|_| !whose.is_empty())?;
    Some(cloud::check_instances(url, timeout, &Clock::default(), whose))
}

/// What was found in the rows of these when bundles were made, where no database is asked. Whose rows nobody looked at
/// is a gap.
pub(crate) fn kept(facts: &mut Facts, whose: &BTreeMap<u64, String>) -> Checked {
    let (checked, unknown) = Checked::of_kept(&facts.contradictions, &Clock::default(), whose);
    let is_here = |instance: &Instance| facts.snapshot.hosts.iter().any(|host| host.name == instance.host);
    let here = facts.intent.instances.iter().filter(|instance| is_here(instance));
    let unknown = here.filter(|instance| instance.id.is_some_and(|id| unknown.contains_key(&id)));
    let unknown: Vec<&str> = unknown.map(|instance| instance.name.as_str()).collect();
    let gap = (!unknown.is_empty()).then(|| Gap {
        what: CONTRADICTIONS.to_owned(),
        why: format!("no bundle tells what was found in those of {}", few::named(&unknown)),
        would_need: "a bundle that this version of hopline made, where the database answers".to_owned(),
    });
    facts.snapshot.gaps.extend(gap);
    checked
}

const CONTRADICTIONS: &str = "whether the database's rows contradict each other";

/// They could not be looked for.
pub(crate) fn unasked(error: &DatabaseError) -> Gap {
    Gap {
        what: CONTRADICTIONS.to_owned(),
        why: error.to_string(),
        would_need: "`hopline db check`, where the database answers".to_owned(),
    }
}

/// Notes what was found. Where it could not be looked for, that is a gap: what else is known stands.
pub(crate) fn note(facts: &mut Facts, checked: Result<Checked, DatabaseError>) {
    match checked {
        Ok(mut checked) => {
            let unjudged = overlaps_of_ipv6(&mut checked, Some(&facts.snapshot));
            let lacking = checked.not_looked_for.iter().map(|(code, lack)| not_looked_for(code, *lack));
            facts.intent.inconsistent = checked.found.iter().map(|found| found.finding(ROWS_MAX)).collect();
            facts.snapshot.gaps.extend(unjudged.into_iter().chain(lacking));
        }
        Err(error) => facts.snapshot.gaps.push(unasked(&error)),
    }
}

/// A code that was not looked for, and why.
pub(crate) fn not_looked_for(code: &str, lack: Lack) -> Gap {
    let table = lack.table();
    Gap {
        what: code.to_owned(),
        why: lack.to_string(),
        would_need: format!("a dump with the whole of {table}, or a user who may read it"),
    }
}

/// Takes back what overlaps in IPv6, unless nova uses it: without that it leaves `networks.cidr_v6` alone. Where nobody
/// knows, that is a gap.
pub(crate) fn overlaps_of_ipv6(checked: &mut Checked, hosts: Option<&Snapshot>) -> Option<Gap> {
    let uses = uses_ipv6(hosts);
    if uses == Some(true) {
        return None;
    }
    let taken_back = checked.take_back("network-overlap", "range", |range| range.contains(':'));
    (taken_back > 0 && uses.is_none()).then(|| Gap {
        what: "whether ranges of IPv6 that overlap are in use".to_owned(),
        why: "no nova.conf was read, whose use_ipv6 tells".to_owned(),
        would_need: "`hopline db check` without `--now`, where a host with nova.conf is in reach".to_owned(),
    })
}

/// `use_ipv6` of a host's nova.conf; `None` where none was read.
fn uses_ipv6(hosts: Option<&Snapshot>) -> Option<bool> {
    let told = hosts?.hosts.iter().filter_map(|host| host.nova.as_ref());
    told.map(|nova| nova.is_on("use_ipv6")).reduce(|one, other| one || other)
}

#[cfg(test)]
mod tests {
    use model::service::NovaOptions;
    use model::snapshot::Host;

    use super::*;

    #[test]
    fn only_a_nova_conf_tells_whether_nova_uses_ipv6() {
        let host = |word: Option<&str>| {
            let values = word.map(|word| ("use_ipv6".to_owned(), word.to_owned())).into_iter().collect();
            Host { nova: Some(NovaOptions { values, ..NovaOptions::default() }), ..Host::default() }
        };
        let uses = |hosts: Vec<Host>| uses_ipv6(Some(&Snapshot { hosts, ..Snapshot::default() }));
        assert_eq!(uses(vec![host(None), host(Some("True"))]), Some(true));
        assert_eq!(uses(vec![host(Some("False")), Host::default()]), Some(false));
        assert_eq!(uses(vec![host(None)]), Some(false), "nova's default");
        assert_eq!((uses(vec![Host::default()]), uses_ipv6(None)), (None, None));
    }
}
