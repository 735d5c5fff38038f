//! DHCP: the DISCOVER's way to the server, whether that server would answer, the OFFER's way back.
//!
//! REQUEST travels as DISCOVER does, ACK as OFFER does, so two legs tell all four, but for a server that has no lease
//! left: it offers, and refuses the REQUEST.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::link::LinkKind;
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Direction, Disposition, Exchange, Path, Place, Stage, Stop};
use model::route::{Route, RouteKind};
use model::service::{DhcpRange, Dnsmasq};
use model::{Mac, Netns};

use crate::guest;
use crate::ip;
use crate::trail::{Carried, Outcome, Skb, Trail, place};
use crate::wire;
use crate::world::{LinkId, World};

/// What a dnsmasq would do with a client's DISCOVER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// Offers this address.
    Address(Ipv4Addr),
    /// Stays silent, or logs `no address available`: why.
    Refused(String),
    /// Not decidable: what is missing.
    Unknown(String),
}

/// Walks the exchange for an instance's first NIC.
pub fn ask(world: &World, instance: usize) -> Vec<Path> {
    let discover = Payload::Ip(Packet {
        source: Ipv4Addr::UNSPECIFIED.into(),
        destination: Ipv4Addr::BROADCAST.into(),
        ttl: 64,
        length: 328,
        transport: Transport::Udp { source: 68, destination: 67 },
    });
    let recorded = world.intent.instances.get(instance).and_then(|i| i.vifs.first()).and_then(|v| v.mac);
    // Its client tells the MAC that its NIC has, whatever is recorded.
    let own = world.inside(instance).and_then(|ns| world.link(nic(world, ns, recorded)?)?.mac);
    let mac = own.or(recorded);
    let arrived = send(world, instance, mac, discover, "DISCOVER");
    let (asked, offered) = match (&arrived.disposition, arrived.at) {
        (Disposition::Delivered { .. }, Some(at)) => serve(world, arrived, at, mac),
        (Disposition::Delivered { .. }, None)
        | (Disposition::Dropped(_) | Disposition::LeftSite | Disposition::Unknown { .. }, _) => {
            (arrived, None)
        }
    };
    let back = offered.map(|(at, from, address)| offer(world, &asked, at, from, address, mac));
    let is_offered = back.as_ref().is_some_and(|b| matches!(b.disposition, Disposition::Delivered { .. }));
    let refused = is_offered.then(|| request(world, send(world, instance, mac, discover, "REQUEST"), mac));
    let mut paths = vec![as_path(asked, Direction::Request)];
    paths.extend(back.map(|outcome| as_path(outcome, Direction::Reply)));
    paths.extend(refused.flatten().map(|outcome| as_path(outcome, Direction::Request)));
    paths
}

/// A client's broadcast, until a machine receives it.
fn send(world: &World, instance: usize, mac: Option<Mac>, message: Payload, name: &str) -> Outcome {
    match world.inside(instance).and_then(|ns| Some((ns, nic(world, ns, mac)?))) {
        Some((ns, nic)) => {
            let link = world.link(nic);
            let own = mac.or_else(|| link.and_then(|l| l.mac)).unwrap_or_default();
            let frame = Frame::untagged(own, Mac::BROADCAST, message);
            let mut trail = Trail::default();
            trail.pass(place(world.ns(ns), link, Stage::Instance), &frame, name, Vec::new());
            wire::transmit(world, trail, nic, &Skb::new(frame))
        }
        None => guest::send_frame(world, Trail::default(), instance, message),
    }
}

/// The instance's NIC inside it: the link of this MAC, else its only cable.
fn nic(world: &World, ns: usize, mac: Option<Mac>) -> Option<LinkId> {
    let links = || world.ns(ns).links.iter().filter(|l| l.kind != LinkKind::Loopback);
    let found = links().find(|l| mac.is_some() && l.mac == mac).or_else(|| links().next())?;
    Some(LinkId { ns, link: found.index })
}

/// What the machine that received a DISCOVER does with it.
fn serve(
    world: &World,
    mut asked: Outcome,
    at: LinkId,
    mac: Option<Mac>,
) -> (Outcome, Option<(LinkId, Ipv4Addr, Ipv4Addr)>) {
    let ns = world.ns(at.ns);
    let here = service(world, at);
    let Some(server) = server_on(world, at, mac) else {
        if let Some(unread) = world.snapshot.unread_processes(&ns.machine) {
            let why = format!("whether a dnsmasq answers there: {} could not be read", unread.what);
            return (asked.trail.unknown(here, &asked.frame, why, &unread.would_need), None);
        }
        let stop = Stop::NoListener { protocol: 17, port: 67 };
        return (asked.trail.drop(here, &asked.frame, stop, Vec::new()), None);
    };
    let own = server_address(ns, at.link, server);
    let offer = match would_offer(server, mac, world.snapshot.taken_at) {
        Offer::Address(_) | Offer::Unknown(_) if !has_range(ns, at.link, server) => {
            let device = ns.link_name(at.link);
            Offer::Refused(format!("no address range available for DHCP request via {device}"))
        }
        other => other,
    };
    match offer {
        Offer::Address(address) => {
            let detail = format!("dnsmasq (pid {}) offers {address}", server.pid);
            asked.trail.pass(here, &asked.frame, detail, Vec::new());
            (asked, own.map(|own| (at, own, address)))
        }
        Offer::Refused(why) => {
            let stop = Stop::Unanswered(why);
            (asked.trail.drop(here, &asked.frame, stop, Vec::new()), None)
        }
        Offer::Unknown(why) => {
            let unread = server.hosts_file.as_ref().filter(|_| server.hosts.is_none());
            let log = "dnsmasq's log lines for this MAC";
            let need = unread.map_or(log.to_owned(), |file| format!("{file}, or {log}"));
            (asked.trail.unknown(here, &asked.frame, why, need), None)
        }
    }
}

