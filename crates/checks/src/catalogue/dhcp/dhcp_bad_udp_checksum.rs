//! # dhcp-bad-udp-checksum
//!
//! Nothing fills in the checksum of DHCP's answers, which old clients throw away.
//!
//! ## What it means
//! What the host sends to its instances leaves with a checksum that hardware would complete, and no hardware comes: tap
//! and veth hand it on as it is. Kernels inside do not mind. A DHCP client that reads raw packets and verifies them by
//! itself does: CirrOS, Debian wheezy and others of that age get the OFFER and no address. Only those are hit.
//!
//! ## How hopline knows
//! nova-network's rule for it (`CHECKSUM --checksum-fill` in mangle) is missing for a bridge that its dnsmasq
//! serves, on a host whose nova is known to write it: it stands for another bridge, or nova is Mitaka's or younger.
//! Where `ethtool -k` was read, `tx-checksumming` of the bridge is on; where that is off, checksums are complete
//! without a rule. And where an OFFER to hopline's own DISCOVER came to an instance's NIC with such a checksum, and the
//! instance, without an address, has asked three times and more and never took what it was offered.
//!
//! ## What it looks like
//! dnsmasq's log repeats DISCOVER and OFFER for old instances only; `tcpdump -vv` on the tap shows `bad udp cksum`,
//! which by itself is normal wherever the rule is missing or the capture is made before it.
//!
//! ## Nearest look-alikes
//! * `dhcp-reply-lost`: no instance gets the OFFER.
//! * `nova-rules-drift`: other rules of nova's are missing.
//!
//! ## Fix
//! Put the rule back, or restart nova-network, which writes all of its rules; or let the host complete every
//! checksum by itself: `ethtool -K BRIDGE tx off`. Undo: delete the rule; `tx on`.
//!
//! ## References
//! nova `linux_net.py` `_add_dhcp_mangle_rule`; iptables-extensions(8) CHECKSUM; projectcalico/felix#40;
//! apache/cloudstack#1743.

use model::Netns;
use model::dhcp::UdpChecksum;
use model::finding::{Confidence, Evidence, EvidenceKind};
use model::netfilter::Family;
use model::path::{Place, Stage};
use model::snapshot::Host;

use crate::catalogue::firewall::rules_flushed;
use crate::drift::{self, Drift, DriftKind, DriftLine};
use crate::found::{Fault, Found, at};
use crate::restart::typed;
use crate::view::{Seat, View};
use crate::{addressless, dhcp_ignored, evidence, restart};

/// Looks for bridges whose DHCP answers nothing completes: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut found = Vec::new();
    for (host, ns) in view.hosts().filter(|(_, ns)| !rules_flushed::is_bare(ns)) {
        for drift in drift::of(host, ns, view.intent()) {
            let lines = drift.lines.iter().filter(|line| is_told(ns, &drift, line));
            found.extend(lines.filter_map(|line| unfilled(view, host, ns, &drift, line)));
        }
    }
    let known: Vec<Place> = found.iter().map(|found| found.finding.hop.clone()).collect();
    let hit = view.vifs().filter_map(|seat| thrown_away(view, &seat));
    found.extend(hit.filter(|hit| known.iter().all(|known| !known.same_device(&hit.finding.hop))));
    found
}

/// An instance that has no address, and passes over OFFERs that come to its NIC unfinished.
fn thrown_away(view: &View, seat: &Seat) -> Option<Found> {
    let ignored = dhcp_ignored::of(view, seat, seat.vif.mac?)?;
    match ignored.checksum {
        UdpChecksum::Unfinished | UdpChecksum::Wrong => {}
        UdpChecksum::Right | UdpChecksum::Absent => return None,
    }
    let without = addressless::of(view, seat)?;
    let (ns, bridge, name) = (seat.server_ns, seat.bridge_name()?, &seat.instance.name);
    let typed = typed(bridge);
    let fault = Fault {
        code: "dhcp-bad-udp-checksum",
        hop: at(ns, bridge, Stage::Service),
        summary: format!(
            "{name} throws DHCP's answers away: they come to its NIC with an unfinished checksum"
        ),
        cause: format!("nothing fills in the checksum of what {bridge} of {} sends", ns.machine),
        confidence: Confidence::Likely,
        evidence: ignored.evidence,
        owner: "operator",
        remedy: vec![
            evidence::remedy(
                ns,
                &format!("ethtool -K {typed} tx off"),
                &format!("ethtool -K {typed} tx on"),
                "the host completes every packet that it sends by this bridge, which costs time",
            ),
            evidence::remedy(
                ns,
                &format!(
                    "iptables -t mangle -A POSTROUTING -o {typed} -p udp --dport 68 -j CHECKSUM --checksum-fill"
                ),
                &format!(
                    "iptables -t mangle -D POSTROUTING -o {typed} -p udp --dport 68 -j CHECKSUM --checksum-fill"
                ),
                "what nova-network wrote until Mitaka; disturbs nobody",
            ),
        ],
        instances: vec![name.clone()],
        stopped: without.stop(view, seat),
        mend: without.mend(seat),
    };
    Some(addressless::left_by(fault))
}

