//! Redacted bundles of a real lab: whatever is broken, the diagnosis is the one of the bundle under its true names, and
//! none of them is anywhere in the file. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cli_support::{Run, assert_refused};
use serde_json::Value;
use support::test_lab::TestLab;
use support::{assert_none, printed};
use tempfile::TempDir;

/// Faults as unlike each other as can be, which are compared in every run. With `HOPLINE_REDACT=all`, all are, and with
/// `HOPLINE_REDACT=CODE,CODE` those.
const UNLIKE: [&str; 16] = [
    "tap-not-enslaved",
    "antispoof-mac",
    "default-route-missing",
    "float-dnat-missing",
    "snat-missing",
    "dnsmasq-stale-hosts-file",
    "duplicate-mac",
    "ext-no-return-route",
    "guest-wrong-ip",
    "metadata-dnat-missing",
    "rogue-dhcp",
    "sg-missing-ssh",
    "conntrack-stale-dnat",
    "float-tied-to-deleted-instance",
    "nft-other-priority",
    "rp-filter-asymmetric",
];

/// Names that are words of tools or of our own texts, too.
const COMMON: [&str; 2] = ["external", "default"];

/// Leaks that are told of at most.
const LEAKS_SHOWN: usize = 20;

struct Lab {
    lab: TestLab,
    folder: TempDir,
}

/// Pseudonyms and what they stand for, as the table beside a bundle tells.
struct Table(BTreeMap<String, String>);

