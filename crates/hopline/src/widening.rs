//! What else a packet is called on its way: the addresses of instances, and those that NAT gives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::filter::{self, Equivalents, Expr, Subject};
use model::Path;
use model::intent::Instance;
use model::path::Step;

use crate::failure::Failure;
use crate::gather::Facts;
use crate::who;

/// Addresses that one goes by elsewhere, at most: a router's own stands for all behind it.
const OTHERS_MAX: usize = 16;

/// The filter as it is put to the kernel, and what was added to it, as `10.0.2.24 is also 203.0.113.30`.
pub(crate) struct Widened {
    pub(crate) expr: Expr,
    pub(crate) added: Vec<(IpAddr, Vec<IpAddr>)>,
}

/// Instances as their addresses, and every address with those that the database, the walk and the tracked
/// connections tell for it.
pub(crate) fn widen(facts: &Facts, expr: &Expr, paths: &[Path]) -> Result<Widened, Failure> {
    let mut subjects = BTreeMap::new();
    let mut wanted: BTreeSet<IpAddr> = filter::addresses(expr);
    for name in filter::instances(expr) {
        let at = who::instance(facts, &name)?;
        let subject = facts.intent.instances.get(at).map(subject).unwrap_or_default();
        wanted.extend(&subject.addresses);
        subjects.insert(name, subject);
    }
    let mut others: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    for (address, other) in pairs(facts, paths) {
        if wanted.contains(&address) && address != other && address.is_ipv4() == other.is_ipv4() {
            let known = others.entry(address).or_default();
            if known.len() < OTHERS_MAX {
                known.insert(other);
            }
        }
    }
    let mut nat = Equivalents::default();
    for (address, known) in &others {
        known.iter().for_each(|other| nat.add(*address, *other));
    }
    let expr = filter::resolve(expr, &subjects, &nat).map_err(|error| Failure::of(&error))?;
    let added = others.into_iter().map(|(address, known)| (address, known.into_iter().collect())).collect();
    Ok(Widened { expr, added })
}

fn subject(instance: &Instance) -> Subject {
    let floating = instance.floating().map(|floating| floating.address);
    Subject {
        addresses: instance.fixed().chain(floating).map(IpAddr::V4).collect(),
        macs: instance.vifs.iter().filter_map(|vif| vif.mac).collect(),
    }
}

/// What is the first at one place is the second at another.
fn pairs(facts: &Facts, paths: &[Path]) -> Vec<(IpAddr, IpAddr)> {
    let mut found = Vec::new();
    for floating in facts.intent.instances.iter().flat_map(Instance::floating) {
        let (inside, outside) = (IpAddr::V4(floating.fixed), IpAddr::V4(floating.address));
        found.extend([(inside, outside), (outside, inside)]);
    }
    for step in paths.iter().flat_map(|path| &path.hops).flat_map(|hop| &hop.steps) {
        if let Step::Rewritten(before, after) = step
            && let (Some(before), Some(after)) = (ends(before), ends(after))
        {
            found.extend([(before.0, after.0), (before.1, after.1)]);
        }
    }
    for entry in facts.snapshot.netns.iter().flat_map(|ns| &ns.conntrack) {
        // The answer goes to whom the question seemed to come from, and comes from whom it really reached.
        found.push((entry.original.source, entry.reply.destination));
        found.push((entry.original.destination, entry.reply.source));
    }
    found
}

/// Sender and receiver of a packet as the walk prints it: `10.0.2.24:5 > [2001:db8::1]:22 TCP SYN ttl 64`.
pub(crate) fn ends(packet: &str) -> Option<(IpAddr, IpAddr)> {
    let (from, rest) = packet.split_once(" > ")?;
    Some((address(from)?, address(rest.split(' ').next()?)?))
}

fn address(end: &str) -> Option<IpAddr> {
    let without_port = || match end.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map(|(v6, _)| v6),
        None => end.split_once(':').map(|(v4, _)| v4),
    };
    end.parse().ok().or_else(|| without_port()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_printed_packets() {
        let pair = |a: &str, b: &str| Some((a.parse().unwrap(), b.parse().unwrap()));
        assert_eq!(ends("10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64"), pair("10.0.2.24", "1.2.3.4"));
        assert_eq!(ends("10.0.2.24:5 > 1.2.3.4:22 TCP SYN ttl 64"), pair("10.0.2.24", "1.2.3.4"));
        assert_eq!(ends("[::1]:5 > [::2]:22 TCP SYN hlim 64"), pair("::1", "::2"));
        assert_eq!(ends("::1 > ::2 ICMPv6 echo request hlim 64"), pair("::1", "::2"));
        assert_eq!(ends("ARP who has 1.2.3.4 tell 1.2.3.5"), None);
    }
}
