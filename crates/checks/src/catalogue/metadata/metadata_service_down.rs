//! # metadata-service-down
//!
//! Instances are led to the metadata service, and nothing listens there.
//!
//! ## What it means
//! nova-api-metadata does not run on the host that `metadata_host` names, or listens on another port:
//! cloud-init is refused at once, again and again, and boots without hostname and ssh key.
//!
//! ## How hopline knows
//! The walk of a question to 169.254.169.254 port 80 is rewritten as nova.conf says, arrives, and no socket
//! of that machine listens on that port.
//!
//! ## What it looks like
//! The rule's counter rises, `ss -ltn` lacks the port, a RST is seen on the bridge; on the console
//! `Connection refused`.
//!
//! ## Nearest look-alikes
//! * `metadata-dnat-missing`: the rule is missing, or leads to another port than the service's.
//! * a service that hangs: the port is open, and the answer does not come.
//!
//! ## Fix
//! Start nova-api-metadata; where nova-api serves metadata itself (`enabled_apis`), start nova-api. Undo:
//! stop it.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova.conf `metadata_host`, `metadata_port`,
//! `metadata_listen_port`, `enabled_apis`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::Netns;
use model::finding::Confidence;
use model::netns::Socket;
use model::path::{Direction, Exchange, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::metadata::{self, Unserved};
use crate::view::{Stopped, View};

/// Looks for questions that were led right and found nobody: one finding a machine.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let found = metadata::unserved(view).into_iter().filter_map(|lost| {
        let meant = metadata::meant(lost.server, lost.ns);
        let rule = metadata::rules(lost.ns).find(|rule| metadata::leads_right(rule, meant.as_ref()))?;
        let stopped = view.stop(|s| {
            let unheard = matches!(s.stop, Stop::NoListener { protocol: 6, .. });
            let asked = s.rung.purpose == Purpose::Metadata && s.direction == Direction::Request;
            std::ptr::eq(s.rung, lost.rung) && asked && unheard && s.exchange == Exchange::Tcp
        })?;
        let Stop::NoListener { port, .. } = *stopped.stop else { return None };
        let place = &stopped.hop.at;
        let all = &view.snapshot().netns;
        let ns = all.iter().find(|ns| ns.machine == place.host && ns.name == place.netns)?;
        seen.insert((&ns.machine, &ns.name)).then(|| finding(view, &lost, &rule.text, (stopped, port), ns))
    });
    found.collect()
}

fn finding(view: &View, lost: &Unserved, rule: &str, (stopped, port): (Stopped, u16), ns: &Netns) -> Found {
    let listening = ns.sockets.iter().filter(|socket| socket.protocol == 6).map(|socket| socket.port);
    let listening: BTreeSet<u16> = listening.collect();
    let listening: Vec<String> = listening.iter().map(u16::to_string).collect();
    let open = if listening.is_empty() { "none".to_owned() } else { listening.join(", ") };
    let mut evidence = vec![
        evidence::state(ns, &format!("ss -ltn 'sport = :{port}'"), format!("tcp ports that listen: {open}")),
        evidence::record(
            model::finding::EvidenceKind::Rule,
            evidence::within(lost.ns, "iptables-save -t nat"),
            rule,
        ),
    ];
    evidence.extend(lost.server.nova.as_ref().map(metadata::configured));
    evidence.extend(metadata::console(view, lost.instance));
    let fault = Fault {
        code: "metadata-service-down",
        hop: at(ns, &stopped.hop.at.device, Stage::Service),
        summary: format!("the metadata service does not run on {}: instances are refused", ns.machine),
        cause: format!("nothing listens on tcp port {port}, to which 169.254.169.254 is led"),
        confidence: Confidence::Proven,
        evidence,
        owner: "nova-api-metadata",
        remedy: vec![evidence::remedy(
            ns,
            "systemctl start nova-api-metadata",
            "systemctl stop nova-api-metadata",
            "where nova-api serves metadata itself, start nova-api",
        )],
        instances: view.instances_on(&lost.server.name),
        stopped: Some(stopped),
        mend: vec![Mend::Listen { machine: ns.machine.clone(), socket: listener(port) }],
    };
    fault.found()
}

/// The service on every address.
fn listener(port: u16) -> Socket {
    let address = IpAddr::from([0, 0, 0, 0]);
    Socket { protocol: 6, address, port, device: None, receive_queue: 0 }
}

#[cfg(test)]
mod tests {
    use model::netns::Socket;

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_where_nothing_listens() {
        let diagnosis = broken("metadata-service-down").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["metadata-service-down compute1//br100"]);
        assert!(
            diagnosis.findings[0].evidence[0].text.contains("53"),
            "{:?}",
            diagnosis.findings[0].evidence
        );
    }

    #[test]
    fn fires_where_the_service_listens_on_another_port() {
        let mut cloud = broken("metadata-service-down");
        let other =
            Socket { protocol: 6, address: [0, 0, 0, 0].into(), port: 8776, device: None, receive_queue: 0 };
        cloud.netns("compute1").sockets.push(other);
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["metadata-service-down compute1//br100"]);
        assert!(diagnosis.findings[0].evidence[0].text.contains("8776"));
    }

    #[test]
    fn stays_silent_where_the_sockets_were_not_read() {
        let mut cloud = healthy();
        cloud.netns("compute1").sockets.clear();
        assert!(lacks(&cloud.diagnose("web1"), "metadata-service-down"));
    }

    #[test]
    fn stays_silent_when_the_question_is_not_led_there() {
        for other in ["metadata-dnat-missing", "metadata-zeroconf-route", "rules-flushed"] {
            assert!(lacks(&broken(other).diagnose("web1"), "metadata-service-down"), "{other}");
        }
    }
}
