//! # duplicate-ip-foreign
//!
//! A second machine answers for an address that the cloud has given to one.
//!
//! ## What it means
//! An instance's fixed address, its gateway's or its floating one, or its IPv6 address, is taken by a machine that is
//! not meant to have it: a box on the physical network, an instance whose owner typed it in, or a host. Whoever asks
//! for the address follows one of the two answers, so it works, then does not, then works; ssh warns of a changed host
//! key.
//! An IPv6 address that somebody has already is given up by who comes second (`dadfailed`), and works for the other.
//!
//! ## How hopline knows
//! The host asked by ARP who has the address, on the instances' bridge, or of a floating one on the link that carries
//! it, as nobody: so nobody learns anything of the question, and proxy ARP stays silent. Two MACs answered, or one
//! other than the host's own for an address that the host has itself. The bridge tells behind which port the other is.
//! Read passively there is no sign of it.
//!
//! Of IPv6 it asks by neighbour solicitation, from its link-local address on the bridge: for the addresses that the
//! instance has inside, or, where that cannot be read, for those that it makes of its MAC and the bridge's prefixes,
//! which nobody else can be meant to have. An answer counts that overrides others, as that of who answers for somebody
//! else does not. An address that the instance has inside is had twice though only the other one answers.
//!
//! ## What it looks like
//! `arping -D -I br100 10.0.2.24` gets answers from two MACs; `ip neigh show 10.0.2.24` on the host has the wrong one.
//! Of IPv6 `ndisc6 -m fd77::24 br100` and `ip -6 neigh show fd77::24`; `tcpdump -ni br100 icmp6` shows both answers.
//!
//! ## Nearest look-alikes
//! * proxy ARP: a router answers for addresses that it has not got. A machine of the site that answers without having
//!   the address is passed over.
//! * `fixed-ip-led-astray`: the instance's own host has the address.
//! * a machine whose two NICs are on one network answers by both (`arp_ignore` 0).
//! * the instance itself has another MAC than the records say: only one answers then, and nothing is said.
//! * `hairpin-ipv6-dad`: an instance gave up its IPv6 address to its own question, and nobody answers.
//!
//! ## Fix
//! Take the address off the other machine, then `ip neigh flush to ADDRESS` wherever the wrong MAC is known. libvirt's
//! nwfilter `no-arp-spoofing` keeps instances from it.
//!
//! ## References
//! RFC 5227 (address conflict detection); arp(7); net/ipv4/arp.c `arp_process`; RFC 4861, 7.2.8; RFC 4862, 5.4;
//! net/ipv6/ndisc.c `ndisc_recv_ns`.

use std::net::IpAddr;

use model::Mac;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::path::{Direction, Exchange, Place, Stage};
use model::probe::{Holders, Station};
use model::route::Standing;

use crate::catalogue::firewall::float_on_two_hosts;
use crate::catalogue::routing::fixed_ip_led_astray;
use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::meant_holder::{self, Meant};
use crate::restart::typed;
use crate::stations;
use crate::view::View;

/// Looks for addresses that two machines have: one finding for each machine too many.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for holders in view.holders {
        // Two hosts of the cloud that carry a floating address are told by that name.
        if float_on_two_hosts::tells(view, holders.address) {
            continue;
        }
        let Some(meant) = meant_holder::of(view, holders) else { continue };
        let all = all(view, holders, &meant);
        let is_meant = |station: &&Station| meant.macs.contains(&station.mac);
        let is_had = all.iter().any(|station| is_meant(&station));
        let others = all.iter().filter(|station| !is_meant(station));
        let others = others.filter(|station| is_had || meant.cannot_be(station));
        let foreign = others.filter(|station| {
            !answers_for_others(view, holders, station.mac)
                && !is_another_nic(view, &meant, station.mac)
                && !is_hosts_own(view, holders, station.mac)
        });
        for station in foreign {
            let one = duplicate(view, holders, &meant, &all, station);
            // The host and an instance may have asked for the same address.
            let is_known = |known: &Found| {
                (&known.finding.cause, &known.finding.hop) == (&one.finding.cause, &one.finding.hop)
            };
            if !found.iter().any(is_known) {
                found.push(one);
            }
        }
    }
    found
}

