//! What a check looks at: the facts, the intent, and every stop of every walk.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::intent::{Instance, Network, Vif};
use model::kernel_drop::KernelDrop;
use model::link::Link;
use model::path::{Direction, Exchange, Hop, Place, Stage, Stop};
use model::probe::{DeviceWatch, Holders, ProbeResult, QueuesSeen, RulesSeen};
use model::snapshot::Host;
use model::{Intent, Netns, Snapshot};
use sim::World;

use crate::diagnose::is_probe_of;
use crate::ladder::Rung;
use crate::{owner, size, way_out};

/// Everything that a check may look at.
pub struct View<'v> {
    /// The facts, searchable; what was found before is mended in them.
    pub world: &'v World<'v>,
    /// The facts as they were read.
    pub read: &'v Snapshot,
    /// The ladder as it was climbed in these facts.
    pub rungs: &'v [Rung],
    /// Hosts that the question is about: those that run its instances, or the one named.
    pub hosts: &'v [String],
    /// Instances that the question is about: indices into `Intent::instances`.
    pub instances: &'v [usize],
    /// Nothing is mended yet: the first round.
    pub is_as_read: bool,
    /// What came of what was really asked.
    pub probes: &'v [ProbeResult],
    /// What those met of the rules on their way.
    pub rules: &'v [RulesSeen],
    /// What waited on the way of those, afterwards.
    pub queues: &'v [QueuesSeen],
    /// What devices saw of what was really asked.
    pub watches: &'v [DeviceWatch],
    /// Who answered for the addresses in question.
    pub holders: &'v [Holders],
    /// Where the kernel dropped what was really asked, and ARP that it waits for.
    pub drops: &'v [KernelDrop],
    /// On the last pass of the last round: the stops that some finding already accounts for.
    pub claimed: Option<&'v [Claim]>,
}

/// A stop that a finding accounts for.
pub(crate) type Claim = (Place, Stop);

/// Where one walk of the ladder died.
#[derive(Debug, Clone, Copy)]
pub struct Stopped<'v> {
    /// The rung it belongs to.
    pub rung: &'v Rung,
    /// Its place in the ladder's order: rung, path, hop.
    pub order: Order,
    /// Which conversation.
    pub exchange: Exchange,
    /// Which half.
    pub direction: Direction,
    /// The hop at which it died.
    pub hop: &'v Hop,
    /// Why.
    pub stop: &'v Stop,
}

impl Stopped<'_> {
    /// It died at this device of this namespace.
    pub fn is_at(&self, ns: &Netns, device: &str) -> bool {
        self.hop.at.host == ns.machine && self.hop.at.netns == ns.name && self.hop.at.device == device
    }

    /// It died somewhere in this namespace.
    pub fn is_in(&self, ns: &Netns) -> bool {
        self.hop.at.host == ns.machine && self.hop.at.netns == ns.name
    }
}

/// It died of a frame or a packet that did not get to whom it is for, as a MAC causes that is wrong or is looked for
/// in a wrong place: nothing takes it, or nobody answers. A rule, a route or a link that is down is another's doing.
pub(crate) fn is_misled(stopped: &Stopped) -> bool {
    let is_unanswered = matches!(stopped.stop, Stop::Unanswered(_));
    let is_lost =
        matches!(stopped.stop, Stop::NoTarget(_) | Stop::NeighbourUnresolved { .. } | Stop::OtherHost);
    is_lost || (is_unanswered && matches!(stopped.exchange, Exchange::Arp | Exchange::Icmp))
}

/// Place in the ladder's order: rung, path of the rung, hop of the path.
pub(crate) type Order = (usize, usize, usize);

impl<'v> View<'v> {
    /// Facts of which nothing has been asked yet.
    pub(crate) fn of_facts(world: &'v World<'v>, instances: &'v [usize]) -> View<'v> {
        View {
            world,
            read: world.snapshot,
            rungs: &[],
            hosts: &[],
            instances,
            is_as_read: true,
            probes: &[],
            rules: &[],
            queues: &[],
            watches: &[],
            holders: &[],
            drops: &[],
            claimed: None,
        }
    }

    /// The facts.
    pub fn snapshot(&self) -> &'v Snapshot {
        self.world.snapshot
    }

