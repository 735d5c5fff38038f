//! What devices show of a question's packets, and where they part.

use model::finding::{Confidence, EvidenceKind};
use model::path::{Direction, Exchange, Observed};
use model::probe::{Asked, DeviceWatch, PING_OCTETS, ProbeResult, ProbeSeen, Recorded};

use crate::fixture::{broken, codes, healthy};

fn ping(received: u32) -> ProbeResult {
    ProbeResult {
        from: "web1".to_owned(),
        by_host: false,
        to: "1.2.3.4".parse().unwrap(),
        asked: Asked::Echo { octets: PING_OCTETS },
        sent: 2,
        received,
        reply_ttl: None,
        rtt_us: None,
        errors: Vec::new(),
        send_error: None,
        recorded: None,
    }
}

fn at(machine: &str, device: &str, requests: u32, replies: u32) -> DeviceWatch {
    let (from, to) = ("web1".to_owned(), "1.2.3.4".parse().unwrap());
    let (exchange, octets) = (Exchange::Icmp, Some(PING_OCTETS));
    let (port, frames, recorded) = (None, Vec::new(), None);
    let seen = ProbeSeen { from, to, exchange, octets, port, requests, replies, frames, recorded };
    let probes = if requests + replies > 0 { vec![seen] } else { Vec::new() };
    DeviceWatch {
        machine: machine.to_owned(),
        netns: String::new(),
        device: device.to_owned(),
        probes,
        clients: Vec::new(),
        neighbours: Vec::new(),
        is_recorded: false,
    }
}

#[test]
fn a_ping_that_does_not_come_to_the_next_device_is_lost_there() {
    let watches = [at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 0, 0), at("gw", "eth0", 0, 0)];
    let found = healthy().diagnose_watched("web1", &[ping(0)], &watches);
    assert_eq!(codes(&found), ["lost-at-hop compute1//eth0"]);
    let finding = &found.findings[0];
    assert_eq!((finding.confidence, finding.direction), (Confidence::Likely, Direction::Request));
    assert!(finding.summary.contains("seen at compute1//vnet0"), "{}", finding.summary);
    assert!(finding.cause.contains("`ip neigh show dev eth0`"), "{}", finding.cause);
    assert!(finding.cause.contains("tc filter show dev eth0 egress"), "{}", finding.cause);
    assert!(finding.evidence[0].text.contains("of 2 echo requests 2 were seen"), "{:?}", finding.evidence);
}

#[test]
fn a_loss_is_told_before_what_stops_nothing_and_not_beside_what_may_explain_it() {
    let watches = [at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 0, 0)];
    let told = |fault: &str| codes(&broken(fault).diagnose_watched("web1", &[ping(0)], &watches));
    assert_eq!(told("nova-rules-drift"), ["lost-at-hop compute1//eth0", "nova-rules-drift compute1//br100"]);
    // What a walk ends at stops what it stops, and nothing else at its device.
    assert_eq!(
        told("float-dnat-missing"),
        ["lost-at-hop compute1//eth0", "float-dnat-missing compute1//eth0"]
    );
}

#[test]
fn an_answer_to_what_its_host_sent_is_seen_up_to_the_instances_nic() {
    let watches = [at("compute1", "vnet0", 2, 2)];
    let inside = |by_host| {
        let found = healthy().diagnose_watched("web1", &[ProbeResult { by_host, ..ping(2) }], &watches);
        let is_reply = |path: &&model::Path| path.direction == Direction::Reply && path.stop().is_none();
        let paths = found.paths.iter().filter(|path| path.exchange == Exchange::Icmp).filter(is_reply);
        let mut ends = paths.filter_map(|path| path.hops.last()).filter(|hop| hop.at.host == "web1");
        let watched = |hop: &&model::path::Hop| hop.packet.starts_with("1.2.3.4 > ");
        ends.find(watched).map(|hop| hop.observed)
    };
    assert_eq!(inside(false), Some(Observed::Seen));
    assert_eq!(inside(true), Some(Observed::NotWatched));
}

/// It comes in by the host's side of the NIC: that the instance's own side has not seen it tells of no loss.
#[test]
fn what_its_host_sent_is_not_missed_inside_of_the_instance() {
    let watches = [at("web1", "eth0", 0, 0), at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 0, 0)];
    let begins = |by_host| {
        let found = healthy().diagnose_watched("web1", &[ProbeResult { by_host, ..ping(0) }], &watches);
        let is_request = |path: &&model::Path| path.direction == Direction::Request;
        let mut hops = found.paths.iter().filter(is_request).filter_map(|path| path.hops.first());
        hops.find(|hop| hop.at.host == "web1" && hop.packet.contains(" > 1.2.3.4 ")).map(|hop| hop.observed)
    };
    assert_eq!(begins(false), Some(Observed::NotSeen));
    assert_eq!(begins(true), Some(Observed::NotWatched));
}