/// The REQUEST that follows an OFFER, where the server refuses it.
fn request(world: &World, asked: Outcome, mac: Option<Mac>) -> Option<Outcome> {
    let at = asked.at?;
    let server = server_on(world, at, mac)?;
    let held = leases_all_held(server, mac, world.snapshot.taken_at)?;
    let why = format!(
        "dnsmasq (pid {}) answers NAK: no leases left, all {held} of --dhcp-lease-max are held",
        server.pid
    );
    Some(asked.trail.drop(service(world, at), &asked.frame, Stop::Unanswered(why), Vec::new()))
}

/// The place of a server of the machine that a link belongs to.
fn service(world: &World, at: LinkId) -> Place {
    Place { stage: Stage::Service, ..place(world.ns(at.ns), world.link(at), Stage::Service) }
}

/// The dnsmasq that answers what comes in by this link: of several, one that knows this MAC.
fn server_on<'w>(world: &World<'w>, at: LinkId, mac: Option<Mac>) -> Option<&'w Dnsmasq> {
    let host = world.snapshot.host(&world.ns(at.ns).machine)?;
    let knows = |d: &Dnsmasq| d.hosts.iter().flatten().any(|entry| Some(entry.mac) == mac);
    host.dnsmasq.iter().filter(|d| serves(world, at, d)).min_by_key(|d| !knows(d))
}

/// The OFFER: dnsmasq sends it straight to the offered address and the client's MAC
/// (`src/dhcp.c`, it writes the ARP entry itself).
fn offer(
    world: &World,
    asked: &Outcome,
    at: LinkId,
    from: Ipv4Addr,
    address: Ipv4Addr,
    mac: Option<Mac>,
) -> Outcome {
    let packet = Packet {
        source: from.into(),
        destination: address.into(),
        ttl: 64,
        length: 328,
        transport: Transport::Udp { source: 67, destination: 68 },
    };
    let trail = Trail::from(Carried { learned: asked.trail.learned.clone(), ..Carried::default() });
    let own = world.link(at).and_then(|l| l.mac).unwrap_or_default();
    let frame = Frame::untagged(own, mac.unwrap_or(Mac::BROADCAST), Payload::Ip(packet));
    // It is bound to the link (IP_PKTINFO), and what that link has itself never leaves the machine.
    let by_link = |route: &Route| {
        route.kind == RouteKind::Local && route.nexthops.iter().any(|nexthop| nexthop.link == at.link)
    };
    if ip::route::local_route(world.ns(at.ns), address.into()).is_some_and(by_link) {
        let stop = Stop::Unanswered(format!("{address} is an address of this machine: the OFFER stays here"));
        return trail.drop(service(world, at), &frame, stop, Vec::new());
    }
    ip::answer_on(world, trail, at, Skb::new(frame))
}

fn as_path(outcome: Outcome, direction: Direction) -> Path {
    let Outcome { trail, disposition, .. } = outcome;
    Path { exchange: Exchange::Dhcp, direction, hops: trail.into_hops(), disposition }
}

/// Whether a dnsmasq process answers DHCP that arrives by this link: it listens on one of the link's
/// addresses, or names the link, or names nothing and does not exclude it.
pub fn serves(world: &World, link: LinkId, dnsmasq: &Dnsmasq) -> bool {
    let ns = world.ns(link.ns);
    let elsewhere = dnsmasq.netns.zip(ns.inode).is_some_and(|(theirs, here)| theirs != here);
    if elsewhere || dnsmasq.ranges.is_empty() {
        return false;
    }
    let name = ns.link_name(link.link);
    if dnsmasq.except_interfaces.contains(&name) {
        return false;
    }
    let open = dnsmasq.listen.is_empty() && dnsmasq.interfaces.is_empty();
    let has_address = ns.addresses_of(link.link).any(|a| a.net.addr().is_ipv4());
    let listens = ns.addresses_of(link.link).any(|a| dnsmasq.listen.contains(&a.net.addr()));
    listens || dnsmasq.interfaces.contains(&name) || (open && has_address)
}

