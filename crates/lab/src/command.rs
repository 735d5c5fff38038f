//! Programs run inside a namespace of the lab, by argument list.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use plumbing::Namespace;
use sys::programs;

use crate::LabError;
use crate::error::file;

/// A program with its arguments.
pub(crate) fn command<I, S>(program: &str, args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: Into<OsString>,
{
    let mut command = Command::new(programs::path_of(program));
    command.args(args.into_iter().map(Into::into));
    // Its own process group, so that Ctrl-C on `lab up` does not reach what is meant to stay.
    command.process_group(0).current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a program to its end, with `input` on its stdin; an unsuccessful end is an error.
pub(crate) fn run(ns: &Namespace, mut command: Command, input: &str) -> Result<(), LabError> {
    command.stdout(Stdio::null());
    finish(ns, command, input).map(drop)
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn output(ns: &Namespace, mut command: Command) -> Result<String, LabError> {
    command.stdout(Stdio::piped());
    finish(ns, command, "").map(|stdout| String::from_utf8_lossy(&stdout).into_owned())
}

fn finish(ns: &Namespace, mut command: Command, input: &str) -> Result<Vec<u8>, LabError> {
    let line = command_line(&command);
    let start_error = |source| LabError::Start { program: line.clone(), netns: ns.name.clone(), source };
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = sys::netns::spawn_in(&ns.handle, &mut command).map_err(start_error)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why on stderr, which is the better message.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(start_error)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let status = output.status.to_string();
    Err(LabError::Program { program: line, netns: ns.name.clone(), status, stderr })
}

/// Starts a program that stays when hopline has ended, its output appended to a file; its process id.
pub(crate) fn start(ns: &Namespace, mut command: Command, output: &Path) -> Result<u32, LabError> {
    let line = command_line(&command);
    let log = append_to(output)?;
    let errors = log.try_clone().map_err(file("open", output))?;
    command.stdout(log).stderr(errors);
    match sys::netns::spawn_in(&ns.handle, &mut command) {
        Ok(child) => Ok(child.id()),
        Err(source) => Err(LabError::Start { program: line, netns: ns.name.clone(), source }),
    }
}

fn append_to(path: &Path) -> Result<File, LabError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(file("open", path))
}

fn command_line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
