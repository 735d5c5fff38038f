//! Neighbour entries (ip-neighbour(8)).

use std::net::IpAddr;

use model::Mac;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::{Namespace, PlumbingError, link};

/// Forgets every IPv4 neighbour that was learned or asked for in vain, so that a mended way is
/// taken at once and no FAILED entry tells of a fault that is gone.
pub fn flush(ns: &mut Namespace) -> Result<(), PlumbingError> {
    let mut question = NeighbourMessage::default();
    question.header.family = AddressFamily::Inet;
    let answers = ns.dump("list the neighbours".to_owned(), RouteNetlinkMessage::GetNeighbour(question))?;
    for answer in answers {
        let RouteNetlinkMessage::NewNeighbour(entry) = answer else { continue };
        if matches!(entry.header.state, NeighbourState::Permanent | NeighbourState::Noarp) {
            continue;
        }
        ns.remove("forget a neighbour".to_owned(), RouteNetlinkMessage::DelNeighbour(entry))?;
    }
    Ok(())
}

/// `ip neighbour replace IP lladdr MAC dev LINK`, which stays until taken out.
pub fn pin(ns: &mut Namespace, link: &str, ip: IpAddr, mac: Mac) -> Result<(), PlumbingError> {
    let mut message = entry(ns, link, ip)?;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    ns.put(format!("say that {ip} is at {mac} on {link}"), RouteNetlinkMessage::NewNeighbour(message))
}

/// `ip neighbour replace IP lladdr MAC dev LINK nud reachable`, as if each had just been heard of there, until the
/// kernel's table has no room; how many it took.
pub fn learn(
    ns: &mut Namespace,
    link: &str,
    ips: impl IntoIterator<Item = IpAddr>,
    mac: Mac,
) -> Result<usize, PlumbingError> {
    let index = link::index_of(ns, link)?;
    let mut learned = 0;
    for ip in ips {
        let mut message = of_link(index, ip);
        message.header.state = NeighbourState::Reachable;
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
        let told = format!("say that {ip} was heard of on {link}");
        match ns.put(told, RouteNetlinkMessage::NewNeighbour(message)) {
            Err(e) if e.is_no_room() => break,
            other => other?,
        }
        learned += 1;
    }
    Ok(learned)
}

/// `ip neighbour del IP dev LINK`. An entry that is not there is fine.
pub fn forget(ns: &mut Namespace, link: &str, ip: IpAddr) -> Result<(), PlumbingError> {
    let message = entry(ns, link, ip)?;
    ns.remove(format!("forget who has {ip} on {link}"), RouteNetlinkMessage::DelNeighbour(message))
}

/// `ip neighbour add proxy IP dev LINK`: this machine answers for the address.
pub fn proxy(ns: &mut Namespace, link: &str, ip: IpAddr) -> Result<(), PlumbingError> {
    let mut message = entry(ns, link, ip)?;
    message.header.flags = NeighbourFlags::Proxy;
    ns.put(format!("answer for {ip} on {link}"), RouteNetlinkMessage::NewNeighbour(message))
}

/// `ip neighbour add IP dev LINK use`: has the kernel ask for the address as if it had something to
/// send there (`net/core/neighbour.c neigh_add`, `NTF_USE`).
pub fn ask(ns: &mut Namespace, link: &str, ip: IpAddr) -> Result<(), PlumbingError> {
    let mut message = entry(ns, link, ip)?;
    message.header.flags = NeighbourFlags::Use;
    ns.put(format!("ask for {ip} on {link}"), RouteNetlinkMessage::NewNeighbour(message))
}

/// The MAC that the kernel holds for an address, where it holds one.
pub fn mac_of(ns: &mut Namespace, link: &str, ip: IpAddr) -> Result<Option<Mac>, PlumbingError> {
    let wanted = entry(ns, link, ip)?;
    let mut question = NeighbourMessage::default();
    question.header.family = wanted.header.family;
    let answers = ns.dump("list the neighbours".to_owned(), RouteNetlinkMessage::GetNeighbour(question))?;
    let found = answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewNeighbour(entry) => {
            let same = entry.header.ifindex == wanted.header.ifindex
                && wanted.attributes.iter().all(|a| entry.attributes.contains(a));
            same.then_some(entry)
        }
        _ => None,
    });
    Ok(found.and_then(|entry| {
        entry.attributes.into_iter().find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(bytes).ok().map(Mac),
            _ => None,
        })
    }))
}

fn entry(ns: &mut Namespace, link: &str, ip: IpAddr) -> Result<NeighbourMessage, PlumbingError> {
    Ok(of_link(link::index_of(ns, link)?, ip))
}

fn of_link(index: u32, ip: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    let (family, address) = match ip {
        IpAddr::V4(v4) => (AddressFamily::Inet, NeighbourAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, NeighbourAddress::Inet6(v6)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(address));
    message
}
