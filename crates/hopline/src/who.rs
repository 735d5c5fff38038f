//! Whom a name on the command line means.

use std::net::{IpAddr, Ipv4Addr};

use checks::Endpoint;
use cloud::FindError;
use model::intent::{Instance, Remains, TiedFloating};
use model::snapshot::Gap;
use model::{Netns, Snapshot};
use sim::World;

use crate::failure::Failure;
use crate::gather::Facts;
use crate::nearest::meant;

/// The instance of this name, uuid, libvirt name, address or MAC: an index into the intent.
pub(crate) fn instance(facts: &Facts, name: &str) -> Result<usize, Failure> {
    cloud::find(&facts.intent, name).map_err(|error| {
        if let Some(gap) = facts.lost_records() {
            return in_lost_records(&error, gap);
        }
        let failure = Failure::of(&error);
        if !is_of_the_gone(&facts.intent.remains, name) {
            let hint = "a bundle has the rows of the hosts that it was made of; for an instance on another, \
                        collect there";
            let is_unknown = !matches!(error, FindError::Ambiguous { .. });
            return if facts.are_records_kept && is_unknown { failure.hint(hint) } else { failure };
        }
        failure.hint(
            "it is deleted, and the database still has rows of it: `hopline db check` names and mends them",
        )
    })
}

/// Where the cloud's records are not at hand nobody knows whether there is such an instance: libvirt's names of some
/// are all that is left.
fn in_lost_records(error: &FindError, gap: &Gap) -> Failure {
    let (what, why) = (&gap.what, &gap.why);
    let hint = format!("it needs {}", gap.would_need);
    let (wanted, known) = match error {
        FindError::Ambiguous { .. } => return Failure::of(error),
        FindError::Near { wanted, near: known } | FindError::Unknown { wanted, known } => {
            (wanted, format!("; known without them are {known}"))
        }
        FindError::NoInstances { wanted } => (wanted, String::new()),
    };
    let message = format!("nobody can tell whether there is an instance `{wanted}`: {what}: {why}{known}");
    Failure::new(message).hint(hint)
}

/// The name, uuid or address of an instance that lives no more, of which rows are left.
fn is_of_the_gone(remains: &Remains, word: &str) -> bool {
    let ip = word.parse::<Ipv4Addr>().ok();
    let is_it = |name: &Option<String>, uuid: &Option<String>, ips: &[Ipv4Addr]| {
        [name, uuid].iter().any(|known| known.as_deref() == Some(word))
            || ip.is_some_and(|ip| ips.contains(&ip))
    };
    let floats = |tied: &TiedFloating| {
        is_it(&tied.name, &tied.instance, &[tied.floating.address, tied.floating.fixed])
    };
    remains.floating.iter().any(floats)
        || remains.fixed.iter().any(|leaked| is_it(&leaked.name, &leaked.instance, &[leaked.address]))
}

/// The host of this name.
pub(crate) fn host<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a str, Failure> {
    among(&snapshot.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), name)
}

/// This name among those of the site's hosts.
pub(crate) fn among<'a>(known: &[&'a str], name: &str) -> Result<&'a str, Failure> {
    if let Some(found) = known.iter().find(|host| **host == name) {
        return Ok(found);
    }
    let failure = Failure::new(format!("there is no host `{name}` in the site"));
    Err(match meant(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("its hosts are: {}", known.join(", "))),
    })
}

/// Who sends: an instance, a host, or the machine that carries an address.
pub(crate) fn sender(facts: &Facts, name: &str) -> Result<Endpoint, Failure> {
    if let Some(at) = main_netns(&facts.snapshot, name) {
        return Ok(Endpoint::Machine(at));
    }
    if let Ok(ip) = name.parse::<Ipv4Addr>()
        && cloud::find(&facts.intent, name).is_err()
    {
        let carrier = facts.snapshot.netns.iter().position(|ns| ns.has_address(IpAddr::V4(ip)));
        return carrier.map(Endpoint::Machine).ok_or_else(|| {
            Failure::new(format!("no machine of the site carries the address {ip}"))
                .hint("a packet can only be followed from a host or an instance of the site")
        });
    }
    let index = instance_or_host(facts, name)?;
    Ok(Endpoint::instance(&World::new(&facts.snapshot, &facts.intent), index))
}

