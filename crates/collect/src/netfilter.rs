//! Netfilter's rules of the calling thread's namespace, by the tools that print them.
//!
//! No tool is started for tables that are not there: looks at procfs and one netlink question tell
//! which back ends hold any. Only reads: the tools are the `-save` and listing ones.

use std::fs;
use std::io;

use model::netfilter::{Dialect, Family, Ruleset, Table, Unread};
use model::snapshot::Gap;

use crate::gaps::{gap, unparsed};
use crate::kept::Kept;
use crate::netlink::nftables;

mod ipsets;
mod job;

use job::Job;

/// Tables that iptables-nft, ebtables-nft and arptables-nft keep (`xtables-nft`).
const IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
const EBTABLES: [&str; 3] = ["filter", "nat", "broute"];
const ARPTABLES: [&str; 1] = ["filter"];

/// A table's family and name.
type Key = (Family, String);

/// Up to this many native tables are listed one by one: nft then fetches only those, where the whole
/// ruleset would bring iptables' ten thousand rules along.
const RUNS_MAX: usize = 8;

/// Everything that the namespace's netfilter holds, and what could not be read.
pub(crate) fn read(kept: Kept<'_>) -> (Ruleset, Vec<Gap>) {
    let machine = kept.machine;
    let mut gaps = Vec::new();
    let mut unread = legacy_unread();
    let names = unread.iter().map(|unread| format!("{} of {machine}", unread.what));
    gaps.extend(names.map(|what| gap(what, "their names cannot be read: permission denied", ROOT)));
    let found = nftables::tables().unwrap_or_else(|error| {
        // Which rules there are is not known, but for a kernel that has no nf_tables.
        if !error.is_no_such_subsystem() {
            unread.extend(FAMILIES.map(|family| forbidden(family, "netfilter rules in nf_tables")));
        }
        gaps.push(gap(format!("nftables of {machine}"), error, ROOT));
        Vec::new()
    });
    let is_trace = |table: &nftables::Table| table.owned && nftables::is_trace(&table.name);
    let others = found.into_iter().filter(|table| !is_trace(table));
    let nft: Vec<Key> = others.map(|table| (table.family, table.name)).collect();
    let mut reader = Reader { machine, kept, nft: &nft, tables: Vec::new(), arp: Vec::new(), unread, gaps };
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    let outputs = run_all(jobs(&nft, &modules));
    let mut left_out = Vec::new();
    for (job, output) in outputs {
        left_out.extend(reader.take(job, output));
    }
    for (family, name) in left_out.iter().filter(|(_, name)| is_plain(name)) {
        let job = Job::Table(*family, name);
        reader.take(job, job.run());
    }
    reader.settle_arp();
    // Legacy first, then in the order of nf_tables: among chains of equal priority it decides.
    let place = |table: &Table| nft.iter().position(|(f, n)| *f == table.family && *n == table.name);
    reader.tables.sort_by_key(|table| (!table.dialect.is_legacy(), place(table)));
    let mut ruleset = Ruleset { tables: reader.tables, unread: reader.unread, ..Ruleset::default() };
    reader.gaps.extend(ipsets::read(kept, &mut ruleset));
    (ruleset, reader.gaps)
}