/// Whether one of its ranges is of a network that the link has an address in: dnsmasq looks no further for whom it has
/// none (`complete_context`, src/dhcp.c).
pub fn has_range(ns: &Netns, link: u32, dnsmasq: &Dnsmasq) -> bool {
    ns.addresses_of(link).any(|address| {
        let holds = |range: &DhcpRange| match model::service::range_network(range) {
            Some(network) => IpNet::from(network).contains(&address.net.addr()),
            // Without a netmask dnsmasq takes the link's own.
            None => address.net.contains(&IpAddr::V4(range.start)),
        };
        dnsmasq.ranges.iter().any(holds)
    })
}

/// How many leases are held, where that is all that `--dhcp-lease-max` allows and this MAC has none of them. A client
/// is offered an address all the same: the lease is made when it asks for it, and the REQUEST is answered NAK with
/// `no leases left` (`dhcp_reply`, src/rfc2131.c). `now` is in Unix seconds.
pub fn leases_all_held(dnsmasq: &Dnsmasq, mac: Option<Mac>, now: u64) -> Option<usize> {
    let held = || dnsmasq.leases.iter().flatten().filter(|l| l.expires == 0 || l.expires > now);
    let count = held().count();
    let is_full = count >= usize::try_from(dnsmasq.lease_max?).ok()? && !held().any(|l| Some(l.mac) == mac);
    (dnsmasq.leases.is_some() && is_full).then_some(count)
}

/// What a dnsmasq would do with a DISCOVER from this MAC, by its arguments, hosts file and leases
/// (dnsmasq(8), `--dhcp-range` `static`, `--dhcp-hostsfile`). `now` is in Unix seconds; leases that
/// have expired by then are free.
pub fn would_offer(dnsmasq: &Dnsmasq, mac: Option<Mac>, now: u64) -> Offer {
    if dnsmasq.is_stopped() {
        return Offer::Refused(format!("dnsmasq (pid {}) is stopped", dnsmasq.pid));
    }
    if dnsmasq.serves_by_tag {
        return Offer::Unknown(format!(
            "dnsmasq (pid {}) serves by tags (dhcp-ignore, or a dhcp-range with tag:)",
            dnsmasq.pid
        ));
    }
    let entry = match (&dnsmasq.hosts, &dnsmasq.hosts_file) {
        // Of several lines the last counts: each is put before the others (dnsmasq, src/option.c, `dhcp_conf`).
        (Some(hosts), _) => hosts.iter().rev().find(|h| Some(h.mac) == mac),
        (None, None) => None,
        (None, Some(file)) => return Offer::Unknown(format!("{file} could not be read")),
    };
    if entry.is_some_and(|h| h.ignored) {
        return Offer::Refused("ignored: its line in dnsmasq's hosts file says so".to_owned());
    }
    if let Some(ip) = entry.and_then(|h| h.ip) {
        return if dnsmasq.ranges.iter().any(|r| covers(r, ip)) {
            Offer::Address(ip)
        } else {
            Offer::Refused(format!("its address {ip} is in none of dnsmasq's ranges"))
        };
    }
    let dynamic: Vec<&DhcpRange> =
        dnsmasq.ranges.iter().filter(|r| !r.is_static && r.end.is_some()).collect();
    if dynamic.is_empty() && mac.is_none() {
        return Offer::Unknown("nothing tells the MAC that dnsmasq knows it by".to_owned());
    }
    if dynamic.is_empty() {
        return Offer::Refused("no address available: its MAC is not in dnsmasq's hosts file".to_owned());
    }
    let Some(leases) = &dnsmasq.leases else {
        return Offer::Unknown(
            "dnsmasq's leases are kept by its dhcp-script and could not be read".to_owned(),
        );
    };
    if let Some(own) = leases.iter().find(|l| Some(l.mac) == mac) {
        return Offer::Address(own.ip);
    }
    let live = |ip: Ipv4Addr| leases.iter().any(|l| l.ip == ip && (l.expires == 0 || l.expires > now));
    let free = dynamic.iter().find_map(|r| {
        let end = r.end?;
        (u32::from(r.start)..=u32::from(end)).map(Ipv4Addr::from).find(|ip| !live(*ip))
    });
    free.map_or_else(
        || Offer::Refused("no address available: every address of its ranges is leased".to_owned()),
        Offer::Address,
    )
}

/// Whether an address lies in a range's network.
fn covers(range: &DhcpRange, ip: Ipv4Addr) -> bool {
    match (model::service::range_network(range), range.end) {
        (Some(network), _) => network.contains(&ip),
        (None, Some(end)) => (range.start..=end).contains(&ip),
        // Without a netmask dnsmasq takes the link's own: not contradicted here.
        (None, None) => true,
    }
}

fn server_address(ns: &Netns, link: u32, dnsmasq: &Dnsmasq) -> Option<Ipv4Addr> {
    let v4 = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    };
    let own = || ns.addresses_of(link).filter_map(|a| v4(a.net.addr()));
    own().find(|ip| dnsmasq.listen.contains(&IpAddr::V4(*ip))).or_else(|| own().next())
}
