//! By what the rows are found that concern a site: what its machines show, and what is asked for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::netfilter::{Action, NatTarget, NfRule, Test};
use model::service::{Dnsmasq, Domain};
use model::{Mac, Netns, Snapshot};

use crate::entries::InstanceEntry;

/// Whom a cloud's records are looked through for, beside whoever runs on the site's hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sought {
    /// `instances.id`: of chains of nova's and of domains.
    pub(crate) ids: BTreeSet<u64>,
    /// In small letters.
    pub(crate) uuids: BTreeSet<String>,
    pub(crate) macs: BTreeSet<Mac>,
    /// Fixed or floating.
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    /// Names that people use.
    pub(crate) names: BTreeSet<String>,
}

impl Sought {
    /// What every machine of the site shows of instances, what the site file tells of them, and what people say.
    pub fn of(snapshot: &Snapshot, entries: &[InstanceEntry], words: &[&str]) -> Sought {
        let mut sought = Sought::default();
        snapshot.netns.iter().for_each(|netns| sought.add_netns(netns));
        for host in &snapshot.hosts {
            host.domains.iter().for_each(|domain| sought.add_domain(domain));
            host.dnsmasq.iter().for_each(|server| sought.add_dnsmasq(server));
        }
        for entry in entries {
            sought.add_word(&entry.name);
            sought.macs.extend(entry.mac);
            sought.addresses.extend(entry.addresses.iter().chain(&entry.floating));
        }
        words.iter().for_each(|word| sought.add_word(word));
        sought
    }

    /// A name, uuid, libvirt name, number, address or MAC: a word may be several of these.
    pub(crate) fn add_word(&mut self, word: &str) {
        if let Ok(address) = word.parse::<Ipv4Addr>() {
            self.addresses.insert(address);
        } else if let Ok(mac) = word.parse::<Mac>() {
            self.add_mac(mac);
        } else {
            self.ids.extend(id(word));
            self.uuids.extend(uuid(word));
            self.names.insert(word.to_owned());
        }
    }

    /// A tap's MAC, as `ip link` on the host shows it, is its instance's but for the first octet, which is fa of those
    /// that nova gives (nova/utils.py `generate_mac_address`).
    fn add_mac(&mut self, mac: Mac) {
        let Mac([first, rest @ ..]) = mac;
        if first == TAPS {
            let [a, b, c, d, e] = rest;
            self.macs.insert(Mac([NOVAS, a, b, c, d, e]));
        }
        self.macs.insert(mac);
    }

    fn add_netns(&mut self, netns: &Netns) {
        let learned = netns.fdb.iter().filter(|entry| !entry.on_self).map(|entry| entry.mac);
        let neighbours = netns.neighbours.iter().filter_map(|neighbour| neighbour.mac);
        let links = netns.links.iter().filter_map(|link| link.mac);
        learned.chain(neighbours).chain(links).for_each(|mac| self.add_mac(mac));
        let own = netns.addresses.iter().map(|address| address.net.addr());
        own.chain(netns.neighbours.iter().map(|neighbour| neighbour.ip)).for_each(|ip| self.add_ip(ip));
        for chain in netns.ruleset.tables.iter().flat_map(|table| &table.chains) {
            let number = chain.name.strip_prefix("nova-compute-inst-");
            self.ids.extend(number.and_then(|number| number.parse::<u64>().ok()));
            chain.rules.iter().for_each(|rule| self.add_rule(rule));
        }
    }

    /// Whom it is for and whom it leads to; and whose source it is where that is changed. The sources of other rules are
    /// a security group's members, of whom nobody asks.
    fn add_rule(&mut self, rule: &NfRule) {
        let (target, is_nat) = match &rule.action {
            Action::Dnat(target) | Action::Snat(target) => (Some(target), true),
            Action::Masquerade(_) => (None, true),
            _ => (None, false),
        };
        if let Some(NatTarget { addresses: Some((first, last)), .. }) = target {
            [*first, *last].into_iter().for_each(|ip| self.add_ip(ip));
        }
        for test in rule.matches.iter().map(|one| &one.test) {
            let nets = match test {
                Test::Destination(nets) => nets,
                Test::Source(nets) if is_nat => nets,
                _ => continue,
            };
            nets.iter()
                .filter(|net| net.prefix_len() == net.max_prefix_len())
                .for_each(|net| self.add_net(net));
        }
    }

    fn add_net(&mut self, net: &IpNet) {
        self.add_ip(net.addr());
    }

    fn add_ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) if !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() => {
                self.addresses.insert(ip);
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }

    fn add_domain(&mut self, domain: &Domain) {
        self.ids.extend(id(&domain.name));
        self.uuids.extend(domain.uuid.as_deref().and_then(uuid));
        domain.interfaces.iter().filter_map(|interface| interface.mac).for_each(|mac| self.add_mac(mac));
    }

    fn add_dnsmasq(&mut self, server: &Dnsmasq) {
        for line in server.hosts.iter().flatten() {
            self.macs.insert(line.mac);
            self.addresses.extend(line.ip);
        }
        for lease in server.leases.iter().flatten() {
            self.macs.insert(lease.mac);
            self.addresses.insert(lease.ip);
        }
    }
}

/// First octets of MACs: a tap's as libvirt gives it, and an instance's as nova does.
const TAPS: u8 = 0xfe;
const NOVAS: u8 = 0xfa;

/// The number that a libvirt name stands for, or that is one.
fn id(word: &str) -> Option<u64> {
    let libvirts = word.strip_prefix("instance-").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    libvirts.or_else(|| word.parse().ok()).filter(|id| i64::try_from(*id).is_ok())
}

/// A uuid: it has no letters that mean anything to a server.
fn uuid(word: &str) -> Option<String> {
    let is_uuid = word.len() == 36 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uuid.then(|| word.to_ascii_lowercase())
}
