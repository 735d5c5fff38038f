//! What is in the virtual machine: the network's tools of this machine, Debian's modules, and a first process
//! that runs what it is told.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::archive::Archive;
use crate::kernel::Kernel;
use crate::{Image, VmError, cache, packages};

use super::libraries;

const INIT: &str = include_str!("init.sh");

/// The tools that tests of the network start, those that this machine has. What it lacks is lacking there too.
const TOOLS: [&str; 19] = [
    "ip",
    "bridge",
    "tc",
    "ss",
    "nft",
    "ipset",
    "conntrack",
    "dnsmasq",
    "dhcp_release",
    "tcpdump",
    "ping",
    "arping",
    "ethtool",
    "sysctl",
    "setpriv",
    "unshare",
    "nsenter",
    "bash",
    // busybox's takes a module that is still being loaded for one that is there, and so the kernel finds nothing in it
    // where two namespaces ask at once.
    "modprobe",
];

/// Where firewall tools are, which have many names, and what these begin with.
const FIREWALL_FOLDER: &str = "/usr/sbin";
const FIREWALL: [&str; 5] = ["iptables", "ip6tables", "ebtables", "arptables", "xtables"];

/// Files and folders that tools read: plugins, names of numbers.
const READ: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/xtables",
    "/usr/lib/tc",
    "/etc/iproute2",
    "/etc/protocols",
    "/etc/services",
    "/etc/ethertypes",
];

/// Folders of modules that are taken whole, and single modules.
const MODULES: [&str; 21] = [
    "kernel/net/8021q/",
    "kernel/net/bridge/",
    "kernel/net/ipv4/",
    "kernel/net/ipv6/",
    "kernel/net/netfilter/",
    "kernel/net/sched/",
    "kernel/drivers/net/bonding/",
    "kernel/drivers/net/vxlan/",
    "kernel/drivers/net/dummy.ko",
    "kernel/drivers/net/geneve.ko",
    "kernel/drivers/net/ifb.ko",
    "kernel/drivers/net/macvlan.ko",
    "kernel/drivers/net/tun.ko",
    "kernel/drivers/net/veth.ko",
    "kernel/drivers/net/vrf.ko",
    "kernel/net/packet/",
    "kernel/drivers/block/virtio_blk.ko",
    "kernel/drivers/virtio/virtio_pci.ko",
    // Connection tracking asks for this checksum by name (`libcrc32c`), so that nothing tells of the need.
    "kernel/crypto/crc32c_generic.ko",
    "kernel/arch/x86/crypto/crc32c-intel.ko",
    "kernel/lib/libcrc32c.ko",
];

/// An initramfs in the making: what stands where, by its path there, without the slash before it.
#[derive(Default)]
struct Content {
    files: BTreeMap<String, PathBuf>,
    links: BTreeMap<String, String>,
}

/// The image, built where the cache has none of just this content. `named` are programs of this machine beside
/// the tools, `built` those whose libraries must be there.
pub(super) fn image(cache: &Path, named: &[&str], built: &[PathBuf]) -> Result<Image, VmError> {
    let package = packages::kernel(cache)?;
    let busybox = packages::busybox(cache)?;
    let content = content(named, built)?;
    let recipe = recipe(&content, &[&package, &busybox])?;
    let kernel = Kernel::unpack(cache, &package)?;
    let initramfs = cache::keep_initramfs(cache, "testbed", &[recipe.as_bytes()], |path| {
        let busybox = packages::unpack(cache, &busybox, |_| Ok(()))?.join("bin/busybox");
        write(path, &kernel, &busybox, &content)
    })?;
    Ok(Image { kernel: kernel.image(), initramfs })
}

fn write(path: &Path, kernel: &Kernel, busybox: &Path, content: &Content) -> Result<(), VmError> {
    let mut archive = Archive::create(path)?;
    for folder in ["bin", "sbin", "lib", "lib64"] {
        archive.link(folder, &format!("usr/{folder}"))?;
    }
    archive.file("init", 0o755, INIT.as_bytes())?;
    archive.copy("usr/bin/busybox", busybox)?;
    content.files.iter().try_for_each(|(path, from)| archive.copy(path, from))?;
    content.links.iter().try_for_each(|(path, target)| archive.link(path, target))?;
    kernel.must_have("kernel/net/8021q/8021q.ko")?;
    kernel.add_modules(&mut archive, |module| MODULES.iter().any(|place| module.starts_with(place)))?;
    archive.finish().map(drop)
}

