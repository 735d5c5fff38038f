//! # dhcp-offer-wrong
//!
//! The network's own DHCP server offers what the instance cannot use.
//!
//! ## What it means
//! The instance gets an address and yet no network, or refuses the OFFER: the address is not the one that is recorded
//! for it, the mask or the gateway does not fit the network, the MTU is more than the way takes, it is sent to a DNS
//! server that does not answer, or the message itself cannot be read.
//!
//! ## How hopline knows
//! A DISCOVER in the instance's name, which takes no lease, was answered by the network's server, and the OFFER was
//! compared with the database and with the NIC on the host. A gateway is missed only on the instance's first network,
//! and not where classless routes (option 121) stand in its place, or dnsmasq was given options or a file of its own:
//! a hardware gateway is set that way. A DNS server (option 6) other than the network's dnsmasq is judged by its
//! answers: it was asked as the instance, and it is silent or refuses while dnsmasq is there; or by the walk to it.
//! Where no offer was heard, the MTU of dnsmasq's own options is compared instead, as far as they are for everybody.
//!
//! ## What it looks like
//! `ip route` in the instance shows no default route, or one that leads nowhere; large packets vanish; its console says
//! that it was sent no lease though dnsmasq's log has the OFFER.
//!
//! ## Nearest look-alikes
//! * `rogue-dhcp`: another server has made the offer.
//! * `guest-resolv-conf-wrong`: one instance alone asks a server that does not answer.
//! * `guest-nic-down`: the offer is right and the instance has not taken it.
//!
//! ## Fix
//! Correct dnsmasq's arguments (`--dhcp-option`, `--dhcp-range`) or its options file in nova's configuration
//! (`dnsmasq_config_file`), then restart that dnsmasq. The instance asks again at half of its lease.
//!
//! ## References
//! RFC 2132; RFC 3442; dnsmasq(8) `--dhcp-option`; nova.conf `dnsmasq_config_file`, `network_device_mtu`.

use std::net::IpAddr;

use model::dhcp::{HeardReply, ReplyKind};
use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;
use model::service::Dnsmasq;

use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::offered_dns;
use crate::said;
use crate::view::{Seat, View};

/// Classless static routes (RFC 3442): a client that knows them passes over the router option.
const CLASSLESS_ROUTES: u8 = 121;

/// Looks for offers of the right server that do not fit: one finding for all NICs that it is offered alike.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for new in view.vifs().filter_map(|seat| unfit(view, seat)) {
        let is_alike = |known: &Found| {
            (&known.finding.hop, &known.finding.cause) == (&new.finding.hop, &new.finding.cause)
        };
        match found.iter_mut().find(|known| is_alike(known)) {
            Some(known) => known.finding.instances.extend(new.finding.instances),
            None => found.push(new),
        }
    }
    found
}

