//! Records of one database that were read at several times, each of a part of the cloud. What the newer ones were read
//! for and do not tell is gone by now, whatever older ones say; these tell of their own hosts alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::Mac;
use model::intent::{Instance, Network, Remains};
use model::snapshot::Host;

use super::{NetworkIndex, Records};
use crate::host_name::short;

/// The hosts that records were read for, by all that shows their instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    /// As the site and as nova calls them, without their domains, in small letters.
    names: BTreeSet<String>,
    /// Of libvirt's domains, in small letters.
    uuids: BTreeSet<String>,
}

impl Hosts {
    /// Adds a host of this name, and what was read of it.
    pub fn add(&mut self, name: &str, host: Option<&Host>) {
        self.names.insert(short(name));
        let nova = host.and_then(|host| host.nova.as_ref()?.get("host"));
        self.names.extend(nova.map(short));
        let domains = host.into_iter().flat_map(|host| &host.domains);
        self.uuids
            .extend(domains.filter_map(|domain| domain.uuid.as_ref()).map(|uuid| uuid.to_ascii_lowercase()));
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(&short(name))
    }

    /// On one of them, known to it, or served by it.
    fn show(&self, instance: &Instance, networks: &[Network]) -> bool {
        let uuid = instance.uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase());
        let networks = instance.vifs.iter().filter_map(|vif| networks.get(vif.network?));
        let mut others = networks.filter_map(|network| network.host.as_deref());
        self.has(&instance.host)
            || uuid.is_some_and(|uuid| self.uuids.contains(&uuid))
            || instance.floating().filter_map(|floating| floating.host.as_deref()).any(|host| self.has(host))
            || others.any(|host| self.has(host))
    }
}

/// What an instance has, and no other while it does.
#[derive(Default)]
struct Had {
    macs: BTreeSet<Mac>,
    /// By place of the network.
    fixed: BTreeSet<(Option<usize>, Ipv4Addr)>,
    floating: BTreeSet<Ipv4Addr>,
}

impl Had {
    fn by(instances: &[Instance]) -> Had {
        let mut had = Had::default();
        for vif in instances.iter().flat_map(|instance| &instance.vifs) {
            had.macs.extend(vif.mac);
            had.fixed.extend(vif.fixed.iter().map(|ip| (vif.network, *ip)));
            had.floating.extend(vif.floating.iter().map(|floating| floating.address));
        }
        had
    }

    fn has_any_of(&self, instance: &Instance) -> bool {
        let Had { macs, fixed, floating: _ } = Had::by(std::slice::from_ref(instance));
        !(self.macs.is_disjoint(&macs) && self.fixed.is_disjoint(&fixed))
    }
}

impl Records {
    /// Takes what older records of the same database tell of these hosts, of which nothing is known here. Of another
    /// database nothing is taken, since its numbers are others': `false`.
    pub fn join(&mut self, older: &Records, hosts: &Hosts) -> bool {
        let index = self.network_index();
        if !self.is_of_the_database_of(older, &index) {
            return false;
        }
        // Whoever had one of these and has it no more is read with who has it now.
        let had = Had::by(&self.instances);
        let counted: BTreeSet<usize> = self
            .networks
            .iter()
            .enumerate()
            .filter(|(_, one)| one.free.is_some())
            .map(|(at, _)| at)
            .collect();
        let places: Vec<usize> =
            older.networks.iter().map(|network| self.place(network, &index, hosts)).collect();
        let moved = |at: Option<usize>| at.and_then(|at| places.get(at).copied());
        let shown = older.instances.iter().filter(|instance| hosts.show(instance, &older.networks));
        let mut instances: Vec<Instance> = shown.cloned().collect();
        for vif in instances.iter_mut().flat_map(|instance| &mut instance.vifs) {
            vif.network = moved(vif.network);
            // It has gone to another since, as they do; all else that the older has of it is true.
            vif.floating.retain(|floating| !had.floating.contains(&floating.address));
        }
        instances.retain(|instance| !had.has_any_of(instance));
        for mac in instances.iter().flat_map(|instance| &instance.vifs).filter_map(|vif| vif.mac) {
            if let Some(uuid) = older.vif_uuids.get(&mac) {
                self.vif_uuids.entry(mac).or_insert_with(|| uuid.clone());
            }
        }
        add(&mut self.instances, instances, |instance| instance.id);
        self.instances.sort_by_key(|instance| instance.id);
        let Remains { mut floating, mut fixed, words: _ } = older.remains.clone();
        floating.retain(|tied| {
            tied.floating.host.as_ref().is_some_and(|host| hosts.has(host))
                && !had.floating.contains(&tied.floating.address)
        });
        fixed.iter_mut().for_each(|leaked| leaked.network = moved(leaked.network));
        fixed.retain(|leaked| leaked.network.is_some_and(|at| !counted.contains(&at)));
        add(&mut self.remains.floating, floating, |tied| tied.id);
        add(&mut self.remains.fixed, fixed, |leaked| leaked.id);
        add(&mut self.missing_tables, older.missing_tables.clone(), String::clone);
        true
    }

