//! # bond-half-dead
//!
//! A bond has a slave that leads nowhere, or has not agreed with the switch what belongs together.
//!
//! ## What it means
//! A bond sends each flow by one of its slaves, as a hash tells. By LACP (`802.3ad`) both ends agree which links are
//! one; where the switch's ports are plain ones, or belong to two of its groups, each slave is an aggregator by itself,
//! and only one is used, whichever way it leads. Without LACP every slave with a carrier is used, also one whose other
//! end is in no network or in another.
//!
//! ## How hopline knows
//! By the bond's own word: slaves with a carrier in different aggregators, or a partner whose MAC is all zeros. Without
//! LACP only where the switch's ports were read: one is a port of its bridge, and another is of none.
//!
//! ## What it looks like
//! About half of all flows fail, or everything does, while every link is up. `/proc/net/bonding/bond0`: `Partner Mac
//! Address: 00:00:00:00:00:00`, different `Aggregator ID`s, `churned`. tcpdump on the slaves: questions leave by one,
//! and nothing comes back.
//!
//! ## Nearest look-alikes
//! * `uplink-no-carrier`: no slave has a carrier, and nothing leaves at all.
//! * `random-loss`: packets of one flow are lost, and not all of some.
//! * several next hops of one route: those are chosen by addresses, too, and the bond is in order.
//!
//! ## Fix
//! On the switch: the ports of all slaves into one port-channel that speaks LACP (`mode active`), or without LACP at
//! both ends. Until then use one alone: `ip link set dev SLAVE down`. Undo: `ip link set dev SLAVE up`.
//!
//! ## References
//! IEEE 802.1AX; Documentation/networking/bonding.rst; `ad_agg_selection_logic`, drivers/net/bonding/bond_3ad.c.

use model::bond::{Bond, BondMode};
use model::finding::{Confidence, Evidence};
use model::link::Link;
use model::path::{Direction, Exchange, Stage};
use model::{Mac, Netns};
use sim::FarEnd;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::restart::typed;
use crate::view::View;

/// LACP's word for nobody.
const NOBODY: Mac = Mac([0; 6]);

/// Looks for bonds that have not agreed with their switch, or have a slave that leads nowhere.
pub fn check(view: &View) -> Vec<Found> {
    let hosts = view.hosts_at_both_ends();
    let bonds =
        hosts.flat_map(|(_, ns)| ns.links.iter().filter_map(move |link| Some((ns, link, link.bond?))));
    bonds.filter_map(|(ns, link, bond)| half_dead(view, ns, link, bond)).collect()
}

fn half_dead(view: &View, ns: &Netns, link: &Link, bond: Bond) -> Option<Found> {
    // One without a carrier is not used, and so loses nothing.
    let slaves: Vec<&Link> = ns.ports(link.index).filter(|slave| slave.is_running()).collect();
    if !link.admin_up || slaves.is_empty() {
        return None;
    }
    let dead: Vec<&Link> = slaves.iter().copied().filter(|slave| leads_nowhere(view, ns, slave)).collect();
    let cause = match bond.mode {
        BondMode::Lacp => not_agreed(&slaves, bond)?,
        // Only one is used, and which is its own choice.
        BondMode::ActiveBackup => return None,
        BondMode::BalanceRr
        | BondMode::BalanceXor
        | BondMode::Broadcast
        | BondMode::BalanceTlb
        | BondMode::BalanceAlb
        | BondMode::Other(_) => {
            let first = dead.first().filter(|_| dead.len() < slaves.len())?;
            format!("its slave {} has a carrier and leads into a port that is in no network", first.name)
        }
    };
    let name = &link.name;
    let is_its = |host: &str, netns: &str, device: &str| {
        let own = [link].into_iter().chain(slaves.iter().copied());
        let here = host == ns.machine && netns == ns.name && own.into_iter().any(|l| l.name == device);
        let far = slaves.iter().filter_map(|slave| far_end(view, ns, slave));
        here || far.into_iter().any(|(ns, l)| host == ns.machine && netns == ns.name && l.name == device)
    };
    let stopped = view.stop(|s| is_its(&s.hop.at.host, &s.hop.at.netns, &s.hop.at.device));
    let lost_at = stopped.map(|stopped| stopped.hop.at.clone());
    let unused = dead.first().copied().or_else(|| slaves.iter().copied().find(|slave| !is_active(slave)));
    let fault = Fault {
        code: "bond-half-dead",
        hop: at(ns, name, Stage::Wire),
        summary: format!("the bond {name} of {} is not one link to its switch", ns.machine),
        cause,
        confidence: Confidence::Proven,
        evidence: shown(ns, link, bond, &slaves),
        owner: "operator",
        remedy: remedies(ns, &slaves, unused),
        instances: view.instances_on(&ns.machine),
        stopped,
        mend: Vec::new(),
    };
    let found = fault.found().losing_at(lost_at);
    // What is in use is not known to lead nowhere: what is lost is the other one, in reserve, as where two switches are
    // one link each and LACP keeps to one of them.
    let harmless =
        slaves.iter().filter(|slave| is_active(slave)).all(|slave| !leads_nowhere(view, ns, slave));
    Some(if harmless { found } else { found.breaks(Exchange::Icmp, Direction::Both) })
}

