//! Questions of who may not be entered: asked as the instance, by its host's side of its NIC, or as somebody outside,
//! by the link that he is received by.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use collect::MachinePlan;
use model::Mac;
use model::intent::{Instance, Vif};
use model::probe::{Holders, ProbeResult};
use model::route::Neighbour;
use model::snapshot::Gap;
use probe::as_instance::{self, AsInstanceError, Asks, NeighbourResult, Plan, Seat, Sender, Target};
use sim::World;

use super::{Came, From, LATE_SERVER, Pace, Patience, Probe, USUAL, Unsent, inside};
use crate::failure::Failure;
use crate::gather::Facts;
use crate::holders;

/// A guest's default; what it really sends nobody outside knows.
const TTL: u8 = 64;

/// An instance's NIC, or the link by which somebody outside is received, and whom a packet is handed to there.
#[derive(Debug, Clone)]
pub(crate) struct Nic<'a> {
    /// The host that has it.
    pub(super) host: &'a MachinePlan,
    pub(super) sender: Sender,
    pub(super) source: IpAddr,
    pub(super) next_hop: IpAddr,
    pub(super) next_hop_mac: Option<Mac>,
}

impl<'a> Nic<'a> {
    pub(super) fn host(&self) -> &'a MachinePlan {
        self.host
    }

    /// Whom the instance must ask for first.
    pub(super) fn next_hop(&self) -> Option<IpAddr> {
        match self.sender.seat {
            Seat::Port(_) => Some(self.next_hop),
            Seat::Uplink => None,
        }
    }

    pub(super) fn is_same(&self, other: &Nic<'_>) -> bool {
        self.host.name == other.host.name && self.sender == other.sender
    }
}

/// The NIC that the instance would send to this address by: the one in its network, else one that has a gateway.
/// Where the records do not tell it, a gap.
pub(super) fn nic<'a>(
    facts: &Facts,
    instance: &Instance,
    host: &'a MachinePlan,
    to: IpAddr,
) -> Result<Nic<'a>, Gap> {
    let nic = match to {
        IpAddr::V4(to) => known(facts, instance, host, to),
        IpAddr::V6(to) => known_over_6(facts, instance, host, to),
    };
    nic.map_err(|unknown| unsaid(instance, unknown))
}

/// What is not known of it where it cannot be told.
fn known<'a>(
    facts: &Facts,
    instance: &Instance,
    host: &'a MachinePlan,
    to: Ipv4Addr,
) -> Result<Nic<'a>, &'static str> {
    let network = |vif: &Vif| facts.intent.networks.get(vif.network?);
    let is_near = |vif: &&Vif| network(vif).and_then(|n| n.cidr).is_some_and(|cidr| cidr.contains(&to));
    let gateway = |vif: &Vif| network(vif).and_then(|n| n.gateway_on(&instance.host));
    let near = instance.vifs.iter().find(is_near).map(|vif| (vif, to));
    let far = || instance.vifs.iter().find_map(|vif| Some((vif, gateway(vif)?)));
    let (vif, next_hop) = near.or_else(far).ok_or("gateway")?;
    let device = vif.device.clone().ok_or("NIC's device on the host")?;
    let bridge = vif.bridge.clone().ok_or("bridge")?;
    let mac = vif.mac.ok_or("NIC's MAC")?;
    let source = *vif.fixed.first().ok_or("fixed address")?;
    let addresses = vif.fixed.iter().copied().map(IpAddr::V4).collect();
    let sender = Sender { name: instance.name.clone(), device, mac, addresses, seat: Seat::Port(bridge) };
    let next_hop_mac = mac_of(facts, instance, next_hop);
    Ok(Nic { host, sender, source: source.into(), next_hop: next_hop.into(), next_hop_mac })
}

/// With the address that its host has met it with: to who is on its link, and elsewhere by its router.
fn known_over_6<'a>(
    facts: &Facts,
    instance: &Instance,
    host: &'a MachinePlan,
    to: Ipv6Addr,
) -> Result<Nic<'a>, &'static str> {
    let world = World::new(&facts.snapshot, &facts.intent);
    let at = facts.intent.instances.iter().position(|known| known.name == instance.name);
    let source = at.and_then(|at| checks::met_over_v6(&world, at)).ok_or("IPv6 address")?;
    let ns = facts.snapshot.main_netns(&instance.host).ok_or("host")?;
    let is_met = |vif: &&Vif| {
        let bridge = vif.bridge.as_deref().and_then(|bridge| ns.link_named(bridge));
        let is_its = |entry: &&Neighbour| entry.ip == IpAddr::V6(source) && !entry.proxy;
        let mut met = ns.neighbours.iter().filter(|entry| is_its(entry) && entry.state.is_valid());
        met.any(|entry| entry.mac == vif.mac && bridge.is_some_and(|bridge| bridge.index == entry.link))
    };
    let vif = instance.vifs.iter().find(is_met).ok_or("NIC")?;
    let device = vif.device.clone().ok_or("NIC's device on the host")?;
    let (bridge, mac) = (vif.bridge.clone().ok_or("bridge")?, vif.mac.ok_or("NIC's MAC")?);
    let (name, addresses, seat) = (instance.name.clone(), vec![source.into()], Seat::Port(bridge));
    let sender = Sender { name, device, mac, addresses, seat };
    let carried = ns.addresses.iter().find(|carried| carried.net.addr() == IpAddr::V6(to));
    let network = vif.network.and_then(|network| facts.intent.networks.get(network));
    let range = network.and_then(|network| network.cidr_v6).map(|range| range.trunc());
    let (next_hop, next_hop_mac) = match (carried, range) {
        (Some(carried), _) => (to, ns.link(carried.link).and_then(|link| link.mac)),
        (None, Some(range)) if !range.contains(&to) => router(facts, instance, vif).ok_or("IPv6 router")?,
        (None, _) => (to, mac_of_neighbour(&world, vif, to)),
    };
    Ok(Nic { host, sender, source: source.into(), next_hop: next_hop.into(), next_hop_mac })
}

