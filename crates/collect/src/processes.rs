//! Processes that matter to the network, and the namespaces they are in (/proc/PID).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::service::Process;

/// Programs worth telling of, by the start of their name.
const NAMES: [&str; 8] = ["dnsmasq", "nova-", "libvirtd", "virtqemud", "qemu-", "qemu", "neutron-", "udhcpd"];

/// Every such process of the machine, once for all its hosts.
pub(crate) fn scan() -> Vec<Process> {
    let booted = booted();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<Process> = pids
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            process(pid, &entry.path(), booted)
        })
        .collect();
    found.sort_by_key(|p| p.pid);
    found
}

fn process(pid: u32, folder: &Path, booted: Option<Duration>) -> Option<Process> {
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
        parent: field("PPid:").and_then(|pid| pid.parse().ok()),
        user: field("Uid:").unwrap_or_default(),
        state: field("State:").unwrap_or_default(),
        argv,
        netns: fs::metadata(folder.join("ns/net")).ok().map(|m| m.ino()),
        started_ms: booted.and_then(|booted| started_ms(folder, booted)),
    })
}

/// Ticks of a second in what the kernel tells users (`USER_HZ`, include/asm-generic/param.h).
const TICKS_PER_SECOND: u64 = 100;

/// When a process was started: the kernel tells it in ticks since the machine came up (proc_pid_stat(5), `starttime`).
fn started_ms(folder: &Path, booted: Duration) -> Option<u64> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    u64::try_from(booted.as_millis()).ok()?.checked_add(ticks.checked_mul(1000)? / TICKS_PER_SECOND)
}

/// When the machine came up, since the epoch; no earlier than it was, and later by what passes between two readings.
/// Of several the shortest is taken: a busy machine may let this program wait in one.
fn booted() -> Option<Duration> {
    let up_then_now = |_| uptime().map(|up| (up, SystemTime::now()));
    let since_epoch = |at: SystemTime| at.duration_since(UNIX_EPOCH).ok();
    (0..4).filter_map(up_then_now).filter_map(|(up, now)| since_epoch(now)?.checked_sub(up)).min()
}

fn uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}
