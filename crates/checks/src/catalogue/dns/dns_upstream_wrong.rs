//! # dns-upstream-wrong
//!
//! The network's dnsmasq asks a server at an address that nobody has, or another one than nova.conf names.
//!
//! ## What it means
//! Names of the outside do not resolve in instances, while the host, by its own resolv.conf, may resolve
//! well. Where the server does answer, instances get their names from somewhere that the cloud does not mean:
//! dnsmasq was started by hand, or before nova.conf was changed; it is not restarted by a SIGHUP.
//!
//! ## How hopline knows
//! The walk from the host that runs dnsmasq to the server finds no route, or nobody who answers for the
//! address; or dnsmasq's `--server`s lack the `dns_server` of nova.conf.
//!
//! ## What it looks like
//! `tcpdump -ni eth0 udp port 53` on the host shows questions to that address, and host unreachable or
//! nothing in return.
//!
//! ## Nearest look-alikes
//! * `dns-upstream-dead`: the machine is there, and refuses.
//! * `default-route-missing`, `uplink-down`: nothing of the outside is reached.
//!
//! ## Fix
//! Correct `dns_server` in nova.conf (or the host's resolv.conf where dnsmasq reads it), end this one dnsmasq,
//! and let nova-network start it anew: a restart of nova-network starts those that are missing. Undo: the old
//! line.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; dnsmasq(8) `--server`, `--no-resolv`; nova
//! `linux_net.py` `restart_dhcp`; nova.conf `dns_server`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::path::{Direction, Disposition, Exchange, Stage, Stop};
use model::service::Dnsmasq;

use crate::dns::{self, Server, Upstream};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung};
use crate::mend::Mend;
use crate::said;
use crate::view::View;

/// Looks for servers that dnsmasq should not ask: one finding a dnsmasq and server.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let asked = view.rungs.iter().filter_map(|rung| {
        let Purpose::Upstream(address) = rung.purpose else { return None };
        let server = dns::server(view.world, rung.instance)?;
        let upstream = server.upstreams().into_iter().find(|upstream| upstream.address == address)?;
        let nobody = is_nobody(view, rung);
        let strays = is_unmeant(&server) && upstream.by.starts_with("--server");
        let is_first = (nobody || strays) && seen.insert((&server.host.name, server.dnsmasq.pid, address));
        is_first.then(|| finding(view, rung, server, &upstream, nobody))
    });
    asked.collect()
}

/// None of the site has the address, and the question ended for want of a route to it or of an answer for it.
fn is_nobody(view: &View, rung: &Rung) -> bool {
    let astray = |stop: &Stop| {
        let unanswered = matches!(stop, Stop::NeighbourUnresolved { ip, .. } if *ip == rung.to);
        unanswered || matches!(stop, Stop::NoRoute(_) | Stop::RouteRefuses(_))
    };
    let ended = rung.answer.paths.iter().any(|path| {
        let asks = path.direction == Direction::Request && path.exchange != Exchange::Arp;
        asks && matches!(&path.disposition, Disposition::Dropped(stop) if astray(stop))
    });
    ended && view.world.owner_of_ip(rung.to).is_none()
}

/// nova.conf names a server that this dnsmasq was not told of.
fn is_unmeant(server: &Server) -> bool {
    let told = server.upstreams();
    server.meant().is_some_and(|meant| told.iter().all(|upstream| *upstream.address.ip() != meant))
}

fn finding(view: &View, rung: &Rung, server: Server, upstream: &Upstream, nobody: bool) -> Found {
    let wrong = *upstream.address.ip();
    let right = server.meant().filter(|meant| *meant != wrong);
    let (summary, cause) = if nobody {
        let summary =
            format!("the dnsmasq of {} asks {wrong} for names, and nobody has that address", rung.from);
        (summary, format!("`{}` names a server that cannot be reached", upstream.by))
    } else {
        let meant = server.meant().map(|ip| ip.to_string()).unwrap_or_default();
        let summary =
            format!("the dnsmasq of {} asks {wrong} for names, and nova.conf means {meant}", rung.from);
        (summary, format!("`{}` is not what dns_server says", upstream.by))
    };
    let fault = Fault {
        code: "dns-upstream-wrong",
        hop: at(server.ns, server.bridge, Stage::Service),
        summary,
        cause,
        confidence: if nobody { Confidence::Proven } else { Confidence::Likely },
        evidence: evidence(&server, upstream),
        owner: "nova-network",
        remedy: vec![
            evidence::remedy(
                server.ns,
                &format!("kill {}", server.dnsmasq.pid),
                "",
                "this one dnsmasq, after dns_server is right; running instances keep their addresses",
            ),
            evidence::advice(
                "systemctl restart nova-network",
                "starts the dnsmasq that is missing; the others only read their files anew",
            ),
        ],
        instances: view.instances_on(&server.host.name),
        stopped: if nobody { view.stop(|s| std::ptr::eq(s.rung, rung)) } else { None },
        mend: vec![mend(&server, wrong, right)],
    };
    let mut found = fault.found();
    // Who is not meant and says nothing takes all names away, or makes them late.
    if let Some(silent) = view.silent(rung).filter(|_| !nobody) {
        found.finding.evidence.push(said::evidence(silent));
        found = found.breaks(Exchange::Dns, Direction::Both);
    }
    found
}