/// The bridge of the host that serves its network, by the address that instances hear of from it.
fn router(facts: &Facts, instance: &Instance, vif: &Vif) -> Option<(Ipv6Addr, Option<Mac>)> {
    let server = facts.intent.networks.get(vif.network?)?.server_for(&instance.host);
    let ns = facts.snapshot.main_netns(server)?;
    let bridge = ns.link_named(vif.bridge.as_deref()?)?;
    let usable = ns.addresses_of(bridge.index).filter(|own| own.scope == "link" && own.standing.is_usable());
    let v6 = usable.filter_map(|own| match own.net.addr() {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    });
    v6.last().map(|ip| (ip, bridge.mac))
}

/// Another instance of the same network, by the address by which its neighbours are to reach it. Of several nobody
/// knows which answers, and all are asked.
fn mac_of_neighbour(world: &World, vif: &Vif, to: Ipv6Addr) -> Option<Mac> {
    let others = world.intent.instances.iter().enumerate();
    let mut others = others.filter(|(at, _)| checks::neighbour_over_v6(world, *at) == Some(to));
    let (_, other) = others.next().filter(|_| others.next().is_none())?;
    other.vifs.iter().find(|theirs| theirs.network == vif.network)?.mac
}

/// Who is meant to have an address: another instance by the records, or a host that serves this one.
fn mac_of(facts: &Facts, instance: &Instance, address: Ipv4Addr) -> Option<Mac> {
    let mut vifs = facts.intent.instances.iter().flat_map(|instance| &instance.vifs);
    if let Some(vif) = vifs.find(|vif| vif.fixed.contains(&address)) {
        return vif.mac;
    }
    let servers = facts.intent.servers_of(instance);
    servers.into_iter().filter_map(|server| facts.snapshot.main_netns(server)).find_map(|ns| {
        let carried = ns.addresses.iter().find(|carried| carried.net.addr() == IpAddr::V4(address))?;
        ns.link(carried.link)?.mac
    })
}

/// What an OFFER would change on another host that serves the instance: dnsmasq writes whom it offers an address to
/// into its host's neighbour entries, over any that was set by hand (dnsmasq, `src/dhcp.c`, `SIOCSARP`). What misleads
/// the host's packets would be gone, and nobody would have told of it. Of the instance's own host the guard asks the
/// kernel.
pub(super) fn overwritten(facts: &Facts, instance: &Instance) -> Option<Gap> {
    let servers = facts.intent.servers_of(instance).into_iter().filter(|server| *server != instance.host);
    let known = servers.filter_map(|server| facts.snapshot.main_netns(server)).find_map(|ns| {
        let entry_of = |vif: &Vif| {
            let link = ns.link_named(vif.bridge.as_deref()?)?.index;
            let (right, is_fixed) = (vif.mac?, |ip: IpAddr| vif.fixed.iter().any(|fixed| ip == *fixed));
            let mut entries =
                ns.neighbours.iter().filter(|n| n.link == link && n.state.is_valid() && !n.proxy);
            entries.find_map(|n| n.mac.filter(|mac| is_fixed(n.ip) && *mac != right).map(|mac| (n.ip, mac)))
        };
        instance.vifs.iter().find_map(entry_of).map(|entry| (&ns.machine, entry))
    });
    let (server, (address, mac)) = known?;
    Some(Gap {
        what: format!("whether any DHCP server answers {} for real", instance.name),
        why: format!(
            "{server} takes {address} to be at {mac}, and an OFFER to {} would overwrite that",
            instance.name
        ),
        would_need: format!("`ip neigh show {address}` on {server}, and another run once that is put right"),
    })
}

/// Hosts with a bridge through which frames to all go round.
pub(super) fn circles(facts: &Facts) -> BTreeSet<String> {
    let world = World::new(&facts.snapshot, &facts.intent);
    let hosts = facts.snapshot.hosts.iter().filter_map(|host| facts.snapshot.main_netns(&host.name));
    hosts.filter(|ns| checks::goes_round(&world, ns)).map(|ns| ns.machine.clone()).collect()
}

