//! # dns-upstream-dead
//!
//! The server that dnsmasq asks is there, and no DNS server runs on it.
//!
//! ## What it means
//! Names of the outside do not resolve in any instance; names of instances, which dnsmasq knows itself, and
//! addresses do. Whatever looks names up waits: dnsmasq swallows the refusal, so the instance hears nothing.
//!
//! ## How hopline knows
//! The walk from the host that runs dnsmasq to the server comes to that machine, which was read, and nothing
//! listens on the port there. Or the machine is not of those that were read, and itself answered the host's own
//! question with port unreachable: nothing listens there, or a rule of its own says so (REJECT).
//!
//! ## What it looks like
//! `dig @UPSTREAM` on the host: connection refused; on the uplink an ICMP port unreachable answers each
//! question; on the instances' bridge questions, and no answers.
//!
//! ## Nearest look-alikes
//! * `dns-upstream-wrong`: the server is asked at an address that nobody has.
//! * `foreign-rule-drop`: the question dies on the way.
//!
//! ## Fix
//! Start the DNS server; a second `dns_server` in nova.conf keeps one from taking all names away. Undo: none
//! needed.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (does the host itself resolve); dnsmasq(8) `--server`;
//! nova.conf `dns_server`.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddrV4};

use model::Netns;
use model::finding::{Confidence, Remedy};
use model::netns::Socket;
use model::path::{Direction, Exchange, Place, Stage, Stop};
use model::probe::ProbeResult;

use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung};
use crate::mend::Mend;
use crate::said;
use crate::view::{Stopped, View};

/// Looks for servers that dnsmasq asks and that do not run: one finding a server.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let dead = view.stops().filter_map(|stopped| {
        let Purpose::Upstream(address) = stopped.rung.purpose else { return None };
        let unheard = matches!(stopped.stop, Stop::NoListener { protocol: 17, .. });
        let place = &stopped.hop.at;
        let here = |ns: &&Netns| ns.machine == place.host && ns.name == place.netns;
        let ns = view.snapshot().netns.iter().find(here)?;
        let is_dead = unheard && stopped.direction == Direction::Request && seen.insert(address);
        is_dead.then(|| finding(view, stopped, address, ns))
    });
    let dead: Vec<Found> = dead.collect();
    let refused = view.rungs.iter().filter_map(|rung| {
        let (Purpose::Upstream(address) | Purpose::Reverse(address)) = rung.purpose else { return None };
        let probe = view.silent(rung).filter(|_| rung.answer.answered)?;
        let is_its = |(from, says): &(IpAddr, String)| *from == rung.to && says == PORT_UNREACHABLE;
        let is_dead = probe.errors.iter().any(is_its) && seen.insert(address);
        is_dead.then(|| refusing(view, rung, address, probe))?
    });
    let refused: Vec<Found> = refused.collect();
    dead.into_iter().chain(refused).collect()
}

/// As our probes read it (RFC 792, type 3, code 3).
const PORT_UNREACHABLE: &str = "port unreachable";

/// One that says so itself.
fn refusing(view: &View, rung: &Rung, address: SocketAddrV4, probe: &ProbeResult) -> Option<Found> {
    let paths = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    let last = paths.filter(|path| path.exchange != Exchange::Arp).find_map(|path| path.hops.last())?;
    let server = dns::server(view.world, rung.instance);
    let evidence = [said::evidence(probe)].into_iter().chain(server.map(|server| server.asks(address)));
    let asker = rung.from.as_str();
    let fault = Fault {
        code: "dns-upstream-dead",
        hop: Place { stage: Stage::Service, ..last.at.clone() },
        summary: format!(
            "no DNS server runs at {address}, whom the dnsmasq of {asker} asks, for all that its machine says"
        ),
        cause: format!(
            "{} answers that nothing is to be had at its udp port {}",
            address.ip(),
            address.port()
        ),
        confidence: Confidence::Likely,
        evidence: evidence.collect(),
        owner: "operator",
        remedy: vec![
            evidence::advice(
                format!("start the DNS server at {address}, or let its firewall take questions from {asker}"),
                "",
            ),
            another(),
        ],
        instances: view.instances_on(asker),
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Request))
}

