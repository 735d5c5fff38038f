//! # dnsmasq-wrong-subnet
//!
//! The dnsmasq of the instances' bridge has ranges of other networks only.
//!
//! ## What it means
//! It hears every DISCOVER and answers none: it looks for a range of the network that the bridge has an address in, and
//! has none. Its hosts file does not matter any more. Names resolve.
//!
//! ## How hopline knows
//! None of the `--dhcp-range`s of the dnsmasq that listens on the bridge holds one of the bridge's addresses.
//!
//! ## What it looks like
//! dnsmasq's log says `no address range available for DHCP request via br100`, without the MAC.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-pool-exhausted`: the log has the MAC and `no address available`.
//! * `dnsmasq-stale-hosts-file`: the same, for one instance.
//!
//! ## Fix
//! End that one, and let nova-network start it with the range of the network; where the bridge's address is the wrong
//! one, restart nova-network after it is removed. Another range is not read again on a signal. No undo.
//!
//! ## References
//! dnsmasq(8) `--dhcp-range`; dnsmasq `src/dhcp.c`, `complete_context`.

use model::finding::Confidence;
use model::path::Stage;
use model::service::Dnsmasq;

use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::restart;
use crate::view::{Seat, View};

/// Looks for servers whose ranges are of other networks than their bridge: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let served = dhcp_server::each(view).into_iter();
    served.filter_map(|(seat, server)| astray(view, &seat, server)).map(dhcp_refused::breaks_dhcp).collect()
}

fn astray(view: &View, seat: &Seat, server: &Dnsmasq) -> Option<Found> {
    let (bridge, gateway) = (seat.server_ns.link_named(seat.bridge_name()?)?, seat.gateway()?);
    let own = seat.server_ns.addresses_of(bridge.index).map(|a| a.net).filter(|net| net.addr().is_ipv4());
    let own: Vec<String> = own.map(|net| net.to_string()).collect();
    // Without a range it gives names only; a bridge without an address has another fault.
    if server.ranges.is_empty()
        || own.is_empty()
        || sim::dhcp::has_range(seat.server_ns, bridge.index, server)
    {
        return None;
    }
    let ranges: Vec<String> = server.ranges.iter().map(dhcp_refused::range_text).collect();
    let (ranges, own) = (ranges.join(" and "), own.join(", "));
    let fault = Fault {
        code: "dnsmasq-wrong-subnet",
        hop: at(seat.server_ns, &bridge.name, Stage::Service),
        summary: format!(
            "no address for anyone on {} of {}: dnsmasq's ranges are of other networks",
            bridge.name, seat.server.name
        ),
        cause: format!("--dhcp-range is {ranges}, and {} has {own}", bridge.name),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(
                seat.server_ns,
                "ps aux",
                format!("dnsmasq pid {}: {}", server.pid, server.argv.join(" ")),
            ),
            evidence::state(seat.server_ns, &format!("ip -4 addr show dev {}", bridge.name), own),
        ],
        owner: "nova-network",
        remedy: restart::dnsmasq(view, *seat, server, "TERM", "ends the one with the wrong range"),
        instances: dhcp_server::clients(view, seat).iter().map(|i| i.name.clone()).collect(),
        stopped: dhcp_server::stop(view, seat),
        mend: vec![dhcp_server::start_anew(view, seat, gateway)],
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_range_of_another_network() {
        let diagnosis = broken("dnsmasq-wrong-subnet").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-wrong-subnet compute1//br100"]);
        let cause = &diagnosis.findings[0].cause;
        assert_eq!(cause, "--dhcp-range is 10.1.0.2,static, and br100 has 10.0.0.42/16");
    }

    #[test]
    fn stays_silent_where_one_of_several_ranges_fits() {
        let mut cloud = broken("dnsmasq-wrong-subnet");
        let right = healthy().dnsmasq("compute1").ranges.clone();
        cloud.dnsmasq("compute1").ranges.extend(right);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_a_range_without_a_netmask_in_the_bridges_network() {
        let mut cloud = healthy();
        cloud.dnsmasq("compute1").ranges[0].netmask = None;
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_the_range_is_full_or_the_mac_unknown() {
        for other in ["dnsmasq-pool-exhausted", "dnsmasq-stale-hosts-file"] {
            assert!(lacks(&broken(other).diagnose("web1"), "dnsmasq-wrong-subnet"), "{other}");
        }
    }
}
