//! Bundles of a lab, and whether one tells what the lab itself does.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use bundle::{Bundle, CloudFacts, Facts, Writer};
use serde_json::Value;
use tempfile::TempDir;

use super::test_lab::TestLab;
use crate::cli_support::Run;

/// A folder for bundles of a lab.
pub(crate) struct Bundles<'l> {
    pub(crate) lab: &'l TestLab,
    pub(crate) folder: TempDir,
}

/// The fault that leaves nothing of web1's inside, where that is a namespace.
pub(crate) const GONE: &str = "guest-powered-off";

/// The fault by which frames go round, so that bridges learn each address anew at every moment: only what is found is
/// compared, and where.
const RESTLESS: &str = "l2-loop";

/// What is ahead of how many connections a host tracks.
const TRACKED: &str = "nf_conntrack_count = ";
/// Of hundreds of thousands that a full table has, so many may end between a bundle and what is told live.
const ENDED_MAX: u64 = 100;

/// How often a lab in which something moves is looked at anew.
const ROUNDS_MAX: u32 = 3;

/// What is asked of both: of one instance, and of the whole site.
const QUESTION: [&str; 3] = ["diagnose", "web1", "--json"];
const OF_SITE: [&[&str]; 2] = [&["check", "--json"], &["diagnose", "--all", "--json"]];

impl<'l> Bundles<'l> {
    pub(crate) fn of(lab: &'l TestLab) -> Bundles<'l> {
        Bundles { lab, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Collects into a file of this name.
    pub(crate) fn collect(&self, name: &str, hosts: &[&str]) -> PathBuf {
        let path = self.path(name);
        let run = self.lab.run(&[&["collect", "-o", path.to_str().expect("UTF-8")], hosts].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        path
    }

    /// Asks the bundles.
    pub(crate) fn ask(&self, question: &[&str], bundles: &[&Path]) -> Run {
        let mut arguments = question.to_vec();
        for bundle in bundles {
            arguments.extend(["--bundle", bundle.to_str().expect("UTF-8")]);
        }
        self.lab.hopline(&arguments)
    }

    /// What is wrong, if a bundle made now does not tell byte for byte what the lab does without packets, but for what
    /// the clock moves. `code` is the fault that is in.
    pub(crate) fn complaint(&self, code: &str) -> Option<String> {
        self.complaint_of(code, &[&QUESTION])
    }

    /// The same of what is asked of the whole site.
    pub(crate) fn complaint_of_site(&self, code: &str) -> Option<String> {
        self.complaint_of(code, &OF_SITE)
    }

    fn complaint_of(&self, code: &str, questions: &[&[&str]]) -> Option<String> {
        let live = || -> Vec<Run> {
            questions.iter().map(|question| self.lab.run(&[question, &["--passive"][..]].concat())).collect()
        };
        // What happens by itself meanwhile, as what a fault set going, is waited for: it would be in neither.
        let mut rounds = 0;
        let (before, bundle, after) = loop {
            let (before, bundle) = (live(), self.collect("all.tar.zst", &[]));
            let after = live();
            rounds += 1;
            let is_quiet = before.iter().map(timeless).eq(after.iter().map(timeless));
            if is_quiet || code == RESTLESS || rounds == ROUNDS_MAX {
                break (before, bundle, after);
            }
        };
        let answers = questions.iter().zip(before.iter().zip(&after));
        let wrong = answers.filter_map(|(question, (before, after))| {
            let told = self.ask(question, &[&bundle]);
            let is_same = |live: &Run| match code {
                RESTLESS => found(live) == found(&told),
                _ => {
                    let moved = tracked(live).abs_diff(tracked(&told));
                    timeless(live) == timeless(&told) && moved <= ENDED_MAX
                }
            };
            let differs = ![before, after].iter().any(|live| is_same(live) && live.code == told.code);
            let both = || format!("live {}\nbundle {}{}", after.stdout, told.stdout, told.stderr);
            differs.then(|| format!("{code}, {question:?}: {}", both()))
        });
        let wrong: Vec<String> = wrong.collect();
        (!wrong.is_empty()).then(|| wrong.join("\n"))
    }

    /// Of a namespace that is not there each says in its own words that it could not be read; what is found is the
    /// same, and what is wrong is said if it is not.
    pub(crate) fn complaint_of_what_is_gone(&self) -> Option<String> {
        let path = self.path("gone.tar.zst");
        let run = self.lab.run(&["collect", "-o", path.to_str().expect("UTF-8")]);
        assert_eq!(run.code, 3, "web1 is not there to be read: {run:?}");
        let question = ["diagnose", "web1", "--minimal"];
        let live = self.lab.run(&[&question[..], &["--passive"]].concat());
        let told = self.ask(&question, &[&path]);
        let is_same = (live.code, &live.stdout) == (told.code, &told.stdout) && live.stdout.starts_with(GONE);
        (!is_same).then(|| format!("{GONE}: live {live:?}\nbundle {told:?}"))
    }
}

/// The same bundle with other records of the cloud.
pub(crate) fn rewritten(from: &Path, to: &Path, change: impl FnOnce(&mut CloudFacts)) {
    let Bundle { manifest, members, mut cloud, .. } =
        bundle::read(File::open(from).expect("a bundle"), "it").expect("a whole bundle");
    change(&mut cloud);
    let machines = members.into_iter().map(|member| (member.name, member.inside, member.outcome)).collect();
    let spool = tempfile::tempfile().expect("a temporary file");
    let writer = Writer::new(spool, manifest.taken_at).expect("a place for it");
    let facts = Facts { manifest, machines, cloud };
    writer.finish(&facts, File::create(to).expect("a file")).expect("a bundle");
}

/// The faults that a lab can be asked for.
pub(crate) fn listed(lab: &TestLab) -> BTreeSet<String> {
    let printed = lab.hopline(&["lab", "faults"]).stdout;
    printed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// What is found, and where.
pub(crate) fn found(run: &Run) -> Vec<(String, Value)> {
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list").iter();
    findings.map(|finding| (finding["code"].to_string(), finding["hop"].clone())).collect()
}

/// How many connections a report says that a host tracks; none where it does not say.
fn tracked(run: &Run) -> u64 {
    let told = run.stdout.split_once(TRACKED).map_or("", |(_, told)| told);
    let end = told.find(|c: char| !c.is_ascii_digit()).unwrap_or(told.len());
    told[..end].parse().unwrap_or_default()
}

/// A report without what the clock moves: how long it took, how sure the kernel is of its neighbours just now, how long
/// it will keep a connection, how many it keeps, and how many packets a rule has seen.
pub(crate) fn timeless(run: &Run) -> String {
    let lines = run.stdout.lines().filter(|line| !line.contains("\"elapsed_ms\""));
    let mut report = lines.collect::<Vec<_>>().join("\n");
    for state in ["REACHABLE", "STALE", "DELAY", "PROBE"] {
        report = report.replace(state, "KNOWN");
    }
    let moments = report.split(" s left").map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()));
    report = moments.collect::<Vec<_>>().join(" s left");
    for ahead in [TRACKED, " tracks "] {
        let counts = report.split(ahead).map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
        report = counts.collect::<Vec<_>>().join(ahead);
    }
    let mut out = String::new();
    let mut counter = false;
    for c in report.chars() {
        counter = match c {
            '[' => true,
            c if c.is_ascii_digit() || c == ':' => counter,
            _ => false,
        };
        out.push(if counter && c.is_ascii_digit() { 'N' } else { c });
    }
    while out.contains("NN") {
        out = out.replace("NN", "N");
    }
    out
}
