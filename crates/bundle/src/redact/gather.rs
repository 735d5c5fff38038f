//! Which names and addresses a site has: its facts say most, and some texts say more.

use std::net::IpAddr;

use cloud::{InstanceEntry, Records};
use collect::Machine;
use ipnet::{IpNet, Ipv4Net};

use super::fields;
use super::names::{Kind, Names};
use super::pseudonyms::Known;
use super::words::is_common;
use crate::manifest::CloudFacts;

/// How a line of syslog begins (RFC 3164, 4.1.2).
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What is gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) names: Names,
    pub(super) known: Known,
    /// IPv4 networks of links and of the database.
    pub(super) networks: Vec<Ipv4Net>,
}

impl Gathered {
    /// Takes a machine's names and addresses.
    pub(super) fn machine(&mut self, machine: &mut Machine) {
        fields::of_machine(machine, &mut |kind, name| self.names.add(kind, name));
        let ns = &machine.netns;
        for address in &ns.addresses {
            self.net(address.net);
        }
        for route in &ns.routes {
            self.net(route.destination);
        }
        self.known.macs.extend(ns.links.iter().filter_map(|link| link.mac));
        self.known.macs.extend(ns.neighbours.iter().filter_map(|neighbour| neighbour.mac));
        for neighbour in &ns.neighbours {
            self.ip(neighbour.ip);
        }
        self.known.macs.extend(ns.fdb.iter().map(|entry| entry.mac));
        let Some(host) = &machine.host else { return };
        for server in &host.dnsmasq {
            for entry in server.hosts.iter().flatten() {
                self.known.macs.insert(entry.mac);
                self.known.v4.extend(entry.ip);
            }
            for lease in server.leases.iter().flatten() {
                self.known.macs.insert(lease.mac);
                self.known.v4.insert(lease.ip);
            }
        }
        for nic in host.domains.iter().flat_map(|domain| &domain.interfaces) {
            self.known.macs.extend(nic.mac);
        }
    }

    /// Takes the cloud's.
    pub(super) fn cloud(&mut self, cloud: &mut CloudFacts) {
        fields::of_cloud(cloud, &mut |kind, name| self.names.add(kind, name));
        if let Some(records) = &cloud.records {
            self.records(records);
        }
        if let Some(contradictions) = &mut cloud.contradictions {
            contradictions.forget_unknown();
            contradictions.each_cell(|cell| self.cell(cell.text));
        }
        cloud.entries.iter().for_each(|entry| self.entry(entry));
    }

    fn records(&mut self, records: &Records) {
        self.urls(&records.source);
        self.known.macs.extend(records.vif_uuids.keys());
        for vif in records.instances.iter().flat_map(|instance| &instance.vifs) {
            self.known.macs.extend(vif.mac);
            self.known.v4.extend(&vif.fixed);
            self.known.v4.extend(vif.floating.iter().flat_map(|floating| [floating.address, floating.fixed]));
        }
        for network in &records.networks {
            self.networks.extend(network.cidr);
            self.known.v4.extend(network.gateway.iter().chain(&network.dhcp_server));
            self.known.v4.extend(network.host_addresses.iter().map(|(_, address)| *address));
        }
    }

    /// An address, a network or a MAC of a row; or several, as nova's cache has them.
    fn cell(&mut self, text: &str) {
        for word in text.split([',', ' ']) {
            if let Ok(mac) = word.parse() {
                self.known.macs.insert(mac);
            }
            if let Ok(net) = word.parse().or_else(|_| word.parse().map(IpAddr::into)) {
                self.net(net);
            }
        }
    }

    fn entry(&mut self, entry: &InstanceEntry) {
        self.known.macs.extend(entry.mac);
        self.known.v4.extend(entry.addresses.iter().chain(&entry.floating));
    }

    fn net(&mut self, net: IpNet) {
        self.ip(net.addr());
        if let IpNet::V4(net) = net {
            self.networks.push(net.trunc());
        }
    }

    fn ip(&mut self, address: IpAddr) {
        if let IpAddr::V4(address) = address {
            self.known.v4.insert(address);
        }
    }

    /// Takes what a plain file says beyond the facts.
    pub(super) fn file(&mut self, path: &str, text: &str) {
        let file = path.rsplit('/').next().unwrap_or_default();
        let ending = file.rsplit_once('.').map(|(_, ending)| ending);
        if ending == Some("xml") {
            self.domain(text);
        }
        if file.contains(".conf") {
            self.urls(text);
            self.options(text);
        }
        if ending == Some("opts") {
            text.lines().for_each(|line| self.option(line));
        }
        if file.contains("log") && file != "console.log" {
            self.log(text);
        }
    }

