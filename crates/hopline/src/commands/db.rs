//! `hopline db`, a file a command but for `check`, which is here: what is inconsistent in the cloud's database, and
//! between it and the hosts.

mod beside;
mod carried;
mod elsewhere;
mod in_use;
mod mend;
mod records;
mod show;
mod told;
mod unnamed;

pub(super) use mend::{mend, undo};
pub(super) use records::records;
pub(super) use show::show;

use std::time::Instant;

use beside::Beside;
use cloud::{Checked, Clock, DatabaseUrl};
use model::finding::{Coverage, Outcome};
use model::snapshot::Gap;
use model::{Diagnosis, Finding};

use crate::failure::Failure;
use crate::gather::Facts;
use crate::inconsistent;
use crate::output;
use crate::plan::{Format, Plan};
use crate::progress;
use crate::site_file::{self, Site};

/// Rows of a finding that a person is shown; all that are kept are in the JSON.
const ROWS_SHOWN: usize = 20;

pub(super) fn check(plan: &Plan, now: Option<&str>) -> Result<u8, Failure> {
    let started = Instant::now();
    let site = site_file::find(plan.site.as_deref())?;
    let url = site.database.as_ref().ok_or_else(|| no_database(&site))?;
    let hosts = hosts(&site, plan, now);
    let clock = Clock {
        now: now.map(str::to_owned),
        timeout_s: hosts
            .as_ref()
            .ok()
            .and_then(|beside| timeout_s(&beside.facts))
            .unwrap_or(Clock::default().timeout_s),
    };
    let progress = progress::Steps::start("looking in the database for");
    let checked = cloud::check(url, plan.timeout, &clock, |code| progress.step(code));
    let mut checked = checked.map_err(|error| Failure::of(&error))?;
    if let Ok(beside) = &hosts {
        elsewhere::set_aside(&mut checked, &beside.facts);
    }
    let unjudged = inconsistent::overlaps_of_ipv6(
        &mut checked,
        hosts.as_ref().ok().map(|beside| &beside.facts.snapshot),
    );
    let rows_max = if plan.format == Format::Json { cloud::ROWS_MAX } else { ROWS_SHOWN };
    let mut diagnosis = conclude(url, &site, &checked, hosts.as_ref(), rows_max);
    diagnosis.coverage.gaps.extend(unjudged);
    output::diagnosis(&diagnosis, plan.format, report::records, started)
}

/// What the hosts have beside the database; where they cannot be held to it: why.
fn hosts(site: &Site, plan: &Plan, now: Option<&str>) -> Result<Beside, String> {
    if now.is_some() {
        return Err("the time is given, so the database is a dump of another time".to_owned());
    }
    if site.is_offline() {
        return Err("the hosts are read from bundles, of another time than the database".to_owned());
    }
    beside::look(site, plan).map_err(|failure| failure.to_string())
}

fn no_database(site: &Site) -> Failure {
    if site.is_offline() {
        let files = site.named_bundles();
        return Failure::new(format!("no database is named, and rows are not looked up in bundles: {files}"))
            .hint(
                "name a database, or a dump of it, in the site file's [cloud]; the rows of a bundle are in its \
                 cloud.json, and what follows from them `hopline diagnose` and `hopline check` tell",
            );
    }
    Failure::new("no database is named")
        .hint("name it in the site file: [cloud] kind = \"nova-network\", database = \"mysql://...\"")
}

/// nova.conf's `fixed_ip_disassociate_timeout`; the longest, where hosts differ.
fn timeout_s(facts: &Facts) -> Option<u64> {
    let told = facts.snapshot.hosts.iter().filter_map(|host| host.nova.as_ref());
    told.filter_map(|nova| nova.get("fixed_ip_disassociate_timeout")?.trim().parse().ok()).max()
}

fn conclude(
    url: &DatabaseUrl,
    site: &Site,
    checked: &Checked,
    hosts: Result<&Beside, &String>,
    rows_max: usize,
) -> Diagnosis {
    let mut findings: Vec<Finding> = checked.found.iter().map(|found| found.finding(rows_max)).collect();
    let mut coverage = Coverage {
        looked_at: vec![format!("database {url}: {}", checked.looked_for.join(", "))],
        gaps: checked
            .not_looked_for
            .iter()
            .map(|(code, lack)| inconsistent::not_looked_for(code, *lack))
            .collect(),
    };
    match hosts {
        Ok(Beside { facts, findings: of_instances, strangers }) => {
            findings.extend(of_instances.iter().cloned());
            findings.extend(strangers.iter().map(|found| found.finding(rows_max)));
            coverage
                .looked_at
                .extend(facts.snapshot.hosts.iter().map(|host| format!("{}: as it is", host.name)));
            coverage.gaps.extend(facts.unreachable.iter().map(|(name, why)| not_seen(name, why)));
        }
        Err(why) => {
            let live = site.machines.iter().filter(|machine| !machine.instance).map(|machine| &machine.name);
            let bundled = site.bundled.iter().filter(|machine| !machine.inside).map(|machine| &machine.name);
            coverage.gaps.extend(live.chain(bundled).map(|name| not_seen(name, why)));
        }
    }
    coverage.gaps.extend(unnamed::gap(site, hosts.ok().map(|beside| &beside.facts), &checked.hosts));
    let outcome = match (findings.is_empty(), checked.not_looked_for.is_empty()) {
        (false, _) => Outcome::Fault,
        (true, true) => Outcome::Healthy,
        (true, false) => Outcome::Undetermined,
    };
    Diagnosis {
        command: "db check".to_owned(),
        subject: url.to_string(),
        outcome,
        findings,
        paths: Vec::new(),
        seen: Vec::new(),
        excused: Vec::new(),
        coverage,
    }
}

fn not_seen(host: &str, why: &str) -> Gap {
    Gap {
        what: format!("whether {host} has what the database says"),
        why: why.to_owned(),
        would_need: format!("`hopline db check` without `--now`, where {host} is in reach"),
    }
}
