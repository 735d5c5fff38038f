//! Where to watch: the vantages that were named, or the devices on the predicted way of what the filter
//! speaks of.

use std::collections::BTreeMap;

use capture::filter::{self, Expr, Primitive};
use capture::vantage::Vantage;
use checks::{Protocol, Symptom};
use collect::At;
use model::Path;

use crate::conclude::{self, Asked, Probed};
use crate::failure::Failure;
use crate::gather::Facts;
use crate::nearest::meant;
use crate::site_file::Site;
use crate::who;

/// Devices watched at once, at most, where none were named: a way through a cloud has a dozen.
const VANTAGES_MAX: usize = 64;

/// `HOST/NETNS/DEVICE`, or `HOST/DEVICE` in the host's main namespace.
pub(crate) fn named(site: &Site, word: &str) -> Result<Vantage, Failure> {
    let parts: Vec<&str> = word.split('/').collect();
    let (host, netns, device) = match parts.as_slice() {
        [host, netns, device] => (*host, *netns, *device),
        [host, device] => (*host, "", *device),
        _ => ("", "", ""),
    };
    if host.is_empty() || device.is_empty() {
        return Err(Failure::new(format!("`{word}` is no vantage")).hint(
            "a vantage is HOST/NETNS/DEVICE; NETNS is empty for the host's main namespace: compute1//br100",
        ));
    }
    let known = || site.machines.iter().map(|machine| machine.name.as_str());
    let Some(machine) = site.machines.iter().find(|machine| machine.name == host) else {
        if let Some(bundled) = site.bundled.iter().find(|machine| machine.name == host) {
            let file = bundled.file.display();
            return Err(Failure::new(format!(
                "`{host}` is known from the bundle {file}: nothing passes there"
            ))
            .hint("name vantages of hosts that can be reached"));
        }
        let failure = Failure::new(format!("there is no host `{host}` in the site"));
        return Err(match meant(host, known()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!("its hosts are: {}", known().collect::<Vec<_>>().join(", "))),
        });
    };
    let enter = match (&machine.at, netns) {
        (At::Local, "") => None,
        (At::Netns(main), "") => Some(main.clone()),
        (At::Local | At::Netns(_), named) => Some(named.to_owned()),
    };
    Ok(Vantage { host: host.to_owned(), netns: netns.to_owned(), device: device.to_owned(), enter })
}

/// The predicted ways of what a filter speaks of: of its flows, of its instances, and of the instances whose
/// addresses it names.
pub(crate) fn paths(facts: &Facts, expr: &Expr) -> Result<Vec<Path>, Failure> {
    let mut found = Vec::new();
    for (from, to) in flows(expr) {
        let ways = |from: std::net::IpAddr, to| {
            let from = who::sender(facts, &from.to_string())?;
            Ok(conclude::path(facts, from, to, Protocol::Icmp, true).paths)
        };
        // One of the two may be somebody far away, whose way here begins at no machine of the site.
        found.extend(ways(from, to).or_else(|failure: Failure| ways(to, from).map_err(|_| failure))?);
    }
    let mut subjects = Vec::new();
    for name in filter::instances(expr) {
        subjects.push(who::instance(facts, &name)?);
    }
    if found.is_empty() {
        let named = filter::addresses(expr).into_iter();
        subjects.extend(named.filter_map(|ip| cloud::find(&facts.intent, &ip.to_string()).ok()));
    }
    subjects.sort_unstable();
    subjects.dedup();
    for instance in subjects {
        let asked = Asked { instance: Some(instance), to: None, symptom: Symptom::Auto };
        found.extend(conclude::diagnose(facts, &Probed::default(), &asked).paths);
    }
    Ok(found)
}

fn flows(expr: &Expr) -> Vec<(std::net::IpAddr, std::net::IpAddr)> {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().flat_map(flows).collect(),
        Expr::Not(_) => Vec::new(),
        Expr::Test(Primitive::Flow(a, b)) => vec![(*a, *b)],
        Expr::Test(_) => Vec::new(),
    }
}

