//! Processes that matter to the network, and the namespaces they are in (/proc/PID).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use model::service::Process;

/// Programs worth telling of, by the start of their name.
const NAMES: [&str; 8] = ["dnsmasq", "nova-", "libvirtd", "virtqemud", "qemu-", "qemu", "neutron-", "udhcpd"];

/// Every such process of the machine, once for all its hosts.
pub(crate) fn scan() -> Vec<Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<Process> = pids
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            process(pid, &entry.path())
        })
        .collect();
    found.sort_by_key(|p| p.pid);
    found
}

fn process(pid: u32, folder: &Path) -> Option<Process> {
    let comm = fs::read_to_string(folder.join("comm")).ok()?;
    if !NAMES.iter().any(|name| comm.starts_with(name)) {
        return None;
    }
    let line = fs::read(folder.join("cmdline")).ok()?;
    let arguments = line.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned());
    let mut argv: Vec<String> = arguments.collect();
    // The line ends with a NUL, so the last piece is empty; an empty argument before it is kept.
    argv.pop();
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let field = |name: &str| {
        status.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next().map(str::to_owned))
    };
    Some(Process {
        pid,
        user: field("Uid:").unwrap_or_default(),
        state: field("State:").unwrap_or_default(),
        argv,
        netns: fs::metadata(folder.join("ns/net")).ok().map(|m| m.ino()),
    })
}
