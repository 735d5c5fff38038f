//! Where a question who has an address, or its answer, is told to be lost, and where nothing is.

use std::net::IpAddr;

use model::Diagnosis;
use model::path::{Direction, Exchange, Observed};
use model::probe::{DeviceWatch, NeighbourSeen, PING_OCTETS};

use crate::fixture::{Cloud, codes, healthy, held, lacks, pinged};
use crate::neighbours::asked_in;

const WEB1: &str = "10.0.2.24";
const GATEWAY: &str = "10.0.0.42";

/// So many questions and answers at a device of a machine's.
fn at(
    machine: &str,
    device: &str,
    (asker, asked): (&str, &str),
    (questions, answers): (u32, u32),
) -> DeviceWatch {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let seen = NeighbourSeen { asker: ip(asker), asked: ip(asked), questions, answers };
    DeviceWatch {
        machine: machine.to_owned(),
        netns: String::new(),
        device: device.to_owned(),
        probes: Vec::new(),
        clients: Vec::new(),
        neighbours: vec![seen],
        is_recorded: false,
    }
}

/// web1 cannot be entered, its host asks in its stead, and gets no answer to a ping.
fn silent(watches: &[DeviceWatch]) -> (Cloud, Diagnosis) {
    let mut cloud = healthy();
    cloud.close("web1");
    let mut ping = pinged("web1", PING_OCTETS, 0);
    ping.by_host = true;
    let found = cloud.diagnose_watched("web1", &[ping], watches);
    (cloud, found)
}

fn of_arp(found: &Diagnosis, direction: Direction) -> Vec<(String, Observed)> {
    let mut paths = found.paths.iter();
    let path = paths.find(|path| path.exchange == Exchange::Arp && path.direction == direction);
    let hops = path.into_iter().flat_map(|path| &path.hops);
    hops.map(|hop| (hop.at.device.clone(), hop.observed)).collect()
}

#[test]
fn a_question_that_nobody_hears_is_lost_where_it_was_not_seen_any_more() {
    let ends = (WEB1, GATEWAY);
    let (_, found) = silent(&[at("compute1", "vnet0", ends, (3, 0)), at("compute1", "br100", ends, (0, 0))]);
    assert_eq!(codes(&found), ["lost-at-hop compute1//br100"]);
    let finding = &found.findings[0];
    assert_eq!((finding.exchange, finding.direction), (Exchange::Arp, Direction::Request), "{finding:#?}");
    let told = "web1 asks who has 10.0.0.42: 3 questions were seen here, and 0 answers";
    assert!(finding.evidence.iter().any(|line| line.text == told), "{finding:#?}");
    let there = of_arp(&found, Direction::Request);
    assert_eq!(there.first(), Some(&("vnet0".to_owned(), Observed::Seen)), "{there:?}");
    assert_eq!(there.last(), Some(&("br100".to_owned(), Observed::NotSeen)), "{there:?}");
}

#[test]
fn an_answer_that_does_not_come_to_the_instances_nic_is_lost_there() {
    let ends = (WEB1, GATEWAY);
    let (_, found) = silent(&[at("compute1", "vnet0", ends, (3, 0)), at("compute1", "br100", ends, (3, 3))]);
    assert_eq!(codes(&found), ["lost-at-hop compute1//vnet0"]);
    assert_eq!(found.findings[0].direction, Direction::Reply, "{:#?}", found.findings);
}

#[test]
fn what_was_answered_or_asked_by_others_or_for_others_loses_nothing() {
    for (ends, counts) in [
        ((WEB1, GATEWAY), (3, 3)),
        (("10.0.2.25", GATEWAY), (3, 0)),
        ((WEB1, "10.0.2.25"), (3, 0)),
        (("0.0.0.0", GATEWAY), (3, 0)),
    ] {
        let (_, found) =
            silent(&[at("compute1", "vnet0", ends, counts), at("compute1", "br100", ends, counts)]);
        let of_arp = found.findings.iter().filter(|finding| finding.exchange == Exchange::Arp);
        assert_eq!(of_arp.count(), 0, "{ends:?}: {:#?}", found.findings);
    }
}

#[test]
fn what_nobody_asked_has_no_way() {
    let cloud = healthy();
    let found = cloud.diagnose_watched("web1", &[], &[at("compute1", "vnet0", (WEB1, "10.0.2.25"), (1, 1))]);
    assert!(of_arp(&found, Direction::Request).is_empty() && lacks(&found, "lost-at-hop"));
}

#[test]
fn the_hosts_ask_as_nobody_too() {
    let mut cloud = healthy();
    let ends = ("0.0.0.0", WEB1);
    let watches = [at("compute1", "br100", ends, (1, 1)), at("compute1", "vnet0", ends, (1, 1))];
    assert!(of_arp(&cloud.diagnose_watched("web1", &[], &watches), Direction::Request).is_empty());
    cloud.holders = vec![held("br100", WEB1, &[], false)];
    let there = of_arp(&cloud.diagnose_watched("web1", &[], &watches), Direction::Request);
    let watched: Vec<_> = there.iter().filter(|(device, _)| device != "eth0").collect();
    assert!(watched.len() > 1 && watched.iter().all(|(_, mark)| *mark == Observed::Seen), "{there:?}");
}

#[test]
fn printed_questions_and_answers_tell_whom_they_are_for() {
    for (packet, expected) in [
        ("ARP who has 10.0.0.1 tell 10.0.0.2", Some("10.0.0.1")),
        ("ARP 10.0.0.1 is at fa:16:3e:00:00:01", Some("10.0.0.1")),
        ("fe80::1 > ff02::1:ff00:24 neighbour solicitation who has fd77::24", Some("fd77::24")),
        ("fd77::24 > fe80::1 neighbour advertisement fd77::24 is at fa:16:3e:00:00:01", Some("fd77::24")),
        ("10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64", None),
    ] {
        assert_eq!(asked_in(packet), expected.map(|text| text.parse().unwrap()), "{packet}");
    }
}
