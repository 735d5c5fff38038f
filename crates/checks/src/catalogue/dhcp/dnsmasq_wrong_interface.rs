//! # dnsmasq-wrong-interface
//!
//! The dnsmasq of the instances' network listens where the instances are not.
//!
//! ## What it means
//! The process runs, with this network's hosts file and range, and hears nothing: it was told another address or link
//! than the bridge's. New instances get no address, and no names resolve.
//!
//! ## How hopline knows
//! No dnsmasq listens on the gateway's address or on the bridge, and one has nova's hosts file of that bridge, or a
//! range of the network, in its arguments.
//!
//! ## What it looks like
//! `ss -lun` shows port 53 on another address than the bridge's; `--listen-address` in `ps aux` too.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-not-running`: no process has this network's files.
//! * `dnsmasq-wrong-subnet`: it listens on the bridge, and its range is another network's.
//!
//! ## Fix
//! End that one, and let nova-network start it with the gateway's address. Where it comes back wrong, the network's
//! gateway, or the host's address of a multi-host network, is wrong in nova's database. No undo.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`--listen-address` in `ps`); dnsmasq(8).

use model::finding::Confidence;
use model::path::Stage;

use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::restart;
use crate::view::View;

/// Looks for bridges whose own dnsmasq listens elsewhere: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let unserved = dhcp_server::unserved(view).into_iter();
    let astray =
        unserved.filter_map(|(seat, gateway)| Some((seat, gateway, dhcp_server::started_for(&seat)?)));
    astray
        .map(|(seat, gateway, server)| {
            let bridge = seat.bridge_name().unwrap_or_default();
            let places = dhcp_server::listens(server);
            let process = format!("dnsmasq pid {}: {}", server.pid, server.argv.join(" "));
            let sockets = dhcp_server::sockets(&seat, server).filter(|socket| socket.port == 53);
            let sockets = sockets
                .map(|s| evidence::state(seat.server_ns, "ss -lun", dhcp_server::socket_text(s)));
            let fault = Fault {
                code: "dnsmasq-wrong-interface",
                hop: at(seat.server_ns, bridge, Stage::Service),
                summary: format!(
                    "dnsmasq of {bridge} on {} listens on {places}: no addresses and no names for its instances",
                    seat.server.name
                ),
                cause: format!("dnsmasq (pid {}) was told {places}, and not {gateway}", server.pid),
                confidence: Confidence::Proven,
                evidence: [evidence::state(seat.server_ns, "ps aux", process)]
                    .into_iter()
                    .chain(sockets)
                    .collect(),
                owner: "nova-network",
                remedy: restart::dnsmasq(view, seat, server, "TERM", "ends the one that listens astray"),
                instances: dhcp_server::clients(view, &seat).iter().map(|i| i.name.clone()).collect(),
                stopped: dhcp_server::stop(view, &seat),
                mend: vec![dhcp_server::start_anew(view, &seat, gateway)],
            };
            fault.found()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_when_it_listens_on_the_uplinks_address() {
        let diagnosis = broken("dnsmasq-wrong-interface").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-wrong-interface compute1//br100"]);
        assert!(diagnosis.findings[0].summary.contains("listens on 203.0.113.34"), "{diagnosis:#?}");
        assert_eq!(diagnosis.findings[0].instances, ["web1", "web2"]);
    }

    #[test]
    fn knows_it_by_its_range_where_its_file_has_another_name() {
        let mut cloud = broken("dnsmasq-wrong-interface");
        cloud.dnsmasq("compute1").hosts_file = Some("/etc/hosts.dhcp".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), ["dnsmasq-wrong-interface compute1//br100"]);
        cloud.dnsmasq("compute1").ranges[0].start = "10.7.0.2".parse().unwrap();
        assert_eq!(codes(&cloud.diagnose("web1")), ["dnsmasq-not-running compute1//br100"]);
    }

    #[test]
    fn stays_silent_when_the_bridge_is_named_or_nothing_is() {
        let mut cloud = healthy();
        let server = cloud.dnsmasq("compute1");
        server.listen.clear();
        server.interfaces = vec!["br100".to_owned()];
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
        cloud.dnsmasq("compute1").interfaces.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new(), "it listens everywhere");
    }

    #[test]
    fn stays_silent_when_only_libvirts_own_runs() {
        assert!(lacks(&broken("dnsmasq-not-running").diagnose("web1"), "dnsmasq-wrong-interface"));
    }
}
