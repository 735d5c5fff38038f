//! Which programs a machine has, as far as they say so: who reads its facts elsewhere knows what they can do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use crate::{nova_version, tool};

/// What each of them is asked, all of which only print and end. Of several with one name the first that answers counts.
const PROGRAMS: [(&str, &str, &str); 8] = [
    ("nft", "nft", "--version"),
    ("iptables", "iptables-save", "--version"),
    ("iptables-legacy", "iptables-legacy-save", "--version"),
    ("iproute2", "ip", "-V"),
    ("dnsmasq", "dnsmasq", "--version"),
    ("libvirt", "libvirtd", "--version"),
    ("libvirt", "virtqemud", "--version"),
    ("qemu", "qemu-system-x86_64", "--version"),
];

/// Longest line that is kept.
const LINE_MAX: usize = 200;

/// What the kernel and those programs that are there call themselves, and what nova's packages say: nova itself is
/// nothing that may be run by somebody who only looks.
pub fn versions() -> BTreeMap<String, String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|release| ("kernel", release));
    let nova = nova_version::read(Path::new("/")).map(|version| ("nova", version));
    let told = thread::scope(|scope| {
        let ask = |(name, program, option): (&'static str, &'static str, &'static str)| {
            scope.spawn(move || Some((name, tool::run(program, &[option]).ok()?)))
        };
        let asked = PROGRAMS.map(ask);
        asked.map(|thread| thread.join().unwrap_or_default())
    });
    let mut versions = BTreeMap::new();
    for (name, text) in kernel.into_iter().chain(nova).chain(told.into_iter().flatten()) {
        let line = text.lines().next().unwrap_or_default().trim();
        if !line.is_empty() {
            versions.entry(name.to_owned()).or_insert_with(|| line.chars().take(LINE_MAX).collect());
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_says_what_it_is() {
        let versions = versions();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(versions["kernel"], kernel.trim());
        for (name, says) in [("nft", "nftables v"), ("iptables", "iptables"), ("iproute2", "iproute2")] {
            assert!(versions[name].contains(says), "{name}: {versions:?}");
        }
        assert!(versions.values().all(|line| line.chars().any(|c| c.is_ascii_digit())), "{versions:?}");
    }
}
