//! A snapshot made searchable: who owns an address, what is at the other end of a wire.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;

use model::link::{Link, LinkKind};
use model::netfilter::{Family, NfRule};
use model::vlan::{Tag, Tags};
use model::vxlan::VxlanDevice;
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
    /// VLAN devices by lower link and tag.
    vlans: HashMap<(LinkId, Tag), LinkId>,
    /// Lower links by VLAN device.
    lowers: HashMap<LinkId, LinkId>,
    /// VXLAN devices, and the namespace that each sends its packets in, where that was read.
    overlays: Vec<(LinkId, Option<usize>)>,
    hooks: Vec<OnceCell<Hooks<'a>>>,
    connections: Vec<OnceCell<Before<'a>>>,
    /// Rules that changed a packet in the walks so far, or may have.
    changers: RefCell<Vec<&'a NfRule>>,
}

impl<'a> World<'a> {
    /// Indexes a snapshot. Linear in links.
    pub fn new(snapshot: &'a Snapshot, intent: &'a Intent) -> World<'a> {
        let links = snapshot.netns.iter().map(by_index).collect();
        let hooks = snapshot.netns.iter().map(|_| OnceCell::new()).collect();
        let connections = snapshot.netns.iter().map(|_| OnceCell::new()).collect();
        let (far_ends, guests) = (HashMap::new(), HashMap::new());
        let (vlans, lowers) = (HashMap::new(), HashMap::new());
        let inodes = inodes(snapshot);
        let overlays = overlays(snapshot, &inodes);
        let mut world = World {
            snapshot,
            intent,
            links,
            far_ends,
            guests,
            vlans,
            lowers,
            overlays,
            hooks,
            connections,
            changers: RefCell::default(),
        };
        world.far_ends = world.join_veths(&inodes);
        world.stack_vlans(&inodes);
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

    /// The bond that a link is a slave of.
    pub(crate) fn bond_of(&self, id: LinkId) -> Option<LinkId> {
        let master = LinkId { ns: id.ns, link: self.link(id)?.master? };
        self.link(master).filter(|m| m.kind == LinkKind::Bond).map(|_| master)
    }

    /// The slaves of a bond, by ifindex.
    pub(crate) fn slaves(&self, bond: LinkId) -> impl Iterator<Item = LinkId> {
        let is_bond = self.link(bond).is_some_and(|link| link.kind == LinkKind::Bond);
        let slaves = self.ns(bond.ns).ports(bond.link).filter(move |_| is_bond);
        slaves.map(move |slave| LinkId { ns: bond.ns, link: slave.index })
    }

    /// The lower link of a VLAN device, where it was read.
    pub(crate) fn lower_of(&self, device: LinkId) -> Option<LinkId> {
        self.lowers.get(&device).copied()
    }

    /// VLAN devices on a link.
    pub(crate) fn vlans_on(&self, lower: LinkId) -> impl Iterator<Item = LinkId> {
        self.vlans.iter().filter(move |((on, _), _)| *on == lower).map(|(_, device)| *device)
    }

    /// The VLAN device that takes a frame which comes to a link, and the tags that are left of it then
    /// (`vlan_do_receive`).
    pub(crate) fn vlan_taking(&self, lower: LinkId, tags: Tags) -> Option<(LinkId, Tags)> {
        let device = self.vlans.get(&(lower, tags.outermost()?))?;
        Some((*device, tags.inner()))
    }

    /// The namespace that a VXLAN device sends its packets in.
    pub(crate) fn underlay_of(&self, device: LinkId) -> Option<usize> {
        self.overlays.iter().find(|(known, _)| *known == device).and_then(|(_, ns)| *ns)
    }

    /// VXLAN devices whose packets travel in this namespace.
    pub(crate) fn overlays_over(&self, ns: usize) -> impl Iterator<Item = (LinkId, VxlanDevice)> {
        let over = self.overlays.iter().filter(move |(_, underlay)| *underlay == Some(ns));
        over.filter_map(|(device, _)| Some((*device, self.link(*device)?.vxlan?)))
    }

    /// VXLAN devices that this one could be meant to be joined with: those of other machines, of the same network
    /// only where that counts.
    pub(crate) fn far_overlays(&self, device: LinkId, same_network: bool) -> impl Iterator<Item = LinkId> {
        let vni = |id: LinkId| self.link(id).and_then(|link| link.vxlan).map(|vxlan| vxlan.vni);
        let own = vni(device);
        let known = own.is_some() && self.overlays.iter().any(|(other, _)| *other == device);
        let others = self.overlays.iter().map(|(other, _)| *other).filter(move |_| known);
        others.filter(move |other| other.ns != device.ns && (!same_network || vni(*other) == own))
    }

