//! Netfilter's rules of the calling thread's namespace, by the tools that print them.
//!
//! No tool is started for tables that are not there: a look at procfs and one netlink question tell
//! which back ends hold any. Only reads: the tools are the `-save` ones and `nft list`.

use std::fs;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use model::netfilter::{Dialect, Family, Ruleset, Table};
use model::snapshot::Gap;
use parse::Parsed;

use crate::gaps::{gap, unparsed};
use crate::netlink::nftables;

/// More output than any ruleset that was ever loaded; a tool that prints more is cut off.
const OUTPUT_MAX: u64 = 512 * 1024 * 1024;
/// Longest that a tool may take.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Tables that iptables-nft and ebtables-nft keep (`xtables-nft`).
const IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
const EBTABLES: [&str; 3] = ["filter", "nat", "broute"];

/// A table's family and name.
type Key = (Family, String);

/// Up to this many native tables are listed one by one: nft then fetches only those, where the whole
/// ruleset would bring iptables' ten thousand rules along.
const RUNS_MAX: usize = 8;

/// Everything that the namespace's netfilter holds, and what could not be read.
pub(crate) fn read(machine: &str) -> (Ruleset, Vec<Gap>) {
    let mut reader = Reader { machine, tables: Vec::new(), gaps: Vec::new() };
    let nft = nftables::tables().unwrap_or_else(|error| {
        let need = "root, or CAP_NET_ADMIN in that namespace";
        reader.gaps.push(gap(format!("nftables of {machine}"), error, need));
        Vec::new()
    });
    let has =
        |family: Family, names: &[&str]| nft.iter().any(|(f, n)| *f == family && names.contains(&n.as_str()));
    let mut jobs: Vec<Job> = Vec::new();
    if legacy_names("ip_tables_names") {
        jobs.push(Job::Save("iptables-legacy-save", Dialect::IptablesLegacy, Family::Ip));
    }
    if legacy_names("ip6_tables_names") {
        jobs.push(Job::Save("ip6tables-legacy-save", Dialect::IptablesLegacy, Family::Ip6));
    }
    if has(Family::Ip, &IPTABLES) {
        jobs.push(Job::Save("iptables-nft-save", Dialect::IptablesNft, Family::Ip));
    }
    if has(Family::Ip6, &IPTABLES) {
        jobs.push(Job::Save("ip6tables-nft-save", Dialect::IptablesNft, Family::Ip6));
    }
    if has(Family::Bridge, &EBTABLES) {
        jobs.push(Job::Bridge);
    }
    let native: Vec<&Key> = nft.iter().filter(|(family, name)| !is_kept_by_xtables(*family, name)).collect();
    if native.len() <= RUNS_MAX && native.iter().all(|(_, name)| is_plain(name)) {
        jobs.extend(native.iter().map(|(family, name)| Job::Table(*family, name)));
    } else {
        jobs.push(Job::Ruleset);
    }
    let outputs: Vec<(Job<'_>, io::Result<String>)> = std::thread::scope(|scope| {
        // The first runs here: threads of one job only would cost more than they bring.
        let mut rest = jobs.into_iter();
        let first = rest.next();
        let running: Vec<_> = rest.map(|job| (job, scope.spawn(move || job.run()))).collect();
        let done = first.map(|job| (job, job.run()));
        let joined = running.into_iter().map(|(job, thread)| {
            (job, thread.join().unwrap_or_else(|_| Err(io::Error::other("its reader panicked"))))
        });
        done.into_iter().chain(joined).collect()
    });
    let mut incompatible = Vec::new();
    for (job, output) in outputs {
        reader.take(job, output, &mut incompatible);
    }
    for (family, name) in std::mem::take(&mut incompatible) {
        let job = Job::Table(family, &name);
        reader.take(job, job.run(), &mut incompatible);
    }
    (Ruleset { tables: reader.tables, ipsets: Vec::new() }, reader.gaps)
}

/// A legacy table is registered in the namespace.
fn legacy_names(file: &str) -> bool {
    fs::read_to_string(format!("/proc/thread-self/net/{file}")).is_ok_and(|names| !names.trim().is_empty())
}

