//! # arp-ignore
//!
//! The host does not answer ARP for an address of its own: `arp_ignore` tells it not to.
//!
//! ## What it means
//! An instance that has no entry for its gateway does not get one, and loses the outside; it recovers when the host
//! speaks first, for the host's own question teaches it the MAC. So the fault comes and goes, and idle instances have
//! it most. On the public link it is the gateway outside that loses the floating addresses. Load balancers (LVS) leave
//! such settings behind.
//!
//! ## How hopline knows
//! The setting in force, the larger of `conf.all` and the link's own, keeps the link from answering that question, by
//! the kernel's own rules. A setting that still answers is no fault.
//!
//! ## What it looks like
//! tcpdump on the bridge: `who-has GATEWAY` without `is-at`; inside, `ip neigh` has the gateway FAILED, now and then.
//!
//! ## Nearest look-alikes
//! * `guest-wrong-gateway`: there the instance asks for another address.
//! * `foreign-rule-drop`: there a rule of arptables or ebtables drops the question.
//!
//! ## Fix
//! `sysctl -w net.ipv4.conf.br100.arp_ignore=0`. Undo: the old value.
//!
//! ## References
//! `Documentation/networking/ip-sysctl.rst` `arp_ignore`; `net/ipv4/arp.c` `arp_ignore`.

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, Evidence};
use model::link::Link;
use model::packet::Arp;
use model::path::{Direction, Exchange, Stage};
use model::{Mac, Netns};
use sim::ip::arp;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::{Seat, View};

/// Looks at the bridges that carry the gateways of the instances in question, and at the hosts' public links: one
/// finding a link.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for asked in inner(view).into_iter().chain(outer(view)) {
        let is_told = found
            .iter()
            .any(|f| f.finding.hop.same_device(&at(asked.ns, &asked.link.name, Stage::Neighbour)));
        if !is_told && arp::ignores(asked.ns, asked.link.index, question(&asked)) {
            found.push(ignoring(view, &asked));
        }
    }
    found
}

/// Who asks a host's link for one of its addresses.
struct Asked<'v> {
    ns: &'v Netns,
    link: &'v Link,
    asker: Ipv4Addr,
    address: Ipv4Addr,
    /// The neighbour entry of the asker's, where it can be read.
    entry: Option<Evidence>,
}

fn question(asked: &Asked) -> Arp {
    let (sender_ip, target_ip) = (asked.asker, asked.address);
    Arp { reply: false, sender_mac: Mac::ZERO, sender_ip, target_mac: Mac::ZERO, target_ip }
}

/// Instances ask for their gateway.
fn inner<'v>(view: &View<'v>) -> Vec<Asked<'v>> {
    let asks = |seat: Seat<'v>| {
        let (address, asker) = (seat.gateway()?, *seat.vif.fixed.first()?);
        let entry = seat.inside(view).map(|(inside, nic)| evidence::neighbour(inside, nic, address));
        Some(Asked { ns: seat.server_ns, link: carrier(seat.server_ns, address)?, asker, address, entry })
    };
    view.vifs().filter_map(asks).collect()
}

/// The gateway outside asks for floating addresses.
fn outer<'v>(view: &View<'v>) -> Vec<Asked<'v>> {
    let asks = |(ns, uplink): (&'v Netns, &'v Link)| {
        let asker = uplinks::gateway(view, ns, uplink)?;
        let mut floating = view.vifs().flat_map(|seat| &seat.vif.floating).map(|floating| floating.address);
        let address = floating.find(|ip| carrier(ns, *ip).is_some_and(|link| link.index == uplink.index))?;
        Some(Asked { ns, link: uplink, asker, address, entry: None })
    };
    uplinks::all(view).into_iter().filter_map(asks).collect()
}

fn carrier(ns: &Netns, ip: Ipv4Addr) -> Option<&Link> {
    let carried = ns.addresses.iter().find(|address| address.net.addr() == IpAddr::V4(ip))?;
    ns.link(carried.link)
}

fn ignoring(view: &View, asked: &Asked) -> Found {
    let Asked { ns, link, address, .. } = asked;
    let names = in_force(ns, &link.name);
    let values = names.iter().map(|name| format!("net.{name}={}", ns.sysctl(name).unwrap_or(0)));
    let set = |name: &String, value: i64| format!("sysctl -w net.{name}={value}");
    let undone = |name: &String| set(name, ns.sysctl(name).unwrap_or(0));
    let mended = |name: &String| {
        let (machine, value) = (ns.machine.clone(), "0".to_owned());
        Mend::Sysctl { machine, name: name.clone(), value }
    };
    let settings = names.iter().map(|name| evidence::sysctl(ns, name));
    let fault = Fault {
        code: "arp-ignore",
        hop: at(ns, &link.name, Stage::Neighbour),
        summary: format!(
            "{} is lost now and then: it does not answer ARP for {address} on {}",
            ns.machine, link.name
        ),
        cause: format!("{} keeps {} from answering", values.collect::<Vec<_>>().join(" and "), link.name),
        confidence: Confidence::Proven,
        evidence: settings.chain(asked.entry.clone()).collect(),
        owner: "operator",
        remedy: names.iter().map(|name| evidence::remedy(ns, &set(name, 0), &undone(name), "")).collect(),
        instances: view.instances_on(&ns.machine),
        stopped: view.stop(|s| s.exchange == Exchange::Arp && s.is_at(ns, &link.name)),
        mend: names.iter().map(mended).collect(),
    };
    fault.found().breaks(Exchange::Arp, Direction::Request)
}

/// The settings that are not 0.
fn in_force(ns: &Netns, bridge: &str) -> Vec<String> {
    let names = ["all", bridge].map(|link| format!("ipv4.conf.{link}.arp_ignore"));
    names.into_iter().filter(|name| ns.sysctl(name).is_some_and(|value| value != 0)).collect()
}

#[cfg(test)]
mod tests {
    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    fn set(cloud: &mut Cloud, link: &str, value: &str) {
        cloud.sysctl("compute1", &format!("ipv4.conf.{link}.arp_ignore"), value);
    }

    #[test]
    fn fires_whether_the_instance_still_knows_its_gateway_or_not() {
        let mut cloud = broken("arp-ignore");
        assert_eq!(codes(&cloud.diagnose("web1")), ["arp-ignore compute1//br100"]);
        let (link, mac) = (cloud.link("web1", "eth0").index, cloud.link("compute1", "br100").mac);
        let (ip, state) = ("10.0.0.42".parse().unwrap(), NeighbourState::Reachable);
        cloud.netns("web1").neighbours = vec![Neighbour { link, ip, mac, state, proxy: false }];
        assert_eq!(codes(&cloud.diagnose("web1")), ["arp-ignore compute1//br100"]);
        cloud.close("web1");
        assert_eq!(codes(&cloud.diagnose("web1")), ["arp-ignore compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_values_that_still_answer() {
        for (link, value) in [("all", "1"), ("br100", "2"), ("br100", "3"), ("virbr0", "8")] {
            let mut cloud = healthy();
            set(&mut cloud, link, value);
            assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "{link} {value}");
        }
    }

    #[test]
    fn fires_on_the_public_link_for_floating_addresses() {
        let mut cloud = healthy();
        set(&mut cloud, "eth0", "8");
        cloud.netns("gw").neighbours.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), ["arp-ignore compute1//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_wrong_gateway_and_on_a_rule() {
        for other in ["guest-wrong-gateway", "foreign-rule-drop"] {
            assert!(lacks(&broken(other).diagnose("web1"), "arp-ignore"), "{other}");
        }
    }
}
