//! A site, read: what its machines would do, what its cloud means, and who was out of reach. Machines are read now, or
//! were when their bundle was made; from here on nobody can tell which.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use bundle::{Assembled, Member, Missing};
use cloud::{Contradictions, FindError, InstanceEntry, Records, Sought};
use collect::{CollectError, MachinePlan};
use model::snapshot::Gap;
use model::{Intent, Snapshot};

use crate::bundled;
use crate::failure::Failure;
use crate::progress;
use crate::recorded::Given;
use crate::site_file::Site;

/// Facts of a site.
pub(crate) struct Facts {
    pub(crate) snapshot: Snapshot,
    pub(crate) intent: Intent,
    /// What the bundles hold of contradictions in the database's rows, newest first.
    pub(crate) contradictions: Vec<Contradictions>,
    /// Machines that could not be read, and why; each is a gap of the snapshot too.
    pub(crate) unreachable: Vec<(String, String)>,
    /// The cloud's records are in none of the bundles, though one was to have them: its gaps tell why.
    pub(crate) lacks_cloud: bool,
    /// The cloud's records are those that bundles hold, of their own hosts.
    pub(crate) are_records_kept: bool,
    /// Captures in the bundles.
    pub(crate) captures: Vec<Given>,
    /// Some of them are read from bundles.
    offline: bool,
}

impl Facts {
    /// Refuses where this machine is out of reach: without it there is nothing to conclude from.
    pub(crate) fn must_reach(&self, machine: &str) -> Result<(), Failure> {
        match self.unreachable.iter().find(|(name, _)| name == machine) {
            None => Ok(()),
            Some((name, why)) => Err(out_of_reach(name, why, self.offline)),
        }
    }

    /// What is said of the cloud's records where bundles were to tell of them, and none does.
    pub(crate) fn lost_records(&self) -> Option<&Gap> {
        let is_lost = !self.intent.from_database;
        self.snapshot.gaps.iter().find(|gap| is_lost && bundled::is_of_records(gap))
    }
}

/// A site's parts, before they are put together.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) members: Vec<Member>,
    pub(crate) records: Option<Records>,
    pub(crate) contradictions: Vec<Contradictions>,
    pub(crate) entries: Vec<InstanceEntry>,
    /// The records are a bundle's.
    pub(crate) are_records_kept: bool,
    pub(crate) lacks_cloud: bool,
    pub(crate) captures: Vec<Given>,
    pub(crate) gaps: Vec<Gap>,
}

/// Reads every machine and all of the cloud's database at the same time.
pub(crate) fn gather(site: &Site, timeout: Duration) -> Result<Facts, Failure> {
    let _progress = progress::start("reading the site");
    let (members, records) = thread::scope(|scope| {
        let database =
            scope.spawn(|| site.database.as_ref().map(|url| cloud::read(url, timeout)).transpose());
        (reached(site, &site.machines), database.join())
    });
    let records = match records {
        Ok(read) => read.map_err(|error| Failure::of(&error))?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let mut parts = Parts { members, records, entries: site.instances.clone(), ..Parts::default() };
    bundled::add(site, &mut parts)?;
    conclude(parts, site.is_offline())
}

/// Reads every machine, and then what the cloud's database has of this site and of whom these words mean: a cloud may
/// be a thousand times as large. Where a word that must be an instance's is none's, all is read, so that what is said
/// of it is said of all the cloud.
pub(crate) fn of_site(site: &Site, timeout: Duration, words: &Words<'_>) -> Result<Facts, Failure> {
    let Some(url) = &site.database else { return gather(site, timeout) };
    let _progress = progress::start("reading the site");
    let members = reached(site, &site.machines);
    let mut parts = Parts { members, entries: site.instances.clone(), ..Parts::default() };
    bundled::add(site, &mut parts)?;
    let entries = parts.entries.clone();
    let mut facts = conclude(parts, site.is_offline())?;
    let known: Vec<&str> = words.instance.iter().chain(words.ends).copied().collect();
    let unread = facts.unreachable.iter().map(|(name, _)| name.as_str());
    let sought = Sought::of(&facts.snapshot, &entries, &known).with_unread_hosts(unread);
    let records = cloud::read_site(url, timeout, &facts.snapshot, &sought);
    let records = records.map_err(|error| Failure::of(&error))?;
    facts.intent = cloud::intent(Some(records), &facts.snapshot, &entries);
    if words.are_unknown(&facts) {
        let records = cloud::read(url, timeout).map_err(|error| Failure::of(&error))?;
        facts.intent = cloud::intent(Some(records), &facts.snapshot, &entries);
    }
    Ok(facts)
}

/// What a command line calls instances.
pub(crate) struct Words<'w> {
    /// An instance, and nothing else.
    pub(crate) instance: Option<&'w str>,
    /// An instance, a host or any address.
    pub(crate) ends: &'w [&'w str],
}

