//! dnsmasq's command line (dnsmasq(8)), as nova, libvirt and neutron write it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use model::service::{DhcpRange, Dnsmasq, Process};

use crate::dnsmasq_options;

/// What the process serves; `None` where its program is not dnsmasq.
///
/// An option that cannot be read is left out: the whole command line stays in `argv`.
pub fn parse(process: &Process) -> Option<Dnsmasq> {
    let (program, arguments) = process.argv.split_first()?;
    if program.rsplit('/').next() != Some("dnsmasq") {
        return None;
    }
    let mut dnsmasq = Dnsmasq {
        pid: process.pid,
        state: process.state.clone(),
        netns: process.netns,
        started_ms: process.started_ms,
        argv: process.argv.clone(),
        ..Dnsmasq::default()
    };
    for (position, argument) in arguments.iter().enumerate() {
        if let Some((name, attached)) = option_of(argument) {
            let next = arguments.get(position + 1).filter(|next| !next.starts_with('-'));
            let value = attached.or(next.map(String::as_str)).unwrap_or_default();
            apply(&mut dnsmasq, name, value);
        }
    }
    dnsmasq.offered_dns = dnsmasq_options::dns_servers(&dnsmasq.options);
    Some(dnsmasq)
}

/// The servers among these processes; each pair of server and script helper is one.
///
/// With `--dhcp-script` dnsmasq forks a helper that stays root (dnsmasq `src/helper.c`); both show the same command
/// line. The helper is the other's child. Where the parents are not known, it is of two alike the one that runs as
/// root, and else the one that was started later.
pub fn servers(processes: &[Process]) -> Vec<Dnsmasq> {
    let mut alike: BTreeMap<_, Vec<(&Process, Dnsmasq)>> = BTreeMap::new();
    for (process, server) in processes.iter().filter_map(|process| Some((process, parse(process)?))) {
        alike.entry((process.argv.as_slice(), process.netns)).or_default().push((process, server));
    }
    let mut servers: Vec<Dnsmasq> = alike.into_values().flat_map(pair_alike).collect();
    servers.sort_by_key(|server| server.pid);
    servers
}

/// Pairs processes of one command line. Without a script there is no helper, and each is a server.
fn pair_alike(mut alike: Vec<(&Process, Dnsmasq)>) -> Vec<Dnsmasq> {
    let is_root = |process: &Process| matches!(process.user.as_str(), "root" | "0");
    alike.sort_by_key(|(process, _)| (is_root(process), process.started_ms, process.pid));
    let mut servers: Vec<Dnsmasq> = Vec::new();
    let (known, unknown): (Vec<_>, Vec<_>) =
        alike.into_iter().partition(|(process, _)| process.parent.is_some());
    let pids: Vec<u32> = known.iter().map(|(process, _)| process.pid).collect();
    let (children, parents): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|(process, _)| process.parent.is_some_and(|parent| pids.contains(&parent)));
    servers.extend(parents.into_iter().map(|(_, server)| server));
    for (helper, _) in children {
        // Another child answers a question over TCP, for as long as that takes.
        let is_its = |server: &&mut Dnsmasq| Some(server.pid) == helper.parent && server.script.is_some();
        if let Some(server) = servers.iter_mut().find(is_its) {
            server.helper_pid.get_or_insert(helper.pid);
        }
    }
    for (process, server) in unknown {
        match servers.iter_mut().find(|server| server.script.is_some() && server.helper_pid.is_none()) {
            Some(server) => server.helper_pid = Some(process.pid),
            None => servers.push(server),
        }
    }
    servers
}

/// The long name of an option, and the value that is attached to it by `=` or, for a short one,
/// by nothing. `None` for what is no option or one that tells nothing here.
fn option_of(argument: &str) -> Option<(&str, Option<&str>)> {
    if let Some(long) = argument.strip_prefix("--") {
        return Some(match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        });
    }
    let mut letters = argument.strip_prefix('-')?.chars();
    let name = match letters.next()? {
        'a' => "listen-address",
        'i' => "interface",
        'I' => "except-interface",
        'F' => "dhcp-range",
        'H' => "addn-hosts",
        'J' => "dhcp-ignore",
        'X' => "dhcp-lease-max",
        'l' => "dhcp-leasefile",
        'K' => "dhcp-authoritative",
        '6' => "dhcp-script",
        '9' => "leasefile-ro",
        'x' => "pid-file",
        'C' => "conf-file",
        's' => "domain",
        'S' => "server",
        'O' => "dhcp-option",
        'R' => "no-resolv",
        '8' => "log-facility",
        _ => return None,
    };
    Some((name, Some(letters.as_str()).filter(|value| !value.is_empty())))
}