/// The same of a packet that is only imagined: an address that nobody of the site has is somebody's outside, but for
/// one of the instances' own networks, which nobody outside can have.
pub(crate) fn asker(facts: &Facts, name: &str) -> Result<Endpoint, Failure> {
    match name.parse::<Ipv4Addr>() {
        Ok(ip) if is_nobodys(facts, ip) => Ok(Endpoint::Beyond(ip)),
        Ok(_) | Err(_) => sender(facts, name),
    }
}

fn is_nobodys(facts: &Facts, ip: Ipv4Addr) -> bool {
    let is_carried = facts.snapshot.netns.iter().any(|ns| ns.has_address(IpAddr::V4(ip)));
    let mut cidrs = facts.intent.networks.iter().filter_map(|network| network.cidr);
    let is_inside = cidrs.any(|cidr| cidr.contains(&ip));
    !is_carried && !is_inside && cloud::find(&facts.intent, &ip.to_string()).is_err()
}

/// Where a packet is sent to: any address; an instance's, the floating one when the sender is
/// outside the cloud; a host's.
pub(crate) fn destination(facts: &Facts, name: &str, from_outside: bool) -> Result<Ipv4Addr, Failure> {
    if let Ok(ip) = name.parse() {
        return Ok(ip);
    }
    if let Some(ns) = main_netns(&facts.snapshot, name).and_then(|at| facts.snapshot.netns.get(at))
        && !ns.instance
    {
        return address(ns).ok_or_else(|| Failure::new(format!("{name} has no IPv4 address to send to")));
    }
    let index = instance_or_host(facts, name)?;
    let found = facts.intent.instances.get(index).and_then(|i| address_of_instance(i, from_outside));
    found.ok_or_else(|| Failure::new(format!("no IPv4 address is known of the instance {name}")))
}

/// What is sent to is to be one machine, and another than the sender.
pub(crate) fn must_be_another(facts: &Facts, sender: Option<usize>, to: Ipv4Addr) -> Result<(), Failure> {
    let cidrs = || facts.intent.networks.iter().filter_map(|network| network.cidr);
    let is_of_all = |cidr: ipnet::Ipv4Net| cidr.prefix_len() < 31 && to == cidr.broadcast();
    let own = sender.and_then(|at| facts.intent.instances.get(at));
    let whose = if let Some(own) = own.filter(|own| own.fixed().any(|own| own == to)) {
        format!("{}'s own", own.name)
    } else if to.is_loopback() {
        "every machine's own".to_owned()
    } else if to.octets()[0] == 0 {
        "nobody's".to_owned()
    } else if to.is_multicast() {
        "a group's".to_owned()
    } else if to.is_broadcast() || cidrs().any(is_of_all) {
        "everybody's".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::new(format!("{to} is {whose}: name another machine, or its address")))
}

/// The sender is a host of role external, or none of the site.
pub(crate) fn is_outside(facts: &Facts, sender: Endpoint) -> bool {
    match sender {
        Endpoint::Machine(at) => {
            let machine = facts.snapshot.netns.get(at).map(|ns| ns.machine.as_str());
            machine.and_then(|name| facts.snapshot.host(name)).is_some_and(|host| host.role == "external")
        }
        Endpoint::Instance(_) | Endpoint::InstanceOver6(..) => false,
        Endpoint::Beyond(_) => true,
    }
}

/// The address by which others know a machine: its first that is not its own affair.
pub(crate) fn address(ns: &Netns) -> Option<Ipv4Addr> {
    ns.addresses.iter().filter(|a| a.scope == "global").find_map(|a| match a.net.addr() {
        IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    })
}

fn address_of_instance(instance: &Instance, from_outside: bool) -> Option<Ipv4Addr> {
    let floating = || instance.floating().map(|f| f.address).next();
    let outside = if from_outside { floating() } else { None };
    outside.or_else(|| instance.fixed().next())
}

fn main_netns(snapshot: &Snapshot, name: &str) -> Option<usize> {
    snapshot.netns.iter().position(|ns| ns.machine == name && ns.name.is_empty())
}

/// An instance; a name that is neither an instance's nor a host's is told as such.
fn instance_or_host(facts: &Facts, name: &str) -> Result<usize, Failure> {
    if let Some((machine, _)) = facts.unreachable.iter().find(|(machine, _)| machine == name) {
        facts.must_reach(machine)?;
    }
    instance(facts, name).map_err(|failure| {
        let hosts = facts.snapshot.hosts.iter().map(|host| host.name.as_str());
        match meant(name, hosts) {
            Some(near) => failure.hint(format!("did you mean the host `{near}`?")),
            None => failure,
        }
    })
}
