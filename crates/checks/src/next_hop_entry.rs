//! Where a host takes its own next hop to be: the entry for the gateway of its default route, and who contradicts it.

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, EvidenceKind};
use model::link::Link;
use model::path::{Direction, Exchange, Stage};
use model::probe::Holders;
use model::route::Neighbour;
use model::{Mac, Netns};
use sim::world::Station;

use crate::catalogue::routing::host_neigh_wrong::{answer, nud, passes};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Entry, Mend};
use crate::restart::typed;
use crate::uplinks;
use crate::view::{View, is_misled};

/// A host's entry for its next hop.
pub struct NextHop<'n> {
    /// The gateway of its default route.
    pub ip: Ipv4Addr,
    /// The link that it is on.
    pub link: &'n Link,
    /// Where the host takes it to be.
    pub mac: Mac,
    /// The whole of it.
    pub entry: &'n Neighbour,
}

/// The entry, where there is one that packets are sent by.
pub fn of(ns: &Netns) -> Option<NextHop<'_>> {
    let (ip, index) = uplinks::default_via(ns)?;
    let is_its = |n: &&Neighbour| n.link == index && n.ip == IpAddr::V4(ip) && !n.proxy && n.state.is_valid();
    let entry = ns.neighbours.iter().find(is_its)?;
    Some(NextHop { ip, link: ns.link(index)?, mac: entry.mac?, entry })
}

/// Looks at the hosts in question: one finding an entry that whoever has the address contradicts.
pub(crate) fn wrong(view: &View) -> Vec<Found> {
    view.hosts().filter_map(|(_, ns)| told(view, ns, &of(ns)?)).collect()
}

/// Who has it: by who answered for it, else by the machine of the site that carries it.
fn right(view: &View, ns: &Netns, hop: &NextHop) -> Option<Mac> {
    if let Some(held) = asked(view, ns, hop) {
        let is_answered = held.stations.iter().any(|station| station.mac == hop.mac);
        return held.stations.first().map(|station| station.mac).filter(|_| !is_answered);
    }
    let Station::Link(id) = view.world.owner_of_ip(IpAddr::V4(hop.ip))? else { return None };
    let owner = view.world.ns(id.ns);
    let is_worn_there = owner.links.iter().any(|link| link.mac == Some(hop.mac));
    owner.link(id.link)?.mac.filter(|_| !is_worn_there && !std::ptr::eq(owner, ns))
}

fn asked<'v>(view: &View<'v>, ns: &Netns, hop: &NextHop) -> Option<&'v Holders> {
    let is_it = |held: &&Holders| held.machine == ns.machine && held.address == IpAddr::V4(hop.ip);
    view.holders.iter().find(|held| is_it(held) && !held.is_own)
}

fn told(view: &View, ns: &Netns, next: &NextHop) -> Option<Found> {
    let NextHop { ip, link, mac: taken, entry } = *next;
    let right = right(view, ns, next)?;
    let hop = at(ns, &link.name, Stage::Neighbour);
    let of_it = || view.rungs.iter().filter(|rung| rung.answer.paths.iter().any(|path| passes(path, &hop)));
    if of_it().any(|rung| view.is_answered(rung)) {
        return None;
    }
    let is_sent_so = |s: &crate::view::Stopped| {
        is_misled(s) && s.rung.answer.paths.get(s.order.1).is_some_and(|path| passes(path, &hop))
    };
    let stopped = view.stop(is_sent_so);
    let silent = of_it().find(|rung| view.silent(rung).is_some());
    let is_lost = stopped.is_some() || silent.is_some();
    // What was learned may be out of date, and is asked for anew before it hurts.
    if !is_lost && !entry.state.is_by_hand() {
        return None;
    }
    let host = &ns.machine;
    let by_hand = if entry.state.is_by_hand() { ", set by hand" } else { "" };
    let carrier = || {
        let Some(Station::Link(id)) = view.world.owner_of_ip(IpAddr::V4(ip)) else { return None };
        let (owner, its) = (view.world.ns(id.ns), view.world.link(id)?);
        Some(evidence::link(owner, its))
    };
    let answered = match asked(view, ns, next) {
        Some(held) => Some(answer(view, held, right)),
        None => carrier(),
    };
    let device = typed(&link.name);
    let fault = Fault {
        code: "host-neigh-wrong",
        hop,
        summary: format!(
            "what {host} sends out does not get to its gateway {ip}, which it takes to be at {taken}"
        ),
        cause: format!(
            "the neighbour entry of {host} for {ip} on {} has {taken} ({}{by_hand}), and its gateway's MAC is {right}",
            link.name,
            entry.state.name()
        ),
        confidence: if is_lost { Confidence::Proven } else { Confidence::Likely },
        evidence: [
            evidence::neighbour(ns, link, ip),
            evidence::record(
                EvidenceKind::State,
                evidence::within(ns, "ip route show default"),
                uplinks::default_text(ns),
            ),
        ]
        .into_iter()
        .chain(answered)
        .collect(),
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("ip neigh del {ip} dev {device}"),
            &format!("ip neigh replace {ip} lladdr {taken} dev {device} nud {}", nud(entry)),
            "the host asks anew",
        )],
        instances: view.instances_on(host),
        stopped,
        mend: vec![Mend::Forget {
            machine: host.clone(),
            entry: Entry::Neighbour { device: link.name.clone(), ip: IpAddr::V4(ip) },
        }],
    };
    let begun = silent.filter(|_| stopped.is_none()).and_then(|rung| view.beginning_of(rung));
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).met_at(begun))
}

