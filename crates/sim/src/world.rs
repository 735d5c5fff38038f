//! A snapshot made searchable: who owns an address, what is at the other end of a wire.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use model::link::{Link, LinkKind};
use model::netfilter::Family;
use model::{Intent, Mac, Netns, Snapshot};

use crate::netfilter::conntrack::Before;
use crate::netfilter::hooks::Hooks;

/// A link of a namespace of the snapshot: index into `Snapshot::netns`, and ifindex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// Index into `Snapshot::netns`.
    pub ns: usize,
    /// ifindex.
    pub link: u32,
}

/// What stands behind a link, beyond the namespace that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarEnd {
    /// Another link of the snapshot.
    Link(LinkId),
    /// An instance that cannot be entered: index into `Intent::instances`, and its VIF's.
    Guest(usize, usize),
    /// Nothing that the snapshot knows.
    Beyond,
}

/// A station that a frame can be meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Station {
    /// The stack behind a link of the snapshot.
    Link(LinkId),
    /// An instance that cannot be entered, behind the host's side of its NIC.
    Guest {
        /// Host's side of the NIC.
        tap: LinkId,
        /// Index into `Intent::instances`.
        instance: usize,
        /// Index into its VIFs.
        vif: usize,
    },
}

/// A snapshot and an intent, indexed for walking.
pub struct World<'a> {
    /// What the machines would do.
    pub snapshot: &'a Snapshot,
    /// What is meant.
    pub intent: &'a Intent,
    /// By namespace: ifindex and place, ascending.
    links: Vec<Vec<(u32, usize)>>,
    far_ends: HashMap<LinkId, LinkId>,
    guests: HashMap<LinkId, (usize, usize)>,
    hooks: Vec<OnceCell<Hooks<'a>>>,
    connections: Vec<OnceCell<Before<'a>>>,
}

