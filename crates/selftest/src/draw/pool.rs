//! The names and addresses that rules of a machine are written with: those of its case, so that packets
//! meet them, and a few that nobody has.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;

use crate::case::Case;
use crate::random::Random;
use crate::words::Version;

#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    hosts: Vec<IpAddr>,
    nets: Vec<IpNet>,
    macs: Vec<Mac>,
    /// Links that packets come and go by: no bridge's ports.
    links: Vec<String>,
    ports: Vec<String>,
    bridges: Vec<String>,
    pub(crate) v6: bool,
}

impl Pool {
    /// What there is of a case, seen from one of its machines.
    pub(crate) fn of(case: &Case, machine: usize) -> Pool {
        let addresses = || case.machines.iter().flat_map(|m| &m.addresses).map(|(_, net)| *net);
        let mut pool = Pool { v6: case.v6, ..Pool::default() };
        pool.hosts = addresses().map(|net| net.addr()).collect();
        pool.hosts
            .extend(["10.0.0.99", "2001:db8:99::1"].iter().filter_map(|text| text.parse::<IpAddr>().ok()));
        // Whoever sends, and what is sent to, is written about more than the rest.
        let senders = case.probes.iter().filter_map(|probe| case.machines.get(probe.from));
        let senders = senders.flat_map(|machine| &machine.addresses).map(|(_, net)| net.addr());
        pool.hosts.extend(senders.chain(case.probes.iter().map(|probe| probe.to)));
        pool.nets = addresses().map(|net| net.trunc()).collect();
        pool.nets.extend(
            ["10.0.0.0/23", "10.0.0.0/8", "fd00::/16"].iter().filter_map(|text| text.parse::<IpNet>().ok()),
        );
        pool.nets.sort();
        pool.nets.dedup();
        pool.macs = case.cables.iter().flat_map(|cable| &cable.ends).map(|end| end.mac).collect();
        pool.macs.extend(case.machines.iter().flat_map(|m| &m.bridges).map(|b| b.mac));
        for (link, bridge) in case.links(machine) {
            let list = if bridge.is_some() { &mut pool.ports } else { &mut pool.links };
            list.push(link.to_owned());
        }
        let own = case.machines.get(machine).into_iter().flat_map(|m| &m.bridges);
        pool.bridges = own.map(|bridge| bridge.name.clone()).collect();
        pool
    }

    pub(crate) fn has_bridges(&self) -> bool {
        !self.bridges.is_empty()
    }

    pub(crate) fn host(&self, random: &mut Random, version: Version) -> Option<IpAddr> {
        let fitting: Vec<IpAddr> = self.hosts.iter().filter(|ip| fits(**ip, version)).copied().collect();
        random.pick(&fitting).copied()
    }

    /// A prefix: of a segment, or of a single address.
    pub(crate) fn net(&self, random: &mut Random, version: Version) -> Option<IpNet> {
        if random.one_in(2) {
            return self.host(random, version).map(IpNet::from);
        }
        self.whole_net(random, version)
    }

    pub(crate) fn whole_net(&self, random: &mut Random, version: Version) -> Option<IpNet> {
        let fitting: Vec<IpNet> = self.nets.iter().filter(|net| fits(net.addr(), version)).copied().collect();
        random.pick(&fitting).copied()
    }

    pub(crate) fn mac(&self, random: &mut Random) -> Option<Mac> {
        random.pick(&self.macs).copied()
    }

    /// A link of the machine; now and then one that is a port of a bridge, which packets are never said
    /// to come by.
    pub(crate) fn link(&self, random: &mut Random) -> Option<&str> {
        let ports = random.one_in(6) && !self.ports.is_empty();
        random.pick(if ports { &self.ports } else { &self.links }).map(String::as_str)
    }

    /// Any link of the machine, ports of bridges too.
    pub(crate) fn any_link(&self, random: &mut Random) -> Option<&str> {
        let ports = random.one_in(2) && !self.ports.is_empty();
        random.pick(if ports { &self.ports } else { &self.links }).map(String::as_str)
    }

    pub(crate) fn port(&self, random: &mut Random) -> Option<&str> {
        random.pick(&self.ports).map(String::as_str)
    }

    pub(crate) fn bridge(&self, random: &mut Random) -> Option<&str> {
        random.pick(&self.bridges).map(String::as_str)
    }
}

fn fits(ip: IpAddr, version: Version) -> bool {
    match version {
        Version::Both => true,
        Version::V4 => ip.is_ipv4(),
        Version::V6 => ip.is_ipv6(),
    }
}
