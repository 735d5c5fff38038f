//! # rogue-dhcp
//!
//! A second DHCP server answers on the instance's network.
//!
//! ## What it means
//! Whoever answers first decides which address, gateway and resolver an instance gets. A foreign server hands out
//! what is outside the cloud's plan, and renewals go wrong at random. Another host of the cloud that answers as well
//! makes itself the gateway of an instance that is not its own: what it translates, filters and forgets is not what
//! was planned, and with it the instance goes.
//!
//! ## How hopline knows
//! A DISCOVER in the instance's name, which takes no lease, was answered by a server that is neither the network's own
//! nor on that one's host. Its MAC tells behind which port it is: an instance's, or the physical link; and its MAC or
//! address, which host of the cloud it is, where it is one: one that still has the instance's MAC in its hosts file
//! and is not kept from hearing it, or that somebody runs a server on. Where all hosts share one address, the MAC
//! alone tells. One that answers what no client can read is told as likely: what clients make of it is theirs. Where
//! nobody was asked, an instance that can be entered and has a socket on port 67 on the same bridge is told as likely
//! one: it listens as a server does, and has not answered yet. A relay is none. Where one is asked beside such an
//! instance, and that one looks at once by ARP or a ping whether an address is free, its answer is waited for 3.5 s,
//! since a server may ping an address for 3 s before it offers it (dnsmasq without `--no-ping`). Of a server in an
//! instance that cannot be entered, or beyond the hosts, nothing tells before it answers: a slow one is missed there,
//! for that nobody else answers is not worth 3 s of every diagnosis.
//!
//! ## What it looks like
//! `tcpdump -eni br100 udp port 67 or udp port 68` shows two OFFERs to one DISCOVER, from two MACs.
//!
//! ## Nearest look-alikes
//! * `tap-wrong-bridge`: the instance hangs on libvirt's bridge and libvirt's own server answers.
//! * `dhcp-offer-wrong`: the cloud's own server offers what does not fit.
//!
//! ## Fix
//! Stop the server. Of nova's own on another host, restart that host's nova-network, which writes its hosts file anew
//! and, where hosts share an address, the ebtables rules that keep DHCP on its host. libvirt's nwfilter
//! `no-dhcp-server` (in `clean-traffic`'s neighbourhood) keeps instances from being one. Instances that took its lease
//! have to ask again (`dhclient -r; dhclient`).
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (two dnsmasq); libvirt, "Network Filters".

use model::dhcp::{HeardReply, ReplyKind, UnreadableReply};
use model::finding::{Confidence, Evidence, EvidenceKind};
use model::link::Link;
use model::path::{Exchange, Place, Stage};
use model::{Mac, Netns};

use crate::dhcp_listeners::{self, Listener};
use crate::dhcp_refused;
use crate::dhcp_server;
use crate::dhcp_stranger::{self, Stranger};
use crate::evidence;
use crate::found::{self, Fault, Found};
use crate::ladder::Purpose;
use crate::restart;
use crate::said;
use crate::stations;
use crate::view::{Seat, View};

/// Looks for offers from strangers, and where nobody was asked for who listens: one finding a server.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        if !is_asked(view, seat) {
            for listener in dhcp_listeners::beside(view, seat) {
                add(&mut found, listening(view, seat, &listener));
            }
        }
        let heard = said::offers(view.probes, &seat.instance.name);
        for heard in heard.filter(|heard| heard.reply.kind == ReplyKind::Offer) {
            let Some(stranger) = dhcp_stranger::of(view, seat, heard) else { continue };
            let Some(bridge) = seat.bridge_name() else { continue };
            if let Stranger::Host(ns, link) = stranger {
                add(&mut found, of_host(view, seat, heard, (ns, link)));
                continue;
            }
            let seen_from = [(seat.server_ns, bridge), (seat.ns, bridge)];
            let Some((hop, shown)) = stations::whereabouts(view, heard.from_mac, &seen_from) else {
                continue;
            };
            add(&mut found, rogue(view, seat, heard, hop, shown));
        }
        if let Some(new) = garbled(view, seat) {
            add(&mut found, new);
        }
    }
    found
}

