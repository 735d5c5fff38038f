//! What the hosts have beside the database. Each takes seconds to read, in which instances come and go, move and get
//! floating IPs, and nova writes its rows before its rules: so what differs is looked at twice, and is told where it
//! was so both times.

use cloud::Inconsistency;
use model::Finding;

use crate::conclude;
use crate::failure::Failure;
use crate::gather::{self, Facts, Words};
use crate::plan::Plan;
use crate::site_file::Site;

/// The checks of the hosts that hold them to the database.
pub(super) const OF_HOSTS: [&str; 8] = [
    "db-host-mismatch",
    "guest-powered-off",
    "tap-missing",
    "float-address-missing",
    "float-dnat-missing",
    "float-snat-missing",
    "float-on-two-hosts",
    "dnsmasq-stale-hosts-file",
];

/// The hosts as they are, and where that is not what the database says.
pub(super) struct Beside {
    pub(super) facts: Facts,
    /// Of instances.
    pub(super) findings: Vec<Finding>,
    /// Of what no row knows.
    pub(super) strangers: Vec<Inconsistency>,
}

/// Looks once, and where anything differs once more.
pub(super) fn look(site: &Site, plan: &Plan) -> Result<Beside, Failure> {
    let first = once(site, plan)?;
    if first.findings.is_empty() && first.strangers.is_empty() {
        return Ok(first);
    }
    // The hosts themselves are large, and are not kept twice.
    let Beside { facts: _, findings, strangers } = first;
    let mut second = once(site, plan)?;
    second.strangers.retain_mut(|found| found.keep_those_of(&strangers));
    second.findings = of_both(&findings, &second.findings);
    Ok(second)
}

fn once(site: &Site, plan: &Plan) -> Result<Beside, Failure> {
    let facts = gather::of_site(site, plan.timeout, &Words::NONE)?;
    let names: Vec<String> = facts.snapshot.hosts.iter().map(|host| host.name.clone()).collect();
    let findings = conclude::check_only(&facts, names, &OF_HOSTS);
    let strangers = cloud::check_hosts(&facts.snapshot, &facts.intent);
    Ok(Beside { facts, findings, strangers })
}

/// Those of the second time whose instances were all hit the first time, too; where one has been hit since, those of
/// the first time whose instances still are.
fn of_both(first: &[Finding], second: &[Finding]) -> Vec<Finding> {
    let told: Vec<Finding> = second.iter().filter(|finding| is_of(finding, first)).cloned().collect();
    let left = first.iter().filter(|finding| is_of(finding, second) && !is_of(finding, &told));
    told.iter().chain(left).cloned().collect()
}

/// Every instance of the finding is hit by the same among these.
fn is_of(finding: &Finding, others: &[Finding]) -> bool {
    let same = || others.iter().filter(|other| other.code == finding.code);
    let is_hit = |name: &String| same().any(|other| other.instances.contains(name));
    same().next().is_some() && finding.instances.iter().all(is_hit)
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::path::{Direction, Exchange, Place, Stage};

    use super::*;

    fn finding(code: &str, instances: &[&str]) -> Finding {
        let instances = instances.iter().map(|&name| name.to_owned()).collect();
        Finding {
            code: code.to_owned(),
            hop: Place {
                host: "compute1".to_owned(),
                netns: String::new(),
                device: String::new(),
                stage: Stage::Local,
            },
            direction: Direction::Both,
            exchange: Exchange::None,
            summary: String::new(),
            cause: String::new(),
            confidence: Confidence::Proven,
            evidence: Vec::new(),
            owner: String::new(),
            remedy: Vec::new(),
            instances,
        }
    }

    #[test]
    fn what_was_so_once_is_not_told() {
        let lines = |names: &[&str]| finding("dnsmasq-stale-hosts-file", names);
        let tap = |name: &str| finding("tap-missing", &[name]);
        let codes = |first: &[Finding], second: &[Finding]| -> Vec<Vec<String>> {
            of_both(first, second).into_iter().map(|finding| finding.instances).collect()
        };
        assert_eq!(codes(&[tap("web1")], &[tap("web1")]), [["web1"]]);
        // One was being built the first time, another the second time.
        assert_eq!(codes(&[tap("web1")], &[tap("web2")]), [[""; 0]; 0]);
        assert_eq!(codes(&[tap("web1")], &[lines(&["web1"])]), [[""; 0]; 0]);
        // Of several in one finding those that are left are told.
        assert_eq!(codes(&[lines(&["web1", "web2"])], &[lines(&["web1"])]), [["web1"]]);
        assert_eq!(codes(&[lines(&["web1"])], &[lines(&["web1", "web3"])]), [["web1"]]);
    }
}
