//! # libvirt-dnsmasq-steals-port
//!
//! Another dnsmasq holds the ports of the one that should serve the bridge.
//!
//! ## What it means
//! libvirt's dnsmasq, or the distribution's, was started without `bind-interfaces`: it binds ports 53 and 67 of every
//! address of the host and shares them with nobody. nova's dnsmasq cannot start, and the instances' bridge is served by
//! nobody, since the other one ignores what comes in by links that are not its own.
//!
//! ## How hopline knows
//! No dnsmasq serves the bridge; another runs whose arguments say neither `--bind-interfaces` nor `--bind-dynamic`; and
//! port 53 is bound on the wildcard address, or that one gives addresses and has no file of settings that could say so.
//!
//! ## What it looks like
//! nova-network's log: `failed to bind DHCP server socket: Address already in use`. `ss -lunp` shows `0.0.0.0:53` and
//! `0.0.0.0:67` with the other one's pid. It begins when libvirt is restarted, long after nova.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-not-running`: nobody holds the ports. Two servers that both bind by interface share 67: each shows
//!   `0.0.0.0:67`, and both work.
//!
//! ## Fix
//! Give the other one `bind-interfaces` (libvirt: `virsh net-destroy` and `net-start` of that network; the
//! distribution's: a line in /etc/dnsmasq.conf), then let nova-network start its own. No undo.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (two dnsmasq in `ps`); dnsmasq(8) `--bind-interfaces`.

use model::finding::{Confidence, Evidence};
use model::path::Stage;
use model::service::Dnsmasq;

use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::restart;
use crate::view::{Seat, View};

/// Looks for bridges whose server cannot start beside another: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let unserved = dhcp_server::unserved(view).into_iter();
    let robbed = unserved.filter(|(seat, _)| dhcp_server::started_for(seat).is_none());
    let robbed = robbed.filter_map(|(seat, gateway)| Some((seat, gateway, holder(&seat)?)));
    robbed
        .map(|(seat, gateway, thief)| {
            let bridge = seat.bridge_name().unwrap_or_default();
            let whose = if thief.is_libvirts() { "libvirt's dnsmasq" } else { "another dnsmasq" };
            let again = format!("kill {}", thief.pid);
            let fault = Fault {
                code: "libvirt-dnsmasq-steals-port",
                hop: at(seat.server_ns, bridge, Stage::Service),
                summary: format!(
                    "no dnsmasq serves {bridge} on {}: {whose} holds its ports",
                    seat.server.name
                ),
                cause: format!(
                    "{whose} (pid {}) binds every address and shares with nobody, so none can start on {gateway}",
                    thief.pid
                ),
                confidence: Confidence::Likely,
                evidence: evidence(&seat, thief),
                owner: if thief.is_libvirts() { "libvirt" } else { "operator" },
                remedy: vec![
                    evidence::advice(again, "frees the ports; start it again with --bind-interfaces"),
                    restart::network(view, &seat.server.name, "starts the dnsmasq that is gone"),
                ],
                instances: dhcp_server::clients(view, &seat).iter().map(|i| i.name.clone()).collect(),
                stopped: dhcp_server::stop(view, &seat),
                mend: vec![dhcp_server::start_anew(view, &seat, gateway)],
            };
            fault.found()
        })
        .collect()
}

/// The dnsmasq that nobody can start beside.
pub(crate) fn holder<'v>(seat: &Seat<'v>) -> Option<&'v Dnsmasq> {
    let sockets = &seat.server_ns.sockets;
    let all_of = |port: u16| sockets.iter().any(|s| s.port == port && s.address.is_unspecified());
    let holds = |server: &&Dnsmasq| {
        let elsewhere = server.netns.zip(seat.server_ns.inode).is_some_and(|(theirs, here)| theirs != here);
        // What a file of its own says, `bind-dynamic` as libvirt's does, is not known.
        let gives = !server.ranges.is_empty() && all_of(67);
        !elsewhere && server.conf_file.is_none() && !binds(server) && (all_of(53) || gives)
    };
    seat.server.dnsmasq.iter().find(holds)
}

/// It binds each of its addresses by itself, and port 67 so that others may too.
fn binds(server: &Dnsmasq) -> bool {
    let says = |argument: &String| {
        // Short options may stand together; `z` is no other's value where none before it takes one.
        let short = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        argument == "--bind-interfaces" || argument == "--bind-dynamic" || short == Some("z")
    };
    server.argv.iter().any(says)
}

fn evidence(seat: &Seat, thief: &Dnsmasq) -> Vec<Evidence> {
    let process = format!("dnsmasq pid {}: {}", thief.pid, thief.argv.join(" "));
    let sockets = seat.server_ns.sockets.iter();
    let held = sockets.filter(|s| (s.port == 53 || s.port == 67) && s.address.is_unspecified());
    let held = held.map(|s| evidence::state(seat.server_ns, "ss -lunp", dhcp_server::socket_text(s)));
    [evidence::state(seat.server_ns, "ps aux", process)].into_iter().chain(held).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_when_libvirts_own_binds_every_address() {
        let diagnosis = broken("libvirt-dnsmasq-steals-port").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["libvirt-dnsmasq-steals-port compute1//br100"]);
        assert_eq!(diagnosis.findings[0].owner, "libvirt");
        assert!(diagnosis.findings[0].evidence.iter().any(|e| e.text.contains("0.0.0.0:53")));
    }

    #[test]
    fn fires_by_port_67_where_it_gives_no_names() {
        let mut cloud = broken("libvirt-dnsmasq-steals-port");
        cloud.netns("compute1").sockets.retain(|s| s.port != 53);
        assert_eq!(codes(&cloud.diagnose("web1")), ["libvirt-dnsmasq-steals-port compute1//br100"]);
        // A file of settings may say that it binds by interface.
        for server in &mut cloud.host("compute1").dnsmasq {
            server.conf_file = Some("/var/lib/libvirt/dnsmasq/default.conf".to_owned());
        }
        assert_eq!(codes(&cloud.diagnose("web1")), ["dnsmasq-not-running compute1//br100"]);
    }

    #[test]
    fn stays_silent_when_the_other_binds_by_interface() {
        assert!(lacks(&broken("dnsmasq-not-running").diagnose("web1"), "libvirt-dnsmasq-steals-port"));
    }

    #[test]
    fn stays_silent_when_the_bridge_is_served_all_the_same() {
        let mut cloud = broken("libvirt-dnsmasq-steals-port");
        let novas = crate::fixture::healthy().dnsmasq("compute1").clone();
        cloud.host("compute1").dnsmasq.push(novas);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }
}