/// A DISCOVER is for all, and would never come to rest in a circle of bridges.
pub(super) fn goes_round(circles: &BTreeSet<String>, instance: &Instance) -> Option<Gap> {
    let host = circles.get(&instance.host)?;
    Some(Gap {
        what: format!("whether any DHCP server answers {} for real", instance.name),
        why: format!("frames to all go round through a bridge of {host}, and a DISCOVER would be one more"),
        would_need: format!("another run once the circle is open: `bridge link` on {host}"),
    })
}

fn unsaid(instance: &Instance, unknown: &str) -> Gap {
    Gap {
        what: format!("whether anybody answers {} for real", instance.name),
        why: format!("it cannot be entered, and no record tells its {unknown}, which sending as it takes"),
        would_need: "libvirt's XML, nova's database, or an [[instance]] of the site file".to_owned(),
    }
}

/// Sends them, and returns what came back.
pub(super) fn send(
    nic: &Nic<'_>,
    probes: &[&Probe<'_>],
    patience: &Patience,
    answered: &mut (dyn FnMut(u16) + Send),
) -> Result<Came, Unsent> {
    let netns = inside::netns(nic.host).map_err(|error| Unsent {
        why: error.to_string(),
        would_need: "root; --passive does without".to_owned(),
    })?;
    let target = |probe: &&Probe<'_>| match &probe.from {
        From::Outside(_) if probe.asks == Asks::Address => {
            Some(Target::everybody(probe.id, probe.first_patience(patience)))
        }
        From::Outside(nic) => {
            let Nic { source, next_hop, next_hop_mac, .. } = *nic;
            let (asks, id, needless_once) = (probe.asks.clone(), probe.id, probe.needless_once);
            let (to, patience) = (probe.to, probe.patience(patience));
            Some(Target { source, to, asks, next_hop, next_hop_mac, id, patience, needless_once })
        }
        From::Inside(_) => None,
    };
    let Pace { count, interval } = probes.first().map_or(USUAL, |probe| probe.pace);
    let plan = Plan {
        netns,
        sender: nic.sender.clone(),
        targets: probes.iter().filter_map(target).collect(),
        count,
        interval,
        timeout: probes.iter().map(|probe| probe.patience(patience)).max().unwrap_or(patience.usual),
        listeners: probes.iter().flat_map(|probe| &probe.listeners).cloned().collect(),
        late_server: LATE_SERVER,
        ttl: TTL,
    };
    let answers = as_instance::ask(&plan, answered).map_err(|error| Unsent {
        why: Failure::of(&error).to_string(),
        would_need: would_need(nic, &error),
    })?;
    let neighbours: u32 = answers.neighbours.iter().map(|neighbour| neighbour.sent).sum();
    let took = |came: &ProbeResult| {
        let asked = probes.iter().find(|probe| probe.has_asked(came));
        asked.map_or(came.sent, |probe| probe.packets(came))
    };
    let asked: u32 = answers.probes.iter().map(took).sum();
    let others = of_others(nic, &answers.changed);
    let mut came = Came { results: answers.probes, packets: neighbours + asked, others, ..Came::default() };
    for neighbour in answers.neighbours.iter().filter(|neighbour| neighbour.macs.len() > 1) {
        let is_meant = probes.iter().any(|probe| match &probe.from {
            From::Outside(nic) => nic.next_hop == neighbour.asked && nic.next_hop_mac.is_some(),
            From::Inside(_) => false,
        });
        if is_meant {
            let Seat::Port(bridge) = &nic.sender.seat else { continue };
            let stations = holders::stations(&plan.netns, bridge, &neighbour.macs, None);
            let (machine, link) = (nic.host.name.clone(), bridge.clone());
            came.holders.push(Holders { machine, link, address: neighbour.asked, is_own: false, stations });
        } else {
            came.gaps.push(two_answers(nic, neighbour));
        }
    }
    Ok(came)
}

/// What was looked at again once all was over.
fn of_others(nic: &Nic<'_>, changed: &[String]) -> Option<String> {
    let Sender { name, device, seat, .. } = &nic.sender;
    let bridge = match seat {
        Seat::Port(bridge) => bridge,
        Seat::Uplink => return None,
    };
    let came = if changed.is_empty() { "leads where it did".to_owned() } else { changed.join("; ") };
    Some(format!(
        "after frames were sent as {name} by {device}, what {bridge} and {} know of others there: {came}",
        nic.host.name
    ))
}

fn would_need(nic: &Nic<'_>, error: &AsInstanceError) -> String {
    if error.is_permission() {
        return "root, or CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW over the machine; --passive does without"
            .to_owned();
    }
    format!("`ip -d link show dev {0}; bridge fdb show dev {0}` on {1}", nic.sender.device, nic.host.name)
}

/// Whom the instance sends to is a matter of chance, and who is meant no record tells.
fn two_answers(nic: &Nic<'_>, neighbour: &NeighbourResult) -> Gap {
    let macs: Vec<String> = neighbour.macs.iter().map(Mac::to_string).collect();
    Gap {
        what: format!("which machine {} is to {}", neighbour.asked, nic.sender.name),
        why: format!("{} all answer ARP for it", macs.join(" and ")),
        would_need: format!("the address on one of them only; `bridge fdb show | grep {}`", macs.join("\\|")),
    }
}