/// Everybody who has it: those that answered, the asking host, which does not answer itself, and whoever has it inside.
fn all(view: &View, holders: &Holders, meant: &Meant) -> Vec<Station> {
    let ns = view.snapshot().main_netns(&holders.machine);
    let own = ns.and_then(|ns| ns.link_named(&holders.link)).and_then(|link| link.mac);
    let own = own.filter(|_| holders.is_own).map(|mac| Station { mac, port: None });
    let inside = meant.own.iter().filter(|own| own.inside.is_some());
    let inside = inside.map(|own| Station { mac: own.mac, port: None });
    let mut all: Vec<Station> =
        own.into_iter().chain(holders.stations.iter().cloned()).chain(inside).collect();
    let mut seen = Vec::new();
    all.retain(|station| {
        let is_new = !seen.contains(&station.mac);
        seen.push(station.mac);
        is_new
    });
    all
}

/// A machine of the site that has not got the address: it answers for who has.
fn answers_for_others(view: &View, holders: &Holders, mac: Mac) -> bool {
    stations::machine(view, mac).is_some_and(|(ns, _)| !ns.has_address(holders.address))
}

/// The instance's own host has it: what is wrong then is told of that host.
fn is_hosts_own(view: &View, holders: &Holders, mac: Mac) -> bool {
    let machine = stations::machine(view, mac);
    machine.is_some_and(|(ns, _)| fixed_ip_led_astray::tells(view, ns, holders.address))
}

/// Another NIC of the machine that is meant, on the same segment: Linux answers by each for all of its addresses
/// (`arp_ignore` 0, ip-sysctl.rst).
fn is_another_nic(view: &View, meant: &Meant, mac: Mac) -> bool {
    let is_meant = |name: &String| meant.machines.contains(name);
    stations::machine(view, mac).is_some_and(|(ns, _)| is_meant(&ns.machine))
        || stations::instance(view, mac).is_some_and(|(instance, _)| is_meant(&instance.name))
}

fn duplicate(view: &View, holders: &Holders, meant: &Meant, all: &[Station], foreign: &Station) -> Found {
    let Holders { machine, link, address, .. } = holders;
    let Meant { role, instances, is_known, .. } = meant;
    let mac = foreign.mac;
    let (hop, shown) = place(view, holders, foreign);
    let foreigner = who(view, mac);
    let list: Vec<String> =
        all.iter().map(|Station { mac, .. }| format!("{mac} ({})", who(view, *mac))).collect();
    let answered = list.join(" and ");
    let which = if *is_known { "the foreign one" } else { "one of them" };
    let is_had = all.iter().any(|station| meant.macs.contains(&station.mac));
    let holders_are = if is_had { "two machines have" } else { "a foreign machine alone has" };
    let hurts = if is_had && meant.is_used() {
        "whoever asks for it follows one of two answers"
    } else {
        "an address that somebody has already is given up"
    };
    let (asked, reach) = match address {
        IpAddr::V4(_) => {
            let source = format!("ARP who has {address} on {link} of {machine}");
            let asked = evidence::record(EvidenceKind::Probe, source, format!("{answered} have it"));
            (vec![asked], Reach::Instances)
        }
        IpAddr::V6(_) => (asked_v6(view, holders, meant), Reach::Instances6),
    };
    Fault {
        code: "duplicate-ip-foreign",
        summary: format!("{holders_are} {address}, {role}: {answered}; {which} is at {hop}"),
        cause: format!("{foreigner} ({mac}) has {address}, {role}: {hurts}"),
        hop,
        confidence: if is_had { Confidence::Proven } else { Confidence::Likely },
        evidence: asked.into_iter().chain(shown).collect(),
        owner: "unknown",
        remedy: remedy(view, holders, mac),
        stopped: None,
        mend: Vec::new(),
        instances: instances.clone(),
    }
    .found()
    .breaks(Exchange::Arp, Direction::Both)
    .reaching(reach)
}