fn apply(dnsmasq: &mut Dnsmasq, name: &str, value: &str) {
    let text = || Some(value.to_owned()).filter(|v| !v.is_empty());
    let list = || value.split(',').filter(|v| !v.is_empty());
    match name {
        "listen-address" => dnsmasq.listen.extend(list().filter_map(|ip| ip.parse::<IpAddr>().ok())),
        "interface" => dnsmasq.interfaces.extend(list().map(str::to_owned)),
        "except-interface" => dnsmasq.except_interfaces.extend(list().map(str::to_owned)),
        "dhcp-range" => {
            dnsmasq.serves_by_tag |= list().any(|part| part.starts_with("tag:"));
            dnsmasq.ranges.extend(dhcp_range(value));
        }
        "dhcp-ignore" => dnsmasq.serves_by_tag = true,
        "dhcp-lease-max" => dnsmasq.lease_max = value.parse().ok(),
        "dhcp-hostsfile" => dnsmasq.hosts_file = text(),
        "addn-hosts" => dnsmasq.addn_hosts.extend(text()),
        "dhcp-optsfile" => dnsmasq.opts_file = text(),
        "dhcp-leasefile" => dnsmasq.lease_file = text(),
        "leasefile-ro" => dnsmasq.leasefile_ro = true,
        "dhcp-authoritative" => dnsmasq.authoritative = true,
        "dhcp-script" => dnsmasq.script = text(),
        "pid-file" => dnsmasq.pid_file = text(),
        "conf-file" => dnsmasq.conf_file = text(),
        // Subnets that the domain is limited to may follow a comma.
        "domain" => dnsmasq.domain = list().next().map(str::to_owned),
        "server" => dnsmasq.servers.extend(text()),
        option if dnsmasq_options::is_option(option) => dnsmasq.options.extend(text()),
        "no-resolv" => dnsmasq.no_resolv = true,
        "log-facility" => dnsmasq.log_facility = text(),
        _ => {}
    }
}

/// `[tag:TAG,][set:TAG,]START[,END|MODE][,NETMASK[,BROADCAST]][,LEASE]`; `None` for an IPv6 range.
fn dhcp_range(value: &str) -> Option<DhcpRange> {
    let mut parts = value.split(',').map(str::trim).peekable();
    let mut tag = None;
    let start = loop {
        let part = parts.next()?;
        if let Ok(start) = part.parse::<Ipv4Addr>() {
            break start;
        }
        if !part.starts_with("tag:") {
            // `set:` is new in dnsmasq 2.53; before, it was `net:` or the bare tag.
            let name = part.strip_prefix("set:").or(part.strip_prefix("net:")).unwrap_or(part);
            tag = Some(name.trim_matches(['\'', '"']).to_owned());
        }
    };
    let end = parts.next_if(|part| is_ipv4(part)).and_then(|part| part.parse().ok());
    let mode = if end.is_none() { parts.next_if(|part| MODES.contains(part)) } else { None };
    let netmask = parts.next_if(|part| is_ipv4(part)).and_then(|part| part.parse().ok());
    parts.next_if(|part| is_ipv4(part));
    let lease_seconds = parts.next().and_then(lease_seconds);
    Some(DhcpRange { tag, start, end, is_static: mode == Some("static"), netmask, lease_seconds })
}

/// What may stand in place of the last address of an IPv4 range.
const MODES: [&str; 2] = ["static", "proxy"];

fn is_ipv4(part: &str) -> bool {
    part.parse::<Ipv4Addr>().is_ok()
}