impl<'a> World<'a> {
    /// Indexes a snapshot. Linear in links.
    pub fn new(snapshot: &'a Snapshot, intent: &'a Intent) -> World<'a> {
        let links = snapshot.netns.iter().map(by_index).collect();
        let hooks = snapshot.netns.iter().map(|_| OnceCell::new()).collect();
        let connections = snapshot.netns.iter().map(|_| OnceCell::new()).collect();
        let (far_ends, guests) = (HashMap::new(), HashMap::new());
        let mut world = World { snapshot, intent, links, far_ends, guests, hooks, connections };
        world.far_ends = world.join_veths();
        world.guests = world.seat_guests();
        world
    }

    /// The namespace of this index.
    pub fn ns(&self, ns: usize) -> &'a Netns {
        &self.snapshot.netns[ns]
    }

    /// Index of a machine's main namespace.
    pub fn main_ns(&self, machine: &str) -> Option<usize> {
        self.snapshot.netns.iter().position(|n| n.machine == machine && n.name.is_empty())
    }

    /// The namespace that is an instance's inside, where it was read: by name, or by a VIF's MAC.
    pub fn inside(&self, instance: usize) -> Option<usize> {
        let instance = self.intent.instances.get(instance)?;
        let wears = |ns: &Netns, mac| ns.links.iter().any(|l| l.mac == Some(mac));
        let is_inside = |ns: &&Netns| {
            ns.name.is_empty()
                && ns.instance
                && (ns.machine == instance.name
                    || instance.vifs.iter().filter_map(|v| v.mac).any(|m| wears(ns, m)))
        };
        self.snapshot.netns.iter().position(|ns| is_inside(&ns))
    }

    /// The link of this id.
    pub fn link(&self, id: LinkId) -> Option<&'a Link> {
        let links = self.links.get(id.ns)?;
        let (_, at) = *links.get(links.binary_search_by_key(&id.link, |(index, _)| *index).ok()?)?;
        self.ns(id.ns).links.get(at)
    }

    /// The link of this name.
    pub fn link_named(&self, ns: usize, name: &str) -> Option<LinkId> {
        Some(LinkId { ns, link: self.ns(ns).link_named(name)?.index })
    }

    /// The same, for a namespace of this snapshot.
    pub fn link_named_in(&self, ns: &Netns, name: &str) -> Option<LinkId> {
        let at = self.snapshot.netns.iter().position(|n| std::ptr::eq(n, ns))?;
        self.link_named(at, name)
    }

    /// The bridge that a link is a port of.
    pub fn bridge_of(&self, id: LinkId) -> Option<&'a Link> {
        let master = LinkId { ns: id.ns, link: self.link(id)?.master? };
        self.link(master).filter(|m| m.kind == LinkKind::Bridge)
    }

    /// Base chains of a namespace by hook, made on first use.
    pub(crate) fn hooks(&self, ns: usize) -> &Hooks<'a> {
        self.hooks[ns].get_or_init(|| Hooks::new(&self.ns(ns).ruleset))
    }

    /// Connections that a namespace tracked when it was read, made findable on first use.
    pub(crate) fn connections(&self, ns: usize) -> &Before<'a> {
        self.connections[ns].get_or_init(|| Before::new(&self.ns(ns).conntrack))
    }

    /// Whether connections of a family are tracked in a namespace: some rule wants it, or some are.
    pub(crate) fn tracks(&self, ns: usize, family: Family) -> bool {
        let is_ip = matches!(family, Family::Ip | Family::Ip6);
        self.hooks(ns).tracks(family) || (is_ip && !self.ns(ns).conntrack.is_empty())
    }

    /// What is at the other end of a link.
    pub fn far_end(&self, id: LinkId) -> FarEnd {
        if let Some(other) = self.far_ends.get(&id) {
            return FarEnd::Link(*other);
        }
        self.guests.get(&id).map_or(FarEnd::Beyond, |(instance, vif)| FarEnd::Guest(*instance, *vif))
    }

    /// The host's side of a NIC of an instance that cannot be entered.
    pub fn tap(&self, instance: usize, vif: usize) -> Option<LinkId> {
        self.guests.iter().find(|(_, seat)| **seat == (instance, vif)).map(|(tap, _)| *tap)
    }

    /// Names of the instances that cannot be entered and that frames sent out of these links could reach.
    pub(crate) fn guests_behind(&self, links: &[LinkId]) -> Vec<&'a str> {
        let reached = self.guests.iter().filter(|(tap, (instance, vif))| {
            let station = Station::Guest { tap: **tap, instance: *instance, vif: *vif };
            links.iter().any(|link| self.leads_to(*link, station))
        });
        let instances = reached.filter_map(|(_, (at, _))| self.intent.instances.get(*at));
        let mut names: Vec<&str> = instances.map(|instance| instance.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The link carries an instance's frames: the host's side of its NIC.
    pub fn is_tap(&self, id: LinkId) -> bool {
        match self.far_end(id) {
            FarEnd::Guest(..) => true,
            FarEnd::Link(far) => self.ns(far.ns).instance,
            FarEnd::Beyond => false,
        }
    }

    /// The link that carries this address, in any namespace; an instance that cannot be entered
    /// counts by its fixed addresses.
    pub fn owner_of_ip(&self, ip: IpAddr) -> Option<Station> {
        self.owners_of_ip(ip).next()
    }

    fn owners_of_ip(&self, ip: IpAddr) -> impl Iterator<Item = Station> {
        let carried = self.snapshot.netns.iter().enumerate().flat_map(move |(ns, facts)| {
            let here = facts.addresses.iter().filter(move |a| a.net.addr() == ip);
            here.filter(|a| a.scope != "host" && a.scope != "link")
                .map(move |a| Station::Link(LinkId { ns, link: a.link }))
        });
        let behind = self.guests.iter().filter_map(move |(tap, (instance, vif))| {
            let fixed = &self.intent.instances.get(*instance)?.vifs.get(*vif)?.fixed;
            let holds = fixed.iter().any(|f| IpAddr::V4(*f) == ip);
            holds.then_some(Station::Guest { tap: *tap, instance: *instance, vif: *vif })
        });
        carried.chain(behind)
    }

    /// The address's owner as seen from a segment: the owner that this link's wires lead to, else
    /// any owner. Private ranges may repeat over a site (every libvirt host has 192.168.122.1).
    pub fn owner_of_ip_from(&self, from: LinkId, ip: IpAddr) -> Option<Station> {
        let near = self.owners_of_ip(ip).find(|owner| self.leads_to(from, *owner));
        near.or_else(|| self.owner_of_ip(ip))
    }

    /// The stations that wear this MAC. A bridge and its port may share one: the bridge's stack
    /// receives, so ports of bridges are left out where anything else wears it.
    pub fn owners_of_mac(&self, mac: Mac) -> Vec<Station> {
        let mut owners = Vec::new();
        let mut ports = Vec::new();
        for (ns, facts) in self.snapshot.netns.iter().enumerate() {
            for link in facts.links.iter().filter(|l| l.mac == Some(mac)) {
                let station = Station::Link(LinkId { ns, link: link.index });
                if link.master.is_some() { ports.push(station) } else { owners.push(station) }
            }
        }
        for (tap, (instance, vif)) in &self.guests {
            let vif_mac = self.intent.instances.get(*instance).and_then(|i| i.vifs.get(*vif)?.mac);
            if vif_mac == Some(mac) {
                owners.push(Station::Guest { tap: *tap, instance: *instance, vif: *vif });
            }
        }
        if owners.is_empty() { ports } else { owners }
    }

    /// Whether frames sent out of `from` could ever reach the station, going by cables and bridges
    /// alone, whatever their state: tells the ports worth flooding to from the bystanders.
    pub fn leads_to(&self, from: LinkId, station: Station) -> bool {
        self.reaches(from, station, true)
    }

    /// `beyond`: also over segments that were not read, where both of their ends were.
    fn reaches(&self, from: LinkId, station: Station, beyond: bool) -> bool {
        let mut seen = HashSet::from([from]);
        let mut queue = VecDeque::from([from]);
        while let Some(egress) = queue.pop_front() {
            if self.link(egress).is_some_and(|l| l.kind == LinkKind::Bridge) {
                let ports = self.ns(egress.ns).ports(egress.link);
                let ports = ports.map(|p| LinkId { ns: egress.ns, link: p.index });
                queue.extend(ports.filter(|p| seen.insert(*p)));
                continue;
            }
            let ingress = match self.far_end(egress) {
                FarEnd::Guest(instance, vif) => {
                    if station == (Station::Guest { tap: egress, instance, vif }) {
                        return true;
                    }
                    continue;
                }
                FarEnd::Link(ingress) => ingress,
                FarEnd::Beyond if beyond && self.landing(egress, station).is_some() => return true,
                FarEnd::Beyond => continue,
            };
            if self.receives(ingress, station) {
                return true;
            }
            queue.extend(self.siblings(ingress).filter(|p| seen.insert(*p)));
        }
        false
    }

    /// The station is the stack behind this link, or behind the bridge that the link is a port of.
    fn receives(&self, ingress: LinkId, station: Station) -> bool {
        let bridge = self.bridge_of(ingress).map(|b| LinkId { ns: ingress.ns, link: b.index });
        station == Station::Link(ingress) || bridge.is_some_and(|b| station == Station::Link(b))
    }

    /// The other ports of the bridge that a link is a port of.
    fn siblings(&self, port: LinkId) -> impl Iterator<Item = LinkId> + use<'a> {
        let ns = self.ns(port.ns);
        let bridge = self.bridge_of(port).map(|b| b.index);
        let ports = bridge.into_iter().flat_map(move |b| ns.ports(b));
        ports.map(move |p| LinkId { ns: port.ns, link: p.index }).filter(move |p| *p != port)
    }

    /// Two links of different machines whose cables lead where nothing was read may share a segment.
    /// The link by which a frame sent out of `from` would arrive that leads on to the station.
    pub fn landing(&self, from: LinkId, station: Station) -> Option<LinkId> {
        if !self.leads_beyond(from) {
            return None;
        }
        let links = self.snapshot.netns.iter().enumerate().filter(|(ns, _)| *ns != from.ns);
        let links = links.flat_map(|(ns, n)| n.links.iter().map(move |l| LinkId { ns, link: l.index }));
        links.into_iter().filter(|id| self.leads_beyond(*id)).find(|ingress| {
            self.receives(*ingress, station)
                || self.siblings(*ingress).any(|port| self.reaches(port, station, false))
        })
    }

    /// The MAC that answers ARP received at a link: the guest's, where the link is its tap.
    pub fn answering_mac(&self, at: LinkId) -> Option<Mac> {
        match self.far_end(at) {
            FarEnd::Guest(instance, vif) => self.intent.instances.get(instance)?.vifs.get(vif)?.mac,
            FarEnd::Link(_) | FarEnd::Beyond => self.link(at)?.mac,
        }
    }

    /// Frames sent out of this link go where nothing was read, at once or over bridges of the site.
    pub fn leaves_site(&self, id: LinkId) -> bool {
        let mut seen = HashSet::from([id]);
        let mut queue = VecDeque::from([id]);
        while let Some(egress) = queue.pop_front() {
            if self.leads_beyond(egress) {
                return true;
            }
            let FarEnd::Link(ingress) = self.far_end(egress) else { continue };
            let Some(bridge) = self.bridge_of(ingress) else { continue };
            let ports = self.ns(ingress.ns).ports(bridge.index);
            let ports = ports.map(|p| LinkId { ns: ingress.ns, link: p.index });
            queue.extend(ports.filter(|p| *p != ingress && seen.insert(*p)));
        }
        false
    }

    /// The MAC that a station answers ARP with.
    pub fn mac_of(&self, station: Station) -> Option<Mac> {
        match station {
            Station::Link(id) => self.link(id)?.mac,
            Station::Guest { instance, vif, .. } => self.intent.instances.get(instance)?.vifs.get(vif)?.mac,
        }
    }

    /// A cable or tap whose far end was not read and that no known instance sits behind.
    fn leads_beyond(&self, id: LinkId) -> bool {
        let Some(link) = self.link(id) else { return false };
        let cable = match link.kind {
            LinkKind::Physical | LinkKind::Veth | LinkKind::Vlan | LinkKind::Bond => true,
            LinkKind::Loopback | LinkKind::Bridge | LinkKind::Tun | LinkKind::Vxlan | LinkKind::Dummy => {
                false
            }
            LinkKind::Other(_) => true,
        };
        cable && self.far_end(id) == FarEnd::Beyond
    }

    fn join_veths(&self) -> HashMap<LinkId, LinkId> {
        let by_inode: HashMap<u64, usize> =
            self.snapshot.netns.iter().enumerate().filter_map(|(at, n)| Some((n.inode?, at))).collect();
        let mut ends = HashMap::new();
        for (ns, facts) in self.snapshot.netns.iter().enumerate() {
            for link in facts.links.iter().filter(|l| l.kind == LinkKind::Veth) {
                let Some(peer) = link.peer else { continue };
                let Some(peer_ns) = peer.netns.and_then(|inode| by_inode.get(&inode)) else { continue };
                let far = LinkId { ns: *peer_ns, link: peer.index };
                if self.link(far).is_some() {
                    ends.insert(LinkId { ns, link: link.index }, far);
                }
            }
        }
        ends
    }

    /// Instances whose inside was not read sit behind the tap that the records name, or that wears
    /// their MAC with `fe`.
    fn seat_guests(&self) -> HashMap<LinkId, (usize, usize)> {
        let mut guests = HashMap::new();
        for (at, instance) in self.intent.instances.iter().enumerate() {
            if self.inside(at).is_some() {
                continue;
            }
            let Some(ns) = self.main_ns(&instance.host) else { continue };
            for (nth, vif) in instance.vifs.iter().enumerate() {
                let named = vif.device.as_ref().and_then(|name| self.link_named(ns, name));
                let worn = || {
                    let wears = |l: &&Link| l.mac.zip(vif.mac).is_some_and(|(tap, mac)| tap.is_tap_of(mac));
                    self.ns(ns).links.iter().find(wears).map(|l| LinkId { ns, link: l.index })
                };
                if let Some(tap) = named.or_else(worn) {
                    guests.insert(tap, (at, nth));
                }
            }
        }
        guests
    }
}

fn by_index(ns: &Netns) -> Vec<(u32, usize)> {
    let mut places: Vec<(u32, usize)> =
        ns.links.iter().enumerate().map(|(at, link)| (link.index, at)).collect();
    places.sort_unstable();
    places
}