/// The tools that show what is there.
fn jobs<'t>(nft: &'t [Key], modules: &str) -> Vec<Job<'t>> {
    let has =
        |family: Family, names: &[&str]| nft.iter().any(|(f, n)| *f == family && names.contains(&n.as_str()));
    let legacy = |file| legacy_names(file);
    let iptables = |legacy: bool, program, family| {
        let dialect = if legacy { Dialect::IptablesLegacy } else { Dialect::IptablesNft };
        Job::Iptables(program, dialect, family)
    };
    let possible = [
        (legacy("ip_tables_names"), iptables(true, "iptables-legacy-save", Family::Ip)),
        (legacy("ip6_tables_names"), iptables(true, "ip6tables-legacy-save", Family::Ip6)),
        (legacy("arp_tables_names"), Job::ArptablesLegacy),
        (has(Family::Ip, &IPTABLES), iptables(false, "iptables-nft-save", Family::Ip)),
        (has(Family::Ip6, &IPTABLES), iptables(false, "ip6tables-nft-save", Family::Ip6)),
        (has(Family::Bridge, &EBTABLES), Job::EbtablesNft),
        (has(Family::Arp, &ARPTABLES), Job::ArptablesNft),
    ];
    let mut jobs: Vec<Job> = possible.into_iter().filter(|(there, _)| *there).map(|(_, job)| job).collect();
    jobs.extend(legacy_ebtables(modules).map(Job::EbtablesLegacy));
    let native: Vec<&Key> = nft.iter().filter(|(family, name)| !is_kept_by_xtables(*family, name)).collect();
    if native.len() <= RUNS_MAX && native.iter().all(|(_, name)| is_plain(name)) {
        jobs.extend(native.iter().map(|(family, name)| Job::Table(*family, name)));
    } else {
        jobs.push(Job::Ruleset(nft));
    }
    jobs
}

fn run_all(jobs: Vec<Job<'_>>) -> Vec<(Job<'_>, io::Result<String>)> {
    std::thread::scope(|scope| {
        // The first runs here: threads of one job only would cost more than they bring.
        let mut rest = jobs.into_iter();
        let first = rest.next();
        let running: Vec<_> = rest.map(|job| (job, scope.spawn(move || job.run()))).collect();
        let done = first.map(|job| (job, job.run()));
        let joined = running.into_iter().map(|(job, thread)| {
            (job, thread.join().unwrap_or_else(|_| Err(io::Error::other("its reader panicked"))))
        });
        done.into_iter().chain(joined).collect()
    })
}

/// What reading rules takes.
const ROOT: &str = "root, or CAP_NET_ADMIN in that namespace";

/// Whose packets nf_tables may decide about.
const FAMILIES: [Family; 5] = [Family::Ip, Family::Ip6, Family::Inet, Family::Bridge, Family::Arp];

/// Who may not read rules knows nothing of them: that is not the same as that there are none.
fn forbidden(family: Family, what: &str) -> Unread {
    Unread { family, what: what.to_owned(), would_need: ROOT.to_owned() }
}

/// Legacy tables whose very names are only root's to read.
fn legacy_unread() -> Vec<Unread> {
    let possible = [
        (Family::Ip, "ip_tables_names", "rules of iptables-legacy"),
        (Family::Ip6, "ip6_tables_names", "rules of ip6tables-legacy"),
        (Family::Arp, "arp_tables_names", "rules of arptables-legacy"),
    ];
    let is_forbidden = |file: &str| {
        fs::read_to_string(format!("/proc/thread-self/net/{file}"))
            .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let lost = possible.into_iter().filter(|(_, file, _)| is_forbidden(file));
    lost.map(|(family, _, what)| forbidden(family, what)).collect()
}

/// A legacy table is registered in the namespace.
fn legacy_names(file: &str) -> bool {
    fs::read_to_string(format!("/proc/thread-self/net/{file}")).is_ok_and(|names| !names.trim().is_empty())
}

/// Tables of ebtables-legacy whose modules are loaded. No file tells which of them a namespace has, and
/// asking the kernel would load them.
fn legacy_ebtables(modules: &str) -> impl Iterator<Item = &'static str> {
    let loaded = |table: &str| {
        let module = format!("ebtable_{table}");
        modules.lines().any(|line| line.split(' ').next() == Some(module.as_str()))
    };
    EBTABLES.into_iter().filter(move |table| loaded(table)).collect::<Vec<_>>().into_iter()
}

/// Whether the family's own tool shows the table whole. arptables' does not.
fn is_kept_by_xtables(family: Family, name: &str) -> bool {
    match family {
        Family::Ip | Family::Ip6 => IPTABLES.contains(&name),
        Family::Bridge => EBTABLES.contains(&name),
        Family::Arp | Family::Inet | Family::Netdev => false,
    }
}

/// A word that means nothing but a name to nft, which reads its arguments as a script: a table may be
/// called `x; flush ruleset`, and reading must never run that.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

