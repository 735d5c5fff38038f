//! # float-on-two-hosts
//!
//! Two hosts carry the same floating address.
//!
//! ## What it means
//! After a move that failed half way both answer ARP for it, and who is asked last wins: packets for the instance, and
//! the answers to its own, go now to one host and now to the other.
//!
//! ## How hopline knows
//! The address is on the host that the database (or the site file) names, and on another host of the site too.
//!
//! ## What it looks like
//! `arping -I eth0 FLOATING` on the gateway: answers from two MACs, both of hosts of the cloud.
//!
//! ## Nearest look-alikes
//! * `float-address-missing`: the host that should carry it does not.
//! * `conntrack-stale-dnat`: one host carries it, and old connections are led to the old instance.
//!
//! ## Fix
//! Take it from the host that `floating_ips.host` does not name, with the rules for it (restart nova-network there);
//! then let the right one announce it (`arping -U`). Undo: add it again.
//!
//! ## References
//! nova `network/floating_ips.py` `migrate_instance_start`; arping(8); rcbops/chef-cookbooks#316.

use std::net::IpAddr;

use model::Netns;
use model::finding::{Confidence, EvidenceKind, Remedy};
use model::intent::Floating;
use model::path::{Direction, Exchange, Stage};
use model::snapshot::Host;

use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, Reach, at};
use crate::ladder::Purpose;
use crate::mend::{Entry, Mend};
use crate::restart;
use crate::view::{Seat, View};

/// Looks for floating addresses on hosts that are not meant to carry them: one finding an address and host.
pub fn check(view: &View) -> Vec<Found> {
    let both = floats::settled(view).filter(|(_, floating, ns)| ns.has_address(IpAddr::V4(floating.address)));
    both.flat_map(|(seat, floating, ns)| stale(view, seat, floating, ns)).collect()
}

/// As it was read, more than one host carries this floating address.
pub(crate) fn tells(view: &View, address: IpAddr) -> bool {
    let mut floating = view.intent().instances.iter().flat_map(model::intent::Instance::floating);
    let hosts = view.read.hosts.iter().filter(|host| is_of_cloud(view, host));
    let hosts = hosts.filter_map(|host| view.read.main_netns(&host.name));
    floating.any(|f| address == f.address) && hosts.filter(|ns| ns.has_address(address)).count() > 1
}

/// nova may have put the address there. Who else has it, a router or a switch, is a stranger to it.
fn is_of_cloud(view: &View, host: &Host) -> bool {
    let mut networks = view.intent().networks.iter();
    host.role == "compute" || networks.any(|network| network.host.as_deref() == Some(host.name.as_str()))
}

fn stale(view: &View, seat: Seat, floating: &Floating, meant: &Netns) -> Vec<Found> {
    let carries = |ns: &&Netns| ns.has_address(IpAddr::V4(floating.address));
    let others = others(view, &meant.machine).filter(carries);
    others.map(|ns| finding(view, seat, floating, (meant, ns))).collect()
}

/// The main namespaces of the cloud's hosts but that one.
pub(crate) fn others<'v>(view: &View<'v>, but: &str) -> impl Iterator<Item = &'v Netns> {
    let hosts = view.snapshot().hosts.iter().filter(move |host| host.name != but && is_of_cloud(view, host));
    hosts.filter_map(|host| view.snapshot().main_netns(&host.name))
}

fn finding(view: &View, seat: Seat, floating: &Floating, (meant, stale): (&Netns, &Netns)) -> Found {
    let address = floating.address;
    let name = &seat.instance.name;
    let carrier = |ns: &Netns| ns.addresses.iter().find(|own| own.net.addr() == IpAddr::V4(address)).cloned();
    let on = |ns: &Netns| carrier(ns).map_or_else(String::new, |own| ns.link_name(own.link));
    let (device, right) = (on(stale), on(meant));
    // Where the right one got it in the model alone, only the other one has it.
    let is_on_both =
        view.read.main_netns(&meant.machine).is_some_and(|ns| ns.has_address(IpAddr::V4(address)));
    let (summary, answers) = if is_on_both {
        let both = format!("{address} of {name} is on {} and on {} too", meant.machine, stale.machine);
        (both, format!("and answers for it as {} does", meant.machine))
    } else {
        let other =
            format!("{address} of {name} is on {}, and is meant to be on {}", stale.machine, meant.machine);
        (other, format!("and goes on answering for it when {} has it", meant.machine))
    };
    let shown = |ns: &Netns, device: &str| {
        let text = format!("{address} is on {device} of {}", ns.machine);
        evidence::state(ns, &format!("ip -4 address show dev {device}"), text)
    };
    // Someone may have added it by hand, with the network's prefix; the kernel deletes what is named as it is.
    let net = carrier(stale).map_or_else(|| format!("{address}/32"), |own| own.net.to_string());
    let delete = format!("ip address del {net} dev {device}");
    let recorded = format!("{address} is for {}", meant.machine);
    let nth = view.rungs.iter().position(|rung| rung.purpose == Purpose::Inbound(address));
    let fault = Fault {
        code: "float-on-two-hosts",
        hop: at(stale, &device, Stage::Neighbour),
        summary,
        cause: format!("{} still carries it, {answers}", stale.machine),
        confidence: Confidence::Proven,
        evidence: is_on_both
            .then(|| shown(meant, &right))
            .into_iter()
            .chain([shown(stale, &device), evidence::record(EvidenceKind::Db, "floating_ips", recorded)])
            .collect(),
        owner: "nova-network",
        remedy: vec![
            Remedy {
                note: "the rules for it go with a restart of nova-network there".to_owned(),
                ..evidence::remedy(stale, &delete, &delete.replace(" del ", " add "), "")
            },
            restart::network(view, &stale.machine, "writes its rules again, without those for this address"),
            evidence::remedy(meant, &format!("arping -U -c 2 -I {right} {address}"), "", "tells the gateway"),
        ],
        instances: vec![name.clone()],
        stopped: None,
        mend: mended(stale, floating),
    };
    let mut found = fault.found().reaching(Reach::Instances);
    if let Some(nth) = nth {
        found.order = Some((nth, 0, 0));
        (found.finding.exchange, found.finding.direction) = (Exchange::Icmp, Direction::Request);
    }
    found
}

