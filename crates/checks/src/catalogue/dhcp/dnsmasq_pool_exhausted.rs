//! # dnsmasq-pool-exhausted
//!
//! No address is left for dnsmasq to give.
//!
//! ## What it means
//! The DISCOVER arrives, and dnsmasq refuses: every address of its range is leased, or no fixed IP of
//! the network is free. The instance boots without network.
//!
//! ## How hopline knows
//! dnsmasq's last word to this MAC in its log is `no address available`, the MAC has no line in its
//! hosts file, and its range is not `static`: an address could be given if one were free. Where the
//! leases can be read, they fill the range.
//!
//! ## What it looks like
//! `DHCPDISCOVER(br100) fa:16:... no address available`.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-stale-hosts-file`: the range is static and the MAC's line is missing.
//! * the same log line on every other host of a multi-host network: noise, each dnsmasq knows only
//!   its own host's instances.
//!
//! ## Fix
//! Free the fixed IPs that ended instances still hold, or make a larger network (`nova-manage network
//! create`), then restart nova-network. No undo: nothing is taken from anybody.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" ("no address available" = no free fixed IP).

use model::finding::Confidence;
use model::path::Stage;

use crate::dhcp_refused::{self, Refusal};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::restart;
use crate::view::View;

/// Looks for NICs that dnsmasq refuses although it gives addresses to strangers: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let refused = dhcp_refused::by_bridge(view, |refusal| refusal.dynamic && refusal.ignoring.is_none());
    refused.filter_map(|refusals| exhausted(view, &refusals)).map(dhcp_refused::breaks_dhcp).collect()
}

fn exhausted(view: &View, refusals: &[Refusal]) -> Option<Found> {
    let Refusal { seat, server, why, .. } = refusals.first()?;
    let names = dhcp_refused::names(refusals);
    let ranges: Vec<String> = server.ranges.iter().map(dhcp_refused::range_text).collect();
    let mut evidence: Vec<_> = refusals.iter().flat_map(|r| r.evidence.clone()).collect();
    evidence.push(evidence::state(
        seat.server_ns,
        "ps aux",
        format!("dnsmasq pid {}: --dhcp-range={}", server.pid, ranges.join(" --dhcp-range=")),
    ));
    let who = names.join(", ");
    let fault = Fault {
        code: "dnsmasq-pool-exhausted",
        hop: at(seat.server_ns, seat.bridge_name().unwrap_or_default(), Stage::Service),
        summary: format!("no address for {who}: dnsmasq on {} has none left", seat.server.name),
        cause: format!("{why}; --dhcp-range is {}", ranges.join(" and ")),
        confidence: Confidence::Likely,
        evidence,
        owner: "nova-network",
        remedy: [
            vec![evidence::advice(
                "free the fixed IPs that ended instances still hold, or create a larger network",
                "what is freed is given again at once; a larger network has a dnsmasq with another range",
            )],
            restart::dnsmasq(view, *seat, server, "TERM", "ends the one whose range is full"),
        ]
        .concat(),
        stopped: view.stop(|s| s.rung.purpose == Purpose::Dhcp && names.contains(&s.rung.from)),
        mend: dhcp_refused::admit(refusals).into_iter().collect(),
        instances: names.clone(),
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, minicloud};

    #[test]
    fn fires_when_strangers_hold_every_address() {
        let found = codes(&broken("dnsmasq-pool-exhausted").diagnose("web1"));
        assert_eq!(found, ["dnsmasq-pool-exhausted compute1//br100"]);
    }

    #[test]
    fn stays_silent_when_the_mac_is_unknown_to_a_static_range() {
        assert!(lacks(&broken("dnsmasq-stale-hosts-file").diagnose("web1"), "dnsmasq-pool-exhausted"));
    }

    #[test]
    fn stays_silent_when_the_other_hosts_dnsmasq_refuses() {
        let mut cloud = minicloud();
        let mac = cloud.intent.instances[0].vifs[0].mac;
        let other = &cloud.host("host2").dhcp_log;
        assert!(other.iter().any(|l| l.mac == mac && l.rest.contains("no address available")));
        assert_eq!(codes(&cloud.diagnose("inst1")), Vec::<String>::new());
    }
}
