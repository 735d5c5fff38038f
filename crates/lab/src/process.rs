//! Processes in the lab's namespaces: found by the inode of their namespace, ended, waited for.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::LabError;
use crate::error::file;

/// How long a process may take to end when asked, before it is killed.
const GRACE: Duration = Duration::from_millis(500);
/// How long the kernel may take to end a killed one.
const KILL_DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// A process in one of the lab's namespaces.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub pid: i32,
    /// Its arguments, the program first.
    pub args: Vec<String>,
}

impl Process {
    /// Whether any argument contains this text, as nova looks for its dnsmasq in /proc/PID/cmdline.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.args.iter().any(|arg| arg.contains(text))
    }
}

/// Every process but this one whose network namespace has one of these inodes.
pub(crate) fn in_namespaces(inodes: &[u64]) -> Result<Vec<Process>, LabError> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(file("list", "/proc"))? {
        let entry = entry.map_err(file("list", "/proc"))?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process that ends while it is looked at is no longer in any namespace.
        let Ok(netns) = fs::metadata(entry.path().join("ns/net")) else { continue };
        if pid.unsigned_abs() != own && inodes.contains(&netns.ino()) {
            found.push(Process { pid, args: arguments(&entry.path()) });
        }
    }
    Ok(found)
}

/// Ends every such process in these namespaces, and returns how many there were.
///
/// Looks again until there is none: a program that was just started forks into the background, and
/// dnsmasq's helper runs its script.
pub(crate) fn end_every(inodes: &[u64], is_meant: impl Fn(&Process) -> bool) -> Result<usize, LabError> {
    let mut count = 0;
    loop {
        let mut found = in_namespaces(inodes)?;
        found.retain(&is_meant);
        if found.is_empty() {
            return Ok(count);
        }
        end(&found)?;
        count += found.len();
    }
}

/// Ends the processes: asks first, kills what is still there after a moment, and waits for all to be gone.
pub(crate) fn end(processes: &[Process]) -> Result<(), LabError> {
    signal_all(processes, Signal::SIGTERM);
    if wait_until_gone(processes, GRACE).is_empty() {
        return Ok(());
    }
    signal_all(processes, Signal::SIGKILL);
    let left = wait_until_gone(processes, KILL_DEADLINE);
    if left.is_empty() {
        return Ok(());
    }
    let pids = left.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    Err(LabError::Unkillable { pids })
}

pub(crate) fn signal_all(processes: &[Process], signal: Signal) {
    for process in processes {
        // The only failure is that it has ended already, which is what is wanted.
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

fn wait_until_gone(processes: &[Process], patience: Duration) -> Vec<i32> {
    let deadline = Instant::now() + patience;
    loop {
        let left: Vec<i32> = processes.iter().map(|p| p.pid).filter(|pid| is_alive(*pid)).collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        std::thread::sleep(POLL);
    }
}

/// A zombie holds no namespace and counts as gone; its parent has yet to fetch its exit status.
fn is_alive(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/net")).is_ok()
}

fn arguments(proc_dir: &Path) -> Vec<String> {
    let bytes = fs::read(proc_dir.join("cmdline")).unwrap_or_default();
    bytes
        .split(|b| *b == 0)
        .filter(|arg| !arg.is_empty())
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect()
}
