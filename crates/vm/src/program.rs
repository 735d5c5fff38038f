//! Programs that are run to their end.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::VmError;

/// A program by its name, to be given its arguments.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(sys::programs::path_of(name));
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs it and returns what it printed; that it fails is an error with its complaint. `package` is Debian's
/// that has the program.
pub(crate) fn run(command: &mut Command, package: &'static str) -> Result<String, VmError> {
    let path = std::path::Path::new(command.get_program());
    let program = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(VmError::NoProgram { program, package, source }),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(VmError::Program { program, said: format!("{}: {}", output.status, complaint.trim()) })
}