    /// Hosts may call one database differently, and several clouds theirs alike: what both tell of decides.
    fn is_of_the_database_of(&self, other: &Records, index: &NetworkIndex) -> bool {
        let here = |network: &Network| self.networks.get(*index.get(&network.id?)?);
        let networks = other.networks.iter().filter_map(|network| Some((network, here(network)?)));
        let networks: Vec<(&Network, &Network)> = networks.collect();
        let uuids: BTreeMap<Option<u64>, &String> =
            self.instances.iter().filter_map(|one| Some((one.id, one.uuid.as_ref()?))).collect();
        let is_another = |one: &Instance| {
            let uuids = uuids.get(&one.id).zip(one.uuid.as_ref());
            uuids.is_some_and(|(here, there)| !here.eq_ignore_ascii_case(there))
        };
        if other.instances.iter().any(is_another) || networks.iter().any(|(one, two)| one.cidr != two.cidr) {
            return false;
        }
        let is_called_alike =
            !networks.is_empty() && networks.iter().all(|(one, two)| one.label == two.label);
        other.source == self.source || is_called_alike
    }

    /// Where a network of older records is among these, with what those tell of it and of their hosts.
    fn place(&mut self, older: &Network, index: &NetworkIndex, hosts: &Hosts) -> usize {
        let at = older.id.and_then(|id| index.get(&id).copied());
        let Some((at, network)) = at.and_then(|at| Some((at, self.networks.get_mut(at)?))) else {
            self.networks.push(older.clone());
            return self.networks.len() - 1;
        };
        network.free = network.free.or(older.free);
        let theirs = older.host_addresses.iter().filter(|(host, _)| hosts.has(host));
        add(&mut network.host_addresses, theirs.cloned().collect(), |(host, _)| host.clone());
        at
    }
}

