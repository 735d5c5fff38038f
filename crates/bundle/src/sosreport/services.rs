//! Processes, and what dnsmasq reads and says.

use model::service::{Dnsmasq, Process};
use model::snapshot::{Gap, Host};

use super::files::Files;
use super::{gap, unparsed};

/// Programs worth telling of, by the start of their name, as a live host's are.
const NAMES: [&str; 7] = ["dnsmasq", "nova-", "libvirtd", "virtqemud", "qemu", "neutron-", "udhcpd"];
const LOG_LINES_MAX: usize = 5_000;

/// Reads them into the host.
pub(super) fn read(files: &Files, host: &mut Host, gaps: &mut Vec<Gap>) {
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
    let servers = parse::dnsmasq_args::servers(&host.processes).into_iter();
    host.dnsmasq = servers.map(|server| with_files(server, files, gaps)).collect();
    read_log(files, host);
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
    server
}

/// dnsmasq's own log where one is named, else syslog's.
fn read_log(files: &Files, host: &mut Host) {
    let named = host.dnsmasq.iter().filter(|server| !server.is_libvirts());
    let mut named: Vec<String> = named.filter_map(|server| server.log_facility.clone()).collect();
    named.extend(
        ["var/log/dnsmasq.log", "var/log/daemon.log", "var/log/syslog", "var/log/messages"].map(String::from),
    );
    let paths: Vec<&str> = named.iter().map(|path| path.trim_start_matches('/')).collect();
    let Some((path, text)) = files.first(&paths) else { return };
    let mut lines = parse::dnsmasq_log::parse(text).value;
    lines.drain(..lines.len().saturating_sub(LOG_LINES_MAX));
    let mut reads = parse::dnsmasq_log::reads(text);
    reads.drain(..reads.len().saturating_sub(LOG_LINES_MAX));
    (host.dhcp_log, host.dhcp_reads) = (lines, reads);
    host.dhcp_log_file = Some(format!("/{path}"));
}
