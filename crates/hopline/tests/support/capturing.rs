//! `hopline capture` under way, to be ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use super::printed;
use crate::cli_support::{Run, command, read};

/// A capture under way; what it says is read as it comes, and kept.
pub(crate) struct Capture {
    pub(crate) child: Child,
    pub(crate) stderr: BufReader<ChildStderr>,
    pub(crate) said: String,
}

impl Capture {
    /// Starts one, and returns once it watches.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Capture {
        let mut command = command(folder);
        command.arg("capture").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut capture = Capture { child, stderr, said: String::new() };
        while !capture.said.contains("hopline: watching ") {
            assert!(capture.stderr.read_line(&mut capture.said).unwrap() > 0, "it ended: {}", capture.said);
        }
        capture
    }

    pub(crate) fn signal(&self, name: &str) {
        printed(&["kill", "-s", name, &self.child.id().to_string()]);
    }

    pub(crate) fn finish(mut self) -> Run {
        std::io::Read::read_to_string(&mut self.stderr, &mut self.said).unwrap();
        let run = read(self.child.wait_with_output().unwrap());
        Run { stderr: self.said, ..run }
    }
}