/// Devices on these ways, in the packets' order, each once.
pub(crate) fn on(paths: &[Path], site: &Site, facts: &Facts) -> Vec<Vantage> {
    let mut found: Vec<Vantage> = Vec::new();
    for hop in paths.iter().flat_map(|path| &path.hops) {
        let at = &hop.at;
        let Some(machine) = site.machines.iter().find(|machine| machine.name == at.host) else { continue };
        let of_place = |ns: &&model::Netns| ns.machine == at.host && ns.name == at.netns;
        let Some(ns) = facts.snapshot.netns.iter().find(of_place) else { continue };
        if ns.link_named(&at.device).is_none() {
            continue;
        }
        let enter = match (&machine.at, at.netns.as_str()) {
            (At::Local, "") => None,
            (At::Netns(main), "") => Some(main.clone()),
            (At::Local | At::Netns(_), _) => match &ns.enter {
                Some(name) => Some(name.clone()),
                None => continue,
            },
        };
        let (host, netns, device) = (at.host.clone(), at.netns.clone(), at.device.clone());
        let vantage = Vantage { host, netns, device, enter };
        if !found.contains(&vantage) && found.len() < VANTAGES_MAX {
            found.push(vantage);
        }
    }
    found
}

/// Where packets that are seen at one vantage for a destination should be seen next: index of the vantage, address,
/// index of the next.
pub(crate) type Onward = (u16, std::net::IpAddr, u16);

/// What the predicted ways tell of the order of these vantages. Where two ways part, nothing.
pub(crate) fn onward(paths: &[Path], facts: &Facts, vantages: &[Vantage]) -> Vec<Onward> {
    let mut known: BTreeMap<(u16, std::net::IpAddr), Option<u16>> = BTreeMap::new();
    for path in paths {
        let mut before: Option<Stay> = None;
        for stay in stays(path, facts, vantages) {
            for destination in before.iter().flat_map(|before| &before.destinations) {
                let from = before.as_ref().map_or(stay.vantage, |before| before.vantage);
                let next = known.entry((from, *destination)).or_insert(Some(stay.vantage));
                next.take_if(|next| *next != stay.vantage);
            }
            before = Some(stay);
        }
    }
    known.into_iter().filter_map(|((from, destination), next)| Some((from, destination, next?))).collect()
}

/// A packet at a vantage: for whom it is when it comes and when it leaves.
struct Stay {
    vantage: u16,
    destinations: Vec<std::net::IpAddr>,
}

fn stays(path: &Path, facts: &Facts, vantages: &[Vantage]) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    let mut arriving = None;
    for group in path.hops.chunk_by(|a, b| a.at.same_device(&b.at)) {
        let Some(at) = group.first().map(|hop| &hop.at) else { continue };
        let leaving = group.iter().map(|hop| destination(&hop.packet));
        let destinations: Vec<_> = std::iter::once(arriving).chain(leaving).flatten().collect();
        arriving = destinations.last().copied();
        let is_here = |v: &Vantage| (&v.host, &v.netns, &v.device) == (&at.host, &at.netns, &at.device);
        let index = vantages.iter().position(is_here).and_then(|index| u16::try_from(index).ok());
        if let Some(vantage) = index
            && checks::shows(&facts.snapshot, group)
        {
            stays.push(Stay { vantage, destinations });
        }
    }
    stays
}

/// `1.2.3.4` of `10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64`; of TCP and UDP without the port.
fn destination(packet: &str) -> Option<std::net::IpAddr> {
    let word = packet.split_once(" > ")?.1.split(' ').next()?;
    let socket = || word.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
    word.parse().or_else(|_| socket()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packets_line_tells_for_whom_it_is() {
        let told = |line: &str| destination(line).map(|ip| ip.to_string());
        assert_eq!(told("10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64").as_deref(), Some("1.2.3.4"));
        assert_eq!(told("10.0.2.24:5 > 1.2.3.4:80 TCP SYN ttl 64").as_deref(), Some("1.2.3.4"));
        assert_eq!(told("fd00::1 > fd00::2 ICMPv6 echo request").as_deref(), Some("fd00::2"));
        assert_eq!(told("[fd00::1]:5 > [fd00::2]:80 TCP SYN").as_deref(), Some("fd00::2"));
        assert_eq!(told("ARP who has 10.0.0.1 tell 10.0.0.2"), None);
    }
}