fn unfit(view: &View, seat: Seat) -> Option<Found> {
    let name = &seat.instance.name;
    // The DISCOVER is from the NIC that has the gateway: the first.
    let is_first = seat.instance.vifs.first().is_some_and(|first| std::ptr::eq(first, seat.vif));
    let gateway = seat.gateway().filter(|_| is_first)?;
    let own = |heard: &&HeardReply| heard.reply.server.unwrap_or(heard.from) == gateway;
    let offers = said::offers(view.probes, name).filter(own);
    let offers = offers.filter(|heard| heard.reply.kind == ReplyKind::Offer);
    // Where two processes answer by one address, what does not fit is the other one's, which has a name of its own.
    let is_alone = dhcp_server::beside(&seat).is_empty();
    let is_judged =
        |heard: &&HeardReply| is_alone || heard.reply.address.is_some_and(|ip| seat.vif.fixed.contains(&ip));
    let heard = offers.into_iter().find(is_judged);
    let unreadable = said::unreadable(view.probes, name).find(|(from, _)| *from == IpAddr::V4(gateway));
    let (mut wrong, offer) = match (heard, unreadable) {
        (Some(heard), _) => (differences(seat, heard), Some(said::offer(heard))),
        (None, Some((from, why))) => {
            (vec![why.clone()], Some(format!("{from} sends what no client can read: {why}")))
        }
        (None, None) => (Vec::new(), None),
    };
    let mute = offered_dns::mute(view, &seat, heard);
    wrong.extend(mute.iter().map(|server| server.said.clone()));
    let server = dhcp_server::of(&seat);
    let read = server.filter(|_| offer.is_none()).and_then(mtu_option);
    let read = read.and_then(|(option, mtu)| Some((option, too_large(seat, mtu)?)));
    wrong.extend(read.iter().map(|(_, said)| said.clone()));
    if wrong.is_empty() {
        return None;
    }
    let bridge = seat.bridge_name()?;
    let option = read.map(|(option, _)| {
        let file = server.and_then(|server| server.opts_file.as_deref()).unwrap_or("dnsmasq's options");
        evidence::record(EvidenceKind::Config, file, option)
    });
    let started = server.map(|server| evidence::state(seat.server_ns, "ps aux", server.argv.join(" ")));
    let probe = || format!("DHCPDISCOVER as {name}");
    let offer = offer.map(|offer| evidence::record(EvidenceKind::Probe, probe(), offer));
    let fault = Fault {
        code: "dhcp-offer-wrong",
        hop: at(seat.server_ns, bridge, Stage::Service),
        summary: format!("what DHCP offers {name} does not fit: {}", wrong.join("; ")),
        cause: format!("the dnsmasq at {gateway} offers {}", wrong.join(" and ")),
        confidence: Confidence::Proven,
        evidence: offer
            .into_iter()
            .chain(option)
            .chain(mute.iter().flat_map(|server| server.evidence.clone()))
            .chain(started)
            .collect(),
        owner: "nova-network",
        remedy: vec![evidence::advice(
            "correct dnsmasq's options (nova.conf: dnsmasq_config_file), then restart that dnsmasq",
            "no names and no addresses for its network meanwhile; instances learn of it at half of their lease",
        )],
        stopped: view.stop_of(seat.instance, |s| {
            s.rung.purpose == Purpose::Dhcp || mute.iter().any(|server| std::ptr::eq(server.rung, s.rung))
        }),
        mend: server.map(|server| offered_dns::without(view, &seat, server, &mute)).unwrap_or_default(),
        instances: vec![name.clone()],
    };
    Some(dhcp_refused::breaks_dhcp(fault.found()))
}

/// What of an offer does not fit the records and the host.
fn differences(seat: Seat, heard: &HeardReply) -> Vec<String> {
    let reply = &heard.reply;
    let mut wrong = Vec::new();
    let recorded = &seat.vif.fixed;
    if let Some(address) = reply.address.filter(|address| !recorded.is_empty() && !recorded.contains(address))
    {
        let recorded: Vec<String> = recorded.iter().map(ToString::to_string).collect();
        wrong.push(format!("address {address}, and {} is recorded", recorded.join(" ")));
    }
    let prefix = seat.network.and_then(|network| network.cidr).map(|cidr| cidr.prefix_len());
    if let Some((said, meant)) = reply.prefix_bits.zip(prefix).filter(|(said, meant)| said != meant) {
        wrong.push(format!("a mask of {said} bits, and the network has {meant}"));
    }
    // Another router than nova-network's host may be meant: dnsmasq_config_file is how it is set.
    let is_set = dhcp_server::of(&seat).is_some_and(|server| {
        server.conf_file.is_some() || server.argv.iter().any(|a| a.starts_with("--dhcp-option"))
    });
    let has_routes = is_set || reply.codes.contains(&CLASSLESS_ROUTES);
    match (seat.gateway(), reply.routers.first()) {
        (Some(meant), None) if !has_routes => wrong.push(format!("no router, and {meant} is the gateway")),
        (Some(meant), Some(said)) if !has_routes && *said != meant => {
            wrong.push(format!("router {said}, and {meant} is the gateway"));
        }
        (Some(_) | None, _) => {}
    }
    wrong.extend(reply.mtu.and_then(|mtu| too_large(seat, mtu)));
    wrong
}

