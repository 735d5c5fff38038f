//! # dnsmasq-twice
//!
//! Two dnsmasqs on one host answer DHCP on the instances' bridge.
//!
//! ## What it means
//! Port 67 may be shared by those that bind it by link (`--bind-interfaces`), and each hears every DISCOVER. Whoever
//! offers first has the instance: with an address that nova knows nothing of, which its rules drop, and which is gone
//! at the next lease. Somebody's own server for the hosts beside it, libvirt's on a bridge that nova took over, or a
//! nova dnsmasq that outlived the file with its pid.
//!
//! ## How hopline knows
//! Beside the network's own dnsmasq another process on that host listens on an address of the bridge, on the bridge, or
//! on every link, is not stopped, and has a range of the bridge's network, from which it would give the instance an
//! address. Proven where its files show that it would, or both offers were heard; else likely. One whose range is
//! static, and that does not know the MAC, says nothing and is passed over.
//!
//! ## What it looks like
//! `ss -lunp 'sport = :67'` shows two processes. Two OFFERs to one DISCOVER, from one MAC and one address; in the log
//! that of nova's has DISCOVER, OFFER and then a REQUEST for an address that it never offered, or none.
//!
//! ## Nearest look-alikes
//! * `rogue-dhcp`: the second server is not on a host of the cloud.
//! * `libvirt-dnsmasq-steals-port`: the other one binds every address, and nova's cannot even start.
//! * `dhcp-offer-wrong`: one server, which offers what does not fit.
//!
//! ## Fix
//! End the other one, or keep it off the bridge (`--except-interface`). Instances that took its lease have to ask
//! again. Undo: start it as it was.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; dnsmasq(8) `--bind-interfaces`; dnsmasq `src/dhcp.c`
//! `make_fd` (SO_REUSEADDR, SO_REUSEPORT).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::dhcp::{HeardReply, ReplyKind};
use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;
use model::service::Dnsmasq;
use sim::dhcp::Offer;

use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::restart::typed;
use crate::view::{Seat, View};
use crate::{dhcp_refused, dhcp_server, evidence, said};

/// Looks for bridges with two servers: one finding for each that is too many.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        for other in dhcp_server::beside(&seat) {
            let Some(new) = second(view, &seat, other) else { continue };
            let is_same = |known: &&mut Found| {
                known.finding.hop == new.finding.hop && known.finding.cause == new.finding.cause
            };
            match found.iter_mut().find(is_same) {
                Some(known) => known.finding.instances.extend(new.finding.instances),
                None => found.push(new),
            }
        }
    }
    found
}

