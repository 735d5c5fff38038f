//! The order of vantages as the site tells it, where captures name them as `hopline capture` does. Nothing of the
//! site is read where they do not.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ::capture::vantage::Vantage;
use ::correlate::{Correlator, Merge};
use checks::Protocol;
use model::Path;
use model::sighting::{Address, Kind, Sighting};

use super::source::Source;
use super::warn;
use crate::conclude;
use crate::failure::Failure;
use crate::gather::{self, Facts};
use crate::plan::Plan;
use crate::site_file::{self, Site};
use crate::vantages;
use crate::who;

/// Pairs of addresses of which the way is predicted: those with the most packets at the beginning of the captures.
const FLOWS_MAX: usize = 64;

/// Vantages of the captures that the site has.
pub(super) struct Placed {
    site: Site,
    timeout: Duration,
    vantages: Vec<Vantage>,
    /// Of each: its source, and its number there.
    numbers: Vec<(usize, u16)>,
}

/// Which vantages the site has; `None` where it tells nothing of their order. A site file that was asked for must be
/// readable; of another one it is said that it is not.
pub(super) fn placed(plan: &Plan, sources: &[Source]) -> Result<Option<Placed>, Failure> {
    let is_asked = plan.site.is_some();
    let named: Vec<(usize, u16, &str)> = sources
        .iter()
        .enumerate()
        .flat_map(|(source, of)| {
            (0..).zip(of.names()).map(move |(local, name)| (source, local, name.as_str()))
        })
        .filter(|(.., name)| name.split('/').count() == 3)
        .collect();
    if !is_asked && (named.len() < 2 || site_file::path(None).is_none()) {
        return Ok(None);
    }
    let site = match site_file::find(plan.site.as_deref()) {
        Ok(site) => site,
        Err(failure) if is_asked => return Err(failure),
        Err(failure) => {
            not_told(&failure);
            return Ok(None);
        }
    };
    let (mut vantages, mut numbers) = (Vec::new(), Vec::new());
    for (source, local, name) in named {
        if let Ok(vantage) = vantages::named(&site, name) {
            vantages.push(vantage);
            numbers.push((source, local));
        }
    }
    if vantages.len() < 2 {
        if is_asked {
            warn("the captures have no two vantages of the site: TTLs and clocks alone tell their order");
        }
        return Ok(None);
    }
    Ok(Some(Placed { site, timeout: plan.timeout, vantages, numbers }))
}

fn not_told(failure: &Failure) {
    warn(&format!("the site does not tell the order of the vantages: {failure}"));
}

impl Placed {
    /// Predicts the ways of what waits in `merge`, and teaches the order of vantages on them.
    pub(super) fn teach(&self, merge: &mut Merge, correlator: &mut Correlator) {
        let facts = match gather::gather(&self.site, self.timeout) {
            Ok(facts) => facts,
            Err(failure) => return not_told(&failure),
        };
        let sources = self.numbers.iter().map(|(source, _)| source + 1).max().unwrap_or_default();
        let paths: Vec<Path> = flows(merge, sources).iter().flat_map(|flow| paths(&facts, flow)).collect();
        for (at, destination, next) in vantages::onward(&paths, &facts, &self.vantages) {
            let mut number = |vantage: u16| {
                let (source, local) = *self.numbers.get(usize::from(vantage))?;
                merge.introduce(source, local)
            };
            if let (Some(at), Some(next)) = (number(at), number(next)) {
                correlator.teach_order(at, destination.into(), next);
            }
        }
    }
}

/// One packet of each pair of addresses, those with the most packets first.
fn flows(merge: &Merge, sources: usize) -> Vec<Sighting> {
    let mut found: BTreeMap<(Address, Address), (u64, Sighting)> = BTreeMap::new();
    for seen in (0..sources).flat_map(|source| merge.waiting(source)) {
        found.entry((seen.source, seen.destination)).or_insert((0, *seen)).0 += 1;
    }
    let mut found: Vec<(u64, Sighting)> = found.into_values().collect();
    found.sort_by_key(|(count, seen)| (Reverse(*count), seen.source, seen.destination));
    found.into_iter().take(FLOWS_MAX).map(|(_, seen)| seen).collect()
}

/// The predicted way of a packet, there and back; none where no machine of the site sends it.
fn paths(facts: &Facts, seen: &Sighting) -> Vec<Path> {
    let (from, to): (IpAddr, IpAddr) = (seen.source.to_ip(), seen.destination.to_ip());
    let Ok(sender) = who::sender(facts, &from.to_string()) else { return Vec::new() };
    let protocol = match seen.kind {
        Kind::Tcp => Protocol::Tcp(seen.destination_port),
        Kind::Udp | Kind::DnsQuery | Kind::DnsResponse => Protocol::Udp(seen.destination_port),
        Kind::EchoRequest | Kind::EchoReply | Kind::Icmp => Protocol::Icmp,
        Kind::DhcpClient | Kind::DhcpServer | Kind::ArpRequest | Kind::ArpReply => Protocol::Icmp,
        Kind::Fragment | Kind::Other => Protocol::Icmp,
    };
    conclude::path(facts, sender, to, protocol, true).paths
}
