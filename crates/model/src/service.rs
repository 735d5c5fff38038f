//! What runs beside the packet path: processes, dnsmasq, libvirt's domains, consoles, configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::Mac;

/// A process (`ps aux`, /proc).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Its parent's, where known.
    pub parent: Option<u32>,
    /// User name or number it runs as.
    pub user: String,
    /// State letter of ps (R, S, D, T, Z), or a blank where unknown.
    pub state: String,
    /// Arguments, the program first.
    pub argv: Vec<String>,
    /// Inode of its network namespace, where known.
    pub netns: Option<u64>,
    /// When it was started, in Unix milliseconds, a hundredth of a second exact; `None` where unknown.
    pub started_ms: Option<u64>,
}

/// A dnsmasq process and what its arguments say. Of each pair (server and script helper) only the
/// process that serves is kept; the other's pid is `helper_pid`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dnsmasq {
    /// Process id of the server.
    pub pid: u32,
    /// Process id of the root helper that runs the dhcp-script, where there is one.
    pub helper_pid: Option<u32>,
    /// State letter of ps: `T` is stopped.
    pub state: String,
    /// Inode of its network namespace, where known.
    pub netns: Option<u64>,
    /// When it was started, in Unix milliseconds, a hundredth of a second exact; of a sosreport, up to two seconds
    /// later, and no earlier. `None` where unknown.
    pub started_ms: Option<u64>,
    /// `--listen-address`, repeated or comma-separated.
    pub listen: Vec<IpAddr>,
    /// `--interface`, repeated.
    pub interfaces: Vec<String>,
    /// `--except-interface`, repeated.
    pub except_interfaces: Vec<String>,
    /// `--dhcp-range`, each.
    pub ranges: Vec<DhcpRange>,
    /// `--dhcp-ignore`, or a range with `tag:`: whom it serves hangs on tags, which are not followed.
    #[serde(default)]
    pub serves_by_tag: bool,
    /// `--dhcp-lease-max`.
    pub lease_max: Option<u32>,
    /// `--dhcp-hostsfile`.
    pub hosts_file: Option<String>,
    /// `--addn-hosts`, each.
    #[serde(default)]
    pub addn_hosts: Vec<String>,
    /// `--dhcp-optsfile`.
    pub opts_file: Option<String>,
    /// `--dhcp-leasefile`.
    pub lease_file: Option<String>,
    /// `--leasefile-ro`: leases live in the dhcp-script's database.
    pub leasefile_ro: bool,
    /// `--dhcp-authoritative`: it answers for leases that it does not know, too.
    pub authoritative: bool,
    /// `--dhcp-script`.
    pub script: Option<String>,
    /// `--pid-file`.
    pub pid_file: Option<String>,
    /// `--conf-file`, where not empty.
    pub conf_file: Option<String>,
    /// `--domain`.
    pub domain: Option<String>,
    /// `--server`, each.
    pub servers: Vec<String>,
    /// `--dhcp-option` and `--dhcp-option-force`, each as it is written: from its arguments, and from `opts_file` and
    /// `conf_file` where they could be read.
    pub options: Vec<String>,
    /// Where those of `options` stand that no argument has: they are its last ones, in this order.
    pub option_lines: Vec<FileLine>,
    /// The DNS servers that those give to every client.
    pub offered_dns: Vec<Ipv4Addr>,
    /// `--no-resolv`.
    pub no_resolv: bool,
    /// `--log-facility`.
    pub log_facility: Option<String>,
    /// The whole command line, for evidence and for starting it again.
    pub argv: Vec<String>,
    /// Contents of `addn_hosts`, as far as they are files that could be read.
    #[serde(default)]
    pub named: Vec<HostsLine>,
    /// Contents of `hosts_file`; `None` where it could not be read.
    pub hosts: Option<Vec<DhcpHost>>,
    /// When `hosts_file` was last written, in Unix milliseconds; `None` where it could not be read.
    pub hosts_written_ms: Option<u64>,
    /// Leases held: from `lease_file`; `None` where there is none or it could not be read.
    pub leases: Option<Vec<DhcpLease>>,
}

impl Dnsmasq {
    /// Stopped by a signal or a debugger (proc(5)): what comes for it waits in its sockets.
    pub fn is_stopped(&self) -> bool {
        self.state.starts_with(['T', 't'])
    }

    /// Told by its arguments to answer no names (dnsmasq(8), `--port=0`).
    pub fn is_told_no_names(&self) -> bool {
        let is_flag = |word: &String| word == "-p" || word == "--port";
        let is_told = |words: &[String]| matches!(words, [flag, port] if is_flag(flag) && port == "0");
        self.argv.iter().any(|word| word == "--port=0" || word == "-p0") || self.argv.windows(2).any(is_told)
    }