fn content(named: &[&str], built: &[PathBuf]) -> Result<Content, VmError> {
    let tools = TOOLS.iter().filter_map(|tool| sys::programs::find(tool));
    let names = fs::read_dir(FIREWALL_FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_firewall = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        FIREWALL.iter().any(|begin| name.starts_with(begin))
    };
    let mut programs: Vec<PathBuf> = tools.chain(names.filter(is_firewall)).collect();
    for name in named {
        let found = sys::programs::find(name).ok_or_else(|| VmError::Unfit {
            what: "a program for the virtual machine",
            value: (*name).to_owned(),
            why: "this machine has none of this name",
        })?;
        programs.push(found);
    }
    let mut content = Content::default();
    programs.iter().for_each(|program| content.add(program));
    let mut linked: Vec<PathBuf> = content.files.values().cloned().collect();
    linked.extend_from_slice(built);
    libraries::of(&linked)?.iter().for_each(|library| content.add(library));
    READ.iter().map(Path::new).try_for_each(|path| content.add_all(path))?;
    Ok(content)
}

impl Content {
    /// A file, with the link to it where `path` is one. A link to nowhere, such as an alternative of a package
    /// that is gone, adds nothing.
    fn add(&mut self, path: &Path) {
        let Ok(file) = fs::canonicalize(path) else { return };
        let (stands, name) = (merged(&file), merged(path));
        if stands != name {
            self.links.insert(name, format!("/{stands}"));
        }
        self.files.insert(stands, file);
    }

    /// A file, or a folder and all that is in it; where there is none, nothing.
    fn add_all(&mut self, path: &Path) -> Result<(), VmError> {
        if !path.is_dir() {
            self.add(path);
            return Ok(());
        }
        let entries = fs::read_dir(path).map_err(VmError::file("read", path))?.flatten();
        entries.map(|entry| entry.path()).try_for_each(|path| self.add_all(&path))
    }
}

/// A path of this machine in the virtual one, where /bin, /sbin, /lib and /lib64 are links to those in /usr,
/// as they are by now on every Debian.
fn merged(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.trim_start_matches('/');
    let top = path.split('/').next().unwrap_or_default();
    let is_moved = ["bin", "sbin", "lib", "lib64"].contains(&top);
    if is_moved { format!("usr/{path}") } else { path.to_owned() }
}

/// What the image is made from, in words: another tool, or another version of it, is another image.
fn recipe(content: &Content, made_from: &[&Path]) -> Result<String, VmError> {
    let mut words = format!("{INIT}\n{MODULES:?}\n{made_from:?}\n{:?}\n", content.links);
    for (path, from) in &content.files {
        let told = fs::metadata(from).map_err(VmError::file("read", from))?;
        words.push_str(&format!("{path} {} {}.{}\n", told.size(), told.mtime(), told.mtime_nsec()));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_the_root_here_is_under_usr_there() {
        assert_eq!(
            merged(Path::new("/lib/x86_64-linux-gnu/libc.so.6")),
            "usr/lib/x86_64-linux-gnu/libc.so.6"
        );
        assert_eq!(merged(Path::new("/lib64/ld-linux-x86-64.so.2")), "usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(merged(Path::new("/usr/sbin/ip")), "usr/sbin/ip");
        assert_eq!(merged(Path::new("/etc/services")), "etc/services");
    }

    #[test]
    fn tools_come_with_their_libraries_and_other_names() {
        let content = content(&[], &[]).unwrap();
        let files: Vec<&String> = content.files.keys().collect();
        let has = |end: &str| files.iter().any(|file| file.ends_with(end));
        assert!(has("/ip") && has("/xtables-nft-multi") && has("/libxt_comment.so"), "{files:?}");
        assert!(has("/libmnl.so.0") || content.links.keys().any(|link| link.ends_with("/libmnl.so.0")));
        assert_eq!(content.links["usr/sbin/iptables-nft-save"], "/usr/sbin/xtables-nft-multi");
        assert!(super::content(&["no-such-program"], &[]).is_err());
    }
}
