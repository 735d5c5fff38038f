//! Links and addresses of a namespace, as `ip link` and `ip address` printed them.

use std::collections::{BTreeMap, BTreeSet};

use model::link::{Link, LinkKind, Peer};
use model::route::Address;
use parse::Parsed;
use parse::ip_addr::{self, Elsewhere, IpAddrOutput};

use super::netns::Place;
use super::{missing, told, unparsed};
use crate::assemble::Missing;
use model::snapshot::Gap;

/// What the listings tell.
pub(super) struct Told {
    pub(super) links: Vec<Link>,
    /// `None` where no listing has them.
    pub(super) addresses: Option<Vec<Address>>,
    /// Kinds of links and settings of bridge ports are among it (`ip -d`).
    pub(super) is_detailed: bool,
    pub(super) gaps: Vec<Gap>,
}

/// Names of further namespaces and the numbers that they are known by in this one, with what stands for their inode.
pub(super) type Others = BTreeMap<String, (Option<u32>, u64)>;

const LINKS: [&str; 4] = ["ip_-s_-d_link", "ip_-d_link", "ip_-s_link", "ip_link"];
const ADDRESSES: [&str; 5] =
    ["ip_-d_address", "ip_-d_address_show", "ip_address", "ip_address_show", "ip_addr"];

/// A thousand instances have a few each; with more, every look at them would take too long.
const LINKS_MAX: usize = 20_000;

/// Reads them. They are missing where neither listing is there, or neither tells of every link.
pub(super) fn read(place: &Place<'_>, others: &Others) -> Result<Told, Missing> {
    let needs = "sos_commands/networking/ip_-s_-d_link: the plugin `networking` of sos writes it";
    let lacking = || missing("list of links", needs);
    let mut gaps = Vec::new();
    let mut parsed = |(path, text): (&str, &str)| {
        let is_detailed = path.contains("_-d_");
        let text = without_complaints(text);
        let read = ip_addr::parse(&text);
        gaps.extend(unparsed(path, &read.problems));
        tells_all(&text, &read).then_some((is_detailed, text, read.value))
    };
    let listed = place.command(&LINKS);
    let links = listed.and_then(&mut parsed);
    let addresses = place.command(&ADDRESSES).and_then(&mut parsed);
    // The addresses' listing may leave out who has none, so it stands for no listing that is damaged.
    if listed.is_some() && links.is_none() {
        return Err(lacking());
    }
    let bears = addresses.as_ref().map(|(.., read)| read.addresses.clone());
    let (is_detailed, text, IpAddrOutput { mut links, elsewhere, .. }) =
        links.or(addresses).ok_or_else(lacking)?;
    if links.len() > LINKS_MAX {
        return Err(missing(
            &format!("list of links that a host could have, but one of {}", links.len()),
            needs,
        ));
    }
    for link in &mut links {
        settle(link, elsewhere.get(&link.index), others, place.inode);
    }
    if !is_detailed {
        guess_no_kinds(&mut links, &text, place);
    }
    Ok(Told { links, addresses: bears, is_detailed, gaps })
}

/// sos has looked there for links.
pub(super) fn are_listed(place: &Place<'_>) -> bool {
    place.command(&LINKS).or_else(|| place.command(&ADDRESSES)).is_some()
}

/// No link is missing: there is one at least, each line that begins one could be read, and the last is whole.
fn tells_all(text: &str, read: &Parsed<IpAddrOutput>) -> bool {
    let begins_link = |line: &str| line.starts_with(|c: char| c.is_ascii_digit());
    let unread: BTreeSet<u32> = read.problems.iter().map(|problem| problem.line).collect();
    let is_unread = |index: usize| u32::try_from(index + 1).is_ok_and(|line| unread.contains(&line));
    let lost = text.lines().enumerate().any(|(index, line)| begins_link(line) && is_unread(index));
    // Each link has lines of its own below its first.
    let ends_early = text.lines().rfind(|line| !line.trim().is_empty()).is_some_and(begins_link);
    !read.value.links.is_empty() && !lost && !ends_early && !told::is_cut(text, &read.problems)
}

/// iproute2 complains among its lines of namespaces under /run/netns that are none.
fn without_complaints(text: &str) -> String {
    let lines =
        text.split_inclusive('\n').filter(|line| !line.starts_with("Error: Peer netns reference is invalid"));
    lines.collect()
}

/// What of the other end is told, in the model's words: as netlink tells it.
fn settle(link: &mut Link, elsewhere: Option<&Elsewhere>, others: &Others, own: u64) {
    let netns = match elsewhere {
        None => Some(own),
        Some(Elsewhere::Named(name)) => others.get(name).map(|(_, inode)| *inode),
        Some(Elsewhere::Numbered(number)) => {
            others.values().find(|(id, _)| *id == Some(*number)).map(|(_, inode)| *inode)
        }
    };
    let has_peer = matches!(link.kind, LinkKind::Veth | LinkKind::Vlan);
    link.peer = link.peer.filter(|_| has_peer).map(|peer| Peer { netns, ..peer });
    if let Some(vxlan) = &mut link.vxlan {
        vxlan.underlay_netns = netns;
    }
    // The zeros of lo mean none.
    if link.kind == LinkKind::Loopback {
        link.mac = None;
    }
}

/// Without `-d` a listing does not tell what a link is. That it has ports makes it a bridge, but for bonds, which say
/// so in their flags; what stands on another link is of a kind that is not known; all else is taken for hardware.
fn guess_no_kinds(links: &mut [Link], text: &str, place: &Place<'_>) {
    let bridges = place.command(&["brctl_show"]).map(|(_, text)| parse::brctl_show::parse(text).value);
    let named: BTreeSet<String> = bridges.into_iter().flatten().map(|bridge| bridge.name).collect();
    let masters: BTreeSet<String> = links.iter().filter_map(|link| link.master_name.clone()).collect();
    let mut bonds = BTreeMap::new();
    let mut on_others = BTreeSet::new();
    for line in text.lines() {
        let Some(name) = line.split(": ").nth(1) else { continue };
        bonds.entry(name).or_insert_with(|| line.contains("MASTER"));
        on_others.extend(name.split_once('@').map(|(name, _)| name));
    }
    for link in links.iter_mut().filter(|link| link.kind == LinkKind::Physical) {
        if bonds.get(link.name.as_str()) == Some(&true) {
            link.kind = LinkKind::Bond;
        } else if named.contains(&link.name) || masters.contains(&link.name) {
            link.kind = LinkKind::Bridge;
        } else if on_others.contains(link.name.as_str()) {
            link.kind = LinkKind::Other("unknown".to_owned());
        }
    }
}
