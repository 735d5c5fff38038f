//! Where programs are.

use std::path::{Path, PathBuf};

/// Where administration's programs are kept; an ordinary user's PATH lacks these.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Full path of a program, in PATH or where an ordinary user's PATH does not lead.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SBIN.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate: &PathBuf| Path::is_file(candidate))
}

/// The same; its bare name where it is not found, for the error that follows.
pub fn path_of(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| PathBuf::from(program))
}