    /// What is meant.
    pub fn intent(&self) -> &'v Intent {
        self.world.intent
    }

    /// Every stop, in the ladder's order. A neighbour that nobody answers for is followed to where
    /// the question or its answer died, when that says more. What another host rightly keeps to itself stops
    /// nothing, nor does what is too large and is told so.
    pub fn stops(&self) -> impl Iterator<Item = Stopped<'v>> {
        let rungs: &'v [Rung] = self.rungs;
        let world = self.world;
        rungs.iter().enumerate().flat_map(move |(nth_rung, rung)| {
            rung.answer.paths.iter().enumerate().filter_map(move |(nth_path, path)| {
                let (hop, stop) = path.stop().filter(|(hop, stop)| {
                    !keeps_apart(world, hop, stop) && !size::is_told(rung, path, &hop.at, stop)
                })?;
                let order = (nth_rung, nth_path, path.hops.len());
                let Stopped { hop, stop, .. } = innermost(
                    world,
                    Stopped { rung, order, exchange: path.exchange, direction: path.direction, hop, stop },
                );
                Some(Stopped { rung, order, exchange: path.exchange, direction: path.direction, hop, stop })
            })
        })
    }

    /// The first stop that this holds for.
    pub fn stop(&self, holds: impl Fn(&Stopped) -> bool) -> Option<Stopped<'v>> {
        self.stops().find(|s| holds(s))
    }

    /// The answer to a question for a neighbour that the kernel of this namespace dropped at a device where it had come
    /// in: whoever was asked is there.
    pub(crate) fn dropped_answer(&self, ns: &Netns, device: &str, ip: IpAddr) -> Option<&'v KernelDrop> {
        let is_here = |drop: &KernelDrop| {
            drop.owner.as_ref().is_some_and(|owner| (&owner.machine, &owner.netns) == (&ns.machine, &ns.name))
        };
        self.drops.iter().find(|drop| {
            let is_answer = drop.exchange == Exchange::Arp && drop.direction == Direction::Reply;
            is_answer && drop.to == ip && drop.device == device && is_here(drop)
        })
    }

    /// Where a rung begins in the ladder's order: before whatever its walk or a later one dies of.
    pub(crate) fn beginning_of(&self, rung: &Rung) -> Option<Order> {
        self.rungs.iter().position(|own| std::ptr::eq(own, rung)).map(|nth| (nth, 0, 0))
    }

    /// Where the ladder first has a packet come to a host's own stack: what bridges and cables see is no part of it.
    pub(crate) fn first_in(&self, ns: &Netns) -> Option<Order> {
        let is_stack = |stage: Stage| match stage {
            Stage::Route | Stage::Nat | Stage::Filter | Stage::Local | Stage::Service => true,
            Stage::Instance | Stage::Bridge | Stage::Neighbour | Stage::Wire => false,
        };
        self.rungs.iter().enumerate().find_map(|(nth_rung, rung)| {
            let paths =
                rung.answer.paths.iter().enumerate().filter(|(_, path)| path.exchange != Exchange::Arp);
            paths.into_iter().find_map(|(nth_path, path)| {
                let is_there = |hop: &Hop| hop.at.host == ns.machine && hop.at.netns == ns.name;
                let at = path.hops.iter().position(|hop| is_there(hop) && is_stack(hop.at.stage))?;
                // As stops are counted: by the hops up to it.
                Some((nth_rung, nth_path, at + 1))
            })
        })
    }

    /// The hosts in question that were read.
    pub fn hosts(&self) -> impl Iterator<Item = (&'v Host, &'v Netns)> {
        let wanted = self.hosts;
        let snapshot = self.world.snapshot;
        let hosts = snapshot.hosts.iter().filter(move |h| wanted.contains(&h.name));
        hosts.filter_map(move |h| Some((h, snapshot.main_netns(&h.name)?)))
    }

    /// The same, and the hosts of instances that those in question do not reach: what leads out of a host may be
    /// at fault at either end.
    pub fn hosts_at_both_ends(&self) -> impl Iterator<Item = (&'v Host, &'v Netns)> {
        let far: BTreeSet<&str> = self.vifs().map(|seat| seat.host.name.as_str()).collect();
        let snapshot = self.world.snapshot;
        let wanted = self.hosts;
        let hosts = snapshot.hosts.iter();
        let hosts = hosts.filter(move |h| wanted.contains(&h.name) || far.contains(h.name.as_str()));
        hosts.filter_map(move |h| Some((h, snapshot.main_netns(&h.name)?)))
    }

    /// The instances in question with their NICs, and those that they were found not to reach: the
    /// fault may be at the other end.
    pub fn vifs(&self) -> impl Iterator<Item = Seat<'v>> {
        let dies = |rung: &&Rung| rung.answer.paths.iter().any(|p| p.stop().is_some());
        let unreached = self.rungs.iter().filter(dies).filter_map(|rung| rung.purpose.other());
        let asked: BTreeSet<usize> = self.instances.iter().copied().chain(unreached).collect();
        self.seats(asked)
    }

    /// Every instance with its NICs, whoever is asked about.
    pub fn seats_of_all(&self) -> impl Iterator<Item = Seat<'v>> {
        self.seats((0..self.intent().instances.len()).collect())
    }

    fn seats(&self, asked: BTreeSet<usize>) -> impl Iterator<Item = Seat<'v>> {
        let world = self.world;
        let instances = asked.into_iter().filter_map(move |at| world.intent.instances.get(at));
        instances.flat_map(move |instance| {
            instance.vifs.iter().filter_map(move |vif| {
                let host = world.snapshot.host(&instance.host)?;
                let ns = world.snapshot.main_netns(&instance.host)?;
                let network = vif.network.and_then(|n| world.intent.networks.get(n));
                let server =
                    network.map_or(instance.host.as_str(), |network| network.server_for(&instance.host));
                let read = world.snapshot.host(server).zip(world.snapshot.main_netns(server));
                let (server, server_ns) = read.unwrap_or((host, ns));
                Some(Seat { instance, vif, host, ns, server, server_ns, network })
            })
        })
    }

    /// What was really asked for a rung, where no answer came though the walk is open in the facts as they were read.
    /// In a world that is mended, a silence from before tells nothing.
    pub fn silent(&self, rung: &Rung) -> Option<&'v ProbeResult> {
        let of_it = || self.probes.iter().filter(|probe| is_probe_of(probe, rung));
        let is_open = self.is_as_read && rung.answer.paths.iter().all(|path| path.stop().is_none());
        of_it().next().filter(|_| is_open && of_it().all(|probe| probe.received == 0))
    }

    /// The namespace of a place, where it was read.
    pub fn netns_at(&self, place: &Place) -> Option<&'v Netns> {
        self.snapshot().netns.iter().find(|ns| ns.machine == place.host && ns.name == place.netns)
    }

    /// It was really asked, and answered to who asked. Of what was asked in the name of somebody outside nobody knows
    /// whether the answer got further than the link by which it left.
    pub fn is_answered(&self, rung: &Rung) -> bool {
        way_out::stranger(rung).is_none()
            && self.probes.iter().any(|probe| is_probe_of(probe, rung) && probe.received > 0)
    }

    /// The rungs of an instance.
    pub fn rungs_of<'s>(&'s self, instance: &'s Instance) -> impl Iterator<Item = &'v Rung> + 's {
        let at = self.intent().instances.iter().position(|i| std::ptr::eq(i, instance));
        self.rungs.iter().filter(move |r| Some(r.instance) == at)
    }

    /// The first stop of an instance's rungs, or of one towards it, that this holds for.
    pub fn stop_of(&self, instance: &Instance, holds: impl Fn(&Stopped) -> bool) -> Option<Stopped<'v>> {
        let at = self.intent().instances.iter().position(|i| std::ptr::eq(i, instance));
        let concerns =
            |s: &Stopped| Some(s.rung.instance) == at || (at.is_some() && at == s.rung.purpose.other());
        self.stops().find(|s| concerns(s) && holds(s))
    }

    /// The link by which a host's instances reach it: the hop of what is wrong with the host as their
    /// router, whichever direction met it first. Of one that is nobody's router, the bridge of those that it runs.
    pub fn inner_link(&self, ns: &Netns) -> &'v str {
        let served = self.vifs().find(|seat| seat.server_ns.machine == ns.machine);
        let seat = served.or_else(|| self.vifs().find(|seat| seat.ns.machine == ns.machine));
        seat.and_then(|seat| seat.bridge_name()).unwrap_or_default()
    }

    /// Whether the host is the instance's gateway: its own in multi-host mode, else its network's one host.
    pub fn is_served_by(&self, instance: &Instance, host: &str) -> bool {
        self.intent().servers_of(instance).contains(&host)
    }

    /// Names of the instances whose questions, or answers, die at this device.
    pub fn hit_at(&self, place: &Place) -> Vec<String> {
        let there = self.stops().filter(|s| s.hop.at.same_device(place)).map(|s| s.rung.instance);
        let hit: BTreeSet<usize> = there.collect();
        let instances = hit.into_iter().filter_map(|at| self.intent().instances.get(at));
        instances.map(|instance| instance.name.clone()).collect()
    }

    /// Names of the instances of a host: those that it runs, and those whose network it is the one host of.
    pub fn instances_on(&self, host: &str) -> Vec<String> {
        let here = self.intent().instances.iter().filter(|i| i.host == host || self.is_served_by(i, host));
        here.map(|i| i.name.clone()).collect()
    }
}

