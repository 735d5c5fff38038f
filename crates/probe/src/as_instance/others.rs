//! What a bridge and its host know of other stations, held to what they knew before anything was sent as an instance.
//!
//! Pure: it is asked with the links, the FDB and the neighbours as they were read before and after.

use collect::netlink::bridges::Stations;
use model::link::{FdbEntry, FdbKind, Link};
use model::route::{Neighbour, NeighbourState};

use super::Sender;

/// What leads elsewhere now. What has aged meanwhile, or is new, is no change.
pub(super) fn changed(sender: &Sender, port: &Link, before: &Stations, after: &Stations) -> Vec<String> {
    let name = |stations: &Stations, index: u32| {
        let link = stations.links.iter().find(|link| link.index == index);
        link.map_or_else(|| format!("if{index}"), |link| link.name.clone())
    };
    let is_of_bridge = |stations: &Stations, entry: &FdbEntry| {
        let link = stations.links.iter().find(|link| link.index == entry.link);
        let is_anothers = entry.mac != sender.mac && entry.kind == FdbKind::Learned && !entry.on_self;
        is_anothers && link.is_some_and(|link| link.master.is_some() && link.master == port.master)
    };
    let behind = |stations: &Stations, of: &FdbEntry| {
        let same =
            |entry: &&FdbEntry| entry.mac == of.mac && entry.vlan == of.vlan && is_of_bridge(stations, entry);
        stations.fdb.iter().find(same).map(|entry| entry.link)
    };
    let is_known = |entry: &&Neighbour| {
        Some(entry.link) == port.master && !entry.proxy && entry.state != NeighbourState::Failed
    };
    let at = |stations: &Stations, of: &Neighbour| {
        let same = |entry: &&Neighbour| entry.ip == of.ip && is_known(entry);
        stations.neighbours.iter().find(same).and_then(|entry| entry.mac)
    };
    let moved = before.fdb.iter().filter(|entry| is_of_bridge(before, entry)).filter_map(|entry| {
        let now = behind(after, entry).filter(|now| *now != entry.link)?;
        let (then, now) = (name(before, entry.link), name(after, now));
        Some(format!("{} was behind {then} and is behind {now}", entry.mac))
    });
    let misled = before.neighbours.iter().filter(is_known).filter_map(|entry| {
        let now = at(after, entry).filter(|now| Some(*now) != entry.mac)?;
        Some(format!("{} was at {} and is at {now}", entry.ip, entry.mac?))
    });
    moved.chain(misled).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Seat;
    use super::*;
    use model::Mac;

    const BRIDGE: u32 = 5;
    const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x11]);
    const OTHER: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x12]);

    fn sender() -> Sender {
        let (name, device, seat) = ("web1".to_owned(), "vnet0".to_owned(), Seat::Port("br100".to_owned()));
        Sender { name, device, mac: OWN, addresses: Vec::new(), seat }
    }

    /// Two ports; the other station behind one of them, and its address at this MAC.
    fn stations(own: u32, other: u32, at: Mac) -> Stations {
        let port = |index: u32| Link {
            index,
            name: format!("vnet{index}"),
            master: Some(BRIDGE),
            ..Link::default()
        };
        let behind = |mac, link| FdbEntry {
            mac,
            link,
            vlan: None,
            kind: FdbKind::Learned,
            sticky: false,
            remote: None,
            on_self: false,
        };
        let ip = [10, 0, 2, 25].into();
        let state = NeighbourState::Stale;
        Stations {
            links: vec![port(0), port(1)],
            fdb: vec![behind(OWN, own), behind(OTHER, other)],
            neighbours: vec![Neighbour { link: BRIDGE, ip, mac: Some(at), state, proxy: false }],
        }
    }

    fn since(after: &Stations) -> Vec<String> {
        let before = stations(0, 1, OTHER);
        changed(&sender(), &before.links[0], &before, after)
    }

    #[test]
    fn what_leads_elsewhere_is_told() {
        let moved = since(&stations(0, 0, OTHER));
        assert_eq!(moved, ["fa:16:3e:00:00:12 was behind vnet1 and is behind vnet0"]);
        let misled = since(&stations(0, 1, OWN));
        assert_eq!(misled, ["10.0.2.25 was at fa:16:3e:00:00:12 and is at fa:16:3e:00:00:11"]);
    }

    #[test]
    fn the_instances_own_entry_and_what_aged_are_no_change() {
        let mut after = stations(1, 1, OTHER);
        assert!(since(&after).is_empty());
        after.fdb.clear();
        after.neighbours.clear();
        assert!(since(&after).is_empty());
    }
}
