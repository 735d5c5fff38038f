//! A long `db check` tells on a terminal what it is looking for, and nowhere else. Goal: who waits knows what for, and
//! a script reads nothing but the answer. Method: a SQLite file that another holds locked for longer than a second, and
//! hopline's stderr on a terminal, or in a pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cli_support::{command, site};
use nix::pty::openpty;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// For a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
/// What takes less is not worth a word; a little more than that.
const LONG: Duration = Duration::from_millis(1100);

/// A site whose database others may lock.
struct Locked {
    folder: TempDir,
    runtime: Runtime,
    holder: SqliteConnection,
}

impl Locked {
    fn new() -> Locked {
        let (folder, _) = site("[cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n");
        let path = Locked::file(folder.path());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let holder = runtime.block_on(options.connect()).unwrap();
        let mut locked = Locked { folder, runtime, holder };
        locked.run(include_str!("../../cloud/tests/fixtures/queens.sql"));
        locked.run("BEGIN EXCLUSIVE");
        locked
    }

    fn file(folder: &Path) -> PathBuf {
        folder.join("nova.sqlite")
    }

    fn run(&mut self, sql: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(query.execute(&mut self.holder)).unwrap();
    }

    /// Runs `db check --json`, which waits for the file longer than a second; its exit code and stdout.
    fn check(mut self, stderr: Stdio) -> (i32, String) {
        let arguments = ["db", "check", "--json", "--now", "2026-11-26T12:00:00", "--timeout", "30s"];
        let mut command = command(self.folder.path());
        let child =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let child = child.unwrap();
        drop(command);
        self.is_opened_by(&child);
        let opened = Instant::now();
        while opened.elapsed() < LONG {
            std::thread::sleep(LONG.saturating_sub(opened.elapsed()));
        }
        self.run("COMMIT");
        let output = child.wait_with_output().unwrap();
        let Locked { runtime, holder, .. } = self;
        runtime.block_on(holder.close()).unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// Waits until the program has the database's file open.
    fn is_opened_by(&self, child: &Child) {
        let file = Locked::file(self.folder.path()).canonicalize().unwrap();
        let folder = format!("/proc/{}/fd", child.id());
        let is_open = || {
            let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            files.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path == file)
        };
        let deadline = Instant::now() + PATIENCE;
        while !is_open() {
            assert!(Instant::now() < deadline, "hopline does not open {}", file.display());
            std::thread::yield_now();
        }
    }
}

#[test]
fn on_a_terminal_each_step_is_told() {
    let pty = openpty(None, None).unwrap();
    let (code, stdout) = Locked::new().check(Stdio::from(pty.slave));
    assert!(stdout.starts_with('{') && matches!(code, 0 | 1), "{code} {stdout}");
    // With its other end closed, a terminal gives what was written, and then an error in the place of an end.
    let mut told = Vec::new();
    let _ = File::from(pty.master).read_to_end(&mut told);
    let told = String::from_utf8(told).unwrap();
    for step in ["float-tied-to-deleted-instance", "group-membership-of-deleted-group"] {
        let line = format!("hopline: looking in the database for {step} ...\r\n");
        assert!(told.contains(&line), "{line:?} is missing: {told:?}");
    }
    assert!(!told.contains("nova.sqlite"), "{told}");
}

#[test]
fn in_a_pipe_there_is_nothing_but_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stderr");
    let (code, stdout) = Locked::new().check(Stdio::from(File::create(&path).unwrap()));
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["command"]), (1, &serde_json::json!("db check")), "{report:#}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}