struct Reader<'r> {
    machine: &'r str,
    kept: Kept<'r>,
    /// What nf_tables has.
    nft: &'r [Key],
    tables: Vec<Table>,
    /// arptables-nft's own view of its tables.
    arp: Vec<Table>,
    /// Rules that are there, of which no tool told.
    unread: Vec<Unread>,
    gaps: Vec<Gap>,
}

impl Reader<'_> {
    /// Takes what a tool printed. The tables that it cannot show are returned, for nft to list them.
    fn take(&mut self, job: Job<'_>, output: io::Result<String>) -> Vec<Key> {
        let (program, arguments) = job.argv();
        let source = format!("{program} {} on {}", arguments.join(" "), self.machine);
        let text = match output {
            Ok(text) => text,
            Err(error) => return self.failed(job, &error),
        };
        self.kept.of_netns(&job.file(), &text);
        let (parsed, left_out) = job.read(&text);
        if matches!(job, Job::ArptablesNft) {
            self.arp = if parsed.problems.is_empty() { parsed.value } else { Vec::new() };
            return Vec::new();
        }
        self.gaps.extend(unparsed(&source, &parsed.problems));
        self.tables.extend(parsed.value);
        left_out
    }

    /// A tool that shows tables of nf_tables fails on those that were not made by it, and nft shows them;
    /// what the tool itself knows of its extensions nft does not. What no other tool shows may decide about
    /// packets all the same: a tool is started for tables that are there.
    fn failed(&mut self, job: Job<'_>, error: &io::Error) -> Vec<Key> {
        let (program, arguments) = job.argv();
        let missing = error.kind() == io::ErrorKind::NotFound;
        let left_out: Vec<Key> = match job {
            // nft lists them anyhow.
            Job::ArptablesNft => return Vec::new(),
            Job::Iptables(_, Dialect::IptablesNft, of) => self.kept_by_xtables(of),
            Job::EbtablesNft => self.kept_by_xtables(Family::Bridge),
            Job::Iptables(..)
            | Job::EbtablesLegacy(_)
            | Job::ArptablesLegacy
            | Job::Table(..)
            | Job::Ruleset(_) => Vec::new(),
        };
        if missing || left_out.is_empty() {
            let need = if missing {
                format!("apt-get install {}", job.package())
            } else {
                format!("{program} {}", arguments.join(" "))
            };
            let what = format!("netfilter rules of {}", self.machine);
            self.gaps.push(gap(what, format!("{program}: {error}"), need));
        }
        if left_out.is_empty() {
            self.unread.extend(job.families().into_iter().map(|family| Unread {
                family,
                what: format!("the rules that {program} would print"),
                would_need: format!("{program} {}", arguments.join(" ")),
            }));
        }
        left_out
    }

    fn kept_by_xtables(&self, of: Family) -> Vec<Key> {
        let kept = self.nft.iter().filter(|(family, name)| *family == of && is_kept_by_xtables(of, name));
        kept.cloned().collect()
    }

    /// Lets arptables' tables stand for what nft lists of them, where both have the same rules.
    fn settle_arp(&mut self) {
        let mut saved = std::mem::take(&mut self.arp);
        if parse::arptables_save::put_right(&mut saved, &self.tables).is_err() {
            return;
        }
        for table in saved {
            let is_twin = |t: &Table| t.family == Family::Arp && t.name == table.name;
            if let Some(twin) = self.tables.iter_mut().find(|t| is_twin(t)) {
                *twin = table;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_more_than_names_are_not_handed_to_nft() {
        assert!(is_plain("libvirt_network") && is_plain("f2b-table"));
        for name in ["x; flush ruleset", "x\ny", "-f", "", "a b", "x{", "x#"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn legacy_ebtables_are_known_by_their_modules() {
        let modules = "ebtable_nat 16384 1 - Live 0x0\nebtables 45056 1 ebtable_nat, Live 0x0\n";
        assert_eq!(legacy_ebtables(modules).collect::<Vec<_>>(), ["nat"]);
        assert_eq!(legacy_ebtables("").count(), 0);
    }
}