/// `120s`, `45m`, `12h`, `1d`, `1w`, bare seconds, or `infinite`.
fn lease_seconds(text: &str) -> Option<u32> {
    if text == "infinite" {
        return Some(u32::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits)? {
        "" | "s" | "S" => 1,
        "m" | "M" => 60,
        "h" | "H" => 60 * 60,
        "d" | "D" => 24 * 60 * 60,
        "w" | "W" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(value: &str) -> DhcpRange {
        dhcp_range(value).unwrap()
    }

    fn process(pid: u32, command: &str) -> Process {
        let argv = command.split_whitespace().map(str::to_owned).collect();
        Process { pid, user: "nobody".into(), state: "S".into(), argv, ..Process::default() }
    }

    #[test]
    fn ranges_of_every_age_are_read() {
        let queens = range("set:novanetwork,10.0.0.2,static,255.255.255.0,86400s");
        assert_eq!(queens.tag.as_deref(), Some("novanetwork"));
        assert_eq!(queens.start, Ipv4Addr::new(10, 0, 0, 2));
        assert!(queens.is_static);
        assert_eq!(queens.netmask, Some(Ipv4Addr::new(255, 255, 255, 0)));
        assert_eq!(queens.lease_seconds, Some(86400));

        let essex = range("10.0.0.2,static,120s");
        assert_eq!((essex.tag, essex.netmask, essex.lease_seconds), (None, None, Some(120)));
        assert!(essex.is_static);

        let pool = range("tag:red,net:blue,192.168.122.2,192.168.122.254,255.255.255.0,192.168.122.255,12h");
        assert_eq!(pool.tag.as_deref(), Some("blue"));
        assert_eq!(pool.end, Some(Ipv4Addr::new(192, 168, 122, 254)));
        assert!(!pool.is_static);
        assert_eq!(pool.lease_seconds, Some(12 * 3600));

        assert_eq!(range("10.0.0.2,10.0.0.9,infinite").lease_seconds, Some(u32::MAX));
        assert_eq!(range("10.0.0.2,10.0.0.9,1d").lease_seconds, Some(86400));
        assert_eq!(range("10.0.0.2,10.0.0.9,99999999w").lease_seconds, None);
        assert_eq!(dhcp_range("fd00::2,ra-only,64,1d"), None);
    }

    #[test]
    fn who_serves_by_tags_is_known() {
        let serves_by_tag =
            |options: &str| parse(&process(7, &format!("dnsmasq {options}"))).unwrap().serves_by_tag;
        assert!(serves_by_tag("--dhcp-ignore=tag:!known --dhcp-range=10.0.0.2,10.0.0.9"));
        assert!(serves_by_tag("--dhcp-range=tag:pxe,10.0.0.2,10.0.0.9"));
        assert!(serves_by_tag("-J tag:!known"));
        assert!(!serves_by_tag("--dhcp-range=set:novanetwork,10.0.0.2,static,255.255.255.0,86400s"));
    }

    #[test]
    fn values_may_be_attached_or_follow() {
        let all =
            process(7, "dnsmasq -iBR -I lo --listen-address 10.0.0.1,10.0.1.1 -9 --server=8.8.8.8 -R -C");
        let dnsmasq = parse(&all).unwrap();
        assert_eq!(
            (dnsmasq.pid, dnsmasq.interfaces, dnsmasq.except_interfaces),
            (7, vec!["BR".into()], vec!["lo".into()])
        );
        assert_eq!(dnsmasq.listen.len(), 2);
        assert!(dnsmasq.leasefile_ro && dnsmasq.no_resolv);
        assert_eq!(dnsmasq.servers, ["8.8.8.8"]);
        assert_eq!(dnsmasq.conf_file, None);
        assert_eq!(parse(&process(8, "/usr/bin/grep dnsmasq")), None);
        assert_eq!(parse(&process(9, "")), None);
    }

    fn pids(all: &[Process]) -> Vec<(u32, Option<u32>)> {
        servers(all).iter().map(|server| (server.pid, server.helper_pid)).collect()
    }

    #[test]
    fn only_processes_alike_with_a_script_are_paired() {
        let all = [
            process(30, "dnsmasq --dhcp-script=/s -i a"),
            process(20, "dnsmasq --dhcp-script=/s -i a"),
            process(21, "dnsmasq --dhcp-script=/s -i b"),
            process(40, "dnsmasq -i c"),
            process(41, "dnsmasq -i c"),
        ];
        assert_eq!(pids(&all), [(20, Some(30)), (21, None), (40, None), (41, None)]);
    }

    /// Pids wrap round: the helper's may be the lower one.
    #[test]
    fn the_helper_is_the_child_or_roots_or_the_later_one() {
        let line = "dnsmasq --dhcp-script=/s -i a";
        let of = |pid, parent| Process { parent: Some(parent), ..process(pid, line) };
        assert_eq!(pids(&[of(300, 32767), of(32767, 1)]), [(32767, Some(300))]);
        // Two that were started by somebody else are two servers.
        assert_eq!(pids(&[of(300, 1), of(32767, 1)]), [(300, None), (32767, None)]);
        let roots = |pid| Process { user: "root".into(), ..process(pid, line) };
        assert_eq!(pids(&[roots(300), process(32767, line)]), [(32767, Some(300))]);
        let at = |pid, started| Process { started_ms: Some(started), ..process(pid, line) };
        assert_eq!(pids(&[at(300, 20), at(32767, 10)]), [(32767, Some(300))]);
    }
}