impl Lab {
    fn up(tag: &str, shape: &[&str]) -> Lab {
        Lab { lab: TestLab::up_as(tag, shape), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let run = self.lab.run(arguments);
        assert!(run.code != 2, "{arguments:?}: {run:?}");
        run
    }

    /// Collects, and redacts the very same facts.
    fn both(&self) -> (PathBuf, PathBuf) {
        let (plain, redacted) = (self.path("plain.tar.zst"), self.path("redacted.tar.zst"));
        self.run(&["collect", "-o", plain.to_str().unwrap()]);
        let bundle = ["--bundle", plain.to_str().unwrap()];
        // Each with a key of its own: one that lies there would be used again.
        for ending in ["key", "names"] {
            let _ = fs::remove_file(self.path(&format!("redacted.tar.zst.{ending}")));
        }
        let run = self
            .lab
            .hopline(&[&["collect", "--redact", "-o", redacted.to_str().unwrap()], &bundle[..]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        (plain, redacted)
    }

    fn ask(&self, question: &[&str], bundle: &Path) -> Run {
        self.lab.hopline(&[question, &["--json", "--bundle", bundle.to_str().unwrap()]].concat())
    }
}

impl Table {
    fn beside(bundle: &Path) -> Table {
        let text = fs::read_to_string(format!("{}.names", bundle.display())).unwrap();
        let rows =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').unwrap());
        Table(rows.map(|(pseudonym, name)| (pseudonym.to_owned(), name.to_owned())).collect())
    }

    fn pseudonym(&self, name: &str) -> &str {
        self.0.iter().find(|(_, original)| *original == name).map(|(pseudonym, _)| pseudonym).expect(name)
    }

    /// A text with the true names again.
    fn back(&self, text: &str) -> String {
        let (mut out, mut at) = (String::new(), 0);
        // As the DNS has addresses, too, for the look-up of their names.
        let reversed =
            self.0.iter().filter_map(|(pseudonym, name)| Some((reversed(pseudonym)?, reversed(name)?)));
        let names: BTreeMap<String, String> = reversed.chain(self.0.clone()).collect();
        let firsts: BTreeSet<&str> = names.keys().map(|pseudonym| first_word(pseudonym)).collect();
        while at < text.len() {
            let is_begun = firsts.contains(first_word(&text[at..]));
            let mut all = words_at(text, at).take_while(|_| is_begun);
            let found = all.find_map(|words| Some((words, names.get(words)?)));
            let (length, instead) = match found {
                Some((words, name)) => (words.len(), name.as_str()),
                None => (text[at..].chars().next().unwrap().len_utf8(), ""),
            };
            out.push_str(if instead.is_empty() { &text[at..at + length] } else { instead });
            at += length;
        }
        out
    }
}

/// `4.3.2.1` of 1.2.3.4.
fn reversed(address: &str) -> Option<String> {
    let [a, b, c, d] = address.parse::<std::net::Ipv4Addr>().ok()?.octets();
    Some(format!("{d}.{c}.{b}.{a}"))
}

/// Most places of a text begin no name: this alone tells so.
fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// The words that begin there, the most at once first: `10.0.2.24`, `10.0.2`, `10.0`, `10`. None within a word.
fn words_at(text: &str, at: usize) -> impl Iterator<Item = &str> {
    const LONGEST: usize = 64;
    let is_word = |c: char| c.is_alphanumeric();
    let begins = text[at..].starts_with(is_word) && !text[..at].ends_with(is_word);
    let most = (at..=text.len().min(at + LONGEST)).rev().filter(move |_| begins);
    let ends = most.filter(move |end| {
        text.is_char_boundary(*end) && text[..*end].ends_with(is_word) && !text[*end..].starts_with(is_word)
    });
    ends.filter(move |end| *end > at).map(move |end| &text[at..end])
}

/// A report without what is told of the file and of the clock.
fn compared(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).unwrap();
    report["elapsed_ms"] = Value::Null;
    let gaps = report["coverage"]["gaps"].as_array_mut().unwrap();
    gaps.retain(|gap| !gap["what"].as_str().unwrap().starts_with("the real names of"));
    // Sorted by what they say, which is in other words.
    gaps.sort_by_key(Value::to_string);
    for finding in report["findings"].as_array_mut().unwrap() {
        finding["instances"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    report
}

#[test]
fn whatever_is_broken_the_diagnosis_is_the_same_and_nothing_leaks() {
    let chosen = std::env::var("HOPLINE_REDACT").ok();
    let is_wanted = |code: &str| match chosen.as_deref() {
        None => UNLIKE.contains(&code),
        Some("all") => true,
        Some(codes) => codes.split(',').any(|chosen| chosen == code),
    };
    let lab = Lab::up("r", &[]);
    let listed = lab.lab.hopline(&["lab", "faults"]).stdout;
    let codes: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let (mut wrong, mut compared_faults) = (Vec::new(), 0);
    let wanted: Vec<&str> = codes.iter().copied().filter(|code| is_wanted(code)).collect();
    for code in ["nothing"].into_iter().chain(wanted.iter().copied()) {
        // What needs another shape of cloud is refused here.
        if code != "nothing" && lab.lab.lab("break", &[code]).code != 0 {
            continue;
        }
        compared_faults += 1;
        wrong.extend(differences(&lab, code));
        if code != "nothing" {
            lab.lab.heal();
        }
    }
    assert_none(&wrong);
    let least = if chosen.as_deref().is_none_or(|codes| codes == "all") { 12 } else { 1 };
    assert!(compared_faults > least, "only {compared_faults} of {} were compared", wanted.len());
}

/// Where the two bundles of this moment tell another story, or one tells too much.
fn differences(lab: &Lab, code: &str) -> Vec<String> {
    let (plain, redacted) = lab.both();
    let table = Table::beside(&redacted);
    let mut wrong = Vec::new();
    for (question, other) in [
        (vec!["diagnose", "web1"], vec!["diagnose", table.pseudonym("web1")]),
        (vec!["check"], vec!["check"]),
    ] {
        let (plainly, told) = (lab.ask(&question, &plain), lab.ask(&other, &redacted));
        if plainly.code == 2 {
            continue;
        }
        let back = table.back(&told.stdout);
        if plainly.code != told.code || compared(&plainly.stdout) != compared(&back) {
            wrong.push(format!(
                "{code} {question:?}: plain {}\nredacted {back}{}",
                plainly.stdout, told.stderr
            ));
        }
    }
    wrong.extend(leaks(&redacted, &table).into_iter().map(|leak| format!("{code}: {leak}")));
    wrong
}

/// Every place of the bundle in which a true name, address or MAC stands.
fn leaks(redacted: &Path, table: &Table) -> Vec<String> {
    let to = tempfile::tempdir().unwrap();
    printed(&["tar", "--zstd", "-xf", redacted.to_str().unwrap(), "-C", to.path().to_str().unwrap()]);
    let list = printed(&["find", to.path().to_str().unwrap(), "-type", "f"]);
    let names = table.0.values().filter(|name| !COMMON.contains(&name.as_str()));
    let names: BTreeSet<String> = names.flat_map(|name| spellings(name)).collect();
    let firsts: BTreeSet<&str> = names.iter().map(|name| first_word(name)).collect();
    let mut found = BTreeSet::new();
    for path in list.lines() {
        let inside = path.strip_prefix(to.path().to_str().unwrap()).unwrap();
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).to_ascii_lowercase();
        for text in [&text, inside] {
            let starts = text.char_indices().map(|(at, _)| at);
            let starts = starts.filter(|at| firsts.contains(first_word(&text[*at..])));
            let here = starts.flat_map(|at| words_at(text, at)).filter(|words| names.contains(*words));
            found.extend(here.map(|words| format!("{words} in {inside}")));
        }
    }
    found.into_iter().take(LEAKS_SHOWN).collect()
}

/// A name as it may be written: an address in hex and in a host's name, a MAC without colons.
fn spellings(name: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    let mut all = vec![name.clone()];
    if let Ok(address) = name.parse::<std::net::Ipv4Addr>() {
        all.extend([
            format!("{:08x}", u32::from(address)),
            name.replace('.', "-"),
            u32::from(address).to_string(),
        ]);
    }
    if name.parse::<model::Mac>().is_ok() || name.len() == 36 {
        all.push(name.replace([':', '-'], ""));
    }
    all
}

#[test]
fn a_key_fits_bundles_of_several_hosts_together_and_stays_outside() {
    let lab = Lab::up("rk", &[]);
    lab.lab.break_fault("default-route-missing");
    let (plain, first) = (lab.path("plain.tar.zst"), lab.path("first.tar.zst"));
    lab.run(&["collect", "-o", plain.to_str().unwrap()]);
    let redact = |more: &[&str], to: &Path| {
        lab.run(&[&["collect", "--redact", "-o", to.to_str().unwrap()], more].concat());
        Table::beside(to)
    };
    let table = redact(&["compute1"], &first);
    let key = format!("{}.key", first.display());
    let others = lab.path("others.tar.zst");
    redact(&["gw", "isp", "external", "fabric", "--redact-key", &key], &others);
    let used = fs::read(lab.path("others.tar.zst.key")).unwrap();
    assert_eq!(used, fs::read(&key).unwrap(), "beside each bundle lies the key that made its names");
    for private in [first.clone(), PathBuf::from(&key), lab.path("first.tar.zst.names")] {
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600, "{private:?}");
    }

    let plainly = lab.ask(&["diagnose", "web1"], &plain);
    let both = ["--bundle", first.to_str().unwrap(), "--bundle", others.to_str().unwrap()];
    let told = lab.lab.hopline(&[&["diagnose", table.pseudonym("web1"), "--json"], &both[..]].concat());
    let codes = |report: &str| {
        let report: Value = serde_json::from_str(report).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings.iter().map(|finding| (finding["code"].clone(), finding["hop"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(codes(&table.back(&told.stdout)), codes(&plainly.stdout), "{told:?}");
    assert!(
        told.stdout.contains("it is redacted: names, ids, addresses and MACs are pseudonyms"),
        "{told:?}"
    );

    // By another key, or by none, the same machines are others.
    let strange = lab.path("strange.tar.zst");
    redact(&["gw", "isp", "external", "fabric"], &strange);
    for (other, why) in [
        (&strange, Some("they are redacted by different keys")),
        (&plain, Some("some of them are redacted and others are not")),
        (&others, None),
    ] {
        let both = ["--bundle", first.to_str().unwrap(), "--bundle", other.to_str().unwrap()];
        let told = lab.lab.hopline(&[&["diagnose", table.pseudonym("web1"), "--json"], &both[..]].concat());
        assert_eq!(told.stdout.contains(": a machine has a"), why.is_some(), "{why:?}: {told:?}");
        assert!(why.is_none_or(|why| told.stdout.contains(why)), "{why:?}: {told:?}");
    }

    let secret = fs::read_to_string(&key).unwrap();
    let secret = secret.lines().find(|line| line.len() == 64).unwrap();
    let raw = printed(&["tar", "--zstd", "-xOf", first.to_str().unwrap()]);
    assert!(!raw.contains(secret) && raw.contains("\"redacted\": true"));
}

#[test]
fn what_cannot_be_redacted_is_refused() {
    let lab = Lab { lab: TestLab::named("rn"), folder: tempfile::tempdir().unwrap() };
    let (key, none, out) = (lab.path("key"), lab.path("none"), lab.path("out.tar.zst"));
    fs::write(&key, "hopline.redact-key/1\n12\n").unwrap();
    let (key, none, out) = (key.to_str().unwrap(), none.to_str().unwrap(), out.to_str().unwrap());
    let collect = |more: &[&str]| lab.lab.hopline(&[&["collect", "-o", out], more].concat());
    assert_refused(&collect(&["--redact", "--redact-key", none]), &["cannot read the key", "No such file"]);
    assert_refused(&collect(&["--redact", "--redact-key", key]), &["cannot read the key", "64 hex digits"]);
    assert_refused(&collect(&["--redact", "--bundle", none]), &["cannot read the bundle", "No such file"]);
    assert_refused(
        &collect(&["--redact", "--bundle", key]),
        &["cannot redact the bundle", "it is no bundle"],
    );
    assert_refused(&collect(&["--bundle", none]), &["--redact"]);
    // However it is spelt: nobody would have the true names any more.
    let spelt = format!("{}/./out.tar.zst", lab.folder.path().display());
    assert_refused(&collect(&["--redact", "--bundle", &spelt]), &["`-o` would write over"]);
    assert_refused(&collect(&["--redact", "--capture", &spelt]), &["`-o` would write over"]);
    assert!(!Path::new(out).exists());
}