/// In the model, the other host without the address and without its rule.
pub(crate) fn mended(stale: &Netns, floating: &Floating) -> Vec<Mend> {
    let machine = stale.machine.clone();
    let rule = floats::dnat_of(stale, floating.address).map(|(table, chain, rule)| Mend::RewriteChain {
        machine: machine.clone(),
        dialect: table.dialect,
        table: table.name.clone(),
        chain: chain.name.clone(),
        rules: chain.rules.iter().filter(|other| !std::ptr::eq(*other, rule)).cloned().collect(),
    });
    let address = IpAddr::V4(floating.address);
    let copies = stale.addresses.iter().filter(|own| own.net.addr() == address);
    let copies = copies.map(|own| Mend::Forget {
        machine: machine.clone(),
        entry: Entry::Address { device: stale.link_name(own.link), net: own.net },
    });
    rule.into_iter().chain(copies).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{codes, minicloud};

    #[test]
    fn fires_on_the_host_that_is_not_meant() {
        let mut cloud = minicloud();
        let uplink = cloud.link("host2", "eth0").index;
        let copy = model::route::Address::global(uplink, "203.0.113.101/32".parse().unwrap());
        cloud.netns("host2").addresses.push(copy);
        let found = cloud.diagnose("inst1");
        assert_eq!(codes(&found), ["float-on-two-hosts host2//eth0"]);
        assert_eq!(found.findings[0].instances, ["inst1"]);
        // Another's floating address is no matter of inst3's.
        assert_eq!(codes(&cloud.diagnose("inst3")), [""; 0]);
    }

    #[test]
    fn takes_the_address_away_with_the_prefix_that_it_has() {
        let mut cloud = minicloud();
        let uplink = cloud.link("host2", "eth0").index;
        let copy = model::route::Address::global(uplink, "203.0.113.101/24".parse().unwrap());
        cloud.netns("host2").addresses.push(copy);
        let remedy = &cloud.diagnose("inst1").findings[0].remedy[0];
        assert!(remedy.command.ends_with("ip address del 203.0.113.101/24 dev eth0"), "{remedy:?}");
        assert!(remedy.undo.ends_with("ip address add 203.0.113.101/24 dev eth0"), "{remedy:?}");
    }

    #[test]
    fn what_the_right_host_has_in_the_model_alone_is_no_evidence() {
        let mut cloud = minicloud();
        let carried = |a: &model::route::Address| a.net.addr().to_string() == "203.0.113.101";
        cloud.netns("host").addresses.retain(|a| !carried(a));
        let uplink = cloud.link("host2", "eth0").index;
        let copy = model::route::Address::global(uplink, "203.0.113.101/32".parse().unwrap());
        cloud.netns("host2").addresses.push(copy);
        let found = cloud.diagnose("inst1").findings;
        let of = |code: &str| found.iter().find(|f| f.code == code).unwrap();
        assert!(
            of("float-address-missing").summary.starts_with("host2 answers for 203.0.113.101"),
            "{found:?}"
        );
        let told = of("float-on-two-hosts");
        assert_eq!(told.summary, "203.0.113.101 of inst1 is on host2, and is meant to be on host");
        assert!(told.evidence.iter().all(|line| !line.text.ends_with("is on eth0 of host")), "{told:?}");
    }

    #[test]
    fn stays_silent_where_it_has_moved_and_not_come() {
        let mut cloud = minicloud();
        let carried = |a: &model::route::Address| a.net.addr().to_string() == "203.0.113.101";
        cloud.netns("host").addresses.retain(|a| !carried(a));
        let found = codes(&cloud.diagnose("inst1"));
        assert!(found.iter().all(|code| !code.starts_with("float-on-two-hosts")), "{found:?}");
    }
}