/// One server that several instances hear is one finding.
fn add(found: &mut Vec<Found>, new: Found) {
    match found.iter_mut().find(|known| known.finding.hop == new.finding.hop) {
        Some(known) => known.finding.instances.extend(new.finding.instances),
        None => found.push(new),
    }
}

/// A DISCOVER was sent in the instance's name: who did not answer it is no server to it.
fn is_asked(view: &View, seat: Seat) -> bool {
    let own = view.probes.iter().filter(|probe| probe.from == seat.instance.name);
    own.map(|probe| probe.asked.exchange()).any(|exchange| exchange == Exchange::Dhcp)
}

/// What is told of a foreign server.
struct Told {
    hop: Place,
    summary: String,
    cause: String,
    confidence: Confidence,
    evidence: Vec<Evidence>,
    /// Whose it is, in the remedy's words: `at ADDRESS`.
    whose: String,
}

impl Told {
    fn found(self, view: &View, seat: Seat) -> Found {
        let Told { hop, summary, cause, confidence, evidence, whose } = self;
        let fault = Fault {
            code: "rogue-dhcp",
            hop,
            summary,
            cause,
            confidence,
            evidence,
            owner: "unknown",
            remedy: vec![evidence::advice(
                format!(
                    "stop the DHCP server {whose}, or keep its replies off the bridge with libvirt's nwfilter \
                     `no-dhcp-server`"
                ),
                "instances that have a lease from it must ask again",
            )],
            stopped: view.stop_of(seat.instance, |s| s.rung.purpose == Purpose::Dhcp),
            mend: Vec::new(),
            instances: vec![seat.instance.name.clone()],
        };
        dhcp_refused::breaks_dhcp(fault.found())
    }
}

/// An instance that listens where a server does.
fn listening(view: &View, seat: Seat, listener: &Listener) -> Found {
    let (ns, nic) = listener.inside;
    let (name, other) = (&seat.instance.name, &listener.seat.instance.name);
    let mut evidence =
        vec![evidence::state(ns, "ss -lun 'sport = :67'", dhcp_server::socket_text(listener.socket))];
    if let Some(server) = listener.server {
        evidence.push(evidence::state(
            ns,
            "ps aux",
            format!("pid {}: {}", server.pid, server.argv.join(" ")),
        ));
    }
    evidence.extend(listener.seat.bridge().map(|bridge| evidence::ports(listener.seat.ns, bridge)));
    let told = Told {
        summary: format!("{other} listens on the port of DHCP servers, on the bridge of {name}"),
        cause: format!("a program in {other} has UDP port 67 open on {}", nic.name),
        hop: found::at(ns, &nic.name, Stage::Service),
        confidence: Confidence::Likely,
        evidence,
        whose: format!("in {other}"),
    };
    told.found(view, seat)
}

/// All that was offered, each with who did.
fn offers(view: &View, seat: Seat) -> Vec<Evidence> {
    let name = &seat.instance.name;
    let source = format!("DHCPDISCOVER as {name}");
    let offers = said::offers(view.probes, name).map(said::offer);
    offers.map(|text| evidence::record(EvidenceKind::Probe, &source, text)).collect()
}

/// What a server offers, as far as it says.
fn offered(heard: &HeardReply) -> String {
    heard.reply.address.map_or_else(|| "an address".to_owned(), |address| address.to_string())
}

