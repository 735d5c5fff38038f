//! Processes, and what dnsmasq reads and says.

use model::Netns;
use model::service::{Dnsmasq, Process};
use model::snapshot::{Gap, Host};

use super::files::Files;
use super::{gap, starts, unparsed};

/// Programs worth telling of, by the start of their name, as a live host's are.
const NAMES: [&str; 7] = ["dnsmasq", "nova-", "libvirtd", "virtqemud", "qemu", "neutron-", "udhcpd"];
const LOG_LINES_MAX: usize = 5_000;

/// Reads them into the host.
pub(super) fn read(files: &Files, netns: &Netns, host: &mut Host, gaps: &mut Vec<Gap>) {
    let listed = files.command(&["ps_auxwww", "ps_auxwwwm", "ps_auxww", "ps_aux"]);
    let parsed = listed.map(|(path, text)| (path, parse::ps_aux::parse(text)));
    let why = match &parsed {
        // ps lists itself at least.
        Some((_, parsed)) if !parsed.value.is_empty() && parsed.problems.is_empty() => None,
        Some((path, parsed)) if !parsed.value.is_empty() => {
            Some(format!("{} lines of {path} could not be read", parsed.problems.len()))
        }
        Some(_) | None => Some("the sosreport does not hold them".to_owned()),
    };
    host.sees_every_process = why.is_none();
    let what = format!("processes of {}", host.name);
    gaps.extend(why.map(|why| gap(what, why, "ps auxwww: the plugin `process` writes it")));
    if let Some((path, parsed)) = parsed {
        gaps.extend(unparsed(path, &parsed.problems));
        host.processes = parsed.value.into_iter().filter(is_of_interest).collect();
    }
    starts::add_to(&mut host.processes, files, netns);
    let servers = parse::dnsmasq_args::servers(&host.processes).into_iter();
    host.dnsmasq = servers.map(|server| with_files(server, files, gaps)).collect();
    read_log(files, host, gaps);
}

/// The program itself, or what an interpreter runs: nova's are scripts of Python.
fn is_of_interest(process: &Process) -> bool {
    let names = process.argv.iter().take(2).map(|word| word.rsplit('/').next().unwrap_or(word));
    names.into_iter().any(|name| NAMES.iter().any(|known| name.starts_with(known)))
}

/// The files that its arguments name, where the sosreport has them.
fn with_files(mut server: Dnsmasq, files: &Files, gaps: &mut Vec<Gap>) -> Dnsmasq {
    let mut text = |file: &str| {
        let found = files.text(file.trim_start_matches('/'));
        if found.is_none() {
            gaps.push(gap(file, "the sosreport does not hold it", file));
        }
        found
    };
    if let Some(file) = &server.hosts_file {
        server.hosts = text(file).map(|text| parse::dnsmasq_hosts::parse(text).value);
        let written = files.written(file.trim_start_matches('/')).filter(|seconds| *seconds > 0);
        server.hosts_written_ms = written.and_then(|seconds| seconds.checked_mul(1000));
    }
    if let Some(file) = server.lease_file.as_ref().filter(|_| !server.leasefile_ro) {
        server.leases = text(file).map(|text| parse::dnsmasq_leases::parse(text).value);
    }
    for file in &server.addn_hosts {
        let lines =
            files.text(file.trim_start_matches('/')).map(|text| parse::hosts::parse(file, text).value);
        server.named.extend(lines.into_iter().flatten());
    }
    parse::dnsmasq_options::add_files(&mut server, |file| text(file).map(str::to_owned));
    gaps.extend(starts::unknown(&server));
    server
}

/// Where syslog has dnsmasq's messages, and what sos's plugin calls the journal's.
const SYSLOG: [&str; 4] = ["var/log/dnsmasq.log", "var/log/daemon.log", "var/log/syslog", "var/log/messages"];
const JOURNALS: [&str; 2] = ["sos_commands/logs/journalctl_", "sos_strings/logs/journalctl_"];

/// What would have them.
const ANY_LOG: &str =
    "/var/log/syslog or /var/log/messages, or what `journalctl` prints: the plugin `logs` writes it";
/// The journal of the boot before is asked for as well.
const LAST_BOOT: &str = "--boot_-1";

/// dnsmasq's own log where one is named, else syslog's, else the journal: the first that has a word of dnsmasq's.
fn read_log(files: &Files, host: &mut Host, gaps: &mut Vec<Gap>) {
    let servers: Vec<&Dnsmasq> = host.dnsmasq.iter().filter(|server| !server.is_libvirts()).collect();
    let named = servers.iter().filter_map(|server| server.log_facility.as_deref());
    let named: Vec<&str> = named.filter(|facility| facility.starts_with('/')).collect();
    let paths = named.iter().map(|path| path.trim_start_matches('/')).chain(SYSLOG);
    let in_files = paths.filter_map(|path| Some((format!("/{path}"), files.text(path)?)));
    let (earlier, journals): (Vec<_>, Vec<_>) = files
        .all()
        .filter(|(path, _)| JOURNALS.iter().any(|journal| path.starts_with(journal)))
        .partition(|(path, _)| path.contains(LAST_BOOT));
    let journals = journals.into_iter().chain(earlier).map(|(path, text)| (path.to_owned(), text));
    let found: Vec<(String, &str)> = in_files.chain(journals).collect();
    let telling = found.iter().find(|(_, text)| text.contains("dnsmasq"));
    let is_there = |path: &str| files.text(path.trim_start_matches('/')).is_some();
    if telling.is_none() {
        // What dnsmasq itself writes, nobody else has.
        let lost = named.iter().find(|path| !is_there(path)).copied();
        let lost = lost.or_else(|| found.is_empty().then_some(ANY_LOG));
        gaps.extend(lost.filter(|_| !servers.is_empty()).map(|path| {
            let why = "the sosreport holds no log with its messages";
            gap(format!("what dnsmasq said on {}", host.name), why, path)
        }));
    }
    let Some((path, text)) = telling.or(found.first()) else { return };
    let mut lines = parse::dnsmasq_log::parse(text).value;
    lines.drain(..lines.len().saturating_sub(LOG_LINES_MAX));
    let mut reads = parse::dnsmasq_log::reads(text);
    reads.drain(..reads.len().saturating_sub(LOG_LINES_MAX));
    (host.dhcp_log, host.dhcp_reads) = (lines, reads);
    host.dhcp_log_file = Some(path.clone());
}
