//! # rp-filter-asymmetric
//!
//! Strict reverse-path filtering drops packets whose way back leaves by another link.
//!
//! ## What it means
//! Packets arrive by one link while the route back to their source leaves by another. With
//! `rp_filter=1` the kernel takes that for forgery and drops them, before any filter rule.
//!
//! ## How hopline knows
//! The walk compares the route back with the arriving link, under the value in force: the larger of
//! `conf.all` and the link's own.
//!
//! ## What it looks like
//! `TcpExtIPReversePathFilter` rises; drop reason `IP_RPFILTER`. On the link, tcpdump sees the packet;
//! mangle PREROUTING counts it, FORWARD does not.
//!
//! ## Nearest look-alikes
//! * a drop in raw or mangle PREROUTING: a rule's counter moves.
//!
//! ## Fix
//! `sysctl -w net.ipv4.conf.eth0.rp_filter=2` (loose), or one route for both ways. Undo: `=1`.
//!
//! ## References
//! `Documentation/networking/ip-sysctl.rst`; RFC 3704; `net/ipv4/fib_frontend.c`
//! `fib_validate_source`.

use model::finding::Confidence;
use model::path::Stop;

use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::view::View;

/// Looks for walks that reverse-path filtering ended: one finding a link.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for stopped in view.stops() {
        let Stop::ReversePath { value, back } = stopped.stop else { continue };
        let value = *value;
        let place = &stopped.hop.at;
        let Some(ns) = view.netns_at(place) else { continue };
        if seen.contains(&place) || back.starts_with("no route") {
            continue;
        }
        seen.push(place);
        let own = format!("ipv4.conf.{}.rp_filter", place.device);
        let name = if ns.sysctl(&own) == Some(value) { own } else { "ipv4.conf.all.rp_filter".to_owned() };
        let fault = Fault {
            code: "rp-filter-asymmetric",
            hop: place.clone(),
            summary: format!(
                "{} drops what arrives by {}: the way back leaves by another link",
                place.host, place.device
            ),
            cause: format!("rp_filter={value} (strict) on {}, and the route back is `{back}`", place.device),
            confidence: Confidence::Proven,
            evidence: vec![
                evidence::sysctl(ns, &name),
                evidence::state(ns, "ip route", back.clone()),
                evidence::state(ns, "nstat -az TcpExtIPReversePathFilter", stopped.hop.packet.clone()),
            ],
            owner: "operator",
            remedy: vec![evidence::remedy(
                ns,
                &format!("sysctl -w net.{name}=2"),
                &format!("sysctl -w net.{name}={value}"),
                "loosens the check on this link; or give both ways one route",
            )],
            instances: view.instances_on(&place.host),
            stopped: Some(stopped),
            mend: vec![Mend::Sysctl { machine: ns.machine.clone(), name, value: "2".to_owned() }],
        };
        found.push(fault.found());
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, drops, from, healthy};

    #[test]
    fn fires_when_the_way_back_leaves_by_another_link() {
        let found = codes(&broken("rp-filter-asymmetric").diagnose("web1"));
        assert_eq!(found, ["rp-filter-asymmetric compute1//eth0"]);
    }

    #[test]
    fn the_larger_of_all_and_the_links_own_value_is_in_force() {
        let mut cloud = broken("rp-filter-asymmetric");
        cloud.sysctl("compute1", "ipv4.conf.eth0.rp_filter", "0");
        cloud.sysctl("compute1", "ipv4.conf.all.rp_filter", "1");
        assert_eq!(codes(&cloud.diagnose("web1")), ["rp-filter-asymmetric compute1//eth0"]);
    }

    #[test]
    fn stays_silent_under_loose_filtering() {
        let mut cloud = broken("rp-filter-asymmetric");
        cloud.sysctl("compute1", "ipv4.conf.eth0.rp_filter", "2");
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_a_rule_drops_before_routing() {
        let mut cloud = healthy();
        let rule = drops("-A PREROUTING -s 1.2.3.4/32 -j DROP", vec![from("1.2.3.4/32")]);
        cloud.chain("compute1", "mangle", "PREROUTING").rules.push(rule);
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//eth0"]);
    }
}