/// Another host of the cloud answers, and by which link of its.
fn of_host(view: &View, seat: Seat, heard: &HeardReply, (ns, link): (&Netns, &Link)) -> Found {
    let (name, server, host) = (&seat.instance.name, dhcp_stranger::server(heard), &ns.machine);
    let mut evidence = offers(view, seat);
    evidence.push(evidence::link(ns, link));
    let running = view.snapshot().host(host).and_then(|host| dhcp_stranger::process(host, link, server));
    evidence.extend(running.map(|running| {
        evidence::state(ns, "ps aux", format!("dnsmasq pid {}: {}", running.pid, running.argv.join(" ")))
    }));
    let line = running.and_then(|running| dhcp_stranger::line(running, seat.vif));
    evidence.extend(line.clone());
    let remedy = match running.filter(|running| dhcp_stranger::is_novas(running)) {
        Some(_) => restart::network(view, host, "writes its hosts files and its ebtables rules anew"),
        None => evidence::advice(
            format!("stop the DHCP server of {host}"),
            "instances that have a lease from it must ask again",
        ),
    };
    let own = &seat.server.name;
    let fault = Fault {
        code: "rogue-dhcp",
        hop: found::at(ns, &link.name, Stage::Service),
        summary: format!(
            "{host} ({server}) offers {name} {} by DHCP, and {own} is the host that serves it",
            offered(heard)
        ),
        cause: match line {
            Some(_) => format!("{host} hears what {name} asks, and its dnsmasq still has a line for it"),
            None => format!("{host} ({}) answers DHCP on the network of {name}", heard.from_mac),
        },
        confidence: Confidence::Proven,
        evidence,
        owner: if running.is_some_and(dhcp_stranger::is_novas) { "nova-network" } else { "operator" },
        remedy: vec![remedy],
        stopped: view.stop_of(seat.instance, |s| s.rung.purpose == Purpose::Dhcp),
        mend: Vec::new(),
        instances: vec![name.clone()],
    };
    dhcp_refused::breaks_dhcp(fault.found())
}

fn rogue(view: &View, seat: Seat, heard: &HeardReply, hop: Place, shown: Evidence) -> Found {
    let server = dhcp_stranger::server(heard);
    let name = &seat.instance.name;
    let mut evidence = offers(view, seat);
    evidence.push(shown);
    let address = offered(heard);
    let told = Told {
        summary: format!("a foreign DHCP server, {server}, offers {name} {address}; it is at {hop}"),
        cause: format!("{server} ({}) answers DHCP on the network of {name}", heard.from_mac),
        hop,
        confidence: Confidence::Proven,
        evidence,
        whose: format!("at {server}"),
    };
    told.found(view, seat)
}