#[cfg(test)]
mod tests {
    use model::Mac;
    use model::finding::Confidence;
    use model::route::NeighbourState;

    use crate::fixture::{Cloud, codes, healthy, held, lacks};

    const CODE: &str = "host-neigh-wrong";
    const TOLD: &str = "host-neigh-wrong compute1//eth0";
    const TAKEN: Mac = Mac([0x02, 0x00, 0x5e, 0x00, 0x53, 0x09]);

    /// The host's entry for its router, of this state.
    fn with(state: NeighbourState) -> Cloud {
        let mut cloud = healthy();
        let link = cloud.link("compute1", "eth0").index;
        let (ip, _) = crate::uplinks::default_via(cloud.netns("compute1")).unwrap();
        let ip = std::net::IpAddr::V4(ip);
        let entries = &mut cloud.netns("compute1").neighbours;
        entries.retain(|n| n.ip != ip);
        entries.push(model::route::Neighbour { link, ip, mac: Some(TAKEN), state, ..entries[0].clone() });
        cloud
    }

    fn own(cloud: &mut Cloud) -> Mac {
        cloud.link("gw", "eth0").mac.unwrap()
    }

    #[test]
    fn fires_on_a_host_that_takes_its_router_to_be_at_another_mac() {
        for state in [NeighbourState::Permanent, NeighbourState::Reachable] {
            let told = with(state).diagnose("web1");
            assert_eq!(codes(&told), [TOLD], "{state:?}");
            let finding = &told.findings[0];
            assert_eq!(finding.confidence, Confidence::Proven);
            assert!(finding.remedy[0].command.ends_with("ip neigh del 203.0.113.1 dev eth0"), "{finding:?}");
            assert!(
                finding.remedy[0]
                    .undo
                    .contains("ip neigh replace 203.0.113.1 lladdr 02:00:5e:00:53:09 dev eth0")
            );
        }
    }

    #[test]
    fn where_the_router_was_not_read_its_answer_tells() {
        let mut cloud = with(NeighbourState::Permanent);
        let router = own(&mut cloud);
        let beyond = ["gw", "isp", "external", "fabric"];
        cloud.snapshot.netns.retain(|ns| !beyond.contains(&ns.machine.as_str()));
        cloud.snapshot.hosts.retain(|host| !beyond.contains(&host.name.as_str()));
        assert!(lacks(&cloud.diagnose("web1"), CODE), "nothing contradicts it");
        cloud.holders = vec![held("eth0", "203.0.113.1", &[router], false)];
        assert_eq!(codes(&cloud.diagnose("web1")), [TOLD]);
        cloud.holders = vec![held("eth0", "203.0.113.1", &[], false)];
        assert!(lacks(&cloud.diagnose("web1"), CODE), "nobody answers");
        cloud.holders = vec![held("eth0", "203.0.113.1", &[router, TAKEN], false)];
        assert!(lacks(&cloud.diagnose("web1"), CODE), "that MAC answers, too");
    }

    #[test]
    fn stays_silent_on_an_entry_that_is_right_and_on_another_mac_of_the_routers() {
        let mut cloud = with(NeighbourState::Permanent);
        let router = own(&mut cloud);
        let entries = cloud.netns("compute1").neighbours.iter_mut();
        entries.filter(|n| n.mac == Some(TAKEN)).for_each(|n| n.mac = Some(router));
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        let mut cloud = with(NeighbourState::Permanent);
        cloud.link("gw", "eth1").mac = Some(TAKEN);
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }
}