/// Adds those of which nothing is known by this.
fn add<T, K: Ord>(known: &mut Vec<T>, older: Vec<T>, by: impl Fn(&T) -> K) {
    let keys: BTreeSet<K> = known.iter().map(&by).collect();
    known.extend(older.into_iter().filter(|one| !keys.contains(&by(one))));
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use model::intent::{Floating, LeakedFixed, Vif};

    use super::*;

    fn network(id: u64, host: &str) -> Network {
        let host_addresses = vec![(host.to_owned(), [10, 0, 0, u8::try_from(id).unwrap_or_default()].into())];
        Network { id: Some(id), label: format!("net{id}"), host_addresses, ..Network::default() }
    }

    fn instance(id: u8, host: &str, network: usize) -> Instance {
        let fixed = vec![[10, 9, 0, id].into()];
        let vifs = vec![Vif { network: Some(network), fixed, ..Vif::default() }];
        let uuid = Some(format!("U{id}"));
        Instance { id: Some(id.into()), uuid, host: host.to_owned(), vifs, ..Instance::default() }
    }

    fn leaked(id: u64, network: usize) -> LeakedFixed {
        LeakedFixed {
            id,
            address: [10, 0, 0, 9].into(),
            network: Some(network),
            allocated: true,
            leased: false,
            instance: None,
            name: None,
        }
    }

    fn records(networks: Vec<Network>, instances: Vec<Instance>, fixed: Vec<LeakedFixed>) -> Records {
        let remains = Remains { fixed, ..Remains::default() };
        Records { source: "sqlite:/x".to_owned(), networks, instances, remains, ..Records::default() }
    }

    fn hosts(names: &[&str]) -> Hosts {
        let mut hosts = Hosts::default();
        names.iter().for_each(|name| hosts.add(name, None));
        hosts
    }

    fn ids(records: &Records) -> Vec<u64> {
        records.instances.iter().filter_map(|one| one.id).collect()
    }

    #[test]
    fn two_parts_of_a_cloud_are_one_and_the_newer_is_right() {
        let mut newer = records(
            vec![network(2, "b")],
            vec![instance(7, "b", 0), instance(9, "b", 0)],
            vec![leaked(1, 0)],
        );
        let older = records(
            vec![network(1, "a"), network(2, "a")],
            vec![instance(7, "a", 0), instance(8, "A.example", 1), instance(3, "a", 0)],
            vec![leaked(1, 0), leaked(2, 1)],
        );
        assert!(newer.join(&older, &hosts(&["a"])));
        let told = newer.instances.iter().map(|one| (one.id, one.host.as_str(), one.vifs[0].network));
        // Numbers of networks are places in the list, which is the newer one's.
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (Some(3), "a", Some(1)),
                (Some(7), "b", Some(0)),
                (Some(8), "A.example", Some(0)),
                (Some(9), "b", Some(0))
            ]
        );
        let hosts = newer.networks.iter().map(|network| (network.id, network.host_addresses.len()));
        assert_eq!(hosts.collect::<Vec<_>>(), [(Some(2), 2), (Some(1), 1)]);
        let fixed = newer.remains.fixed.iter().map(|leaked| (leaked.id, leaked.network));
        assert_eq!(fixed.collect::<Vec<_>>(), [(1, Some(0)), (2, Some(0))]);
    }

    #[test]
    fn what_the_newer_was_read_for_and_does_not_tell_is_gone() {
        let mut counted = network(2, "b");
        counted.free = Some((1, 2));
        let mut taker = instance(12, "b", 0);
        taker.vifs[0].fixed = vec![[10, 9, 0, 5].into()];
        let mut newer = records(vec![counted], vec![taker], Vec::new());
        // 8 was a neighbour on b; 5 had the address that 12 has; the leaked one was given back.
        let older = records(
            vec![network(2, "b")],
            vec![instance(4, "a", 0), instance(5, "a", 0), instance(8, "b", 0)],
            vec![leaked(1, 0)],
        );
        assert!(newer.join(&older, &hosts(&["a"])));
        assert_eq!((ids(&newer), newer.remains.fixed.len()), (vec![4, 12], 0));
        assert!(newer.join(&older, &hosts(&[])));
        assert_eq!(ids(&newer), [4, 12]);
        let mut served = older.clone();
        served.networks[0].host = Some("a".to_owned());
        assert!(newer.join(&served, &hosts(&["a"])), "whom a host serves it was read for");
        assert_eq!(ids(&newer), [4, 8, 12]);
    }

    #[test]
    fn a_host_is_known_by_its_name_without_a_domain_and_by_its_whole_address() {
        let named = hosts(&["A.example", "10.0.0.5"]);
        assert_eq!(
            ["a", "a.other", "10.0.0.5", "10.0.0.6", "10"].map(|name| named.has(name)),
            [true, true, true, false, false]
        );
    }

    /// As nova lets anybody do at any time.
    #[test]
    fn a_floating_address_that_moved_takes_nobody_with_it() {
        let with = |mut instance: Instance, last: &[u8]| {
            let fixed = instance.vifs[0].fixed[0];
            let floating =
                |last: &u8| Floating { id: None, address: [203, 0, 113, *last].into(), fixed, host: None };
            instance.vifs[0].floating = last.iter().map(floating).collect();
            instance
        };
        let mut newer = records(vec![network(2, "b")], vec![with(instance(9, "b", 0), &[30])], Vec::new());
        let older = records(vec![network(2, "a")], vec![with(instance(4, "a", 0), &[30, 31])], Vec::new());
        assert!(newer.join(&older, &hosts(&["a"])));
        let floating = |at: usize| newer.instances[at].floating().map(|one| one.address).collect::<Vec<_>>();
        assert_eq!((ids(&newer), floating(0)), (vec![4, 9], vec![[203, 0, 113, 31].into()]));
    }

    #[test]
    fn of_another_database_nothing_is_taken() {
        let mut newer = records(vec![network(2, "b")], vec![instance(7, "b", 0)], Vec::new());
        let before = newer.clone();
        let of = hosts(&["a"]);
        let other = |network| {
            let records = records(vec![network], vec![instance(8, "a", 0)], Vec::new());
            Records { source: "sqlite:/y".to_owned(), ..records }
        };
        assert!(!newer.join(&other(network(1, "a")), &of));
        assert!(!newer.join(&other(Network { label: "another".to_owned(), ..network(2, "a") }), &of));
        // Of two clouds, each of whose hosts calls its own database localhost's.
        let range = Network { cidr: "10.7.0.0/16".parse().ok(), ..network(2, "a") };
        assert!(!newer.join(&records(vec![range], vec![instance(8, "a", 0)], Vec::new()), &of));
        let mut stranger = instance(7, "a", 0);
        stranger.uuid = Some("V7".to_owned());
        assert!(!newer.join(&records(vec![network(2, "a")], vec![stranger], Vec::new()), &of));
        assert_eq!(newer, before);
        assert!(newer.join(&other(network(2, "a")), &of), "the same by another address");
        assert_eq!(ids(&newer), [7, 8]);
    }
}
