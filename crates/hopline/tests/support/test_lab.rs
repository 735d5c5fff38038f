//! A lab of a test's own, built by `hopline lab up` and removed when the test ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::report::Report;
use crate::cli_support::{self, Run};

/// A lab of a test's own.
pub(crate) struct TestLab {
    pub(crate) name: String,
    /// The program's working directory: empty, so that no other site file is found.
    folder: TempDir,
}

impl TestLab {
    /// Builds one. `tag` tells apart the labs of one test program.
    pub(crate) fn up(tag: &str) -> TestLab {
        TestLab::up_as(tag, &[])
    }

    /// Builds one of this shape.
    pub(crate) fn up_as(tag: &str, shape: &[&str]) -> TestLab {
        let lab = TestLab::named(tag);
        let run = lab.lab("up", shape);
        assert_eq!(run.code, 0, "{run:?}");
        lab
    }

    /// The same without building anything.
    pub(crate) fn named(tag: &str) -> TestLab {
        static TAGS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let is_new = TAGS.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.to_owned());
        assert!(is_new, "two labs of this test program are tagged {tag}: they would meet when both are up");
        // At most 16 characters: pids have seven digits at most (proc(5), pid_max).
        let name = format!("ht-e2e-{tag}{}", std::process::id());
        TestLab { name, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Name of the namespace of a host, as `lab up` calls it.
    pub(crate) fn netns(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.name)
    }

    /// Where the lab keeps its files.
    pub(crate) fn state(&self) -> PathBuf {
        PathBuf::from("/run/hopline").join(&self.name)
    }

    pub(crate) fn site(&self) -> PathBuf {
        self.state().join("site.toml")
    }

    /// Runs hopline on the lab's site. In a virtual machine it has time for what computes slowly there.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let site = self.site();
        let site = ["--site", site.to_str().expect("UTF-8")];
        let time: &[&str] = if vm::is_in_machine() { &["--timeout", "60s"] } else { &[] };
        self.hopline(&[arguments, &site, time].concat())
    }

    /// Runs `hopline lab VERB` on this lab.
    pub(crate) fn lab(&self, verb: &str, arguments: &[&str]) -> Run {
        self.hopline(&[&["lab", verb], arguments, &["--name", &self.name]].concat())
    }

    /// What `hopline lab VERB --json` prints.
    pub(crate) fn lab_json(&self, arguments: &[&str]) -> serde_json::Value {
        let (verb, rest) = arguments.split_first().expect("a verb");
        let run = self.lab(verb, &[rest, &["--json"]].concat());
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {run:?}"))
    }

    /// An instance, as the cloud's database has it.
    pub(crate) fn instance(&self, name: &str) -> serde_json::Value {
        let show = self.lab_json(&["show"]);
        let instances = show["instances"].as_array().expect("a list");
        let found = instances.iter().find(|other| other["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {show}")).clone()
    }

    /// Its fixed address.
    pub(crate) fn address(&self, instance: &str) -> String {
        self.instance(instance)["addresses"][0].as_str().expect("an address").to_owned()
    }

    /// The gateway that an instance has from its lease.
    pub(crate) fn gateway_of(&self, instance: &str) -> String {
        let routes = super::printed_in(&self.netns(instance), &["ip", "-4", "route", "show", "default"]);
        routes.split_whitespace().nth(2).unwrap_or_else(|| panic!("{instance}: {routes}")).to_owned()
    }

    /// Runs hopline.
    pub(crate) fn hopline(&self, arguments: &[&str]) -> Run {
        cli_support::hopline(self.folder.path(), arguments)
    }

    /// Runs hopline with `--json` on the lab's site.
    pub(crate) fn report(&self, arguments: &[&str]) -> Report {
        Report::of(&self.run(&[arguments, &["--json"]].concat()), arguments)
    }

    /// Demands that no question finds anything, with packets sent and without.
    #[track_caller]
    pub(crate) fn assert_healthy(&self) {
        for question in [&["check"][..], &["diagnose", "--all"], &["diagnose", "--all", "--passive"]] {
            self.report(question).assert_healthy(&question.join(" "));
        }
    }

    pub(crate) fn break_fault(&self, code: &str) {
        let run = self.lab("break", &[code]);
        assert_eq!(run.code, 0, "{run:?}");
    }

    pub(crate) fn heal(&self) {
        let run = self.lab("heal", &[]);
        assert_eq!(run.code, 0, "{run:?}");
    }
}

impl Drop for TestLab {
    fn drop(&mut self) {
        let run = self.lab("down", &[]);
        if !std::thread::panicking() {
            assert_eq!(run.code, 0, "{run:?}");
        }
    }
}
