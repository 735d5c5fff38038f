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
//! * `dnsmasq-hung`: the process is there, state `T` or `D`, and its receive queue grows.
//! * `dnsmasq-wrong-interface`: the process is there, with this network's files, and listens elsewhere.
//! * `libvirt-dnsmasq-steals-port`: it cannot start, for another holds its ports.
//! * `input-blocks-dhcp`: the process is fine.
//!
//! ## Fix
//! Restart nova-network, which starts one dnsmasq a network. Undo: none needed. A restart disturbs the other networks
//! of the host; it is named whom.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`ps aux | grep dnsmasq`); dnsmasq(8).

use model::finding::Confidence;
use model::path::Stage;

use super::libvirt_dnsmasq_steals_port;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::restart;
use crate::view::{Seat, View};

/// What the restart does. A process that is gone has no arguments to be started by, and nova writes others by series.
const ALONE: &str = "starts the dnsmasq that is gone (that one alone is started, and nobody is disturbed, when the \
                     next instance of its network comes or goes on this host)";

/// Looks for bridges of instances that nobody serves: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let unserved = dhcp_server::unserved(view).into_iter();
    // One that is there listens elsewhere, or another holds the ports: that is told by its own name.
    let explained = |seat: &Seat| {
        dhcp_server::started_for(seat).is_some() || libvirt_dnsmasq_steals_port::holder(seat).is_some()
    };
    let unserved = unserved.filter(|(seat, _)| !explained(seat));
    unserved
        .map(|(seat, gateway)| {
            let bridge = seat.bridge_name().unwrap_or_default();
            let others: Vec<String> = seat.server.dnsmasq.iter().map(dhcp_server::described).collect();
            let text = if others.is_empty() {
                "no dnsmasq at all".to_owned()
            } else {
                format!("only {}", others.join("; "))
            };
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
                remedy: vec![restart::network(view, &seat.server.name, ALONE)],
                instances: view.instances_on(&seat.server.name),
                stopped: dhcp_server::stop(view, &seat),
                mend: vec![dhcp_server::start_anew(view, &seat, gateway)],
            };
            fault.found()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use model::service::ResolvConf;

    use crate::fixture::{broken, codes, drops, healthy, lacks};

    #[test]
    fn fires_when_only_libvirts_own_runs() {
        let diagnosis = broken("dnsmasq-not-running").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-not-running compute1//br100"]);
        assert!(diagnosis.findings[0].evidence[0].text.contains("libvirt's"));
    }

    /// A server that is not there asks nobody, whatever its host would ask.
    #[test]
    fn whom_it_would_ask_for_names_is_not_judged() {
        let mut cloud = broken("dnsmasq-not-running");
        let servers = vec!["10.255.255.53".parse().unwrap()];
        let file = "/etc/resolv.conf".to_owned();
        cloud.netns("compute1").resolver = Some(ResolvConf { file, servers, ..ResolvConf::default() });
        assert_eq!(codes(&cloud.diagnose("web1")), ["dnsmasq-not-running compute1//br100"]);
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