fn evidence(server: &Server, upstream: &Upstream) -> Vec<Evidence> {
    let mut all = vec![server.asks(upstream.address)];
    let configured = server.host.nova.as_ref().and_then(|nova| {
        let text = format!("dns_server = {}", nova.get("dns_server")?);
        Some(evidence::record(EvidenceKind::Config, nova.file.clone(), text))
    });
    all.extend(configured);
    all
}

/// The same dnsmasq, asking the right server in place of the wrong one, or at least no longer that one.
fn mend(server: &Server, wrong: Ipv4Addr, right: Option<Ipv4Addr>) -> Mend {
    let machine = server.host.name.clone();
    let named = server.dnsmasq.servers.iter().any(|text| text.contains(&wrong.to_string()));
    if !named {
        let asked = server.ns.resolver.iter().flat_map(|conf| conf.servers.iter().copied());
        let servers = asked.filter(|ip| *ip != IpAddr::V4(wrong)).collect();
        return Mend::Resolver { machine, servers };
    }
    let mut servers = server.dnsmasq.servers.clone();
    servers.retain(|text| !text.contains(&wrong.to_string()));
    servers.extend(right.map(|ip| ip.to_string()).filter(|ip| !servers.contains(ip)));
    Mend::Dnsmasq { machine, server: Box::new(Dnsmasq { servers, ..server.dnsmasq.clone() }) }
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::path::Exchange;

    use crate::fixture::{broken, codes, healthy, lacks, looked_up};

    #[test]
    fn fires_on_an_address_that_nobody_has() {
        let diagnosis = broken("dns-upstream-wrong").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dns-upstream-wrong compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert_eq!((finding.confidence, finding.exchange), (Confidence::Proven, Exchange::Dns));
        assert!(finding.evidence.iter().any(|e| e.text == "dns_server = 1.2.3.4"), "{finding:?}");
    }

    #[test]
    fn one_that_is_silent_is_told_once_and_not_as_a_loss() {
        let mut cloud = healthy();
        cloud.leave_only(&["compute1"]);
        cloud.dnsmasq("compute1").servers = vec!["198.51.100.201".to_owned()];
        let silent = looked_up("compute1", [198, 51, 100, 201].into(), None);
        cloud.probes = vec![silent];
        let found = cloud.diagnose_for("web1", crate::Symptom::Dns);
        assert_eq!(codes(&found), ["dns-upstream-wrong compute1//br100"]);
        assert_eq!(found.findings[0].exchange, Exchange::Dns);
    }

    #[test]
    fn fires_where_the_hosts_own_file_is_wrong() {
        let mut cloud = healthy();
        let servers = vec!["203.0.113.77".parse().unwrap()];
        cloud.netns("compute1").resolver = Some(model::service::ResolvConf { servers, ..Default::default() });
        let server = cloud.dnsmasq("compute1");
        server.no_resolv = false;
        server.servers.clear();
        cloud.host("compute1").nova.as_mut().unwrap().values.remove("dns_server");
        assert_eq!(codes(&cloud.diagnose("web1")), ["dns-upstream-wrong compute1//br100"]);
    }

    #[test]
    fn another_server_than_nova_conf_names_is_told_though_it_answers() {
        let mut cloud = healthy();
        let nova = cloud.host("compute1").nova.as_mut().unwrap();
        nova.values.insert("dns_server".to_owned(), "1.2.3.1".to_owned());
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dns-upstream-wrong compute1//br100"]);
        assert_eq!(diagnosis.findings[0].exchange, Exchange::None);
    }

    #[test]
    fn stays_silent_on_a_server_beside_the_one_that_is_meant() {
        let mut cloud = healthy();
        cloud.dnsmasq("compute1").servers.push("203.0.113.1".to_owned());
        assert!(lacks(&cloud.diagnose("web1"), "dns-upstream-wrong"));
    }

    #[test]
    fn stays_silent_where_nothing_of_the_outside_is_reached() {
        for other in ["default-route-missing", "uplink-down", "ext-gateway-down", "dns-upstream-dead"] {
            assert!(lacks(&broken(other).diagnose("web1"), "dns-upstream-wrong"), "{other}");
        }
    }
}
