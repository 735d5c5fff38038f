//! Any link: up, down, gone, its MAC, its master (ip-link(8)).

use std::os::fd::{AsRawFd, BorrowedFd};

use model::Mac;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp, State};

use crate::{Namespace, PlumbingError};

/// `ip link set LINK up`.
pub fn set_up(ns: &mut Namespace, link: &str) -> Result<(), PlumbingError> {
    let mut message = named(link);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    ns.change(format!("set {link} up"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK down`.
pub fn set_down(ns: &mut Namespace, link: &str) -> Result<(), PlumbingError> {
    let mut message = named(link);
    message.header.change_mask = LinkFlags::Up;
    ns.change(format!("set {link} down"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK address MAC`.
pub fn set_mac(ns: &mut Namespace, link: &str, mac: Mac) -> Result<(), PlumbingError> {
    let mut message = named(link);
    message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    ns.change(format!("give {link} the MAC {mac}"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK mtu MTU`.
pub fn set_mtu(ns: &mut Namespace, link: &str, mtu: u32) -> Result<(), PlumbingError> {
    let mut message = named(link);
    message.attributes.push(LinkAttribute::Mtu(mtu));
    ns.change(format!("give {link} an MTU of {mtu}"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK xdp`, a program by its descriptor, or `xdp off`. What is attached outlives the descriptor.
pub fn set_xdp(ns: &mut Namespace, link: &str, program: Option<BorrowedFd>) -> Result<(), PlumbingError> {
    let mut message = named(link);
    let fd = program.map_or(-1, |program| program.as_raw_fd());
    message.attributes.push(LinkAttribute::Xdp(vec![LinkXdp::Fd(fd)]));
    ns.change(format!("set the XDP program of {link}"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK alias TEXT`.
pub fn set_alias(ns: &mut Namespace, link: &str, alias: &str) -> Result<(), PlumbingError> {
    let mut message = named(link);
    message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
    ns.change(format!("give {link} the alias {alias:?}"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK master BRIDGE`.
pub fn enslave(ns: &mut Namespace, link: &str, bridge: &str) -> Result<(), PlumbingError> {
    let master = index_of(ns, bridge)?;
    let mut message = named(link);
    message.attributes.push(LinkAttribute::Controller(master));
    ns.change(format!("enslave {link} to {bridge}"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link set LINK nomaster`.
pub fn release(ns: &mut Namespace, link: &str) -> Result<(), PlumbingError> {
    let mut message = named(link);
    message.attributes.push(LinkAttribute::Controller(0));
    ns.change(format!("take {link} out of its bridge"), RouteNetlinkMessage::SetLink(message))
}

/// `ip link del LINK`.
pub fn delete(ns: &mut Namespace, link: &str) -> Result<(), PlumbingError> {
    ns.change(format!("delete {link}"), RouteNetlinkMessage::DelLink(named(link)))
}

/// Whether the namespace has a link of this name.
pub fn exists(ns: &mut Namespace, link: &str) -> Result<bool, PlumbingError> {
    Ok(find(ns, link)?.is_some())
}

/// Whether the link is there and a port of some bridge, or part of a bond.
pub fn has_master(ns: &mut Namespace, link: &str) -> Result<bool, PlumbingError> {
    let is_master =
        |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::Controller(index) if *index != 0);
    Ok(find(ns, link)?.is_some_and(|message| message.attributes.iter().any(is_master)))
}

/// The link's ifindex, which addresses, routes and masters are keyed by.
pub fn index_of(ns: &mut Namespace, link: &str) -> Result<u32, PlumbingError> {
    match find(ns, link)? {
        Some(message) => Ok(message.header.index),
        None => Err(PlumbingError::NoLink { netns: ns.name.clone(), link: link.to_owned() }),
    }
}

/// The name of the link of this ifindex, where there is one.
pub fn name_of(ns: &mut Namespace, index: u32) -> Result<Option<String>, PlumbingError> {
    let found = all(ns)?.into_iter().find(|message| message.header.index == index);
    Ok(found.and_then(name))
}

/// The link's alias, where both exist.
pub fn alias_of(ns: &mut Namespace, link: &str) -> Result<Option<String>, PlumbingError> {
    let Some(message) = find(ns, link)? else { return Ok(None) };
    Ok(message.attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::IfAlias(alias) => Some(alias),
        _ => None,
    }))
}

/// Name of a link whose operational state has not followed its carrier (`IFF_LOWER_UP`) yet: `IFF_RUNNING` differs
/// (`net/core/dev.c dev_get_flags`), or, of a bridge that has just been set up, nothing is known yet.
pub fn unsettled(ns: &mut Namespace) -> Result<Option<String>, PlumbingError> {
    let lags = |message: &LinkMessage| {
        let flags = message.header.flags;
        let differs = flags.contains(LinkFlags::LowerUp) != flags.contains(LinkFlags::Running);
        let is_unknown = message.attributes.contains(&LinkAttribute::OperState(State::Unknown));
        flags.contains(LinkFlags::Up) && (differs || (is_unknown && is_of(message, &InfoKind::Bridge)))
    };
    Ok(all(ns)?.into_iter().find(lags).and_then(name))
}

/// The link is of this kind.
pub(crate) fn is_of(message: &LinkMessage, kind: &InfoKind) -> bool {
    message.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(info) => info.contains(&LinkInfo::Kind(kind.clone())),
        _ => false,
    })
}

pub(crate) fn name(message: LinkMessage) -> Option<String> {
    message.attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name),
        _ => None,
    })
}

fn find(ns: &mut Namespace, link: &str) -> Result<Option<LinkMessage>, PlumbingError> {
    let name = LinkAttribute::IfName(link.to_owned());
    Ok(all(ns)?.into_iter().find(|message| message.attributes.contains(&name)))
}

pub(crate) fn all(ns: &mut Namespace) -> Result<Vec<LinkMessage>, PlumbingError> {
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answers = ns.dump("list the links".to_owned(), question)?;
    let links = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(message) => Some(message),
        _ => None,
    });
    Ok(links.collect())
}

/// A message for the link of this name; the kernel looks names up itself
/// (`net/core/rtnetlink.c rtnl_dev_get`).
pub fn named(link: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(link.to_owned()));
    message
}