/// Who answered the solicitation, and what the insides of instances show.
fn asked_v6(view: &View, holders: &Holders, meant: &Meant) -> Vec<Evidence> {
    let Holders { machine, link, address, stations, .. } = holders;
    let list: Vec<String> =
        stations.iter().map(|one| format!("{} ({})", one.mac, who(view, one.mac))).collect();
    let answered = if list.is_empty() { "nobody".to_owned() } else { list.join(" and ") };
    let command = format!("ndisc6 -m {address} {}", typed(link));
    let source = view.snapshot().main_netns(machine).map(|ns| evidence::within(ns, &command));
    let asked =
        evidence::record(EvidenceKind::Probe, source.unwrap_or(command), format!("{answered} answered"));
    let inside = meant.own.iter().filter_map(|own| own.inside).map(|(ns, nic, carried)| {
        let command = format!("ip -6 address show dev {}", typed(&nic.name));
        let state = if carried.standing == Standing::Duplicate { " dadfailed" } else { "" };
        evidence::state(ns, &command, format!("{}{state}", carried.net))
    });
    [asked].into_iter().chain(inside).collect()
}

/// Where the foreign machine is: by what the bridge knew right after the answers, or by what was read before.
fn place(view: &View, holders: &Holders, foreign: &Station) -> (Place, Option<Evidence>) {
    let Holders { machine, link, .. } = holders;
    let unread = || Place {
        host: machine.clone(),
        netns: String::new(),
        device: link.clone(),
        stage: Stage::Neighbour,
    };
    let Some(ns) = view.snapshot().main_netns(machine) else { return (unread(), None) };
    let is_known = stations::instance(view, foreign.mac).is_some();
    if let Some(port) = foreign.port.as_ref().filter(|_| !is_known) {
        let (hop, shown) = stations::behind(ns, foreign.mac, port);
        return (hop, Some(shown));
    }
    let is_bridge = ns.bridges().any(|bridge| bridge.name == *link);
    if !is_bridge || holders.is_own && ns.link_named(link).is_some_and(|own| own.mac == Some(foreign.mac)) {
        return (at(ns, link, Stage::Neighbour), None);
    }
    let found = stations::whereabouts(view, foreign.mac, &[(ns, link)]);
    found.map_or_else(|| (unread(), None), |(hop, shown)| (hop, Some(shown)))
}

/// Whose a MAC is.
fn who(view: &View, mac: Mac) -> String {
    let instance = stations::instance(view, mac).map(|(instance, _)| instance.name.clone());
    let machine =
        || stations::machine(view, mac).map(|(ns, link)| format!("{} of {}", link.name, ns.machine));
    instance.or_else(machine).unwrap_or_else(|| "a machine that this site does not know".to_owned())
}

fn remedy(view: &View, holders: &Holders, mac: Mac) -> Vec<Remedy> {
    let Holders { machine, link, address, .. } = holders;
    let carried = stations::machine(view, mac).and_then(|(ns, _)| {
        let carried = ns.addresses.iter().find(|carried| carried.net.addr() == *address)?;
        Some((ns, carried.net, ns.link_name(carried.link)))
    });
    let off = match carried {
        Some((ns, net, device)) => {
            let undo = format!("ip address add {net} dev {device}");
            evidence::remedy(ns, &format!("ip address del {net} dev {device}"), &undo, "")
        }
        None => evidence::advice(
            format!("take {address} off the machine with the MAC {mac}, or that machine off the network"),
            "nothing on the hosts is wrong",
        ),
    };
    let ns = view.snapshot().main_netns(machine);
    let forget = ns.map(|ns| {
        let ip = if address.is_ipv6() { "ip -6" } else { "ip" };
        let command = format!("{ip} neigh flush to {address} dev {link}");
        evidence::remedy(ns, &command, "", "wherever the wrong MAC is known, when the address is off")
    });
    [off].into_iter().chain(forget).collect()
}

#[cfg(test)]
mod tests {
    use model::Mac;
    use model::finding::{Confidence, Outcome};
    use model::probe::{Holders, PING_OCTETS, Station};
    use model::route::{Address, Standing};

    use crate::fixture::{
        Cloud, Hosting, Manager, broken, codes, healthy, held, looked_up, nova_cloud, pinged,
    };

