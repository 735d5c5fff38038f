//! # dhcp-offer-wrong
//!
//! The network's own DHCP server offers what the instance cannot use.
//!
//! ## What it means
//! The instance gets an address and yet no network, or refuses the OFFER: the address is not the one that is recorded
//! for it, the mask or the gateway does not fit the network or is not told at all, the MTU is more than the way takes,
//! no DNS server is named or one that does not answer, or the message itself cannot be read.
//!
//! ## How hopline knows
//! A DISCOVER in the instance's name, which takes no lease, was answered by the network's server, and the OFFER was
//! compared with the database and with the NIC on the host. A gateway is missed only on the instance's first network,
//! only where the network has one, and not where classless routes (option 121) stand in its place. Another gateway
//! is wrong where nova's file of options names it; an operator's own argument or file may mean a hardware
//! gateway. A DNS server (option 6) is missed where dnsmasq answers questions about names, and would name itself if it
//! were not told otherwise. One other than the network's dnsmasq is judged by its
//! answers: it was asked as the instance, and it is silent or refuses while dnsmasq is there; or by the walk to it.
//! Where no offer was heard, dnsmasq's own options and its line for the instance are compared instead, as far as they
//! are for everybody.
//!
//! ## What it looks like
//! `ip route` in the instance shows no default route, or one that leads nowhere; its resolv.conf is empty; large
//! packets vanish; its console says that it was sent no lease though dnsmasq's log has the OFFER.
//!
//! ## Nearest look-alikes
//! * `rogue-dhcp`: another server has made the offer.
//! * `dnsmasq-hosts-not-reloaded`: the hosts file has the right address, and dnsmasq has not read it.
//! * `guest-resolv-conf-wrong`: one instance alone asks a server that does not answer.
//! * `guest-nic-down`: the offer is right and the instance has not taken it.
//!
//! ## Fix
//! Correct the line that is named: of the files of options and of hosts, then signal dnsmasq (`kill -HUP`), which
//! disturbs nobody; of its configuration (nova.conf `dnsmasq_config_file`) or its arguments, then start that dnsmasq
//! anew. nova-network's restart writes its files again. The instance asks again at half of its lease. Undo: the old
//! line, and the same again.
//!
//! ## References
//! RFC 2132; RFC 3442; dnsmasq(8) `--dhcp-option`; nova.conf `dnsmasq_config_file`, `network_device_mtu`.

