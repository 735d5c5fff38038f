//! Records of one database that were read at several times, each of a part of the cloud.

use std::collections::BTreeSet;

use model::intent::{Network, Remains};

use super::{NetworkIndex, Records};

impl Records {
    /// Takes what older records of the same database tell beyond these. What both tell of is as it is here. Of another
    /// database nothing is taken, since its numbers are others': `false`.
    pub fn join(&mut self, older: &Records) -> bool {
        let index = self.network_index();
        if !self.is_of_the_database_of(older, &index) {
            return false;
        }
        let places: Vec<usize> = older.networks.iter().map(|network| self.place(network, &index)).collect();
        let moved = |at: Option<usize>| at.and_then(|at| places.get(at).copied());
        let mut instances = older.instances.clone();
        for vif in instances.iter_mut().flat_map(|instance| &mut instance.vifs) {
            vif.network = moved(vif.network);
        }
        add(&mut self.instances, instances, |instance| instance.id);
        self.instances.sort_by_key(|instance| instance.id);
        for (mac, uuid) in &older.vif_uuids {
            self.vif_uuids.entry(*mac).or_insert_with(|| uuid.clone());
        }
        let Remains { floating, mut fixed, words: _ } = older.remains.clone();
        fixed.iter_mut().for_each(|leaked| leaked.network = moved(leaked.network));
        add(&mut self.remains.floating, floating, |tied| tied.id);
        add(&mut self.remains.fixed, fixed, |leaked| leaked.id);
        add(&mut self.missing_tables, older.missing_tables.clone(), String::clone);
        true
    }

    /// Hosts may call one database differently: then it is known by its networks.
    fn is_of_the_database_of(&self, other: &Records, index: &NetworkIndex) -> bool {
        let here = |network: &Network| self.networks.get(*index.get(&network.id?)?);
        let mut both = other.networks.iter().filter_map(|network| Some((network, here(network)?))).peekable();
        let is_one =
            |(one, other): (&Network, &Network)| (&one.label, one.cidr) == (&other.label, other.cidr);
        other.source == self.source || (both.peek().is_some() && both.all(is_one))
    }

    /// Where a network of older records is among these, with what those tell of it.
    fn place(&mut self, older: &Network, index: &NetworkIndex) -> usize {
        let at = older.id.and_then(|id| index.get(&id).copied());
        let Some((at, network)) = at.and_then(|at| Some((at, self.networks.get_mut(at)?))) else {
            self.networks.push(older.clone());
            return self.networks.len() - 1;
        };
        network.free = network.free.or(older.free);
        add(&mut network.host_addresses, older.host_addresses.clone(), |(host, _)| host.clone());
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
    use model::intent::{Instance, LeakedFixed, Vif};

    use super::*;

    fn network(id: u64, host: &str) -> Network {
        let host_addresses = vec![(host.to_owned(), [10, 0, 0, u8::try_from(id).unwrap_or_default()].into())];
        Network { id: Some(id), label: format!("net{id}"), host_addresses, ..Network::default() }
    }

    fn instance(id: u64, host: &str, network: usize) -> Instance {
        let vifs = vec![Vif { network: Some(network), ..Vif::default() }];
        Instance { id: Some(id), host: host.to_owned(), vifs, ..Instance::default() }
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

    #[test]
    fn two_parts_of_a_cloud_are_one_and_the_newer_is_right() {
        let mut newer = records(
            vec![network(2, "b")],
            vec![instance(7, "b", 0), instance(9, "b", 0)],
            vec![leaked(1, 0)],
        );
        let older = records(
            vec![network(1, "a"), network(2, "a")],
            vec![instance(7, "a", 0), instance(8, "a", 1), instance(3, "a", 0)],
            vec![leaked(1, 0), leaked(2, 1)],
        );
        assert!(newer.join(&older));
        let told = newer.instances.iter().map(|one| (one.id, one.host.as_str(), one.vifs[0].network));
        // Numbers of networks are places in the list, which is the newer one's.
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (Some(3), "a", Some(1)),
                (Some(7), "b", Some(0)),
                (Some(8), "a", Some(0)),
                (Some(9), "b", Some(0))
            ]
        );
        let hosts = newer.networks.iter().map(|network| (network.id, network.host_addresses.len()));
        assert_eq!(hosts.collect::<Vec<_>>(), [(Some(2), 2), (Some(1), 1)]);
        let fixed = newer.remains.fixed.iter().map(|leaked| (leaked.id, leaked.network));
        assert_eq!(fixed.collect::<Vec<_>>(), [(1, Some(0)), (2, Some(0))]);
    }

    #[test]
    fn of_another_database_nothing_is_taken() {
        let mut newer = records(vec![network(2, "b")], vec![instance(7, "b", 0)], Vec::new());
        let before = newer.clone();
        let other = |network| {
            let records = records(vec![network], vec![instance(8, "a", 0)], Vec::new());
            Records { source: "sqlite:/y".to_owned(), ..records }
        };
        assert!(!newer.join(&other(network(1, "a"))));
        assert!(!newer.join(&other(Network { label: "another".to_owned(), ..network(2, "a") })));
        assert_eq!(newer, before);
        assert!(newer.join(&other(network(2, "a"))), "the same by another address");
        assert_eq!(newer.instances.len(), 2);
    }
}
