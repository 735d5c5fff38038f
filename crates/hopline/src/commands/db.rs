//! `hopline db`, a file a command but for `check`, which is here: what is inconsistent in the cloud's database, and
//! between it and the hosts.

mod carried;
mod elsewhere;
mod in_use;
mod mend;
mod records;
mod show;
mod told;

pub(super) use mend::{mend, undo};
pub(super) use records::records;
pub(super) use show::show;

use std::time::Instant;

use cloud::{Checked, Clock, DatabaseUrl, Lack};
use model::finding::{Coverage, Outcome};
use model::intent::Instance;
use model::service::NovaOptions;
use model::snapshot::Gap;
use model::{Diagnosis, Finding, Intent, Snapshot};

use crate::conclude;
use crate::failure::Failure;
use crate::gather::{self, Facts, Words};
use crate::output;
use crate::plan::{Format, Plan};
use crate::progress;
use crate::site_file::{self, Site};

/// Rows of a finding that a person is shown; all that are kept are in the JSON.
const ROWS_SHOWN: usize = 20;
/// The check that holds `instances.vm_state` to libvirt.
const NOT_RUNNING: &str = "guest-powered-off";
/// The checks of the hosts that hold them to the database.
const OF_HOSTS: [&str; 8] = [
    "db-host-mismatch",
    NOT_RUNNING,
    "tap-missing",
    "float-address-missing",
    "float-dnat-missing",
    "float-snat-missing",
    "float-on-two-hosts",
    "dnsmasq-stale-hosts-file",
];

pub(super) fn check(plan: &Plan, now: Option<&str>) -> Result<u8, Failure> {
    let started = Instant::now();
    let site = site_file::find(plan.site.as_deref())?;
    let url = site.database.as_ref().ok_or_else(no_database)?;
    let hosts = hosts(&site, url, plan, now);
    let clock = Clock {
        now: now.map(str::to_owned),
        timeout_s: hosts
            .as_ref()
            .ok()
            .and_then(|hosts| timeout_s(&hosts.facts))
            .unwrap_or(Clock::default().timeout_s),
    };
    let progress = progress::Steps::start("looking in the database for");
    let checked = cloud::check(url, plan.timeout, &clock, |code| progress.step(code));
    let mut checked = checked.map_err(|error| Failure::of(&error))?;
    if let Ok(Hosts { facts, before: _ }) = &hosts {
        elsewhere::set_aside(&mut checked, facts);
    }
    let unjudged = overlaps_of_ipv6(&mut checked, hosts.as_ref().ok().map(|hosts| &hosts.facts.snapshot));
    let rows_max = if plan.format == Format::Json { cloud::ROWS_MAX } else { ROWS_SHOWN };
    let mut diagnosis = conclude(url, &site, &checked, hosts.as_ref(), rows_max);
    diagnosis.coverage.gaps.extend(unjudged);
    output::diagnosis(&diagnosis, plan.format, report::records, started)
}

/// The hosts, and what the database meant of them before and after they were read: each takes seconds, in which
/// instances come and go. Before, nobody knows whom they will show, so that all who live are read, and no more of them
/// than that.
struct Hosts {
    facts: Facts,
    before: Intent,
}

/// Where they cannot be held to the database: why.
fn hosts(site: &Site, url: &DatabaseUrl, plan: &Plan, now: Option<&str>) -> Result<Hosts, String> {
    if now.is_some() {
        return Err("the time is given, so the database is a dump of another time".to_owned());
    }
    if site.is_offline() {
        return Err("the hosts are read from bundles, of another time than the database".to_owned());
    }
    let living = cloud::read_living(url, plan.timeout).map_err(|error| error.to_string())?;
    let facts = gather::of_site(site, plan.timeout, &Words::NONE).map_err(|failure| failure.to_string())?;
    let before = cloud::intent(Some(living), &facts.snapshot, &site.instances);
    Ok(Hosts { facts, before })
}

fn no_database() -> Failure {
    Failure::new("no database is named")
        .hint("name it in the site file: [cloud] kind = \"nova-network\", database = \"mysql://...\"")
}

/// nova.conf's `fixed_ip_disassociate_timeout`; the longest, where hosts differ.
fn timeout_s(facts: &Facts) -> Option<u64> {
    let told = facts.snapshot.hosts.iter().filter_map(|host| host.nova.as_ref());
    told.filter_map(|nova| nova.get("fixed_ip_disassociate_timeout")?.trim().parse().ok()).max()
}