fn second(view: &View, seat: &Seat, other: &Dnsmasq) -> Option<Found> {
    let (own, bridge, name) = (dhcp_server::of(seat)?, seat.bridge_name()?, &seat.instance.name);
    let (ns, host) = (seat.server_ns, &seat.server.name);
    let is_hosts = |ip: Ipv4Addr| ns.addresses.iter().any(|own| own.net.addr() == IpAddr::V4(ip));
    let heard = said::offers(view.probes, name).filter(|heard| heard.reply.kind == ReplyKind::Offer);
    let heard: Vec<&HeardReply> = heard.filter(|heard| is_hosts(heard.from)).collect();
    let addresses: BTreeSet<Option<Ipv4Addr>> = heard.iter().map(|heard| heard.reply.address).collect();
    // A list of processes alone does not tell in which namespace each of them serves.
    if (own.netns.is_none() || other.netns.is_none()) && addresses.len() < 2 {
        return None;
    }
    let confidence = match sim::dhcp::would_offer(other, seat.vif.mac, view.snapshot().taken_at) {
        Offer::Address(_) => Confidence::Proven,
        Offer::Unknown(_) if addresses.len() > 1 => Confidence::Proven,
        // A server of another purpose, as for network boots, answers no instance.
        Offer::Unknown(_) if other.serves_by_tag => return None,
        Offer::Unknown(_) => Confidence::Likely,
        Offer::Refused(_) => return None,
    };
    let process = |server: &Dnsmasq| {
        evidence::state(ns, "ps aux", format!("dnsmasq pid {}: {}", server.pid, server.argv.join(" ")))
    };
    let source = format!("DHCPDISCOVER as {name}");
    let said = heard.iter().map(|heard| evidence::record(EvidenceKind::Probe, &source, said::offer(heard)));
    let fault = Fault {
        code: "dnsmasq-twice",
        hop: at(ns, bridge, Stage::Service),
        summary: format!(
            "two dnsmasqs on {host} offer addresses on {bridge}, and instances take whichever is first"
        ),
        cause: format!(
            "beside the network's own, pid {}, that of pid {} serves {bridge}",
            own.pid, other.pid
        ),
        confidence,
        evidence: [process(own), process(other)].into_iter().chain(said).collect(),
        owner: if other.is_libvirts() { "libvirt" } else { "operator" },
        remedy: vec![
            evidence::advice(
                format!("kill {}", other.pid),
                "ends the one that is not nova's; instances that have a lease from it must ask again",
            ),
            evidence::advice(
                format!("--except-interface={} among its arguments", typed(bridge)),
                "where it is to go on elsewhere",
            ),
        ],
        instances: vec![name.clone()],
        stopped: view.stop_of(seat.instance, |s| s.rung.purpose == Purpose::Dhcp),
        mend: Vec::new(),
    };
    Some(dhcp_refused::breaks_dhcp(fault.found()))
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::service::Dnsmasq;

    use crate::fixture::{broken, codes, offer, offered};

    const CODE: &str = "dnsmasq-twice";

    fn with(change: impl Fn(&mut Dnsmasq)) -> Vec<String> {
        let mut cloud = broken(CODE);
        change(cloud.host("compute1").dnsmasq.last_mut().unwrap());
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_whichever_of_them_is_read_first() {
        let mut cloud = broken(CODE);
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["dnsmasq-twice compute1//br100"]);
        assert_eq!(found.findings[0].confidence, Confidence::Proven);
        cloud.host("compute1").dnsmasq.reverse();
        assert_eq!(codes(&cloud.diagnose("web1")), ["dnsmasq-twice compute1//br100"]);
    }

    #[test]
    fn what_is_heard_proves_what_its_files_do_not() {
        let mut cloud = broken(CODE);
        cloud.host("compute1").dnsmasq.last_mut().unwrap().leases = None;
        assert_eq!(cloud.diagnose("web1").findings[0].confidence, Confidence::Likely);
        let own = offer(&cloud, "web1");
        let mut other = own.clone();
        other.reply.address = Some([10, 0, 255, 250].into());
        // Whichever comes first, nova's own is not blamed for it.
        for offers in [vec![own.clone(), other.clone()], vec![other, own]] {
            let found = cloud.diagnose_with("web1", &[offered("web1", offers)]);
            assert_eq!(codes(&found), ["dnsmasq-twice compute1//br100"]);
            assert_eq!(found.findings[0].confidence, Confidence::Proven);
        }
    }

    #[test]
    fn stays_silent_on_one_that_serves_elsewhere_or_does_not_answer() {
        assert_eq!(with(|other| other.interfaces = vec!["virbr0".to_owned()]), [""; 0]);
        assert_eq!(with(|other| other.except_interfaces = vec!["br100".to_owned()]), [""; 0]);
        assert_eq!(with(|other| other.state = "T".to_owned()), [""; 0]);
        assert_eq!(with(|other| other.netns = other.netns.map(|inode| inode + 1).or(Some(1))), [""; 0]);
        let is_static = |other: &mut Dnsmasq| {
            other.ranges.iter_mut().for_each(|range| (range.end, range.is_static) = (None, true));
        };
        assert_eq!(with(is_static), [""; 0], "it does not know the MAC");
        let elsewhere = |other: &mut Dnsmasq| {
            other.ranges.iter_mut().for_each(|range| range.start = [192, 168, 9, 2].into());
        };
        assert_eq!(with(elsewhere), [""; 0], "its range is of another network");
    }

    /// Beside nova's, one for network boots answers those machines alone that it is told of.
    #[test]
    fn stays_silent_on_a_server_that_serves_by_tags() {
        assert_eq!(with(|other| other.serves_by_tag = true), [""; 0]);
    }
}