    const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 0x99]);

    /// What is found in a healthy cloud where these are heard of.
    fn found(mut cloud: Cloud, holders: Holders) -> Vec<String> {
        cloud.holders = vec![holders];
        codes(&cloud.diagnose("web1"))
    }

    fn mac(cloud: &Cloud, instance: usize) -> Mac {
        cloud.intent.instances[instance].vifs[0].mac.unwrap()
    }

    #[test]
    fn fires_where_a_stranger_answers_too_and_says_behind_which_port() {
        let cloud = broken("duplicate-ip-foreign");
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["duplicate-ip-foreign compute1//eth1"]);
        let finding = &diagnosis.findings[0];
        let said = "fa:16:3e:00:02:24 (web1) and 02:00:00:00:00:99 (a machine that this site does not know)";
        assert!(finding.summary.contains(said), "{}", finding.summary);
        assert_eq!(finding.instances, ["web1"]);
        assert_eq!(
            finding.remedy[1].command,
            "ip netns exec lab-compute1 ip neigh flush to 10.0.2.24 dev br100"
        );
    }

    #[test]
    fn an_instance_that_took_the_address_is_named_with_what_takes_it_off() {
        let mut cloud = healthy();
        let (web1, web2) = (mac(&cloud, 0), mac(&cloud, 1));
        let inside = cloud.netns("web2");
        let mut taken =
            inside.addresses.iter().find(|a| a.net.addr().to_string() == "10.0.2.25").unwrap().clone();
        taken.net = "10.0.2.24/16".parse().unwrap();
        inside.addresses.push(taken);
        cloud.holders = vec![held("br100", "10.0.2.24", &[web1, web2], false)];
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["duplicate-ip-foreign web2//eth0"]);
        let remedy = &diagnosis.findings[0].remedy[0];
        assert!(remedy.command.ends_with("ip address del 10.0.2.24/16 dev eth0"), "{remedy:?}");
        // One that cannot be entered is told by its NIC's MAC.
        cloud.close("web2");
        assert_eq!(codes(&cloud.diagnose("web1")), ["duplicate-ip-foreign compute1//vnet1"]);
    }

    #[test]
    fn the_gateways_and_the_floating_address_are_hosts_own() {
        let gateway = held("br100", "10.0.0.42", &[STRANGER], true);
        assert_eq!(found(healthy(), gateway), ["duplicate-ip-foreign compute1//br100"]);
        let floating = held("eth0", "203.0.113.30", &[STRANGER], true);
        assert_eq!(found(healthy(), floating), ["duplicate-ip-foreign compute1//eth0"]);
        // Asked as the instance, the host answers as well.
        let cloud = healthy();
        let bridge = cloud.snapshot.main_netns("compute1").unwrap().link_named("br100").unwrap().mac.unwrap();
        let gateway = held("br100", "10.0.0.42", &[STRANGER, bridge], false);
        assert_eq!(found(cloud, gateway), ["duplicate-ip-foreign compute1//br100"]);
    }

    #[test]
    fn the_host_itself_may_be_the_foreigner() {
        let mut cloud = healthy();
        let web1 = mac(&cloud, 0);
        let host = cloud.netns("compute1");
        let mut taken =
            host.addresses.iter().find(|a| a.net.addr().to_string() == "10.0.0.42").unwrap().clone();
        taken.net = "10.0.2.24/32".parse().unwrap();
        host.addresses.push(taken);
        let codes = found(cloud, held("br100", "10.0.2.24", &[web1], true));
        assert!(codes.contains(&"duplicate-ip-foreign compute1//br100".to_owned()), "{codes:?}");
    }

    #[test]
    fn stays_silent_where_one_answers_or_one_answers_for_others() {
        let cloud = healthy();
        let (web1, web2) = (mac(&cloud, 0), mac(&cloud, 1));
        let gw = cloud.snapshot.main_netns("gw").unwrap().link_named("eth0").unwrap().mac.unwrap();
        for (link, address, macs, is_own) in [
            ("br100", "10.0.2.24", vec![web1], false),
            ("br100", "10.0.2.24", vec![], false),
            // The same machine twice, and only another.
            ("br100", "10.0.2.24", vec![web1, web1], false),
            ("br100", "10.0.2.24", vec![STRANGER], false),
            // web2 has not got it, nor has the router: proxy ARP.
            ("br100", "10.0.2.24", vec![web1, web2], false),
            ("eth0", "203.0.113.30", vec![gw], true),
            // Of nobody's address nobody misses anything.
            ("br100", "10.0.7.7", vec![web1, STRANGER], false),
            // The host's own alone.
            ("br100", "10.0.0.42", vec![], true),
        ] {
            let mut cloud = healthy();
            cloud.holders = vec![held(link, address, &macs, is_own)];
            let diagnosis = cloud.diagnose("web1");
            assert_eq!(
                (codes(&diagnosis), diagnosis.outcome),
                (Vec::new(), Outcome::Healthy),
                "{address} {macs:?}"
            );
        }
    }

    #[test]
    fn a_gateway_that_all_hosts_share_is_no_hosts_alone() {
        let mut cloud = nova_cloud(Manager::FlatDhcp, Hosting::Shared);
        let gateway = cloud.intent.networks[0].gateway.unwrap();
        let carries = |ns: &&model::Netns| !ns.instance && ns.has_address(gateway.into());
        let carriers = cloud.snapshot.netns.iter().filter(carries);
        let macs: Vec<Mac> = carriers
            .flat_map(|ns| ns.addresses.iter().map(move |carried| (ns, carried)))
            .filter(|(_, carried)| carried.net.addr() == std::net::IpAddr::V4(gateway))
            .filter_map(|(ns, carried)| ns.link(carried.link)?.mac)
            .collect();
        assert!(macs.len() > 1, "{macs:?}");
        let bridge = cloud.intent.networks[0].bridge.clone().unwrap();
        cloud.holders = vec![held(&bridge, &gateway.to_string(), &macs, false)];
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
        let with_stranger = [&macs[..], &[STRANGER]].concat();
        cloud.holders = vec![held(&bridge, &gateway.to_string(), &with_stranger, false)];
        assert_eq!(codes(&cloud.diagnose("web1")).len(), 1);
    }

    #[test]
    fn stays_silent_on_a_machine_that_answers_by_two_nics() {
        let mut cloud = broken("duplicate-ip-foreign");
        assert_eq!(codes(&cloud.diagnose("web1")), ["duplicate-ip-foreign compute1//eth1"]);
        let mut second = cloud.link("web1", "eth0").clone();
        (second.index, second.name, second.mac) = (99, "eth1".to_owned(), Some(STRANGER));
        cloud.netns("web1").links.push(second);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn what_is_lost_meanwhile_is_no_second_fault() {
        let cloud = broken("duplicate-ip-foreign");
        for lost in [pinged("web1", PING_OCTETS, 0), looked_up("web1", [10, 0, 0, 42].into(), None)] {
            let found = codes(&cloud.diagnose_with("web1", &[lost]));
            assert_eq!(found, ["duplicate-ip-foreign compute1//eth1"]);
        }
        // What another instance loses has another reason.
        let found = codes(&cloud.diagnose_with("web2", &[pinged("web2", PING_OCTETS, 0)]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    /// `ip address add NET dev DEVICE` in IPv6.
    fn add(cloud: &mut Cloud, machine: &str, device: &str, net: &str) {
        let index = cloud.link(machine, device).index;
        cloud.netns(machine).addresses.push(Address::global(index, net.parse().unwrap()));
    }

    /// A healthy cloud whose web1 has an IPv6 address inside, and where these answered for it.
    fn over_ipv6(macs: &[Mac]) -> Cloud {
        let mut cloud = healthy();
        add(&mut cloud, "web1", "eth0", "fd77::24/64");
        cloud.holders = vec![held("br100", "fd77::24", macs, false)];
        cloud
    }

    #[test]
    fn an_ipv6_address_is_had_twice_though_only_the_stranger_answers() {
        let web1 = mac(&healthy(), 0);
        for macs in [&[web1, STRANGER][..], &[STRANGER]] {
            let mut cloud = over_ipv6(macs);
            let port = Some("eth1".to_owned());
            cloud.holders[0].stations.last_mut().unwrap().port = port;
            let diagnosis = cloud.diagnose("web1");
            assert_eq!(codes(&diagnosis), ["duplicate-ip-foreign compute1//eth1"], "{macs:?}");
            let finding = &diagnosis.findings[0];
            assert!(finding.summary.starts_with("two machines have fd77::24, an address of web1: "));
            assert!(finding.evidence[0].source.ends_with("ndisc6 -m fd77::24 br100"), "{finding:?}");
            assert_eq!(finding.evidence[1].text, "fd77::24/64");
            assert!(finding.remedy[1].command.ends_with("ip -6 neigh flush to fd77::24 dev br100"));
            // What web1 loses over IPv4 is another's fault.
            let with = cloud.diagnose_with("web1", &[pinged("web1", PING_OCTETS, 0)]);
            assert_eq!(codes(&with).len(), 2, "{:?}", codes(&with));
        }
    }

    #[test]
    fn an_ipv6_address_that_was_given_up_is_a_strangers_only_where_one_answers() {
        let given_up = |macs: &[Mac]| {
            let mut cloud = over_ipv6(macs);
            cloud.netns("web1").addresses.last_mut().unwrap().standing = Standing::Duplicate;
            cloud.diagnose("web1")
        };
        let taken = given_up(&[STRANGER]);
        assert_eq!(codes(&taken), ["duplicate-ip-foreign compute1//br100"]);
        let finding = &taken.findings[0];
        assert!(finding.cause.ends_with("is given up"), "{}", finding.cause);
        assert_eq!(finding.evidence[1].text, "fd77::24/64 dadfailed");
        assert_eq!(codes(&given_up(&[])), ["hairpin-ipv6-dad compute1//vnet0"]);
    }

    #[test]
    fn an_address_that_an_instance_makes_of_its_mac_is_nobody_elses() {
        let made = "fd77::f816:3eff:fe00:224";
        let with = |macs: &[Mac], port: Option<&str>| {
            let mut cloud = healthy();
            add(&mut cloud, "compute1", "br100", "fd77::1/64");
            cloud.close("web1");
            cloud.holders = vec![held("br100", made, macs, false)];
            cloud.holders[0].stations.iter_mut().for_each(|one| one.port = port.map(str::to_owned));
            cloud.diagnose("web1").findings
        };
        let web1 = mac(&healthy(), 0);
        let both = with(&[web1, STRANGER], None);
        assert_eq!((both.len(), both[0].confidence), (1, Confidence::Proven));
        // Alone it may be web1 itself by another MAC, but not where it is behind another port.
        assert!(with(&[STRANGER], None).is_empty() && with(&[STRANGER], Some("vnet0")).is_empty());
        let alone = with(&[STRANGER], Some("eth1"));
        assert_eq!((alone.len(), alone[0].confidence), (1, Confidence::Likely));
        assert!(with(&[web1], None).is_empty() && with(&[], None).is_empty());
    }

    #[test]
    fn of_two_instances_that_chose_one_ipv6_address_none_is_called_foreign() {
        let (web1, web2) = (mac(&healthy(), 0), mac(&healthy(), 1));
        let mut cloud = over_ipv6(&[web1, web2]);
        add(&mut cloud, "web2", "eth0", "fd77::24/64");
        let findings = cloud.diagnose("web1").findings;
        assert_eq!(
            (findings.len(), &findings[0].instances[..]),
            (1, &["web1", "web2"].map(str::to_owned)[..])
        );
        assert!(findings[0].summary.contains("; one of them is at web2//eth0"), "{}", findings[0].summary);
        // Its own second address, and a machine of the site that answers for another, are nothing.
        let mut second = over_ipv6(&[web1]);
        add(&mut second, "web1", "eth0", "fd77::25/64");
        second.holders.push(held("br100", "fd77::25", &[web1], false));
        assert!(second.diagnose("web1").findings.is_empty());
        assert!(over_ipv6(&[web1, web2]).diagnose("web1").findings.is_empty());
    }

    #[test]
    fn asked_for_twice_it_is_told_once() {
        let mut cloud = broken("duplicate-ip-foreign");
        cloud.holders.push(cloud.holders[0].clone());
        assert_eq!(codes(&cloud.diagnose("web1")).len(), 1);
        assert_eq!(cloud.holders[0].stations[1], Station { mac: STRANGER, port: Some("eth1".to_owned()) });
    }
}
