//! DHCP: the DISCOVER's way to the server, whether that server would answer, the OFFER's way back.
//!
//! REQUEST travels as DISCOVER does, ACK as OFFER does, so two legs tell all four.

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use model::link::LinkKind;
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Direction, Disposition, Exchange, Path, Stage, Stop};
use model::service::{DhcpRange, Dnsmasq};

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
    let mac = world.intent.instances.get(instance).and_then(|i| i.vifs.first()).and_then(|v| v.mac);
    let asked = match world.inside(instance).and_then(|ns| Some((ns, nic(world, ns, mac)?))) {
        Some((ns, nic)) => {
            let link = world.link(nic);
            let own = mac.or_else(|| link.and_then(|l| l.mac)).unwrap_or_default();
            let frame = Frame::untagged(own, Mac::BROADCAST, discover);
            let mut trail = Trail::default();
            trail.pass(place(world.ns(ns), link, Stage::Instance), &frame, "DISCOVER", Vec::new());
            wire::transmit(world, trail, nic, &Skb::new(frame))
        }
        None => guest::send_frame(world, Trail::default(), instance, discover),
    };
    let (asked, offered) = match (&asked.disposition, asked.at) {
        (Disposition::Delivered { .. }, Some(at)) => serve(world, asked, at, mac),
        (Disposition::Delivered { .. }, None)
        | (Disposition::Dropped(_) | Disposition::LeftSite | Disposition::Unknown { .. }, _) => (asked, None),
    };
    let back = offered.map(|(at, from, address)| offer(world, &asked, at, from, address, mac));
    let mut paths = vec![as_path(asked, Direction::Request)];
    paths.extend(back.map(|outcome| as_path(outcome, Direction::Reply)));
    paths
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
    let mut here = place(ns, world.link(at), Stage::Service);
    here.stage = Stage::Service;
    let host = world.snapshot.host(&ns.machine);
    let servers = host.map(|h| h.dnsmasq.as_slice()).unwrap_or_default();
    let Some(server) = servers.iter().find(|d| serves(world, at, d)) else {
        let stop = Stop::NoListener { protocol: 17, port: 67 };
        return (asked.trail.drop(here, &asked.frame, stop, Vec::new()), None);
    };
    let own = server_address(ns, at.link, server);
    match would_offer(server, mac, world.snapshot.taken_at) {
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
            let need = "dnsmasq's log lines for this MAC";
            (asked.trail.unknown(here, &asked.frame, why, need), None)
        }
    }
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

/// What a dnsmasq would do with a DISCOVER from this MAC, by its arguments, hosts file and leases
/// (dnsmasq(8), `--dhcp-range` `static`, `--dhcp-hostsfile`). `now` is in Unix seconds; leases that
/// have expired by then are free.
pub fn would_offer(dnsmasq: &Dnsmasq, mac: Option<Mac>, now: u64) -> Offer {
    if dnsmasq.state.starts_with('T') {
        return Offer::Refused(format!("dnsmasq (pid {}) is stopped", dnsmasq.pid));
    }
    let entry = match (&dnsmasq.hosts, &dnsmasq.hosts_file) {
        (Some(hosts), _) => hosts.iter().find(|h| Some(h.mac) == mac),
        (None, None) => None,
        (None, Some(file)) => return Offer::Unknown(format!("{file} could not be read")),
    };
    if let Some(ip) = entry.and_then(|h| h.ip) {
        return if dnsmasq.ranges.iter().any(|r| covers(r, ip)) {
            Offer::Address(ip)
        } else {
            Offer::Refused(format!("its address {ip} is in none of dnsmasq's ranges"))
        };
    }
    let dynamic: Vec<&DhcpRange> =
        dnsmasq.ranges.iter().filter(|r| !r.is_static && r.end.is_some()).collect();
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
    let held = leases.iter().filter(|l| l.expires == 0 || l.expires > now).count();
    if dnsmasq.lease_max.is_some_and(|max| held >= max as usize) {
        return Offer::Refused(format!(
            "no address available: all {held} leases of --dhcp-lease-max are held"
        ));
    }
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

fn server_address(ns: &model::Netns, link: u32, dnsmasq: &Dnsmasq) -> Option<Ipv4Addr> {
    let v4 = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    };
    let own = || ns.addresses_of(link).filter_map(|a| v4(a.net.addr()));
    own().find(|ip| dnsmasq.listen.contains(&IpAddr::V4(*ip))).or_else(|| own().next())
}
