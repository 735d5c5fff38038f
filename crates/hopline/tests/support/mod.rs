//! What the end-to-end tests share: a lab that is taken down whatever happens, the program's JSON held to
//! the contract, and commands in namespaces. The program is driven as a user drives it, by its command
//! line alone.

#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod bundles;
pub(crate) mod capturing;
pub(crate) mod closed;
pub(crate) mod dnsmasq;
pub(crate) mod hosts;
pub(crate) mod machine;
pub(crate) mod name_server;
pub(crate) mod pseudonyms;
pub(crate) mod reach;
pub(crate) mod report;
pub(crate) mod test_lab;
pub(crate) mod wire;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Runs a command to its end.
pub(crate) fn run(argv: &[&str]) -> Output {
    let (program, arguments) = argv.split_first().expect("a program");
    Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{argv:?}: {e}"))
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn printed(argv: &[&str]) -> String {
    let output = run(argv);
    assert!(output.status.success(), "{argv:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command in a namespace and returns what it printed.
pub(crate) fn printed_in(netns: &str, argv: &[&str]) -> String {
    printed(&[&["ip", "netns", "exec", netns], argv].concat())
}

/// Types what hopline advises, as it stands; returns what failed.
pub(crate) fn typed<'v>(commands: impl Iterator<Item = &'v Value>) -> Vec<String> {
    let failure = |command: &Value| {
        let output = run(&["bash", "-c", report::text(command)]);
        (!output.status.success()).then(|| format!("{command}: {output:?}"))
    };
    commands.filter_map(failure).collect()
}

/// A command that goes on until it is dropped.
pub(crate) struct Background(Child);

impl Background {
    /// Starts it in a namespace.
    pub(crate) fn within(netns: &str, argv: &[&str]) -> Background {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns]).args(argv).stdout(Stdio::null()).stderr(Stdio::null());
        Background(command.spawn().unwrap_or_else(|e| panic!("{argv:?}: {e}")))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and kills it after this long, done or not; whether it was not.
pub(crate) fn killed_after(program: &mut Command, arguments: &[&str], after: Duration) -> bool {
    let moment = Instant::now() + after;
    killed_once(program, arguments, || Instant::now() >= moment)
}

/// Starts a program and kills it once this holds, done or not; whether it was not.
pub(crate) fn killed_once(
    program: &mut Command,
    arguments: &[&str],
    mut holds: impl FnMut() -> bool,
) -> bool {
    let mut child = program
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{arguments:?}: {e}"));
    while !holds() {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    child.kill().expect("it runs");
    child.wait().expect("a child").code().is_none()
}

/// Runs statements on a SQLite file, as an operator by hand.
pub(crate) fn sqlite(database: &Path, sql: &str) {
    let program =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()";
    printed(&["python3", "-c", program, database.to_str().expect("UTF-8"), sql]);
}

/// Fails with every complaint of a test that goes on after the first.
#[track_caller]
pub(crate) fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}

/// xorshift64 (Marsaglia 2003): enough to pick moments, and the same ones from the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound_us = u64::try_from(bound.as_micros()).expect("minutes at most");
        Duration::from_micros(self.0 % bound_us)
    }
}
