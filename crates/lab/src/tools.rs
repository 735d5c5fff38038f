//! The programs that the lab is made of, and Debian's names for their packages.

use sys::programs::find;

use crate::LabError;

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