    /// Base chains of a namespace by hook, made on first use.
    pub(crate) fn hooks(&self, ns: usize) -> &Hooks<'a> {
        self.hooks[ns].get_or_init(|| Hooks::new(&self.ns(ns).ruleset))
    }

    /// Connections that a namespace tracked when it was read, made findable on first use.
    pub(crate) fn connections(&self, ns: usize) -> &Before<'a> {
        self.connections[ns].get_or_init(|| Before::new(&self.ns(ns).conntrack))
    }

    /// A rule changes a packet that is walked, or may do so.
    pub(crate) fn note_changer(&self, rule: &'a NfRule) {
        if !self.is_changer(rule) {
            self.changers.borrow_mut().push(rule);
        }
    }

    /// This very rule of the snapshot changed a packet in the walks so far, or may have: its mark, address, port, TTL,
    /// frame, or whether it is tracked.
    pub fn is_changer(&self, rule: &NfRule) -> bool {
        self.changers.borrow().iter().any(|known| std::ptr::eq(*known, rule))
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

    /// Instances that cannot be entered: the host's side of a NIC, and whose it is.
    pub(crate) fn guests(&self) -> impl Iterator<Item = (LinkId, (usize, usize))> {
        self.guests.iter().map(|(tap, seat)| (*tap, *seat))
    }

    /// The host's side of a NIC of an instance that cannot be entered.
    pub fn tap(&self, instance: usize, vif: usize) -> Option<LinkId> {
        self.guests.iter().find(|(_, seat)| **seat == (instance, vif)).map(|(tap, _)| *tap)
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

    pub(crate) fn owners_of_ip(&self, ip: IpAddr) -> impl Iterator<Item = Station> {
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

    /// The MAC that answers ARP received at a link: the guest's, where the link is its tap.
    pub fn answering_mac(&self, at: LinkId) -> Option<Mac> {
        match self.far_end(at) {
            FarEnd::Guest(instance, vif) => self.intent.instances.get(instance)?.vifs.get(vif)?.mac,
            FarEnd::Link(_) | FarEnd::Beyond => self.link(at)?.mac,
        }
    }

    /// The MAC that a station answers ARP with.
    pub fn mac_of(&self, station: Station) -> Option<Mac> {
        match station {
            Station::Link(id) => self.link(id)?.mac,
            Station::Guest { instance, vif, .. } => self.intent.instances.get(instance)?.vifs.get(vif)?.mac,
        }
    }

    fn join_veths(&self, by_inode: &HashMap<u64, usize>) -> HashMap<LinkId, LinkId> {
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

    /// A VLAN device may be in another namespace than its lower link. Of two with one tag, which the kernel
    /// forbids, the first counts.
    fn stack_vlans(&mut self, by_inode: &HashMap<u64, usize>) {
        for (ns, facts) in self.snapshot.netns.iter().enumerate() {
            for (link, vlan) in facts.links.iter().filter_map(|l| Some((l, l.vlan?))) {
                let Some(peer) = link.peer else { continue };
                let lower_ns = match peer.netns {
                    Some(inode) => by_inode.get(&inode).copied(),
                    // Texts tell no namespaces, and mean their own.
                    None => facts.inode.is_none().then_some(ns),
                };
                let Some(lower) = lower_ns.map(|ns| LinkId { ns, link: peer.index }) else { continue };
                let device = LinkId { ns, link: link.index };
                if self.link(lower).is_some() && lower != device {
                    self.lowers.insert(device, lower);
                    self.vlans.entry((lower, vlan.tag())).or_insert(device);
                }
            }
        }
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

fn inodes(snapshot: &Snapshot) -> HashMap<u64, usize> {
    snapshot.netns.iter().enumerate().filter_map(|(at, n)| Some((n.inode?, at))).collect()
}

/// A text tells no namespaces, and means its own.
fn overlays(snapshot: &Snapshot, by_inode: &HashMap<u64, usize>) -> Vec<(LinkId, Option<usize>)> {
    let devices = snapshot.netns.iter().enumerate().flat_map(|(ns, facts)| {
        facts.links.iter().filter_map(move |link| {
            let underlay = match link.vxlan?.underlay_netns {
                Some(inode) => by_inode.get(&inode).copied(),
                None => facts.inode.is_none().then_some(ns),
            };
            Some((LinkId { ns, link: link.index }, underlay))
        })
    });
    devices.collect()
}

fn by_index(ns: &Netns) -> Vec<(u32, usize)> {
    let mut places: Vec<(u32, usize)> =
        ns.links.iter().enumerate().map(|(at, link)| (link.index, at)).collect();
    places.sort_unstable();
    places
}
