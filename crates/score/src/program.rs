//! `hopline` as a user runs it: by its command line.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::ScoreError;

/// After which a program is ended, in seconds, and counts as failed. A virtual machine without KVM boots in one.
const PATIENCE_S: &str = "300";

/// The program that is scored.
#[derive(Debug, Clone)]
pub struct Hopline {
    /// Its file.
    pub program: PathBuf,
}

/// What a run of it came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said of errors.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Hopline {
    /// Runs it to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Ran, ScoreError> {
        let mut command = Command::new("timeout");
        // As busybox has it, too.
        command.args(["-k", "5", PATIENCE_S]).arg(&self.program).args(words);
        let started = Instant::now();
        let output = finish(&mut command)?;
        let took = started.elapsed();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            took,
        })
    }

    /// Whether it has this command.
    pub fn can(&self, command: &str) -> Result<bool, ScoreError> {
        Ok(self.run([command, "--help"])?.code == Some(0))
    }

    /// The commit that it was built of, as git(1) tells for the folder that its file is in; `unknown` where git does
    /// not tell, and with `+` where something that belongs to it has been changed since.
    pub fn commit(&self) -> String {
        let folder = self.program.parent().unwrap_or(Path::new("."));
        let git = |words: &[&str]| {
            let output = Command::new("git").arg("-C").arg(folder).args(words).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
        let changed =
            git(&["status", "--porcelain", "--", ":/crates", ":/Cargo.lock", ":(top,exclude)crates/score"]);
        let is_changed = changed.is_none_or(|lines| !lines.is_empty());
        if is_changed { format!("{commit}+") } else { commit }
    }
}

/// Runs a command to its end, out of reach of the terminal's Ctrl-C, which is ours to act on.
pub(crate) fn finish(command: &mut Command) -> Result<Output, ScoreError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.process_group(0).stdin(Stdio::null()).output();
    output.map_err(|source| ScoreError::Start { program, source })
}
