//! The programs that the lab is made of, and Debian's names for their packages.

use sys::programs::find;

use crate::LabError;
use crate::shape::{GuestKind, Shape};

/// Program and package.
const NEEDED: [(&str, &str); 8] = [
    ("iptables-nft", "iptables"),
    ("iptables-nft-save", "iptables"),
    ("iptables-nft-restore", "iptables"),
    ("ebtables-nft", "iptables"),
    ("dnsmasq", "dnsmasq-base"),
    ("dhcp_release", "dnsmasq-utils"),
    ("busybox", "busybox"),
    ("conntrack", "conntrack"),
];
/// What instances that are virtual machines need beside.
const MACHINE: (&str, &str) = ("qemu-system-x86_64", "qemu-system-x86");

/// Finds every program, or names all that are missing with the packages to install.
pub(crate) fn check(shape: &Shape) -> Result<(), LabError> {
    let machine = match shape.guest {
        GuestKind::Netns => None,
        GuestKind::Qemu => Some(MACHINE),
    };
    let needed = NEEDED.into_iter().chain(machine);
    let missing: Vec<_> = needed.filter(|(program, _)| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Err(LabError::MissingTools { programs, packages: packages.join(" ") })
}