    /// libvirt's own server for one of its networks, never nova's.
    pub fn is_libvirts(&self) -> bool {
        let of = |path: &Option<String>| path.as_deref().is_some_and(|p| p.contains("/libvirt/"));
        of(&self.pid_file) || of(&self.conf_file) || of(&self.lease_file) || of(&self.script)
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLine {
    /// Path of the file.
    pub file: String,
    /// 1-based.
    pub line: u32,
}

/// One `--dhcp-range`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpRange {
    /// `set:TAG`, without quotes.
    pub tag: Option<String>,
    /// First address.
    pub start: Ipv4Addr,
    /// Last address; `None` for `static`.
    pub end: Option<Ipv4Addr>,
    /// Only hosts with an entry are served.
    pub is_static: bool,
    /// Netmask, where given.
    pub netmask: Option<Ipv4Addr>,
    /// Lease time in seconds, where given; `u32::MAX` for infinite.
    pub lease_seconds: Option<u32>,
}

/// One line of a dhcp-hostsfile: `MAC,hostname.domain,IP`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpHost {
    /// The client's MAC.
    pub mac: Mac,
    /// Name given to it.
    pub hostname: Option<String>,
    /// Address given to it.
    pub ip: Option<Ipv4Addr>,
    /// The client is left without an answer, whatever else is known of it (dnsmasq(8), `--dhcp-host`, `ignore`).
    #[serde(default)]
    pub ignored: bool,
    /// 1-based line in its file.
    pub line: u32,
}

/// A line of a hosts file (hosts(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsLine {
    /// Path of the file.
    pub file: String,
    /// Line number.
    pub line: u32,
    /// The address.
    pub ip: IpAddr,
    /// The name, and others for it.
    pub names: Vec<String>,
}

/// One line of a dnsmasq lease file: `EXPIRY MAC IP HOSTNAME CLIENT-ID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpLease {
    /// Unix seconds; 0 never expires.
    pub expires: u64,
    /// Holder.
    pub mac: Mac,
    /// Leased address.
    pub ip: Ipv4Addr,
    /// Name the client gave, `*` for none.
    pub hostname: String,
}

/// One DHCP line of dnsmasq's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpLogLine {
    /// Time stamp as printed (syslog's has no year and no zone).
    pub time: String,
    /// pid of the dnsmasq process.
    pub pid: u32,
    /// What happened.
    pub kind: DhcpMessage,
    /// Link in parentheses.
    pub interface: String,
    /// Address offered, asked for or given.
    pub ip: Option<Ipv4Addr>,
    /// The client.
    pub mac: Option<Mac>,
    /// What follows: host name of an ACK, reason of a refusal (`no address available`).
    pub rest: String,
    /// 1-based line in its file.
    pub line: u32,
    /// The whole line.
    pub text: String,
}

/// A line of dnsmasq's log by which it has read a file of its DHCP part: when it started, and at each SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpFileRead {
    /// pid of the dnsmasq process; 0 where the line has none.
    pub pid: u32,
    /// The file.
    pub file: String,
    /// 1-based line in the log.
    pub line: u32,
    /// The whole line.
    pub text: String,
}

/// DHCP message as dnsmasq logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMessage {
    /// DHCPDISCOVER.
    Discover,
    /// DHCPOFFER.
    Offer,
    /// DHCPREQUEST.
    Request,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
    /// DHCPDECLINE.
    Decline,
    /// DHCPRELEASE.
    Release,
    /// DHCPINFORM.
    Inform,
}

/// A libvirt domain as its XML tells (libvirt.org/formatdomain).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Domain {
    /// `<name>`: `instance-0000000a`.
    pub name: String,
    /// `<uuid>`, where given.
    pub uuid: Option<String>,
    /// From the live XML (/run/libvirt/qemu): it runs, and tap names are known.
    pub live: bool,
    /// libvirt's word for what a live one does: running, paused, ... (`<domstatus state>`, `virDomainState`).
    pub state: Option<String>,
    /// Process id of its QEMU, of a live one that has one.
    pub pid: Option<u32>,
    /// The file it was read from.
    pub file: String,
    /// `<nova:name>` of the metadata, where nova wrote it.
    pub display_name: Option<String>,
    /// Its NICs in order.
    pub interfaces: Vec<DomainInterface>,
    /// File that its first serial console is written to.
    pub console_log: Option<String>,
}

/// One `<interface>` of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DomainInterface {
    /// `type`: bridge, network, ethernet, direct, ...
    pub kind: String,
    /// `<mac address>`.
    pub mac: Option<Mac>,
    /// `<source bridge>`.
    pub bridge: Option<String>,
    /// `<target dev>`: the host's side. Absent from the persistent XML of vnetN names.
    pub target: Option<String>,
    /// `<model type>`.
    pub model: Option<String>,
    /// `<filterref filter>`.
    pub filter: Option<String>,
    /// `<link state='down'>`.
    pub link_down: bool,
}

/// What an instance's console log tells of its network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Console {
    /// The file.
    pub file: String,
    /// In order.
    pub events: Vec<ConsoleEvent>,
}

/// One telling line of a console log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleEvent {
    /// 1-based line.
    pub line: u32,
    /// What it says.
    pub kind: ConsoleEventKind,
    /// The line itself, without terminal escapes.
    pub text: String,
}

