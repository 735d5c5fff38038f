//! A case built for real, in namespaces without names that end with their handles.

use std::time::{Duration, Instant};

use model::Snapshot;
use model::route::{Route, RouteKind, TABLE_MAIN};
use plumbing::veth::{End, plug};
use plumbing::{Namespace, address, bridge, link, neighbour, route, rule, write_sysctl};
use sys::netns::{self, NetnsFd};

use crate::case::{Cable, CableEnd, Case, Machine};
use crate::error::SelftestError;
use crate::tools;

/// How long links may take to have their carriers. The kernel takes a second at most
/// (`net/core/link_watch.c`); this is for a machine under load.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const POLL: Duration = Duration::from_micros(200);
/// ifindexes of cable ends start here: no two ends of a case share one, so that the kernel sees at once
/// that a link has another end (`linkwatch_urgent_event` compares the two).
const FIRST_INDEX: u32 = 10;

/// What every namespace starts from: whatever the machine's own settings are, cases are the same.
const DEFAULTS: [(&str, &str); 5] = [
    ("ipv4/ip_forward", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    // Refusals are compared, so that none may be withheld for coming too often.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratelimit", "0"),
];
/// Nobody advertises, solicits or tests for duplicates: the wires carry nothing that nobody sent.
const QUIET_V6: [(&str, &str); 5] = [
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    // Answers for others come at once, not within 0.8 s.
    ("ipv6/neigh/default/proxy_delay", "0"),
];

/// The namespaces of a case, in the order of its machines.
pub(crate) struct Cloud {
    pub(crate) namespaces: Vec<Namespace>,
}

impl Cloud {
    /// Builds all of a case but its rulesets.
    pub(crate) fn build(case: &Case) -> Result<Cloud, SelftestError> {
        let mut namespaces = Vec::new();
        for machine in &case.machines {
            namespaces.push(prepare(machine, case.v6)?);
        }
        for (machine, ns) in case.machines.iter().zip(&mut namespaces) {
            for wanted in &machine.bridges {
                bridge::create(ns, &wanted.name, Some(wanted.mac))?;
                link::set_up(ns, &wanted.name)?;
            }
        }
        for (nth, cable) in (FIRST_INDEX..).step_by(2).zip(&case.cables) {
            plug_in(cable, nth, &mut namespaces)?;
        }
        for end in case.cables.iter().flat_map(|cable| &cable.ends) {
            if let Some(ns) = namespaces.get_mut(end.machine) {
                set_end(ns, end)?;
            }
        }
        for (machine, ns) in case.machines.iter().zip(&mut namespaces) {
            furnish(machine, ns)?;
        }
        // Last, as a link goes down in life: what was set by it was set before.
        for end in case.cables.iter().flat_map(|cable| &cable.ends).filter(|end| end.down) {
            if let Some(ns) = namespaces.get_mut(end.machine) {
                link::set_down(ns, &end.link)?;
            }
        }
        Ok(Cloud { namespaces })
    }

    /// Loads the rulesets.
    pub(crate) fn load(&self, case: &Case) -> Result<(), SelftestError> {
        for (machine, ns) in case.machines.iter().zip(&self.namespaces) {
            if !machine.rulesets.is_empty() {
                ns.inside(|| tools::load_all(&machine.rulesets, &machine.name))??;
            }
        }
        Ok(())
    }

    /// Waits until every link's state is what its carrier says, and every address can be used.
    pub(crate) fn settle(&mut self) -> Result<(), SelftestError> {
        let give_up = Instant::now() + PATIENCE;
        for ns in &mut self.namespaces {
            loop {
                let what = match link::unsettled(ns)? {
                    Some(link) => format!("{link} to have a carrier"),
                    None => match address::unsettled(ns)? {
                        Some(ip) => format!("{ip} to be usable"),
                        None => break,
                    },
                };
                if Instant::now() >= give_up {
                    let netns = ns.name.clone();
                    return Err(SelftestError::Unsettled { seconds: PATIENCE.as_secs(), netns, what });
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// All of it as hopline reads a site.
    pub(crate) fn read(&self, case: &Case) -> Result<Snapshot, SelftestError> {
        let known: Vec<&NetnsFd> = self.namespaces.iter().map(|ns| &ns.handle).collect();
        let mut snapshot = Snapshot::default();
        for (machine, ns) in case.machines.iter().zip(&self.namespaces) {
            let (mut facts, gaps) = collect::namespace(&machine.name, &ns.handle, &known)?;
            facts.instance = machine.instance;
            snapshot.netns.push(facts);
            snapshot.gaps.extend(gaps);
        }
        Ok(snapshot)
    }
}

fn prepare(machine: &Machine, v6: bool) -> Result<Namespace, SelftestError> {
    let mut ns = Namespace::new(machine.name.clone(), netns::unnamed(&machine.name)?)?;
    let off = if v6 { "0" } else { "1" };
    let switches = [("ipv6/conf/all/disable_ipv6", off), ("ipv6/conf/default/disable_ipv6", off)];
    let quiet = QUIET_V6.iter().filter(|_| v6);
    ns.inside(|| {
        for (key, value) in DEFAULTS.iter().chain(quiet).chain(&switches) {
            // A kernel that has not got one has nothing there to be set.
            let _ = write_sysctl(key, value);
        }
    })?;
    link::set_up(&mut ns, "lo")?;
    Ok(ns)
}

fn plug_in(cable: &Cable, index: u32, namespaces: &mut [Namespace]) -> Result<(), SelftestError> {
    let [near, far] = &cable.ends;
    let Ok([near_ns, far_ns]) = namespaces.get_disjoint_mut([near.machine, far.machine]) else {
        return Ok(());
    };
    let mut near = End { ns: near_ns, link: &near.link, mac: Some(near.mac), index: Some(index) };
    let far = End { ns: far_ns, link: &far.link, mac: Some(far.mac), index: Some(index + 1) };
    Ok(plug(&mut near, &far)?)
}

fn set_end(ns: &mut Namespace, end: &CableEnd) -> Result<(), SelftestError> {
    if let Some(bridge) = &end.bridge {
        link::enslave(ns, &end.link, bridge)?;
    }
    if let Some(port) = &end.port {
        bridge::set_port(ns, &end.link, port)?;
    }
    Ok(link::set_up(ns, &end.link)?)
}

fn furnish(machine: &Machine, ns: &mut Namespace) -> Result<(), SelftestError> {
    let written = ns.inside(|| {
        machine.sysctls.iter().find_map(|(key, value)| Some((key, write_sysctl(key, value).err()?)))
    })?;
    if let Some((key, source)) = written {
        let path = std::path::Path::new("/proc/sys/net").join(key);
        return Err(plumbing::PlumbingError::Sysctl { path, netns: ns.name.clone(), source }.into());
    }
    for (link, net) in &machine.addresses {
        address::add(ns, link, *net)?;
    }
    // Gateways are looked for in the main table: what leads to them must stand there already, and what
    // refuses them not yet.
    let mut routes: Vec<&Route> = machine.routes.iter().collect();
    routes.sort_by_key(|route| (route.kind != RouteKind::Unicast, route.table != TABLE_MAIN));
    for wanted in routes {
        route::add(ns, wanted)?;
    }
    for pinned in &machine.neighbours {
        match pinned.mac {
            Some(mac) => neighbour::pin(ns, &pinned.link, pinned.ip, mac)?,
            None => neighbour::proxy(ns, &pinned.link, pinned.ip)?,
        }
    }
    // Last: a rule may refuse the gateways of routes made after it.
    for (version, wanted) in &machine.fib_rules {
        rule::add(ns, *version, wanted)?;
    }
    Ok(())
}