/// One NIC of one instance, where it is plugged in.
#[derive(Clone, Copy)]
pub struct Seat<'v> {
    /// The instance.
    pub instance: &'v Instance,
    /// Its NIC.
    pub vif: &'v Vif,
    /// The host that runs it.
    pub host: &'v Host,
    /// That host's main namespace.
    pub ns: &'v Netns,
    /// The host that is its gateway, DHCP and DNS server: the same in multi-host mode, else the network's one host,
    /// where that was read.
    pub server: &'v Host,
    /// That host's main namespace.
    pub server_ns: &'v Netns,
    /// The network it is on.
    pub network: Option<&'v Network>,
}

impl<'v> Seat<'v> {
    /// The host's side of the NIC, where it is there.
    pub fn tap(&self) -> Option<&'v Link> {
        let named = self.vif.device.as_ref().and_then(|name| self.ns.link_named(name));
        named.or_else(|| {
            let worn = |l: &&Link| l.mac.zip(self.vif.mac).is_some_and(|(tap, mac)| tap.is_tap_of(mac));
            self.ns.links.iter().find(worn)
        })
    }

    /// The instance's own side of it, by the tap's far end, where the instance can be entered.
    pub fn inside<'w>(&self, view: &View<'w>) -> Option<(&'w Netns, &'w Link)> {
        let peer = self.tap()?.peer?;
        let is_inside = |ns: &&Netns| ns.instance && ns.inode.is_some() && ns.inode == peer.netns;
        let ns = view.snapshot().netns.iter().find(is_inside)?;
        Some((ns, ns.link(peer.index)?))
    }

    /// The bridge that the NIC belongs in, where it is there.
    pub fn bridge(&self) -> Option<&'v Link> {
        self.ns.link_named(self.bridge_name()?)
    }

    /// The name of that bridge.
    pub fn bridge_name(&self) -> Option<&'v str> {
        self.vif.bridge.as_deref().or_else(|| self.network?.bridge.as_deref())
    }

    /// Gateway and DHCP server of the instance.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.network?.gateway_on(&self.instance.host)
    }
}

