//! IP addresses (`RTM_GETADDR`).

use std::net::IpAddr;

use ipnet::IpNet;
use model::link::Link;
use model::route::{Address, Standing};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};

use super::{NetlinkError, Socket, links};

/// Every address of the namespace, in the kernel's order.
pub(crate) fn read(socket: &mut Socket) -> Result<Vec<Address>, NetlinkError> {
    let answers = socket.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let addresses = answers.into_iter().filter_map(|m| match m {
        RouteNetlinkMessage::NewAddress(message) => address(&message),
        _ => None,
    });
    Ok(addresses.collect())
}

/// A link of the calling thread's namespace and the addresses that it bears, as they are now; `None` where there is
/// no link of this name.
pub fn of_link(name: &str) -> Result<Option<(Link, Vec<Address>)>, NetlinkError> {
    let mut socket = Socket::open()?;
    let links = links::read(&mut socket)?;
    let Some(link) = links.into_iter().map(|raw| raw.link).find(|link| link.name == name) else {
        return Ok(None);
    };
    let mut addresses = read(&mut socket)?;
    addresses.retain(|address| address.link == link.index);
    Ok(Some((link, addresses)))
}

fn address(message: &AddressMessage) -> Option<Address> {
    // IFA_LOCAL is the own address; IFA_ADDRESS is the peer's on point-to-point links, else the same.
    let (mut local, mut other): (Option<IpAddr>, Option<IpAddr>) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => other = Some(*ip),
            _ => {}
        }
    }
    let own = local.or(other)?;
    let flags = message.header.flags;
    let scope = match message.header.scope {
        AddressScope::Universe => "global".to_owned(),
        AddressScope::Site => "site".to_owned(),
        AddressScope::Link => "link".to_owned(),
        AddressScope::Host => "host".to_owned(),
        scope => u8::from(scope).to_string(),
    };
    Some(Address {
        link: message.header.index,
        net: IpNet::new(own, message.header.prefix_len).ok()?,
        peer: other.filter(|o| local.is_some_and(|l| l != *o)),
        scope,
        // One bit has two names (linux/if_addr.h).
        secondary: own.is_ipv4() && flags.contains(AddressHeaderFlags::Secondary),
        temporary: own.is_ipv6() && flags.contains(AddressHeaderFlags::Secondary),
        standing: standing(flags),
    })
}

/// A failed and an optimistic address are tentative too.
fn standing(flags: AddressHeaderFlags) -> Standing {
    if flags.contains(AddressHeaderFlags::Dadfailed) {
        Standing::Duplicate
    } else if flags.contains(AddressHeaderFlags::Optimistic) {
        Standing::Optimistic
    } else if flags.contains(AddressHeaderFlags::Tentative) {
        Standing::Tentative
    } else if flags.contains(AddressHeaderFlags::Deprecated) {
        Standing::Deprecated
    } else {
        Standing::Preferred
    }
}