/// What is wrong with this MTU, if anything is.
fn too_large(seat: Seat, said: u16) -> Option<String> {
    let takes = seat.tap().map(|tap| tap.mtu).filter(|takes| u32::from(said) > *takes)?;
    Some(format!("an MTU of {said}, and the NIC on the host takes {takes}"))
}

/// The option that gives every client an MTU (RFC 2132, 5.1), as it is written, where there is one and no other. One
/// that begins with a tag is for some.
fn mtu_option(server: &Dnsmasq) -> Option<(&str, u16)> {
    let mut said = server.options.iter().filter_map(|option| {
        let (number, value) = option.split_once(',')?;
        let is_mtu = matches!(number.trim(), "26" | "option:mtu");
        Some((option.as_str(), value.trim().parse().ok().filter(|_| is_mtu)?))
    });
    said.next().filter(|_| said.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::dhcp::HeardReply;
    use model::dns::Rcode;
    use model::netns::Socket;
    use model::probe::PING_OCTETS;

    use crate::fixture::{Cloud, codes, healthy, lacks, looked_up, offer, offered, pinged, told_its_version};

    fn found_of(change: impl Fn(&mut HeardReply)) -> Vec<String> {
        let cloud = healthy();
        let mut heard = offer(&cloud, "web1");
        change(&mut heard);
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![heard])]);
        let said = found.findings.iter().map(|f| format!("{} {}: {}", f.code, f.hop, f.cause));
        said.collect()
    }

    #[test]
    fn fires_for_each_option_that_does_not_fit() {
        let foreign = Ipv4Addr::new(10, 0, 9, 9);
        let one = |found: Vec<String>, word: &str| {
            let [said] = found.as_slice() else { panic!("{found:?}") };
            assert!(said.starts_with("dhcp-offer-wrong compute1//br100: ") && said.contains(word), "{said}");
        };
        one(found_of(|heard| heard.reply.routers.clear()), "no router");
        one(found_of(|heard| heard.reply.routers = vec![foreign]), "router 10.0.9.9");
        one(found_of(|heard| heard.reply.address = Some(foreign)), "10.0.2.24 is recorded");
        one(found_of(|heard| heard.reply.prefix_bits = Some(24)), "24 bits");
        one(found_of(|heard| heard.reply.mtu = Some(9000)), "MTU of 9000");
    }

    #[test]
    fn stays_silent_for_what_fits() {
        assert_eq!(found_of(|_| {}), Vec::<String>::new());
        assert_eq!(found_of(|heard| heard.reply.mtu = Some(1400)), Vec::<String>::new());
        let routes = |heard: &mut HeardReply| {
            heard.reply.routers.clear();
            heard.reply.codes.push(121);
        };
        assert_eq!(found_of(routes), Vec::<String>::new());
    }

    #[test]
    fn an_mtu_of_its_options_is_told_unasked() {
        let found = |options: &[&str]| {
            let mut cloud = healthy();
            cloud.dnsmasq("compute1").options = options.iter().map(|option| (*option).to_owned()).collect();
            codes(&cloud.diagnose("web1"))
        };
        for jumbo in ["26,9000", "option:mtu, 9000"] {
            assert_eq!(found(&["3,10.0.0.42", jumbo]), ["dhcp-offer-wrong compute1//br100"], "{jumbo}");
        }
        for other in ["26,1500", "26,1400", "tag:big,26,9000", "26", "27,9000", "26,70000"] {
            assert_eq!(found(&[other]), [""; 0], "{other}");
        }
        assert_eq!(found(&["26,9000", "26,1400"]), [""; 0], "which one is sent is not known");
    }

    /// The network's dnsmasq is told to offer this DNS server.
    fn offering(server: Ipv4Addr) -> Cloud {
        let mut cloud = healthy();
        let dnsmasq = cloud.dnsmasq("compute1");
        (dnsmasq.options, dnsmasq.offered_dns) = (vec![format!("6,{server}")], vec![server]);
        cloud
    }

    #[test]
    fn a_dns_server_that_is_nowhere_is_told_unasked() {
        let nobody = Ipv4Addr::new(10, 0, 255, 254);
        let found = offering(nobody).diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-offer-wrong compute1//br100"]);
        assert!(found.findings[0].cause.contains("10.0.255.254"), "{:?}", found.findings[0]);
        // A router that was read, on which no DNS server runs.
        let mut router = offering(Ipv4Addr::new(203, 0, 113, 1));
        let clock = router.netns("external").sockets[0].clone();
        router.netns("gw").sockets = vec![Socket { port: 123, ..clock }];
        assert_eq!(codes(&router.diagnose("web1")), ["dhcp-offer-wrong compute1//br100"]);
        // What the instance then asks is no fault of its own.
        let mut cloud = offering(nobody);
        let file = "/etc/netns/lab-web1/resolv.conf".to_owned();
        cloud.netns("web1").resolver =
            Some(model::service::ResolvConf { file, servers: vec![nobody.into()], ..Default::default() });
        assert_eq!(codes(&cloud.diagnose("web1")), ["dhcp-offer-wrong compute1//br100"]);
    }

    #[test]
    fn a_dns_server_is_not_nowhere_because_a_router_lacks_a_route() {
        let found = offering(Ipv4Addr::new(172, 16, 0, 53)).diagnose("web1");
        assert!(lacks(&found, "dhcp-offer-wrong"), "{:?}", codes(&found));
    }

    #[test]
    fn the_option_that_is_shown_is_the_one_that_names_the_server() {
        let nobody = Ipv4Addr::new(10, 0, 255, 25);
        let mut cloud = offering(nobody);
        cloud.dnsmasq("compute1").options.insert(0, "42,10.0.255.253".to_owned());
        let found = cloud.diagnose("web1");
        let evidence = &found.findings[0].evidence;
        assert!(evidence.iter().any(|shown| shown.text == "6,10.0.255.25"), "{evidence:?}");
        assert!(evidence.iter().all(|shown| !shown.text.contains("10.0.255.253")), "{evidence:?}");
    }

    #[test]
    fn a_dns_server_is_judged_by_its_answers() {
        let (server, gateway) = (Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::new(10, 0, 0, 42));
        let answers = |rcode: Option<Rcode>| {
            let cloud = offering(server);
            let mut heard = offer(&cloud, "web1");
            heard.reply.dns = vec![server];
            let probes = [
                pinged("web1", PING_OCTETS, 2),
                told_its_version("web1", gateway),
                offered("web1", vec![heard]),
                looked_up("web1", server, rcode),
            ];
            codes(&cloud.diagnose_with("web1", &probes))
        };
        assert_eq!(answers(Some(Rcode::NoError)), [""; 0]);
        assert_eq!(answers(Some(Rcode::NxDomain)), [""; 0]);
        assert_eq!(answers(Some(Rcode::Refused)), ["dhcp-offer-wrong compute1//br100"]);
        assert_eq!(answers(None), ["dhcp-offer-wrong compute1//br100"]);
        assert_eq!(codes(&offering(server).diagnose("web1")), [""; 0], "nobody was asked");
        assert_eq!(codes(&offering(gateway).diagnose("web1")), [""; 0], "it is the network's own");
    }

    #[test]
    fn stays_silent_where_another_server_offers_it() {
        let cloud = healthy();
        let own = offer(&cloud, "web1");
        let mut foreign = own.clone();
        let stranger = Ipv4Addr::new(10, 0, 2, 200);
        (foreign.from, foreign.reply.server) = (stranger, Some(stranger));
        foreign.from_mac = cloud.intent.instances[1].vifs[0].mac.unwrap();
        foreign.reply.routers = vec![stranger];
        let found = codes(&cloud.diagnose_with("web1", &[offered("web1", vec![own, foreign])]));
        assert!(found.len() == 1 && found[0].starts_with("rogue-dhcp "), "{found:?}");
    }
}