/// A rule of nova's by which a host keeps its share of a common address to itself.
fn keeps_apart(world: &World, hop: &Hop, stop: &Stop) -> bool {
    let Stop::Rule(rule) = stop else { return false };
    let at = |ns: &&Netns| ns.machine == hop.at.host && ns.name == hop.at.netns;
    world.snapshot.netns.iter().find(at).is_some_and(|ns| owner::keeps_apart(ns, rule))
}

/// A stop behind a stop: ARP that died somewhere says more than "nobody answers", unless it merely
/// found nobody because nobody has the address.
fn innermost<'v>(world: &World, stopped: Stopped<'v>) -> Stopped<'v> {
    let Stop::NeighbourUnresolved { because: Some(arp), ip } = stopped.stop else { return stopped };
    let Some((hop, stop)) = arp.stop().filter(|(hop, stop)| !keeps_apart(world, hop, stop)) else {
        return stopped;
    };
    match stop {
        Stop::OtherHost => stopped,
        Stop::NoTarget(_) if world.owner_of_ip(*ip).is_none() => stopped,
        Stop::LinkDown
        | Stop::NoCarrier
        | Stop::DeviceMissing
        | Stop::NoTarget(_)
        | Stop::NotEnslaved
        | Stop::BridgeDown
        | Stop::PortState(_)
        | Stop::VlanNotTaken(_)
        | Stop::VniNotTaken { .. }
        | Stop::VlanRefused(_)
        | Stop::NoRoute(_)
        | Stop::RouteRefuses(_)
        | Stop::ForwardingOff
        | Stop::ReversePath { .. }
        | Stop::MartianSource
        | Stop::BeyondScope
        | Stop::Ipv6Off(_)
        | Stop::TtlExceeded
        | Stop::NeighbourUnresolved { .. }
        | Stop::Rule(_)
        | Stop::Policy(_)
        | Stop::NoListener { .. }
        | Stop::NotAsked { .. }
        | Stop::Unanswered(_)
        | Stop::TooBig { .. }
        | Stop::QueueRefuses(_)
        | Stop::Loop => innermost(world, Stopped { hop, stop, ..stopped }),
    }
}