fn another() -> Remedy {
    evidence::advice(
        "dns_server = ANOTHER  # a further line in nova.conf, then restart the network's dnsmasq",
        "so that one server does not take all names away",
    )
}

fn finding(view: &View, stopped: Stopped, address: SocketAddrV4, ns: &Netns) -> Found {
    let server = dns::server(view.world, stopped.rung.instance);
    let port = address.port();
    let udp = ns.sockets.iter().filter(|socket| socket.protocol == 17).map(|socket| socket.port.to_string());
    let open: BTreeSet<String> = udp.collect();
    let open: Vec<String> = open.into_iter().collect();
    let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
    let command = format!("ss -lun 'sport = :{port}'");
    let mut evidence = vec![evidence::state(ns, &command, format!("udp ports that listen: {open}"))];
    evidence.extend(server.as_ref().map(|server| server.asks(address)));
    let asker = stopped.rung.from.as_str();
    let fault = Fault {
        code: "dns-upstream-dead",
        hop: at(ns, &stopped.hop.at.device, Stage::Service),
        summary: format!(
            "no DNS server runs at {address}, whom the dnsmasq of {asker} asks: no names of the outside"
        ),
        cause: format!("nothing listens on udp port {port} of {}", ns.machine),
        confidence: Confidence::Proven,
        evidence,
        owner: "operator",
        remedy: vec![evidence::advice(format!("start the DNS server of {}", ns.machine), ""), another()],
        instances: view.instances_on(asker),
        stopped: Some(stopped),
        mend: vec![Mend::Listen { machine: ns.machine.clone(), socket: listener(address) }],
    };
    fault.found()
}

fn listener(address: SocketAddrV4) -> Socket {
    let (ip, port) = (IpAddr::V4(*address.ip()), address.port());
    Socket { protocol: 17, address: ip, port, device: None, receive_queue: 0 }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::probe::ProbeResult;

    use crate::fixture::{broken, codes, healthy, lacks, looked_up};

    #[test]
    fn fires_where_nothing_listens() {
        let diagnosis = broken("dns-upstream-dead").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dns-upstream-dead external//eth0"]);
        assert_eq!(diagnosis.findings[0].instances, ["web1", "web2"]);
    }

    #[test]
    fn who_says_so_himself_is_told_where_nobody_can_look_into_him() {
        let server = [1, 2, 3, 4].into();
        let says = |from: [u8; 4], what: &str| {
            let mut cloud = healthy();
            cloud.leave_only(&["compute1"]);
            let errors = vec![(IpAddr::from(from), what.to_owned())];
            cloud.probes = vec![ProbeResult { errors, ..looked_up("compute1", server, None) }];
            codes(&cloud.diagnose_for("web1", crate::Symptom::Dns))
        };
        assert_eq!(says([1, 2, 3, 4], "port unreachable"), ["dns-upstream-dead compute1//eth0"]);
        for (from, what) in [([198, 51, 100, 2], "port unreachable"), ([1, 2, 3, 4], "host unreachable")] {
            assert!(says(from, what).iter().all(|code| !code.starts_with("dns-upstream")), "{from:?} {what}");
        }
    }

    #[test]
    fn one_of_two_is_told_too() {
        let mut cloud = broken("dns-upstream-dead");
        cloud.dnsmasq("compute1").servers.push("203.0.113.1".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), ["dns-upstream-dead external//eth0"]);
    }

    #[test]
    fn stays_silent_where_another_port_is_asked() {
        let mut cloud = healthy();
        for server in &mut cloud.dnsmasq("compute1").servers {
            server.push_str("#5353");
        }
        cloud.netns("external").sockets.iter_mut().filter(|s| s.port == 53).for_each(|s| s.port = 5353);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_where_the_sockets_were_not_read_or_the_address_is_wrong() {
        let mut cloud = healthy();
        cloud.netns("external").sockets.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
        assert!(lacks(&broken("dns-upstream-wrong").diagnose("web1"), "dns-upstream-dead"));
    }
}