/// Takes back what overlaps in IPv6, unless nova uses it: without that it leaves `networks.cidr_v6` alone. Where nobody
/// knows, that is a gap.
fn overlaps_of_ipv6(checked: &mut Checked, hosts: Option<&Snapshot>) -> Option<Gap> {
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

/// `use_ipv6` of a host's nova.conf, in oslo.config's words; `None` where none was read.
fn uses_ipv6(hosts: Option<&Snapshot>) -> Option<bool> {
    let told = hosts?.hosts.iter().filter_map(|host| host.nova.as_ref());
    let says_so = |nova: &NovaOptions| {
        let word = nova.get("use_ipv6").unwrap_or_default().to_ascii_lowercase();
        matches!(word.as_str(), "true" | "1" | "yes" | "on")
    };
    told.map(says_so).reduce(|one, other| one || other)
}

fn conclude(
    url: &DatabaseUrl,
    site: &Site,
    checked: &Checked,
    hosts: Result<&Hosts, &String>,
    rows_max: usize,
) -> Diagnosis {
    let mut findings: Vec<Finding> = checked.found.iter().map(|found| found.finding(rows_max)).collect();
    let mut coverage = Coverage {
        looked_at: vec![format!("database {url}: {}", checked.looked_for.join(", "))],
        gaps: checked.not_looked_for.iter().map(|(code, lack)| not_looked_for(code, *lack)).collect(),
    };
    match hosts {
        Ok(Hosts { facts, before }) => {
            let names: Vec<String> = facts.snapshot.hosts.iter().map(|host| host.name.clone()).collect();
            let of_hosts = conclude::check(facts, names).findings;
            let holds = |finding: &Finding| {
                let code = finding.code.as_str();
                OF_HOSTS.contains(&code)
                    && (code != NOT_RUNNING || was_so(&finding.instances, before, &facts.intent))
            };
            findings.extend(of_hosts.into_iter().filter(holds));
            let beside = cloud::check_hosts(&facts.snapshot, before, &facts.intent);
            findings.extend(beside.iter().map(|found| found.finding(rows_max)));
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
        coverage,
    }
}

/// Instances of these names were as they are before the hosts were read, too. One that was built or started meanwhile
/// had no domain by then, and has one now.
fn was_so(names: &[String], before: &Intent, after: &Intent) -> bool {
    let state = |instance: &Instance| {
        let Instance { recorded_host, vm_state, task, .. } = instance;
        (recorded_host.clone(), vm_state.clone(), task.clone())
    };
    let was =
        |id: Option<u64>| before.instances.iter().find(|earlier| id.is_some() && earlier.id == id).map(state);
    let mut theirs = after.instances.iter().filter(|instance| names.contains(&instance.name));
    theirs.all(|instance| was(instance.id) == Some(state(instance)))
}

fn not_looked_for(code: &str, lack: Lack) -> Gap {
    let table = lack.table();
    Gap {
        what: code.to_owned(),
        why: lack.to_string(),
        would_need: format!("a dump with the whole of {table}, or a user who may read it"),
    }
}

fn not_seen(host: &str, why: &str) -> Gap {
    Gap {
        what: format!("whether {host} has what the database says"),
        why: why.to_owned(),
        would_need: format!("`hopline db check` without `--now`, where {host} is in reach"),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_was_started_while_the_hosts_were_read_runs() {
        let names = ["web1".to_owned()];
        let meant = |vm_state: &str, task: Option<&str>| {
            let (id, vm_state) = (Some(1), Some(vm_state.to_owned()));
            let web1 = Instance {
                id,
                name: "web1".to_owned(),
                vm_state,
                task: task.map(str::to_owned),
                ..Instance::default()
            };
            Intent { instances: vec![web1], ..Intent::default() }
        };
        let active = meant("active", None);
        assert!(was_so(&names, &active, &active));
        for before in [meant("building", Some("spawning")), meant("stopped", None), Intent::default()] {
            assert!(!was_so(&names, &before, &active), "{before:?}");
        }
        assert!(!was_so(&names, &meant("active", Some("rebooting")), &active));
    }
}