/// What a console line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsoleEventKind {
    /// The DHCP client started; its version where printed.
    DhcpStarted(Option<String>),
    /// It asked for an address.
    DhcpDiscover,
    /// It asked for the offered address.
    DhcpSelect,
    /// It got one.
    DhcpLease(Ipv4Addr),
    /// It gave up for now.
    DhcpNoLease,
    /// It failed for good.
    DhcpFailed,
    /// The metadata service was asked.
    MetadataAsked,
    /// It could not be reached: why.
    MetadataUnreachable(String),
    /// Something looked for a NIC by its name, and the instance has none of that name.
    NicMissing,
    /// A login prompt: the boot is over.
    Login,
}

/// What a machine's resolv.conf says (resolv.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvConf {
    /// The file.
    pub file: String,
    /// Servers in the order in which they are asked, three at most; none means one on the machine itself.
    pub servers: Vec<std::net::IpAddr>,
    /// Seconds that each is waited for; 0 to 30.
    pub timeout_seconds: u32,
    /// How often all of them are asked; 0 to 5.
    pub attempts: u32,
}

impl Default for ResolvConf {
    /// The resolver's own defaults (`RES_TIMEOUT`, `RES_DFLRETRY`, glibc resolv.h).
    fn default() -> ResolvConf {
        ResolvConf { file: String::new(), servers: Vec::new(), timeout_seconds: 5, attempts: 2 }
    }
}

/// What an oslo.config file says, every assignment with its place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OsloConfig {
    /// The file.
    pub file: String,
    /// In file order; repeated keys stay repeated (MultiStrOpt).
    pub assignments: Vec<Assignment>,
}

/// One `key = value` with its continuation lines joined by newlines.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Section, `DEFAULT` for the first.
    pub section: String,
    /// Key.
    pub key: String,
    /// Value as written, before interpolation.
    pub value: String,
    /// 1-based line of the key.
    pub line: u32,
}

impl std::fmt::Debug for Assignment {
    /// Values may hold passwords (`[database] connection`), so they never print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {} = ... (line {})", self.section, self.key, self.line)
    }
}

impl OsloConfig {
    /// The last value given to a key, raw.
    pub fn raw(&self, section: &str, key: &str) -> Option<&Assignment> {
        self.assignments.iter().rev().find(|a| a.section == section && a.key == key)
    }

    /// The last value of a key with `$key`, `${key}` and `${group.key}` replaced (`$$` is a dollar).
    /// An unknown or circular reference stays as written.
    pub fn get(&self, section: &str, key: &str) -> Option<String> {
        Some(self.expand(&self.raw(section, key)?.value, section, 0))
    }

    /// Every value of a repeated key, in file order.
    pub fn all(&self, section: &str, key: &str) -> Vec<String> {
        let of_key = self.assignments.iter().filter(|a| a.section == section && a.key == key);
        of_key.map(|a| self.expand(&a.value, section, 0)).collect()
    }

    fn expand(&self, value: &str, section: &str, depth: u8) -> String {
        const DEPTH_MAX: u8 = 8;
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
                continue;
            }
            let (name, tail) = reference(after);
            let (group, key) = name.split_once('.').unwrap_or((section, name));
            let target = self.raw(group, key).or_else(|| self.raw("DEFAULT", key));
            match target {
                Some(found) if depth < DEPTH_MAX && !name.is_empty() => {
                    out.push_str(&self.expand(&found.value, &found.section, depth + 1));
                }
                Some(_) | None => out.push_str(&rest[at..rest.len() - tail.len()]),
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

/// The name that a `$` refers to, and what follows it.
fn reference(after: &str) -> (&str, &str) {
    if let Some(braced) = after.strip_prefix('{')
        && let Some(end) = braced.find('}')
    {
        return (&braced[..end], &braced[end + 1..]);
    }
    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    after.split_at(end)
}

/// The nova.conf options that steer the network, interpolated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NovaOptions {
    /// The file they were read from.
    pub file: String,
    /// Option name -> value, group DEFAULT.
    pub values: BTreeMap<String, String>,
}

impl NovaOptions {
    /// An option's value where the file sets it.
    pub fn get(&self, option: &str) -> Option<&str> {
        self.values.get(option).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A flag whose default is off, in oslo.config's words.
    pub fn is_on(&self, option: &str) -> bool {
        let word = self.get(option).unwrap_or_default().to_ascii_lowercase();
        matches!(word.as_str(), "true" | "1" | "yes" | "on")
    }

    /// `public_interface`, nova's default `eth0`.
    pub fn public_interface(&self) -> &str {
        self.get("public_interface").unwrap_or("eth0")
    }
}

/// A network's cidr and first dhcp address as dnsmasq's arguments tell, for clouds without a database.
pub fn range_network(range: &DhcpRange) -> Option<Ipv4Net> {
    Ipv4Net::with_netmask(range.start, range.netmask?).ok().map(|n| n.trunc())
}