/// Why a bond by LACP is none.
fn not_agreed(slaves: &[&Link], bond: Bond) -> Option<String> {
    if bond.partner == Some(NOBODY) {
        return Some(
            "nobody at the other end speaks LACP: the switch's ports are in no port-channel".to_owned(),
        );
    }
    let ids = slaves.iter().map(|slave| slave.bond_slave.and_then(|slave| slave.aggregator));
    let ids: Vec<u16> = ids.collect::<Option<_>>()?;
    let differ = ids.iter().any(|id| Some(id) != ids.first());
    differ.then(|| {
        "its slaves are in different aggregators: the switch has them in different groups".to_owned()
    })
}

fn is_active(slave: &Link) -> bool {
    slave.bond_slave.is_some_and(|slave| slave.is_active)
}

fn far_end<'v>(view: &View<'v>, ns: &Netns, slave: &Link) -> Option<(&'v Netns, &'v Link)> {
    match view.world.far_end(view.world.link_named_in(ns, &slave.name)?) {
        FarEnd::Link(far) => Some((view.world.ns(far.ns), view.world.link(far)?)),
        FarEnd::Guest(..) | FarEnd::Beyond => None,
    }
}

/// The other end was read, and is neither a port of anything nor has an address.
fn leads_nowhere(view: &View, ns: &Netns, slave: &Link) -> bool {
    far_end(view, ns, slave).is_some_and(|(far_ns, far)| {
        let carries = far_ns
            .links
            .iter()
            .any(|link| link.vlan.is_some() && link.peer.is_some_and(|p| p.index == far.index));
        far.master.is_none() && !carries && far_ns.addresses_of(far.index).all(|a| a.net.addr().is_ipv6())
    })
}

fn shown(ns: &Netns, link: &Link, bond: Bond, slaves: &[&Link]) -> Vec<Evidence> {
    let command = format!("ip -d link show dev {}", typed(&link.name));
    let partner = bond.partner.map(|mac| format!(" ad_partner_mac {mac}")).unwrap_or_default();
    let aggregator = bond.aggregator.map(|id| format!(" ad_aggregator {id}")).unwrap_or_default();
    let own = evidence::state(ns, &command, format!("bond mode {}{aggregator}{partner}", bond.mode.name()));
    let each = slaves.iter().map(|slave| {
        let told = slave.bond_slave.unwrap_or_default();
        let state = if told.is_active { "ACTIVE" } else { "BACKUP" };
        let aggregator = told.aggregator.map(|id| format!(" ad_aggregator_id {id}")).unwrap_or_default();
        let command = format!("ip -d link show dev {}", typed(&slave.name));
        evidence::state(ns, &command, format!("bond_slave state {state}{aggregator}"))
    });
    [own].into_iter().chain(each).collect()
}

fn remedies(ns: &Netns, slaves: &[&Link], unused: Option<&Link>) -> Vec<model::finding::Remedy> {
    let names: Vec<&str> = slaves.iter().map(|slave| slave.name.as_str()).collect();
    let on_switch = format!("on the switch: the ports of {} into one port-channel", names.join(" and "));
    let mut remedies = vec![evidence::advice(on_switch, "both ends by LACP, or both without")];
    if let Some(slave) = unused {
        let set = |state: &str| format!("ip link set dev {} {state}", typed(&slave.name));
        remedies.push(evidence::remedy(
            ns,
            &set("down"),
            &set("up"),
            "until then, if the other one leads right",
        ));
    }
    remedies
}

#[cfg(test)]
mod tests {
    use model::Mac;
    use model::bond::BondMode;

    use crate::fixture::{bond, broken, codes, healthy, lacks};

    const CODE: &str = "bond-half-dead";

    #[test]
    fn fires_on_a_partner_that_is_nobody_and_takes_the_dead_one_out() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["bond-half-dead compute1//eth1"]);
        let finding = &found.findings[0];
        assert!(finding.evidence[0].text.ends_with("ad_partner_mac 00:00:00:00:00:00"), "{finding:#?}");
        assert!(finding.remedy[1].command.ends_with("ip link set dev eth1a down"), "{finding:#?}");
    }

    #[test]
    fn fires_on_slaves_in_different_aggregators_of_a_partner_that_answers() {
        let mut cloud = broken(CODE);
        cloud.link("compute1", "eth1").bond.as_mut().unwrap().partner = Some(Mac([2, 0, 0, 0, 0, 1]));
        assert_eq!(codes(&cloud.diagnose("web1")), ["bond-half-dead compute1//eth1"]);
        let slave = |cloud: &mut crate::fixture::Cloud, id| {
            let slave = cloud.link("compute1", "eth1b").bond_slave.as_mut().unwrap();
            (slave.aggregator, slave.is_active) = (Some(id), true);
        };
        slave(&mut cloud, 1);
        assert!(lacks(&cloud.diagnose("web1"), CODE), "they are one");
    }

    #[test]
    fn without_lacp_a_port_in_no_network_tells() {
        for (mode, is_dead) in [(BondMode::BalanceXor, true), (BondMode::ActiveBackup, false)] {
            let mut cloud = healthy();
            bond(&mut cloud, mode);
            let dead = cloud.link("compute1", "eth1a").bond_slave.as_mut().unwrap();
            dead.is_active = mode != BondMode::ActiveBackup;
            let found = codes(&cloud.diagnose("web1"));
            assert_eq!(!found.is_empty(), is_dead, "{mode:?}: {found:?}");
        }
    }

    #[test]
    fn stays_silent_on_a_slave_without_a_carrier() {
        let mut cloud = healthy();
        bond(&mut cloud, BondMode::BalanceXor);
        cloud.set_down("fabric", "portx");
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }
}
