//! The operations guide's three listings of one ping come out as the one story that they tell.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use correlate::{Correlator, Interval, Journey, Merge, Nat, Options, Report, Vantage};
use model::sighting::{Address, Kind};

const FILES: [&str; 3] = [
    include_str!("../../parse/tests/fixtures/text/guide/tcpdump-external-server.txt"),
    include_str!("../../parse/tests/fixtures/text/guide/tcpdump-compute-node.txt"),
    include_str!("../../parse/tests/fixtures/text/guide/tcpdump-instance.txt"),
];
const SERVER: usize = 0;
const COMPUTE: usize = 1;
const INSTANCE: usize = 2;

/// Correlates listings; vantages are put in the order of the listings.
fn correlate(listings: &[&str]) -> (Report, Vec<Journey>, Vec<usize>) {
    let mut merge = Merge::new(listings.len());
    for (source, listing) in listings.iter().enumerate() {
        let read = parse::tcpdump::parse("x", listing);
        assert_eq!(read.problems, []);
        merge.give(source, read.value.iter().map(|packet| parse::tcpdump::seen(packet, 0)).collect());
        merge.give(source, Vec::new());
    }
    let mut journeys = Vec::new();
    let mut each = |journey: &Journey, _: &[Vantage]| journeys.push(journey.clone());
    let mut correlator = Correlator::new(Options::default(), vec![true; listings.len()]);
    correlator.look_ahead(&mut merge, listings.len());
    correlator.drain(&mut merge, &mut each);
    let report = correlator.finish(&merge, &mut each);
    let places = report.vantages.iter().map(|vantage| usize::from(vantage.source)).collect();
    (report, journeys, places)
}

#[test]
fn the_three_listings_are_one_story() {
    let (report, journeys, places) = correlate(&FILES);
    let way = |journey: &Journey| -> Vec<(usize, u8, u16)> {
        journey.stops.iter().map(|s| (places[usize::from(s.vantage)], s.ttl, s.copies)).collect()
    };
    assert_eq!(journeys.len(), 2);
    // The doubled lines are tap and bridge; then the compute node routes, and two routers follow.
    assert_eq!(journeys[0].kind, Kind::EchoRequest);
    assert_eq!(way(&journeys[0]), [(COMPUTE, 64, 2), (COMPUTE, 63, 1), (SERVER, 61, 1)]);
    assert_eq!(journeys[1].kind, Kind::EchoReply);
    let back = [(SERVER, 64, 1), (COMPUTE, 62, 1), (COMPUTE, 61, 2), (INSTANCE, 61, 1)];
    assert_eq!(way(&journeys[1]), back);

    let nat = Nat { inside: Address::v4([10, 0, 2, 24]), outside: Address::v4([203, 0, 113, 30]) };
    assert_eq!(report.nat.keys().collect::<Vec<_>>(), [&nat]);
    assert_eq!(report.reference, COMPUTE);
    let offset = |source: usize| report.vantages[places.iter().position(|p| *p == source).unwrap()].offset;
    assert_eq!(offset(SERVER), Some(Interval { low: 475_000, high: 682_000 }));
    assert_eq!(offset(COMPUTE), Some(Interval { low: 0, high: 0 }));
    assert_eq!(offset(INSTANCE), None, "one packet bounds a clock from one side");

    let findings = &report.findings;
    assert!(!findings.is_fault(), "{findings:?}");
    assert_eq!((findings.lost_count, findings.duplicates, findings.undecided), (0, 0, 0));
    let missing: Vec<_> =
        findings.request_missing.iter().map(|(v, n)| (places[usize::from(*v)], *n)).collect();
    assert_eq!(missing, [(INSTANCE, 1)], "the instance's listing lacks the request: an incomplete capture");
    let doubled: Vec<_> = report.vantages.iter().map(|v| (usize::from(v.source), v.doubled)).collect();
    assert!(doubled.contains(&(COMPUTE, 2)), "{doubled:?}");
}

#[test]
fn the_story_does_not_depend_on_the_order_of_the_files() {
    let (mut first, ..) = correlate(&FILES);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (report, _, places) = correlate(&order.map(|at| FILES[at]));
        assert_eq!(order[report.reference], COMPUTE, "{order:?}");
        let mut offsets: Vec<_> =
            report.vantages.iter().zip(&places).map(|(v, p)| (order[*p], v.packets, v.offset)).collect();
        offsets.sort_by_key(|of| of.0);
        first.vantages.sort_by_key(|vantage| vantage.source);
        let told: Vec<_> =
            first.vantages.iter().map(|v| (usize::from(v.source), v.packets, v.offset)).collect();
        assert_eq!(offsets, told, "{order:?}");
    }
}

#[test]
fn a_name_server_that_answers_at_the_bridge_is_no_loss() {
    let dns = include_str!("../../parse/tests/fixtures/text/guide/tcpdump-dns-on-bridge.txt");
    let (report, journeys, _) = correlate(&[dns]);
    assert_eq!(journeys.iter().map(|j| j.kind).collect::<Vec<_>>(), [Kind::DnsQuery, Kind::DnsResponse]);
    assert!(!report.findings.is_fault());
    assert_eq!(report.findings.undecided, 0);
}