/// Somebody unknown answers what no client can read: the first whose offers cannot be read either. A host's own words
/// that are unfit are `dhcp-offer-wrong`'s.
fn garbled(view: &View, seat: Seat) -> Option<Found> {
    let name = &seat.instance.name;
    let is_heard = |mac: Mac| said::offers(view.probes, name).any(|heard| heard.from_mac == mac);
    let is_strange = |reply: &&UnreadableReply| {
        !is_heard(reply.from_mac)
            && matches!(
                dhcp_stranger::of_address(view, seat, reply.from, reply.from_mac),
                Some(Stranger::Unknown)
            )
    };
    let first = said::unreadable(view.probes, name).find(is_strange)?;
    let seen_from = [(seat.server_ns, seat.bridge_name()?), (seat.ns, seat.bridge_name()?)];
    let (hop, shown) = stations::whereabouts(view, first.from_mac, &seen_from)?;
    let of_it = said::unreadable(view.probes, name).filter(|reply| reply.from_mac == first.from_mac);
    let source = format!("DHCPDISCOVER as {name}");
    let mut evidence: Vec<Evidence> =
        of_it.map(|reply| evidence::record(EvidenceKind::Probe, &source, said::unread(reply))).collect();
    evidence.push(shown);
    let UnreadableReply { from, from_mac, why } = first;
    let told = Told {
        summary: format!(
            "a foreign DHCP server, {from}, answers {name} what no client can read; it is at {hop}"
        ),
        cause: format!("{from} ({from_mac}) answers DHCP on the network of {name}, and wrongly: {why}"),
        hop,
        confidence: Confidence::Likely,
        evidence,
        whose: format!("at {from}"),
    };
    Some(told.found(view, seat))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::dhcp::{HeardReply, UnreadableReply};
    use model::finding::Confidence;
    use model::netns::Socket;
    use model::probe::Asked;
    use model::service::{DhcpHost, Process};

    use crate::fixture::{Cloud, Hosting, Manager, SHAPES, codes, healthy, nova_cloud, offer, offered};
    use crate::ladder::Purpose;

    const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 200);

    #[test]
    fn fires_where_another_instance_answers_too() {
        let cloud = healthy();
        let mac = cloud.intent.instances[1].vifs[0].mac.unwrap();
        let own = offer(&cloud, "web1");
        let mut foreign = own.clone();
        (foreign.from, foreign.from_mac, foreign.reply.server) = (STRANGER, mac, Some(STRANGER));
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![own, foreign])]);
        assert_eq!(codes(&found), ["rogue-dhcp web2//eth0"]);
        let texts: Vec<&str> = found.findings[0].evidence.iter().map(|e| e.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains("10.0.2.200") && text.contains("offers")), "{texts:?}");
    }

    #[test]
    fn whose_replies_no_client_can_read_is_told_as_likely() {
        let cloud = healthy();
        let mac = cloud.intent.instances[1].vifs[0].mac.unwrap();
        let garbled =
            |from, from_mac| UnreadableReply { from, from_mac, why: "an option is cut short".to_owned() };
        let own = offer(&cloud, "web1");
        let told = |unreadable: Vec<UnreadableReply>| {
            let mut probe = offered("web1", vec![own.clone()]);
            probe.asked = Asked::Address { offers: vec![own.clone()], unreadable };
            cloud.diagnose_with("web1", &[probe])
        };
        let found = told(vec![garbled(STRANGER, mac), garbled(STRANGER, mac)]);
        assert_eq!(codes(&found), ["rogue-dhcp web2//eth0"]);
        assert_eq!(found.findings[0].confidence, Confidence::Likely);
        let said = |text: &&str| text.contains("10.0.2.200") && text.contains("an option is cut short");
        assert_eq!(found.findings[0].evidence.iter().map(|e| e.text.as_str()).filter(said).count(), 2);
        // The host's own dnsmasq is no stranger, whatever it says beside its offer.
        assert!(codes(&told(vec![garbled(own.from, own.from_mac)])).is_empty());
    }

    fn socket(port: u16, device: Option<&str>) -> Socket {
        let device = device.map(str::to_owned);
        Socket { protocol: 17, address: Ipv4Addr::UNSPECIFIED.into(), port, device, receive_queue: 0 }
    }

    #[test]
    fn fires_unasked_where_another_instance_listens() {
        for device in [None, Some("eth0")] {
            let mut cloud = healthy();
            cloud.netns("web2").sockets.push(socket(67, device));
            let found = cloud.diagnose("web1");
            assert_eq!(codes(&found), ["rogue-dhcp web2//eth0"]);
            assert_eq!(found.findings[0].confidence, Confidence::Likely);
            // It does not lead itself astray.
            assert_eq!(codes(&cloud.diagnose("web2")), Vec::<String>::new());
        }
    }

    #[test]
    fn stays_silent_where_who_listens_gave_no_offer() {
        let mut cloud = healthy();
        cloud.netns("web2").sockets.push(socket(67, None));
        let own = offer(&cloud, "web1");
        assert_eq!(codes(&cloud.diagnose_with("web1", &[offered("web1", vec![own])])), Vec::<String>::new());
    }

    #[test]
    fn who_listens_on_the_same_bridge_is_worth_waiting_for() {
        let waited_for = |cloud: &crate::fixture::Cloud, purpose| {
            let world = sim::World::new(&cloud.snapshot, &cloud.intent);
            let rung = crate::ladder::ask(&world, 0, None, purpose).unwrap();
            crate::others_listening(&cloud.snapshot, &cloud.intent, &rung).into_iter().collect::<Vec<_>>()
        };
        let mut cloud = healthy();
        assert_eq!(waited_for(&cloud, Purpose::Dhcp), [""; 0], "nobody listens");
        cloud.netns("web2").sockets.push(socket(67, Some("virbr0")));
        assert_eq!(waited_for(&cloud, Purpose::Dhcp), [""; 0], "for guests of its own");
        cloud.netns("web2").sockets.push(socket(67, None));
        assert_eq!(waited_for(&cloud, Purpose::Dhcp), ["vnet1"]);
        assert_eq!(waited_for(&cloud, Purpose::Resolver), [""; 0]);
    }

    #[test]
    fn stays_silent_where_a_client_or_a_relay_or_one_on_another_link_listens() {
        let mut client = healthy();
        client.netns("web2").sockets.push(socket(68, None));
        let mut elsewhere = healthy();
        elsewhere.netns("web2").sockets.push(socket(67, Some("virbr0")));
        let mut relay = healthy();
        relay.netns("web2").sockets.push(socket(67, None));
        let netns = relay.netns("web2").inode;
        let argv = ["/usr/sbin/dhcrelay", "-4", "10.0.2.1"].map(str::to_owned).to_vec();
        relay.host("compute1").processes.push(Process { argv, netns, ..Process::default() });
        for cloud in [client, elsewhere, relay] {
            assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
        }
    }

    #[test]
    fn stays_silent_where_the_networks_own_server_answers() {
        let cloud = healthy();
        let own = offer(&cloud, "web1");
        assert_eq!(codes(&cloud.diagnose_with("web1", &[offered("web1", vec![own])])), Vec::<String>::new());
    }

    /// What another host's server offers web1 of this cloud: by its own gateway address and MAC.
    fn of_compute2(cloud: &Cloud) -> HeardReply {
        let (mut heard, theirs) = (offer(cloud, "web1"), offer(cloud, "db1"));
        (heard.from, heard.from_mac) = (theirs.from, theirs.from_mac);
        heard.reply.server = theirs.reply.server;
        heard
    }

    #[test]
    fn fires_where_another_host_of_the_cloud_answers_too() {
        for hosting in [Hosting::Each, Hosting::Shared] {
            let mut cloud = nova_cloud(Manager::FlatDhcp, hosting);
            let other = of_compute2(&cloud);
            let vif = cloud.intent.instances[0].vifs[0].clone();
            let bridge = vif.bridge.clone().unwrap();
            let line = DhcpHost {
                mac: vif.mac.unwrap(),
                hostname: None,
                ip: Some(vif.fixed[0]),
                ignored: false,
                line: 2,
            };
            cloud.dnsmasq("compute2").hosts.get_or_insert_default().push(line);
            let own = offer(&cloud, "web1");
            let found = cloud.diagnose_with("web1", &[offered("web1", vec![own, other])]);
            assert_eq!(codes(&found), [format!("rogue-dhcp compute2//{bridge}")], "{hosting:?}");
            let finding = &found.findings[0];
            assert!(finding.cause.contains("still has a line for it"), "{hosting:?}: {finding:#?}");
            assert_eq!(finding.owner, "nova-network");
        }
    }

    #[test]
    fn stays_silent_where_each_host_serves_its_own() {
        for (manager, hosting) in SHAPES {
            let cloud = nova_cloud(manager, hosting);
            for name in ["web1", "db1"] {
                let own = offer(&cloud, name);
                let found = cloud.diagnose_with(name, &[offered(name, vec![own])]);
                assert_eq!(codes(&found), Vec::<String>::new(), "{manager:?} {hosting:?} {name}");
            }
        }
    }

    #[test]
    fn stays_silent_where_its_own_host_answers_by_another_of_its_addresses() {
        let cloud = healthy();
        let own = offer(&cloud, "web1");
        let mut other = own.clone();
        let public = Ipv4Addr::new(203, 0, 113, 34);
        (other.from, other.reply.server) = (public, Some(public));
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![own, other])]);
        assert_eq!(codes(&found), Vec::<String>::new());
    }
}
