//! The shared libraries that programs need.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::VmError;
use crate::program::program;

/// Every library that one of the programs is loaded with, the loader itself among them, as ldd(1) tells.
/// Programs that need none, such as scripts, add nothing.
pub(super) fn of(programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>, VmError> {
    let started = program("ldd").args(programs).output();
    let output = started.map_err(|source| VmError::NoProgram {
        program: "ldd".to_owned(),
        package: "libc-bin",
        source,
    })?;
    // It fails where one of the programs needs no libraries, having told those of all others.
    let told = String::from_utf8_lossy(&output.stdout);
    match told.lines().find(|line| line.ends_with("not found")) {
        Some(line) => Err(VmError::Program { program: "ldd".to_owned(), said: line.trim().to_owned() }),
        None => Ok(told.lines().filter_map(library).map(PathBuf::from).collect()),
    }
}

/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, or without a name before: the loader.
fn library(line: &str) -> Option<&str> {
    let line = line.strip_prefix('\t')?;
    let path = line.split_once(" => ").map_or(line, |(_, path)| path);
    let (path, _address) = path.rsplit_once(" (")?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        assert_eq!(
            library("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)"),
            Some("/lib/x86_64-linux-gnu/libc.so.6")
        );
        assert_eq!(library("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007f)"), None);
        assert_eq!(library("\tnot a dynamic executable"), None);
        assert_eq!(library("/usr/bin/ping:"), None);
    }

    #[test]
    fn this_program_needs_the_c_library_and_a_script_adds_nothing() {
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), "#!/bin/sh\n").unwrap();
        let found = of(&[std::env::current_exe().unwrap(), script.path().to_owned()]).unwrap();
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.contains(&"libc.so.6") && names.contains(&"ld-linux-x86-64.so.2"), "{names:?}");
    }
}