use model::dhcp::{HeardReply, UnreadableReply};
use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::dhcp_hosts;
use crate::dhcp_offer::{self, By, Misfit};
use crate::dhcp_put_right;
use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::offered_dns;
use crate::said;
use crate::view::{Seat, View};

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
    let server = dhcp_server::of(&seat);
    // Where two processes answer by one address, what does not fit is the other one's, which has a name of its own.
    let is_alone = dhcp_server::beside(&seat).is_empty();
    let is_judged =
        |heard: &&HeardReply| is_alone || heard.reply.address.is_some_and(|ip| seat.vif.fixed.contains(&ip));
    let heard = dhcp_hosts::own_offers(view, &seat).into_iter().find(is_judged);
    let unreadable = said::unreadable(view.probes, name).find(|reply| reply.from == gateway);
    // What was heard, and what is written, is of the facts as they were read: told once, in the first round.
    let (mut wrong, offer) = match (heard, unreadable) {
        _ if !view.is_as_read => (Vec::new(), None),
        (Some(heard), _) => (dhcp_offer::heard(view, &seat, server, heard), Some(said::offer(heard))),
        (None, Some(UnreadableReply { from, why, .. })) => {
            let offer = format!("{from} sends what no client can read: {why}");
            (vec![Misfit { said: why.clone(), by: By::Other }], Some(offer))
        }
        (None, None) => {
            (server.map(|server| dhcp_offer::configured(view, &seat, server)).unwrap_or_default(), None)
        }
    };
    let mute = offered_dns::mute(view, &seat, heard);
    wrong.extend(mute.iter().map(|own| dhcp_offer::mute(server, own.address, own.said.clone())));
    if wrong.is_empty() {
        return None;
    }
    let bridge = seat.bridge_name()?;
    let said: Vec<&str> = wrong.iter().map(|misfit| misfit.said.as_str()).collect();
    let written = server.into_iter().flat_map(|server| wrong.iter().flat_map(|w| w.evidence(&seat, server)));
    let started = server.map(|server| evidence::state(seat.server_ns, "ps aux", server.argv.join(" ")));
    let probe = || format!("DHCPDISCOVER as {name}");
    let offer = offer.map(|offer| evidence::record(EvidenceKind::Probe, probe(), offer));
    let fault = Fault {
        code: "dhcp-offer-wrong",
        hop: at(seat.server_ns, bridge, Stage::Service),
        summary: format!("what DHCP offers {name} does not fit: {}", said.join("; ")),
        cause: format!("the dnsmasq at {gateway} offers {}", said.join(" and ")),
        confidence: Confidence::Proven,
        evidence: offer
            .into_iter()
            .chain(written)
            .chain(mute.iter().map(|server| server.evidence.clone()))
            .chain(started)
            .collect(),
        owner: "nova-network",
        remedy: dhcp_put_right::remedies(view, seat, server, &wrong),
        stopped: view.stop_of(seat.instance, |s| {
            s.rung.purpose == Purpose::Dhcp || mute.iter().any(|server| std::ptr::eq(server.rung, s.rung))
        }),
        mend: server.map(|server| offered_dns::without(view, &seat, server, &mute)).unwrap_or_default(),
        instances: vec![name.clone()],
    };
    Some(dhcp_refused::breaks_dhcp(fault.found()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::dhcp::HeardReply;
    use model::dns::Rcode;
    use model::finding::{Evidence, Finding};
    use model::netns::Socket;
    use model::probe::PING_OCTETS;
    use model::service::{Dnsmasq, FileLine};

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
        one(found_of(|heard| heard.reply.dns.clear()), "no DNS server");
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

    /// The finding of web1 where its network's server says this; its files and arguments as they are made here.
    fn told(files: impl Fn(&mut Dnsmasq), said: impl Fn(&mut HeardReply)) -> Vec<Finding> {
        let mut cloud = healthy();
        files(cloud.dnsmasq("compute1"));
        let mut heard = offer(&cloud, "web1");
        said(&mut heard);
        cloud.diagnose_with("web1", &[offered("web1", vec![heard])]).findings
    }

    fn only(found: Vec<Finding>) -> Finding {
        let [finding] = <[Finding; 1]>::try_from(found).unwrap_or_else(|found| panic!("{found:#?}"));
        assert_eq!(finding.code, "dhcp-offer-wrong");
        finding
    }

    fn shows(finding: &Finding, source: &str, text: &str) {
        let is_it = |e: &Evidence| e.source.ends_with(source) && e.text == text;
        assert!(finding.evidence.iter().any(is_it), "{:#?}", finding.evidence);
    }

    /// This option in nova's file, in a file of the operator's, or among the arguments.
    fn at(place: &'static str, option: &'static str) -> impl Fn(&mut Dnsmasq) {
        move |server| {
            server.options = vec![option.to_owned()];
            let file = |file: &str| vec![FileLine { file: file.to_owned(), line: 1 }];
            match place {
                "opts" => {
                    (server.opts_file, server.option_lines) = (Some("/n/opts".to_owned()), file("/n/opts"));
                }
                "conf" => {
                    (server.conf_file, server.option_lines) = (Some("/n/conf".to_owned()), file("/n/conf"));
                }
                _ => server.argv.push(format!("--dhcp-option={option}")),
            }
        }
    }

    #[test]
    fn a_line_of_novas_options_is_put_right_and_read_again() {
        let other = Ipv4Addr::new(10, 0, 0, 99);
        let finding = only(told(at("opts", "3,10.0.0.99"), |heard| heard.reply.routers = vec![other]));
        shows(&finding, "/n/opts:1", "3,10.0.0.99");
        let [right, wide] = finding.remedy.as_slice() else { panic!("{finding:#?}") };
        assert!(
            right.command.starts_with(r"sed -i '1s/3,10\.0\.0\.99/3,10.0.0.42/' /n/opts && kill -HUP "),
            "{right:?}"
        );
        assert!(
            right.undo.starts_with(r"sed -i '1s/3,10\.0\.0\.42/3,10.0.0.99/' /n/opts && kill -HUP "),
            "{right:?}"
        );
        assert_eq!(wide.command, "systemctl restart nova-network");
        let finding = only(told(at("opts", "3"), |heard| heard.reply.routers.clear()));
        shows(&finding, "/n/opts:1", "3");
        assert!(finding.remedy[0].command.starts_with("sed -i 1s/3/3,10.0.0.42/ /n/opts && kill -HUP "));
        // What nova does not write is taken out.
        let finding = only(told(at("opts", "26,9000"), |heard| heard.reply.mtu = Some(9000)));
        assert!(finding.remedy[0].command.starts_with("sed -i '1s/26,9000/#26,9000/' /n/opts && kill -HUP "));
        // The file is right, and only not read yet.
        let finding = only(told(at("opts", "3,10.0.0.42"), |heard| heard.reply.routers.clear()));
        shows(&finding, "/n/opts:1", "3,10.0.0.42");
        assert!(finding.remedy[0].command.starts_with("kill -HUP "), "{:?}", finding.remedy);
    }

    #[test]
    fn what_is_no_file_of_novas_is_told_as_what_it_is() {
        let finding = only(told(at("argument", "6"), |heard| heard.reply.dns.clear()));
        assert!(finding.summary.contains("no DNS server"), "{}", finding.summary);
        assert!(finding.evidence.iter().any(|e| e.source.contains("ps -ww") && e.text == "--dhcp-option=6"));
        let [narrow, _] = finding.remedy.as_slice() else { panic!("{finding:#?}") };
        assert!(narrow.command.starts_with("kill -TERM "), "{narrow:?}");
        assert!(narrow.note.contains("--dhcp-option=6"), "{narrow:?}");
        let finding = only(told(at("conf", "3"), |heard| heard.reply.routers.clear()));
        shows(&finding, "/n/conf:1", "3");
        let [line, narrow, _] = finding.remedy.as_slice() else { panic!("{finding:#?}") };
        assert_eq!(line.command, "sed -i 1s/3/3,10.0.0.42/ /n/conf");
        assert!(narrow.command.starts_with("kill -TERM "), "{narrow:?}");
    }

    #[test]
    fn an_operators_router_is_meant_and_a_network_without_names_or_gateway_is_not_missed() {
        let other = Ipv4Addr::new(10, 0, 0, 99);
        let silent = |found: Vec<Finding>| assert_eq!(found, Vec::new());
        silent(told(at("argument", "3,10.0.0.99"), |heard| heard.reply.routers = vec![other]));
        silent(told(at("conf", "3,10.0.0.99"), |heard| heard.reply.routers = vec![other]));
        // Its DNS is off: nothing listens there.
        let mut cloud = healthy();
        cloud.netns("compute1").sockets.retain(|socket| socket.port != 53);
        let mut heard = offer(&cloud, "web1");
        heard.reply.dns.clear();
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![heard])]);
        assert!(lacks(&found, "dhcp-offer-wrong"), "{:?}", codes(&found));
        // nova writes `3` alone for a network that has none.
        let mut cloud = healthy();
        at("opts", "3")(cloud.dnsmasq("compute1"));
        let mut heard = offer(&cloud, "web1");
        heard.reply.routers.clear();
        let network = &mut cloud.intent.networks[0];
        (network.multi_host, network.gateway) = (false, None);
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![heard])]);
        assert!(lacks(&found, "dhcp-offer-wrong"), "{:?}", codes(&found));
    }

    #[test]
    fn a_line_of_the_hosts_file_with_another_address_is_put_right() {
        let other = Ipv4Addr::new(10, 0, 2, 77);
        let line = |server: &mut Dnsmasq| {
            server.hosts_file = Some("/n/conf".to_owned());
            server.hosts.iter_mut().flatten().for_each(|line| {
                line.ip = line.ip.map(|ip| if ip == Ipv4Addr::new(10, 0, 2, 24) { other } else { ip });
            });
        };
        let finding = only(told(line, |heard| heard.reply.address = Some(other)));
        assert!(finding.cause.contains("address 10.0.2.77, and 10.0.2.24 is recorded"), "{}", finding.cause);
        let shown = finding.evidence.iter().find(|e| e.source == "/n/conf:1");
        assert!(shown.is_some_and(|e| e.text.ends_with(" has 10.0.2.77")), "{:#?}", finding.evidence);
        let command = &finding.remedy[0].command;
        assert!(
            command.starts_with(r"sed -i '1s/10\.0\.2\.77/10.0.2.24/' /n/conf && kill -HUP "),
            "{command}"
        );
        // The same unasked.
        let mut cloud = healthy();
        line(cloud.dnsmasq("compute1"));
        assert_eq!(codes(&cloud.diagnose("web1")), ["dhcp-offer-wrong compute1//br100"]);
    }

    #[test]
    fn options_that_name_no_value_are_told_unasked() {
        let found = |place, option| {
            let mut cloud = healthy();
            at(place, option)(cloud.dnsmasq("compute1"));
            codes(&cloud.diagnose("web1"))
        };
        for (place, option) in
            [("opts", "3"), ("argument", "6"), ("opts", "3,10.0.0.99"), ("conf", "option:router")]
        {
            assert_eq!(found(place, option), ["dhcp-offer-wrong compute1//br100"], "{place} {option}");
        }
        for (place, option) in
            [("opts", "3,10.0.0.42"), ("opts", "NW-7,3"), ("argument", "3,10.0.0.99"), ("conf", "66")]
        {
            assert_eq!(found(place, option), [""; 0], "{place} {option}");
        }
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
    fn two_options_that_do_not_fit_are_one_finding() {
        let nobody = Ipv4Addr::new(10, 0, 255, 254);
        let mut cloud = offering(nobody);
        cloud.dnsmasq("compute1").options.push("26,9000".to_owned());
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-offer-wrong compute1//br100"]);
        let cause = &found.findings[0].cause;
        assert!(cause.contains("MTU of 9000") && cause.contains("10.0.255.254"), "{cause}");
        let mut heard = offer(&cloud, "web1");
        (heard.reply.mtu, heard.reply.dns) = (Some(9000), vec![nobody]);
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![heard])]);
        assert_eq!(codes(&found), ["dhcp-offer-wrong compute1//br100"]);
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
