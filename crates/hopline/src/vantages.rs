//! Where to watch: the vantages that were named, or the devices on the predicted way of what the filter
//! speaks of.

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