/// What a capture has of somebody else's pings.
fn recorded(packet: &str) -> Recorded {
    let shown_by = "tcpdump -n -r a.pcap 'icmp and host 1.2.3.4'".to_owned();
    Recorded { shown_by, packet: packet.to_owned(), is_telling: true }
}

fn in_capture(mut watch: DeviceWatch) -> DeviceWatch {
    watch.is_recorded = true;
    watch.probes.iter_mut().for_each(|seen| seen.recorded = Some(recorded("packet 7 of a.pcap")));
    watch
}

#[test]
fn what_a_capture_shows_is_as_good_as_what_was_sent() {
    let silent = DeviceWatch {
        probes: vec![ProbeSeen { requests: 0, ..at("", "", 1, 0).probes[0].clone() }],
        ..at("compute1", "eth0", 0, 0)
    };
    let watches = [in_capture(at("compute1", "vnet0", 2, 0)), in_capture(silent)];
    let asked = ProbeResult { recorded: Some(recorded("packet 7 of a.pcap")), by_host: true, ..ping(0) };
    let found = healthy().diagnose_watched("web1", std::slice::from_ref(&asked), &watches);
    assert_eq!(codes(&found), ["lost-at-hop compute1//eth0"]);
    let evidence = &found.findings[0].evidence;
    assert!(evidence.iter().all(|line| line.kind == EvidenceKind::Capture), "{evidence:?}");
    assert!(evidence[0].source.starts_with("tcpdump -n -r a.pcap"), "{evidence:?}");
    assert!(evidence[0].text.contains("the first is packet 7 of a.pcap"), "{evidence:?}");
    // A device that the capture tells nothing of is none that lacks it.
    let watches = [in_capture(at("compute1", "vnet0", 2, 0)), in_capture(at("compute1", "eth0", 0, 0))];
    let found = healthy().diagnose_watched("web1", &[asked], &watches);
    assert_eq!(codes(&found), ["lost-at-hop compute1//vnet0"]);
    assert_eq!(found.findings[0].direction, Direction::Reply);
}

#[test]
fn an_answer_of_another_time_takes_nothing_back() {
    let watches = [in_capture(at("compute1", "vnet0", 2, 2))];
    let told = |is_telling| {
        let recorded = Some(Recorded { is_telling, ..recorded("packet 7 of a.pcap") });
        let asked = ProbeResult { recorded, by_host: true, ..ping(2) };
        let mut cloud = broken("ip-forward-0");
        cloud.probes = vec![asked.clone()];
        let found = cloud.diagnose_watched("web1", &[asked], &watches);
        found.coverage.gaps.iter().any(|gap| gap.why.contains("the walk says that it dies"))
    };
    assert!(told(true) && !told(false));
}

#[test]
fn an_answer_that_is_lost_on_its_way_back_is_told_apart() {
    let watches = [at("compute1", "vnet0", 2, 0), at("compute1", "eth0", 2, 2), at("gw", "eth0", 2, 2)];
    let found = healthy().diagnose_watched("web1", &[ping(0)], &watches);
    assert_eq!(codes(&found), ["lost-at-hop compute1//vnet0"]);
    assert_eq!(found.findings[0].direction, Direction::Reply);
    assert!(found.findings[0].summary.starts_with("the answer to the ping from web1"));
}

#[test]
fn nothing_is_found_where_an_answer_came_however_it_went() {
    let watches = [at("compute1", "vnet0", 2, 2), at("compute1", "eth0", 0, 0)];
    let found = healthy().diagnose_watched("web1", &[ping(2)], &watches);
    assert_eq!(codes(&found), Vec::<String>::new());
    let is_ours = |hop: &&model::path::Hop| hop.at.device == "eth0" && hop.at.host == "compute1";
    let paths = found.paths.iter().filter(|path| path.exchange == Exchange::Icmp);
    let mut to_outside = paths.filter(|path| path.hops.iter().any(|hop| hop.at.host == "gw"));
    let there = to_outside.next().and_then(|path| path.hops.iter().find(is_ours));
    assert_eq!(there.map(|hop| hop.observed), Some(Observed::NotSeen));
}