/// A missing rule that is told here, and by no other name.
pub(crate) fn is_told(ns: &Netns, drift: &Drift, line: &DriftLine) -> bool {
    let is_it =
        drift.table == "mangle" && line.kind == DriftKind::Missing && line.text.contains(" -j CHECKSUM ");
    let link = bridge_of(line).and_then(|bridge| ns.link_named(bridge));
    is_it && link.is_some_and(|link| link.leaves_checksums != Some(false))
}

/// The link of `-A CHAIN -o LINK ...`.
fn bridge_of(line: &DriftLine) -> Option<&str> {
    line.text.split_once(" -o ")?.1.split(' ').next()
}

fn unfilled(view: &View, host: &Host, ns: &Netns, drift: &Drift, line: &DriftLine) -> Option<Found> {
    let bridge = ns.link_named(bridge_of(line)?)?;
    let name = &bridge.name;
    let rule = format!("iptables -t mangle {}", line.text);
    let save = drift.dialect.save_command(Family::Ip);
    let mut evidence: Vec<Evidence> = vec![evidence::record(
        EvidenceKind::Rule,
        evidence::within(ns, &format!("{save} -t mangle")),
        format!("missing: {}", line.text),
    )];
    if bridge.leaves_checksums == Some(true) {
        evidence.push(evidence::state(ns, &format!("ethtool -k {name}"), "tx-checksumming: on"));
    }
    let instances = view.intent().instances.iter().filter(|i| view.is_served_by(i, &host.name));
    let on_it =
        instances.filter(|i| i.vifs.iter().any(|vif| vif.bridge.as_deref().is_none_or(|b| b == name)));
    let fault = Fault {
        code: "dhcp-bad-udp-checksum",
        hop: at(ns, name, Stage::Service),
        summary: format!(
            "DHCP's answers leave {name} of {} with an unfinished checksum: old clients throw them away",
            host.name
        ),
        cause: format!(
            "nova-network's CHECKSUM rule for {name} is missing{}",
            if bridge.leaves_checksums.is_some() { ", and its tx-checksumming is on" } else { "" }
        ),
        confidence: if bridge.leaves_checksums.is_some() { Confidence::Likely } else { Confidence::Possible },
        evidence,
        owner: "nova-network",
        remedy: vec![
            evidence::remedy(
                ns,
                &rule,
                &rule.replacen(" -A ", " -D ", 1),
                "what nova itself would write; disturbs nobody",
            ),
            evidence::remedy(
                ns,
                &format!("ethtool -K {name} tx off"),
                &format!("ethtool -K {name} tx on"),
                "the host completes every packet that it sends by this bridge, which costs time",
            ),
            restart::network(view, &host.name, "writes all its rules again"),
        ],
        instances: on_it.map(|i| i.name.clone()).collect(),
        stopped: None,
        mend: vec![drift.mend(ns)],
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::path::Exchange;

    use crate::fixture::{broken, codes, healthy, minicloud};

    #[test]
    fn fires_where_the_rule_is_gone_and_stops_nothing() {
        let mut cloud = broken("dhcp-bad-udp-checksum");
        let unread = cloud.diagnose("web1");
        assert_eq!(codes(&unread), ["dhcp-bad-udp-checksum compute1//br100"]);
        let finding = &unread.findings[0];
        assert_eq!((finding.exchange, finding.confidence), (Exchange::None, Confidence::Possible));
        assert_eq!(finding.instances, ["web1", "web2"]);
        let spec = "nova-network-POSTROUTING -o br100 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill";
        assert!(
            finding.remedy[0].command.ends_with(&format!("iptables -t mangle -A {spec}")),
            "{finding:#?}"
        );
        assert!(finding.remedy[0].undo.ends_with(&format!("iptables -t mangle -D {spec}")), "{finding:#?}");
        cloud.link("compute1", "br100").leaves_checksums = Some(true);
        assert_eq!(cloud.diagnose("web1").findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_where_checksums_are_complete_without_it() {
        let mut cloud = broken("dhcp-bad-udp-checksum");
        cloud.link("compute1", "br100").leaves_checksums = Some(false);
        assert_eq!(codes(&cloud.diagnose("web1")), ["nova-rules-drift compute1//br100"]);
    }

    #[test]
    fn stays_silent_where_the_rule_stands() {
        let mut cloud = healthy();
        cloud.link("compute1", "br100").leaves_checksums = Some(true);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    /// Essex never wrote it.
    #[test]
    fn stays_silent_in_a_cloud_that_never_had_it() {
        let mut old = broken("dhcp-bad-udp-checksum");
        let inside = old.chain("compute1", "filter", "nova-compute-inst-1");
        let mut provider = inside.clone();
        (provider.name, provider.rules) = ("nova-compute-provider".to_owned(), Vec::new());
        let mut tables = old.netns("compute1").ruleset.tables.iter_mut();
        tables.find(|t| t.name == "filter").unwrap().chains.push(provider);
        let found = codes(&old.diagnose("web1"));
        assert!(!found.iter().any(|code| code.starts_with("dhcp-bad-udp-checksum")), "{found:?}");
        let mut bare = minicloud();
        for host in ["host", "host2"] {
            bare.netns(host).ruleset.tables.retain(|t| t.name != "mangle");
        }
        assert_eq!(codes(&bare.diagnose("inst1")), Vec::<String>::new());
    }
}
