//! Runs the real program, away from any site file of this machine.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod capture_files;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a run printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs hopline in a folder of its own, which holds nothing but what the test wrote.
pub(crate) fn hopline(folder: &Path, arguments: &[&str]) -> Run {
    let output = command(folder).args(arguments).output().expect("hopline starts");
    read(output)
}

/// The program, in that folder and with an environment that decides nothing.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
    command.current_dir(folder).env("HOME", folder).env_remove("COLUMNS").env_remove("NO_COLOR");
    command.env("LC_ALL", "C.UTF-8");
    command
}

pub(crate) fn read(output: Output) -> Run {
    Run {
        code: output.status.code().expect("an exit, not a signal"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
    }
}

/// A folder with a site file of one local host, and what is appended to it.
pub(crate) fn site(more: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("site.toml");
    let text = format!("[[host]]\nname = \"compute1\"\nat = \"local\"\n{more}");
    std::fs::write(&file, text).expect("the site file is written");
    (folder, file)
}

/// Demands exit code 2, nothing on stdout, and these pieces in a message that no terminal obeys.
pub(crate) fn assert_refused(run: &Run, pieces: &[&str]) {
    assert_eq!(run.code, 2, "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert!(run.stderr.starts_with("hopline: error: "), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    assert!(!run.stderr.chars().any(|c| c != '\n' && c.is_control()), "{run:?}");
    for piece in pieces {
        assert!(run.stderr.contains(piece), "{piece:?} is missing: {run:?}");
    }
}
