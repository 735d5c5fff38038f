//! By what the rows are found that concern a site: what its machines show, and what is asked for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::netfilter::{Action, NfRule, Test};
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
    /// Hosts of the site that could not be read, and are its hosts all the same.
    pub(crate) unread_hosts: BTreeSet<String>,
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

    /// With hosts of the site that could not be read.
    #[must_use]
    pub fn with_unread_hosts<'n>(mut self, names: impl Iterator<Item = &'n str>) -> Sought {
        self.unread_hosts.extend(names.map(str::to_owned));
        self
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

    /// A tap's MAC, as `ip link` on the host shows it, is its instance's but for the first octet.
    fn add_mac(&mut self, mac: Mac) {
        let Mac(octets) = mac;
        if let [TAPS, rest @ ..] = octets {
            let of_first = |first: u8| std::array::from_fn(|at| if at == 0 { first } else { rest[at - 1] });
            self.macs.extend(INSTANCES.map(|first| Mac(of_first(first))));
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
            chain.rules.iter().for_each(|rule| self.add_rule(rule, number.is_some()));
        }
    }

    /// Whom it is for, whose it is and whom it leads to. The sources that an instance's own chain lets in are the
    /// members of a security group, who may be everybody.
    fn add_rule(&mut self, rule: &NfRule, is_of_group: bool) {
        if let Action::Dnat(target) | Action::Snat(target) = &rule.action
            && let Some((first, last)) = target.addresses
        {
            [first, last].into_iter().for_each(|ip| self.add_ip(ip));
        }
        for test in rule.matches.iter().map(|one| &one.test) {
            let is_source = matches!(test, Test::Source(_));
            if let Test::Destination(nets) | Test::Source(nets) = test
                && !(is_source && is_of_group)
            {
                let single = nets.iter().filter(|net| net.prefix_len() == net.max_prefix_len());
                single.for_each(|net| self.add_ip(net.addr()));
            }
        }
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

/// First octet of a tap's MAC as libvirt gives it, and those of instances: nova's (nova/utils.py
/// `generate_mac_address`), that of nova before Essex, and libvirt's own.
const TAPS: u8 = 0xfe;
const INSTANCES: [u8; 3] = [0xfa, 0x02, 0x52];

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
