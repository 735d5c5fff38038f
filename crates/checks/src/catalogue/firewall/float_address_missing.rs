//! # float-address-missing
//!
//! A floating IP is not on the public link of its host.
//!
//! ## What it means
//! Nobody answers ARP for the address: it is dead from outside, and answers to what the instance
//! sends out under it are lost too. Host and other instances are fine.
//!
//! ## How hopline knows
//! The cloud records the address for an instance of this host, and no link of the host carries it.
//!
//! ## What it looks like
//! `ip addr show eth0` lacks it; the gateway's neighbour entry is INCOMPLETE; the instance's requests
//! do arrive outside.
//!
//! ## Nearest look-alikes
//! * a stale neighbour entry on the gateway: there is one, and it is wrong.
//!
//! ## Fix
//! `ip addr add FLOATING/32 dev eth0`. Undo: `ip addr del FLOATING/32 dev eth0`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `linux_net.py` `bind_floating_ip`.

use std::net::IpAddr;

use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::catalogue::firewall::float_on_two_hosts;
use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::uplinks;
use crate::view::View;

/// Looks for floating addresses that their host does not carry.
pub fn check(view: &View) -> Vec<Found> {
    let missing = floats::settled(view).filter(|(_, floating, ns)| {
        !ns.addresses.is_empty() && !ns.has_address(IpAddr::V4(floating.address))
    });
    missing
        .filter_map(|(seat, floating, ns)| {
            let address = floating.address;
            let (_, uplink) = uplinks::all(view).into_iter().find(|(n, _)| std::ptr::eq(*n, ns))?;
            let name = &seat.instance.name;
            let mut others = float_on_two_hosts::others(view, &ns.machine);
            let other = others.find(|other| other.has_address(IpAddr::V4(address)));
            let who = other.map_or("nobody", |other| other.machine.as_str());
            let add = format!("ip addr add {address}/32 dev {}", uplink.name);
            let fault = Fault {
                code: "float-address-missing",
                hop: at(ns, &uplink.name, Stage::Neighbour),
                summary: format!(
                    "{who} answers for {address}, the floating IP of {name}: it is not on {}",
                    ns.machine
                ),
                cause: match other {
                    None => format!("{} carries no {address}/32, so ARP for it goes unanswered", uplink.name),
                    Some(other) => format!(
                        "{} carries no {address}/32, and {}, which is not meant to have it, does",
                        uplink.name, other.machine
                    ),
                },
                confidence: Confidence::Proven,
                evidence: vec![
                    evidence::state(
                        ns,
                        &format!("ip addr show dev {}", uplink.name),
                        format!("no {address}/32 among: {}", carried(ns, uplink.index)),
                    ),
                    evidence::record(
                        EvidenceKind::Db,
                        view.intent().sources.first().map_or("site file", String::as_str),
                        format!("{address} hangs on {} of {name}", floating.fixed),
                    ),
                ],
                owner: "nova-network",
                remedy: vec![evidence::remedy(ns, &add, &add.replace(" add ", " del "), "")],
                instances: vec![name.clone()],
                stopped: view
                    .stop(|s| s.rung.purpose == Purpose::Inbound(address))
                    .or_else(|| view.stop_of(seat.instance, |s| s.rung.purpose == Purpose::Outside)),
                mend: vec![Mend::Address {
                    machine: ns.machine.clone(),
                    ip: address,
                    device: uplink.name.clone(),
                }],
            };
            Some(fault.found())
        })
        .collect()
}

fn carried(ns: &model::Netns, link: u32) -> String {
    let list: Vec<String> = ns.addresses_of(link).map(|a| a.net.to_string()).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_an_address_that_no_link_carries() {
        let found = codes(&broken("float-address-missing").diagnose("web1"));
        assert_eq!(found, ["float-address-missing compute1//eth0"]);
    }

    #[test]
    fn stays_silent_when_the_gateway_has_a_stale_neighbour() {
        let mut cloud = healthy();
        let mut stale = cloud.netns("gw").neighbours.iter_mut();
        let stale = stale.find(|n| n.ip.to_string() == "203.0.113.30").unwrap();
        stale.mac = "02:de:ad:00:00:01".parse().ok();
        let diagnosis = cloud.diagnose("web1");
        assert!(lacks(&diagnosis, "float-address-missing"));
        assert_eq!(codes(&diagnosis), ["stale-arp-after-float-move gw//eth0"]);
    }
}
