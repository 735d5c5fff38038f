//! When processes were started, and in which namespace they hold sockets: what `ps aux` does not tell.

use std::collections::BTreeSet;

use model::Netns;
use model::service::{Dnsmasq, Process};
use model::snapshot::Gap;

use super::files::Files;
use super::{gap, wanted};

/// ps counts from the boot, which the kernel tells in whole seconds, and cuts off what is left of one.
const ROUNDED_S: u64 = 2;

/// Adds to each what other listings tell of it.
pub(super) fn add_to(processes: &mut [Process], files: &Files, netns: &Netns) {
    // In another zone an hour may be told twice, or have been left out since.
    let is_utc = files.command(&["date"]).is_some_and(|(_, text)| parse::ps_started::is_utc(text));
    let is_listing =
        |path: &str| path.strip_prefix("sos_commands/process/").is_some_and(wanted::is_of_starts);
    let listing = files.all().find(|(path, _)| is_listing(path)).filter(|_| is_utc);
    let started = listing.map(|(_, text)| parse::ps_started::parse(text)).unwrap_or_default();
    // ss lists the sockets of one namespace, with whoever holds them.
    let held = files.command(&["ss_-peaonmi"]).map_or_else(BTreeSet::new, |(_, text)| holders(text));
    let mut there: BTreeSet<Vec<String>> = BTreeSet::new();
    for process in &mut *processes {
        let latest = started.get(&process.pid).and_then(|at| at.checked_add(ROUNDED_S));
        process.started_ms = latest.and_then(|at| at.checked_mul(1000));
        if held.contains(&process.pid) {
            process.netns = netns.inode;
            there.insert(process.argv.clone());
        }
    }
    // The helper that runs dnsmasq's scripts is a copy of it without sockets.
    for process in processes.iter_mut().filter(|process| there.contains(&process.argv)) {
        process.netns = netns.inode;
    }
}

/// Who holds a socket of the network: one of another kind may have been handed over from another namespace.
fn holders(listing: &str) -> BTreeSet<u32> {
    let is_of_network = |line: &&str| ["udp ", "tcp ", "raw "].iter().any(|kind| line.starts_with(kind));
    let lines = listing.lines().filter(is_of_network);
    let behind = lines.flat_map(|line| line.split(",pid=").skip(1));
    behind.filter_map(|rest| rest.split(',').next()?.parse().ok()).collect()
}

/// Whether it has read its hosts file as that stands is not known where one of both times is not.
pub(super) fn unknown(server: &Dnsmasq) -> Option<Gap> {
    let is_known = server.started_ms.is_some() && server.hosts_written_ms.is_some();
    let file = server.hosts_file.as_ref().filter(|_| server.hosts.is_some() && !is_known)?;
    let pid = server.pid;
    let what = format!("whether dnsmasq (pid {pid}) was started before {file} was last written");
    let why = "the sosreport does not tell both times in UTC";
    Some(gap(what, why, format!("ps -o lstart= -p {pid}; stat {file}")))
}

#[cfg(test)]
mod tests {
    use super::super::read_folder;
    use super::super::tests::copy_of_sample;

    /// When its dnsmasq was started, whether its namespace is known, and whether the times are a gap.
    fn told(date: &str) -> (Option<u64>, bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let copied = copy_of_sample(folder.path());
        let write = |path: &str, text: &str| {
            let path = copied.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let arguments = "/usr/sbin/dnsmasq --conf-file= --dhcp-script=/usr/bin/nova-dhcpbridge \
                         --dhcp-hostsfile=/var/lib/nova/networks/nova-br100.conf";
        // The second is the helper, which holds no sockets.
        let process = |user, pid| format!("{user} {pid} 0.0 0.0 1 1 ? S 16:36 0:00 {arguments}\n");
        let listed = [process("nobody", 5120), process("root", 5121)].concat();
        write("sos_commands/process/ps_auxwww", &listed);
        let started = "F S UID PID STARTED TT TIME CMD\n5 S 99 5120 Sat Nov 28 16:36:42 2026 ? 00:00:00 x\n";
        write("sos_commands/process/ps_axo_flags_state_uid_pid_lstart_tty_time_cmd", started);
        write("sos_commands/date/date", date);
        let socket = "udp UNCONN 0 0 0.0.0.0:67 0.0.0.0:* users:((\"dnsmasq\",pid=5120,fd=3)) ino:1 <->\n";
        write("sos_commands/networking/ss_-peaonmi", socket);
        write("var/lib/nova/networks/nova-br100.conf", "fa:16:3e:4e:6f:01,web1.novalocal,10.0.0.7\n");
        let machine = read_folder(&copied, "x").unwrap().members.remove(0).outcome.unwrap();
        let host = machine.host.unwrap();
        let [server] = host.dnsmasq.as_slice() else { panic!("{:?}", host.dnsmasq) };
        assert!(server.hosts_written_ms.is_some_and(|at| at > 1_000_000_000_000), "{server:?}");
        let is_gap =
            machine.gaps.iter().any(|gap| gap.would_need.starts_with("ps -o lstart= -p 5120; stat /"));
        (server.started_ms, server.netns == machine.netns.inode, is_gap)
    }

    #[test]
    fn a_start_is_told_no_earlier_than_it_was_and_in_utc_alone() {
        assert_eq!(told("Sat Nov 28 16:36:46 UTC 2026\n"), (Some(1_795_883_804_000), true, false));
        assert_eq!(told("Sat Nov 28 17:36:46 CET 2026\n"), (None, true, true));
    }
}
