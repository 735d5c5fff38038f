//! The programs that the lab is made of, and Debian's names for their packages.

use std::path::{Path, PathBuf};

use crate::LabError;

/// Where Debian keeps them; an ordinary user's PATH lacks the sbin directories.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Program and package.
const NEEDED: [(&str, &str); 4] = [
    ("iptables-nft", "iptables"),
    ("iptables-nft-restore", "iptables"),
    ("dnsmasq", "dnsmasq-base"),
    ("busybox", "busybox"),
];

/// Finds every program, or names all that are missing with the packages to install.
pub(crate) fn check() -> Result<(), LabError> {
    let missing: Vec<_> = NEEDED.iter().filter(|(program, _)| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Err(LabError::MissingTools { programs, packages: packages.join(" ") })
}

/// Full path of a program; its bare name where it is not found, for the error that follows.
pub(crate) fn path_of(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| PathBuf::from(program))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SBIN.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate: &PathBuf| Path::is_file(candidate))
}