impl Words<'_> {
    /// None: the site alone is meant.
    pub(crate) const NONE: Words<'static> = Words { instance: None, ends: &[] };

    /// One of them means nobody who was read.
    fn are_unknown(&self, facts: &Facts) -> bool {
        let is_unknown = |word: &&str| match cloud::find(&facts.intent, word) {
            Ok(_) | Err(FindError::Ambiguous { .. }) => false,
            Err(FindError::Near { .. } | FindError::Unknown { .. } | FindError::NoInstances { .. }) => true,
        };
        let is_machine = |word: &str| facts.snapshot.netns.iter().any(|ns| ns.machine == word);
        let may_be_other = |word: &&str| word.parse::<IpAddr>().is_ok() || is_machine(word);
        self.instance.iter().any(is_unknown)
            || self.ends.iter().any(|word| !may_be_other(word) && is_unknown(word))
    }
}

/// Reads these of the site's hosts and nothing else, as they are now; one that is out of reach is a gap.
pub(crate) fn hosts(site: &Site, wanted: impl Fn(&str) -> bool) -> Assembled {
    let machines = site.machines.iter().filter(|machine| !machine.instance && wanted(&machine.name));
    bundle::assemble(reached(site, &machines.cloned().collect::<Vec<_>>()))
}

/// The machines that can be looked into now.
fn reached(site: &Site, machines: &[MachinePlan]) -> Vec<Member> {
    let boot_id = boot_id();
    let taken_at = collect::now();
    let outcomes = collect::machines(machines, collect::NOTHING);
    let members = machines.iter().zip(outcomes).map(|(plan, outcome)| Member {
        name: plan.name.clone(),
        inside: plan.instance,
        position: site.position(&plan.name),
        boot_id: boot_id.clone(),
        taken_at,
        outcome: outcome.map_err(|error| missing(&plan.name, &error)),
    });
    members.collect()
}

/// Names the kernel that runs: namespaces' numbers are its own. Empty where it does not tell.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

pub(crate) fn missing(name: &str, error: &CollectError) -> Missing {
    let Gap { why, would_need, .. } = error.gap(name);
    Missing { why, would_need }
}

fn conclude(parts: Parts, offline: bool) -> Result<Facts, Failure> {
    let Parts { members, records, contradictions, entries, are_records_kept, lacks_cloud, captures, gaps } =
        parts;
    let hosts = members.iter().filter(|member| !member.inside);
    let no_host = hosts.clone().all(|member| member.outcome.is_err());
    if let (true, Some(Member { name, outcome: Err(missing), .. })) = (no_host, hosts.clone().next()) {
        return Err(out_of_reach(name, &missing.why, offline));
    }
    let Assembled { mut snapshot, missing } = bundle::assemble(members);
    snapshot.gaps.extend(gaps);
    let intent = cloud::intent(records, &snapshot, &entries);
    Ok(Facts {
        snapshot,
        intent,
        contradictions,
        unreachable: missing,
        lacks_cloud,
        are_records_kept,
        captures,
        offline,
    })
}

fn out_of_reach(name: &str, why: &str, offline: bool) -> Failure {
    let failure = Failure::new(format!("{name} is out of reach: {why}"));
    if offline {
        return failure.hint(format!(
            "its facts are needed: `hopline collect -o FILE.tar.zst {name}` takes them there"
        ));
    }
    failure.hint(format!("check `at` of `{name}` in the site file; entering a namespace needs root"))
}