fn is_kept_by_xtables(family: Family, name: &str) -> bool {
    match family {
        Family::Ip | Family::Ip6 => IPTABLES.contains(&name),
        Family::Bridge => EBTABLES.contains(&name),
        // arptables' rules are plain nftables expressions, which JSON shows in full.
        Family::Arp | Family::Inet | Family::Netdev => false,
    }
}

/// A word that means nothing but a name to nft, which reads its arguments as a script: a table may be
/// called `x; flush ruleset`, and reading must never run that.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// One tool to run.
#[derive(Clone, Copy)]
enum Job<'t> {
    Save(&'static str, Dialect, Family),
    Bridge,
    Table(Family, &'t str),
    Ruleset,
}

impl<'t> Job<'t> {
    fn argv(self) -> (&'static str, Vec<&'t str>) {
        match self {
            Job::Save(program, ..) => (program, vec!["-c"]),
            Job::Bridge => ("ebtables-nft-save", vec!["-c"]),
            Job::Table(family, name) => ("nft", vec!["-j", "-a", "list", "table", family.name(), name]),
            Job::Ruleset => ("nft", vec!["-j", "-a", "list", "ruleset"]),
        }
    }

    fn package(self) -> &'static str {
        match self {
            Job::Save(..) | Job::Bridge => "iptables",
            Job::Table(..) | Job::Ruleset => "nftables",
        }
    }

    fn run(self) -> io::Result<String> {
        let (program, arguments) = self.argv();
        run(program, &arguments)
    }
}

struct Reader<'r> {
    machine: &'r str,
    tables: Vec<Table>,
    gaps: Vec<Gap>,
}

impl Reader<'_> {
    fn take(&mut self, job: Job<'_>, output: io::Result<String>, incompatible: &mut Vec<Key>) {
        let (program, arguments) = job.argv();
        let source = format!("{program} {} on {}", arguments.join(" "), self.machine);
        let text = match output {
            Ok(text) => text,
            Err(error) => {
                let need = if error.kind() == io::ErrorKind::NotFound {
                    format!("apt-get install {}", job.package())
                } else {
                    format!("{program} {}", arguments.join(" "))
                };
                self.gaps.push(gap(
                    format!("netfilter rules of {}", self.machine),
                    format!("{program}: {error}"),
                    need,
                ));
                return;
            }
        };
        let Parsed { value, problems } = match job {
            Job::Save(_, dialect, family) => {
                if dialect == Dialect::IptablesNft {
                    let names = parse::iptables_save::incompatible_tables(&text);
                    incompatible.extend(names.into_iter().map(|name| (family, name)));
                }
                parse::iptables_save::parse(&text, dialect, family)
            }
            Job::Bridge => parse::ebtables_save::parse(&text, Dialect::EbtablesNft),
            Job::Table(..) => parse::nft_json::parse(&text, &|_, _| false),
            Job::Ruleset => parse::nft_json::parse(&text, &is_kept_by_xtables),
        };
        self.gaps.extend(unparsed(&source, &problems));
        self.tables.extend(value);
    }
}

/// Runs a tool in the calling thread's namespace and returns what it printed. Both its output and its
/// time are bounded.
fn run(program: &str, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("LC_ALL", "C");
    let mut child = command.spawn()?;
    let started = Instant::now();
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.take(64 * 1024).read_to_string(&mut text);
        text
    });
    let printed = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.take(OUTPUT_MAX).read_to_end(&mut bytes).map(|_| bytes)
    });
    while !printed.is_finished() && started.elapsed() < TIME_MAX {
        std::thread::park_timeout(Duration::from_micros(200));
    }
    if !printed.is_finished() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("took longer than {} s", TIME_MAX.as_secs()),
        ));
    }
    let bytes = printed.join().map_err(|_| io::Error::other("its reader panicked"))??;
    let status = child.wait()?;
    if !status.success() {
        let words = said.join().unwrap_or_default();
        return Err(io::Error::other(words.lines().next().unwrap_or("failed without a word").to_owned()));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
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
}
