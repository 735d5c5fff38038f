//! Style and completeness as tests: sizes, marks of unfinished work, the catalogue's pages, tests and lab
//! faults, and the command line against the contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod workspace;

use std::collections::BTreeSet;
use std::process::Command;

use workspace::{list, read, root, sources};

const COLUMNS_MAX: usize = 120;
const LINES_MAX: usize = 500;

/// The headings of a finding's page, in order.
const HEADINGS: [&str; 6] =
    ["What it means", "How hopline knows", "What it looks like", "Nearest look-alikes", "Fix", "References"];

/// Findings that no single fault of the lab makes: the answer where no other fits, a cause of exhausted pools
/// that the lab's `dnsmasq-pool-exhausted` stands for, what takes two hosts, an instance that never
/// came to be, NICs that the database has a half of, which `e2e_db_half_nic` makes by hand, and what
/// somebody types on a host, as `e2e_compute_hosts` does.
const WITHOUT_A_FAULT: [&str; 5] = [
    "lost-at-hop",
    "fixed-ip-none-left",
    "fixed-ip-without-vif",
    "instance-without-address",
    "fixed-ip-led-astray",
];

#[test]
fn lines_and_files_stay_short() {
    let mut offences = Vec::new();
    for source in sources("crates").iter().filter(|s| s.is("rs")) {
        let path = source.path.display();
        for (at, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                offences.push(format!("{path}:{}: {columns} columns", at + 1));
            }
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX && !source.is_under("tests") {
            offences.push(format!("{path}: {lines} lines"));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    // Put together here, so that this file does not hold them itself.
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let pieces = [["to", "do!("], ["unimple", "mented!("], ["#[ig", "nore"], ["<<<<", "<<<"]];
    let pieces = pieces.map(|halves| halves.concat());
    let mut offences = Vec::new();
    for source in sources(".") {
        for (at, line) in source.text.lines().enumerate() {
            let word =
                line.split(|c: char| !c.is_alphanumeric()).find(|w| words.iter().any(|word| w == word));
            let piece = pieces.iter().map(String::as_str).find(|piece| line.contains(piece));
            if let Some(mark) = word.or(piece) {
                offences.push(format!("{}:{}: {mark}", source.path.display(), at + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// One line of the catalogue's list.
struct Entry {
    code: String,
    /// The check's file, from the repository's root.
    file: String,
    /// The code as a Rust name.
    module: String,
}

/// The catalogue's list, as it is written.
fn catalogue() -> Vec<Entry> {
    let text = read("crates/checks/src/catalogue.rs");
    let (_, listed) = text.split_once("\ncatalogue! {\n").expect("the list");
    let (listed, _) = listed.split_once("\n}\n").expect("the list's end");
    let mut entries = Vec::new();
    let mut area = "";
    for line in listed.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(" {") {
            area = name;
        } else if let Some((module, code)) = line.split_once(" => ") {
            let code = code.trim_matches(['"', ',']).to_owned();
            let file = format!("crates/checks/src/catalogue/{area}/{module}.rs");
            entries.push(Entry { code, file, module: module.to_owned() });
        }
    }
    assert!(!entries.is_empty(), "the list could not be read");
    entries
}

#[test]
fn the_catalogue_lists_every_file_once() {
    let listed: Vec<String> = catalogue().into_iter().map(|entry| entry.file).collect();
    let files: Vec<String> = sources("crates/checks/src/catalogue")
        .into_iter()
        .filter(|s| s.is("rs"))
        .map(|s| s.path.display().to_string())
        .collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), files.iter().collect::<BTreeSet<_>>());
    assert_eq!(listed.len(), files.len(), "an entry stands twice");
    for entry in catalogue() {
        assert_eq!(entry.module, entry.code.replace('-', "_"), "a file is named as its code is");
    }
}

#[test]
fn every_finding_has_a_whole_page() {
    let mut offences = Vec::new();
    for Entry { code, file, .. } in catalogue() {
        let text = read(&file);
        let page: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        if page.first() != Some(&format!("# {code}").as_str()) {
            offences.push(format!("{file}: the page does not start with `# {code}`"));
        }
        let found: Vec<&str> = page.iter().filter_map(|line| line.strip_prefix("## ")).collect();
        if found != HEADINGS {
            offences.push(format!("{file}: its headings are {found:?}, expected {HEADINGS:?}"));
        }
        let sections = page.join("\n");
        let is_empty = |part: &str| part.lines().skip(1).all(str::is_empty);
        if let Some(empty) = sections.split("\n## ").find(|part| is_empty(part)) {
            offences.push(format!("{file}: nothing stands under `{}`", empty.trim()));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// Pages of the database's findings, which stand above their statements; two have theirs in the catalogue.
#[test]
fn every_inconsistency_of_the_database_has_a_whole_page() {
    let text = read("crates/cloud/src/check.rs");
    let (_, listed) = text.split_once("\ncatalogue! {\n").expect("the list");
    let codes: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.trim().split_once(" => "))
        .map(|(module, code)| (module, code.trim_matches(['"', ','])))
        .collect();
    let told_there: BTreeSet<String> = catalogue().into_iter().map(|entry| entry.code).collect();
    let mut offences = Vec::new();
    for (module, code) in &codes {
        let file = format!("crates/cloud/src/check/{module}.rs");
        let page = read(&file);
        let page: Vec<&str> =
            page.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let found: Vec<&str> = page.iter().filter_map(|line| line.strip_prefix("## ")).collect();
        let whole = page.first() == Some(&format!("# {code}").as_str()) && found == HEADINGS;
        if *module != code.replace('-', "_") || whole == told_there.contains(*code) {
            offences.push(format!("{file}: its page is whole: {whole}"));
        }
    }
    assert!(codes.len() > 20 && offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_finding_is_tested_where_it_fires_and_where_it_must_not() {
    let mut offences = Vec::new();
    for Entry { file, .. } in catalogue() {
        let text = read(&file);
        let (_, tests) = text.split_once("\n#[cfg(test)]\n").unwrap_or_default();
        let tests = tests.matches("#[test]").count();
        if tests < 2 {
            offences.push(format!("{file}: {tests} tests, expected one that fires and one near miss"));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_finding_can_be_made_in_the_lab() {
    let registry = read("crates/lab/src/faults.rs");
    let files = list("crates/lab/src/faults");
    let mut offences = Vec::new();
    let catalogue = catalogue();
    for Entry { code, module, .. } in &catalogue {
        let has_a_fault = files.contains(&format!("{module}.rs"))
            && registry.contains(&format!("{module}::FAULT"))
            && read(&format!("crates/lab/src/faults/{module}.rs")).contains(&format!("code: \"{code}\""));
        if has_a_fault == WITHOUT_A_FAULT.contains(&code.as_str()) {
            offences.push(format!("{code}: has a fault of its own in the lab: {has_a_fault}"));
        }
    }
    for file in files {
        if !catalogue.iter().any(|entry| format!("{}.rs", entry.module) == file) {
            offences.push(format!("crates/lab/src/faults/{file}: no finding is named so"));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// The command line as its own help tells it: every command and every long flag.
#[derive(Default)]
struct CommandLine {
    commands: BTreeSet<String>,
    flags: BTreeSet<String>,
}

impl CommandLine {
    fn read(&mut self, command: &[&str]) {
        let help = Command::new(env!("CARGO_BIN_EXE_hopline")).args(command).arg("--help").output().unwrap();
        assert!(help.status.success(), "hopline {} --help", command.join(" "));
        let help = String::from_utf8(help.stdout).unwrap();
        self.commands.insert(["hopline"].iter().chain(command).copied().collect::<Vec<_>>().join(" "));
        self.flags.extend(help.lines().filter_map(flag).map(str::to_owned));
        let (_, listed) = help.split_once("\nCommands:\n").unwrap_or_default();
        for line in listed.lines().take_while(|line| !line.is_empty()) {
            // A description that goes on is indented further.
            let entry = line.strip_prefix("  ").filter(|entry| !entry.starts_with(' '));
            if let Some(name) = entry.and_then(|entry| entry.split_whitespace().next()) {
                self.read(&[command, &[name]].concat());
            }
        }
    }
}

/// The long flag that a line of help is about.
fn flag(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = if line.starts_with("--") { line } else { line.strip_prefix('-')?.split_once(", ")?.1 };
    line.split([' ', '=']).next().filter(|flag| flag.starts_with("--"))
}

#[test]
fn the_contract_and_the_command_line_are_the_same() {
    let contract = read("docs/contract.md");
    let mut real = CommandLine::default();
    real.read(&[]);
    assert!(real.commands.len() > 10 && real.flags.len() > 10, "the help could not be read");
    let unwritten = |words: &BTreeSet<String>| -> Vec<String> {
        words.iter().filter(|word| !contract.contains(word.as_str())).cloned().collect()
    };
    assert_eq!(unwritten(&real.commands), Vec::<String>::new(), "commands that the contract lacks");
    let written: BTreeSet<String> = contract
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| word.starts_with("--") && word.len() > 3 && !word.ends_with('-'))
        .map(str::to_owned)
        .collect();
    assert_eq!(written, real.flags, "left: docs/contract.md; right: hopline --help");
}

#[test]
fn what_the_makefile_runs_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for script in
        [".ci/run", "scripts/bench_db.py", "scripts/demo.sh", "scripts/excerpt.sh", "scripts/packages.sh"]
    {
        let mode =
            root().join(script).metadata().unwrap_or_else(|e| panic!("{script}: {e}")).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}

/// What serves all of the database's findings, beside their files.
const OF_CHECKS: [&str; 14] = [
    "braces.rs",
    "cached.rs",
    "caches.rs",
    "kept.rs",
    "letters.rs",
    "looks.rs",
    "networks.rs",
    "one.rs",
    "repairs.rs",
    "of_instances.rs",
    "roles.rs",
    "those.rs",
    "told.rs",
    "words.rs",
];

#[test]
fn the_readme_counts_right() {
    let readme = read("README.md").replace('\n', " ");
    let findings = catalogue().len();
    let faults = list("crates/lab/src/faults").len();
    let of_database =
        list("crates/cloud/src/check").iter().filter(|file| !OF_CHECKS.contains(&file.as_str())).count();
    let said = [
        format!("{findings} findings"),
        format!("{faults} faults"),
        format!("{of_database} inconsistencies of the database"),
    ];
    for said in said {
        assert!(readme.contains(&said), "README.md does not say `{said}`");
    }
}
