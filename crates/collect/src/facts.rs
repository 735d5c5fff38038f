//! Everything of the namespace that the calling thread is in.

use model::Netns;
use model::link::LinkKind;
use model::link::Peer;
use model::snapshot::Gap;
use netlink_packet_route::AddressFamily;
use sys::netns::NetnsFd;

use crate::gaps::gap;
use crate::kept::Kept;
use crate::netlink::links::RawLink;
use crate::netlink::{
    NetlinkError, Socket, addresses, bridge_vlans, bridges, links, neighbour_tables, neighbours, peers,
    queues, routes, rules,
};
use crate::{connections, netfilter, sockets, sysctls};

/// Reads the calling thread's namespace, which is `own`. `known` are the namespaces of the site,
/// which the other ends of its links may be in.
pub(crate) fn read(kept: Kept<'_>, own: &NetnsFd, known: &[&NetnsFd]) -> (Netns, Vec<Gap>) {
    let machine = kept.machine;
    std::thread::scope(|scope| {
        // The tools take longest: they run while netlink is read. A thread inherits the namespace of
        // the one that starts it.
        let rules = scope.spawn(|| netfilter::read(kept));
        let (mut netns, mut gaps) = by_netlink(machine, own, known);
        netns.sockets = sockets::read(&netns.links);
        let (tracked, more) = connections::read(kept);
        netns.conntrack = tracked;
        gaps.extend(more);
        match rules.join() {
            Ok((ruleset, more)) => {
                netns.ruleset = ruleset;
                gaps.extend(more);
            }
            Err(_) => gaps.push(gap(
                format!("netfilter rules of {machine}"),
                "their reader panicked",
                "a bug report",
            )),
        }
        (netns, gaps)
    })
}

fn by_netlink(machine: &str, own: &NetnsFd, known: &[&NetnsFd]) -> (Netns, Vec<Gap>) {
    let mut netns = Netns { machine: machine.to_owned(), inode: Some(own.inode()), ..Netns::default() };
    let mut gaps = Vec::new();
    let mut socket = match Socket::open() {
        Ok(socket) => socket,
        Err(error) => {
            gaps.push(gap(format!("links of {machine}"), error, "netlink sockets to be allowed"));
            return (netns, gaps);
        }
    };
    let raw = keep(links::read(&mut socket), machine, "links", "ip link", &mut gaps);
    let ids = peers::ids(&mut socket, known);
    netns.sysctls = sysctls::read(&raw);
    netns.links = raw
        .into_iter()
        .map(|RawLink { mut link, peer, peer_nsid, .. }| {
            // Without IFLA_LINK_NETNSID the other end is here; an index equal to the own one means none.
            let here = || Some(own.inode());
            let inode = peer_nsid.map_or_else(here, |id| ids.get(&id).copied());
            let has_peer = matches!(link.kind, LinkKind::Veth | LinkKind::Vlan);
            let other = peer.filter(|p| has_peer && (*p != link.index || peer_nsid.is_some()) && *p != 0);
            link.peer = other.map(|index| Peer { index, netns: inode });
            if let Some(vxlan) = &mut link.vxlan {
                vxlan.underlay_netns = inode;
            }
            if link.kind == LinkKind::Bridge {
                // A link that has just gone tells nothing, and is told as gone by the next reading.
                link.leaves_checksums = sys::ethtool::leaves_checksums(&link.name).ok();
            }
            link
        })
        .collect();
    if let Err(error) = queues::add_to(&mut netns.links) {
        gaps.push(gap(format!("queues and tc filters of {machine}"), error, "tc -s qdisc; tc filter"));
    }
    netns.addresses = keep(addresses::read(&mut socket), machine, "addresses", "ip addr", &mut gaps);
    netns.routes = keep(routes::read(&mut socket), machine, "routes", "ip route show table all", &mut gaps);
    let fib_rules = rules::read(&mut socket, AddressFamily::Inet);
    netns.rules = keep(fib_rules, machine, "FIB rules", "ip rule", &mut gaps);
    let fib_rules = rules::read(&mut socket, AddressFamily::Inet6);
    netns.rules6 = keep(fib_rules, machine, "FIB rules of IPv6", "ip -6 rule", &mut gaps);
    netns.neighbours = keep(neighbours::read(&mut socket), machine, "neighbours", "ip neigh", &mut gaps);
    let tables = neighbour_tables::read(&mut socket);
    netns.neighbour_tables = keep(tables, machine, "tables of neighbours", "ip -s ntable", &mut gaps);
    if netns.links.iter().any(|l| l.kind == LinkKind::Bridge || l.kind == LinkKind::Vxlan) {
        match bridge_vlans::read(&mut socket) {
            Ok(mut vlans) => {
                for link in &mut netns.links {
                    link.bridge_vlans = vlans.remove(&link.index).unwrap_or_default();
                }
            }
            Err(error) => gaps.push(gap(format!("VLANs of bridges of {machine}"), error, "bridge vlan show")),
        }
        netns.fdb = keep(bridges::read(&mut socket), machine, "FDB entries", "bridge fdb", &mut gaps);
    }
    if socket.undecoded() > 0 {
        let why = format!("{} of the kernel's messages could not be decoded", socket.undecoded());
        gaps.push(gap(format!("some links, addresses or routes of {machine}"), why, "ip -d link; ip route"));
    }
    (netns, gaps)
}

/// What was read, or nothing and a gap.
fn keep<T>(
    read: Result<Vec<T>, NetlinkError>,
    machine: &str,
    what: &str,
    command: &str,
    gaps: &mut Vec<Gap>,
) -> Vec<T> {
    read.unwrap_or_else(|error| {
        gaps.push(gap(format!("{what} of {machine}"), error, command));
        Vec::new()
    })
}