    /// Hosts that options name: nova's `rabbit_host = mq1.acme:5672`, `memcached_servers`, `network_host`; dnsmasq's
    /// `server=/corp.acme/10.0.0.1`, `local=/corp.acme/` and `domain=corp.acme`.
    fn options(&mut self, text: &str) {
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let (key, value) = (key.trim(), value.trim());
            if key == "dhcp-host" {
                value.split(',').filter(|part| !is_dhcp_word(part)).for_each(|part| self.host(part));
            } else if ["host", "hosts", "hostname", "servers"].iter().any(|end| key.ends_with(end)) {
                for part in value.split([',', ' ']) {
                    let host = part.split_once(':').map_or(part, |(host, _)| host);
                    self.host(host);
                }
            }
            if key == "dhcp-option" || key == "dhcp-option-force" {
                self.option(value);
            }
            if key == "domain" {
                self.names.add(Kind::Domain, value.split(',').next().unwrap_or_default());
            }
            if key == "server" || key == "local" {
                let domains = value.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
                let domains = domains.map_or("", |(domains, _)| domains).split('/');
                domains.for_each(|domain| self.names.add(Kind::Domain, domain));
            }
        }
    }

    /// Domains that a DHCP option of dnsmasq's names.
    fn option(&mut self, option: &str) {
        let visit = &mut |kind, name: &mut String| self.names.add(kind, name.trim());
        fields::of_option(&mut option.to_owned(), visit);
    }

    /// A word that names a host, where it is none of the other things that stand in such a place.
    fn host(&mut self, word: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_name = word.chars().all(is_plain) && word.chars().any(|c| c.is_ascii_alphabetic());
        // `multi_host = True` names nobody.
        if is_name && word.parse::<IpAddr>().is_err() && !is_common(word) {
            self.names.add(Kind::Host, word);
        }
    }

    /// nova writes who a domain is of into its XML (nova/virt/libvirt/config.py, `LibvirtConfigGuestMetaNovaInstance`).
    fn domain(&mut self, xml: &str) {
        for (tag, kind) in [
            ("<nova:name", Kind::Instance),
            ("<title", Kind::Instance),
            ("<nova:user", Kind::User),
            ("<nova:project", Kind::Project),
        ] {
            for part in xml.split(tag).skip(1) {
                let Some((_, after)) = part.split_once('>') else { continue };
                let name = after.split('<').next().unwrap_or_default();
                let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
                let name = plain.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
                self.names.add(kind, &name);
            }
        }
        // Where a disk is: of Ceph's monitors, for one (libvirt's domain XML, `<source><host name=...>`).
        for part in xml.split("<host").skip(1) {
            attribute(part, "name").into_iter().for_each(|name| self.host(name));
        }
    }

    /// Hosts and users of URLs: of databases, queues and services.
    fn urls(&mut self, text: &str) {
        for part in text.split("://").skip(1) {
            let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>' | '?' | ',');
            let authority = part.split(ends).next().unwrap_or_default();
            let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if host.chars().all(is_plain) {
                self.names.add(Kind::Host, host);
            }
            self.names.add(Kind::User, login.split(':').next().unwrap_or_default());
        }
    }

    /// Whose log it is: the word behind the time (RFC 3164, 4.1.2; rsyslog's `RSYSLOG_FileFormat`).
    fn log(&mut self, text: &str) {
        let mut last = "";
        for line in text.lines() {
            let words = &mut line.split_ascii_whitespace();
            let first = words.next().unwrap_or_default();
            let is_iso = first.len() >= 19 && first.as_bytes().get(10) == Some(&b'T');
            let is_month = MONTHS.contains(&first);
            let host = match (is_iso, is_month) {
                (true, _) => words.next(),
                (false, true) => words.nth(2),
                (false, false) => None,
            };
            // Without one, the program follows: `dnsmasq[7]:`.
            let host = host.filter(|host| !host.ends_with(':') && *host != last).unwrap_or_default();
            if !host.is_empty() {
                self.names.add(Kind::Host, host);
                last = host;
            }
        }
    }
}

/// An attribute of the element whose name was just read: `port='6789' name = "ceph-mon1"/>`.
fn attribute<'x>(mut rest: &'x str, name: &str) -> Option<&'x str> {
    loop {
        // Of `<hostdev>` and of an element without attributes nothing follows.
        let key = rest.trim_start();
        let (key, value) = key.split_once('=').filter(|_| key.len() < rest.len())?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let (value, behind) = value.get(1..)?.split_once(quote)?;
        if key.contains(['<', '>', '/']) {
            return None;
        }
        if key.trim_end() == name {
            return Some(value);
        }
        rest = behind;
    }
}

/// What else stands among a `dhcp-host`'s fields: MACs, tags and identifiers, how long a lease is, and whom to ignore
/// (dnsmasq(8), `--dhcp-host`).
fn is_dhcp_word(part: &str) -> bool {
    let part = part.trim();
    let count = part.strip_suffix(['s', 'm', 'h', 'd', 'w']).unwrap_or(part);
    let is_time = part == "infinite" || count.bytes().all(|byte| byte.is_ascii_digit());
    is_time || part == "ignore" || part.contains(':')
}
