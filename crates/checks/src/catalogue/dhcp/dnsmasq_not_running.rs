//! # dnsmasq-not-running
//!
//! No dnsmasq serves the instances' bridge.
//!
//! ## What it means
//! New instances get no address and no names resolve; running ones live until their lease ends.
//!
//! ## How hopline knows
//! Among the host's processes there is no dnsmasq that listens on the gateway's address or on the
//! bridge. The one that libvirt runs on virbr0 does not count.
//!
//! ## What it looks like
//! `ps aux | grep dnsmasq` shows only libvirt's; the DISCOVER arrives on the bridge and nobody
//! answers; DNS queries get ICMP port unreachable.
//!
//! ## Nearest look-alikes
//! * a dnsmasq that hangs: the process is there, state `T` or `D`, and its receive queue grows.
//! * a rule that blocks DHCP: the process is fine.
//!
//! ## Fix
//! Restart nova-network, which starts one dnsmasq a network. Undo: none needed.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`ps aux | grep dnsmasq`); dnsmasq(8).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::finding::Confidence;
use model::path::Stage;
use model::service::{DhcpRange, Dnsmasq};

use crate::dhcp_refused;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::nova;
use crate::view::{Seat, View};

/// Looks for bridges of instances that nobody serves: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    view.vifs().filter_map(|seat| unserved(view, seat, &mut seen)).collect()
}

fn unserved<'v>(view: &View<'v>, seat: Seat<'v>, seen: &mut BTreeSet<(&'v str, &'v str)>) -> Option<Found> {
    let bridge = seat.bridge_name()?;
    let gateway = seat.gateway()?;
    // Processes that could not be read tell nothing; and only nova is known to mean a dnsmasq to be there.
    if !view.intent().from_database && !nova::manages(seat.server, seat.server_ns) {
        return None;
    }
    let is_known = seat.network.is_some_and(|network| {
        let told = network.multi_host || network.host.is_some();
        told && network.server_for(&seat.host.name) == seat.server.name
    });
    let unread = view
        .snapshot()
        .gaps
        .iter()
        .any(|g| g.what.contains("processes") && g.what.contains(&seat.server.name));
    let serves =
        |d: &Dnsmasq| d.listen.contains(&IpAddr::V4(gateway)) || d.interfaces.iter().any(|i| i == bridge);
    let served = seat.server.dnsmasq.iter().any(serves);
    if served
        || unread
        || !is_known
        || seat.server.kernel.is_empty()
        || !seen.insert((&seat.server.name, bridge))
    {
        return None;
    }
    let others: Vec<String> = seat.server.dnsmasq.iter().map(describe).collect();
    let text = if others.is_empty() {
        "no dnsmasq at all".to_owned()
    } else {
        format!("only {}", others.join("; "))
    };
    let stopped = view.stop_of(seat.instance, |s| {
        matches!(s.rung.purpose, Purpose::Dhcp | Purpose::Resolver) && s.is_at(seat.server_ns, bridge)
    });
    let fault = Fault {
        code: "dnsmasq-not-running",
        hop: at(seat.server_ns, bridge, Stage::Service),
        summary: format!(
            "no dnsmasq serves {bridge} on {}: no addresses and no names for its instances",
            seat.server.name
        ),
        cause: format!("no dnsmasq process listens on {gateway}"),
        confidence: Confidence::Proven,
        evidence: vec![evidence::state(seat.server_ns, "ps aux", text)],
        owner: "nova-network",
        remedy: vec![evidence::advice(
            "systemctl restart nova-network",
            "starts one dnsmasq a network; disturbs every network of the host for a moment",
        )],
        instances: view.instances_on(&seat.server.name),
        stopped,
        mend: vec![Mend::Dnsmasq {
            machine: seat.server.name.clone(),
            server: Box::new(as_nova_starts_it(view, seat, gateway)),
        }],
    };
    Some(fault.found())
}

/// The server that nova-network would start, knowing every NIC of the host's network.
fn as_nova_starts_it(view: &View, seat: Seat, gateway: Ipv4Addr) -> Dnsmasq {
    let vifs = view.intent().instances.iter().flat_map(|i| &i.vifs);
    let here = vifs.filter(|vif| vif.network == seat.vif.network);
    let range = DhcpRange {
        tag: None,
        start: gateway,
        end: None,
        is_static: true,
        netmask: seat.network.and_then(|n| n.cidr).map(|cidr| cidr.netmask()),
        lease_seconds: None,
    };
    Dnsmasq {
        listen: vec![IpAddr::V4(gateway)],
        ranges: vec![range],
        hosts: Some(here.filter_map(dhcp_refused::host_line).collect()),
        ..Dnsmasq::default()
    }
}

fn describe(dnsmasq: &Dnsmasq) -> String {
    let listens: Vec<String> = dnsmasq.listen.iter().map(ToString::to_string).collect();
    let whose = if dnsmasq.is_libvirts() { "libvirt's" } else { "another" };
    format!("{whose}, pid {}, on {}", dnsmasq.pid, listens.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, drops, healthy, lacks};

    #[test]
    fn fires_when_only_libvirts_own_runs() {
        let diagnosis = broken("dnsmasq-not-running").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-not-running compute1//br100"]);
        assert!(diagnosis.findings[0].evidence[0].text.contains("libvirt's"));
    }

    #[test]
    fn stays_silent_when_it_hangs() {
        let mut cloud = healthy();
        "T".clone_into(&mut cloud.dnsmasq("compute1").state);
        assert!(lacks(&cloud.diagnose("web1"), "dnsmasq-not-running"));
    }

    #[test]
    fn stays_silent_when_a_rule_blocks_dhcp() {
        let mut cloud = healthy();
        let rule = drops("-A INPUT -i br100 -p udp -j DROP", crate::fixture::udp_by("br100"));
        cloud.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
    }
}
