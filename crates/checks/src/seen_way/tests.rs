use model::journey::{End, Journey, QuestionSeen, SeenWay, Stop, Vantage};
use model::path::{Direction, Exchange};
use model::probe::{Asked, PING_OCTETS, ProbeResult};

use super::JOURNEYS_MAX;
use crate::fixture::{Cloud, broken, healthy};

/// Of web1's pings to the outside: the devices of their way that are watched.
const WATCHED: [(&str, &str); 3] = [("compute1", "vnet0"), ("compute1", "eth0"), ("gw", "eth0")];

fn ping(sent: u32, received: u32) -> ProbeResult {
    ProbeResult {
        from: "web1".to_owned(),
        by_host: false,
        to: "1.2.3.4".parse().unwrap(),
        asked: Asked::Echo { octets: PING_OCTETS },
        sent,
        received,
        reply_ttl: None,
        rtt_us: None,
        errors: Vec::new(),
        send_error: None,
        recorded: None,
    }
}

/// A packet seen at these vantages, so many microseconds after the beginning.
fn seen(direction: Direction, key: u64, at: &[(usize, i64)]) -> Journey {
    let stop = |(vantage, time_us): &(usize, i64)| Stop {
        vantage: *vantage,
        time_ns: time_us * 1_000,
        ends: String::new(),
        ttl: 64,
        copies: 1,
        recorded: String::new(),
    };
    let packet = format!("packet {key}");
    Journey { direction, key, packet, stops: at.iter().map(stop).collect(), end: End::Open }
}

fn asks(key: u64, at: &[(usize, i64)]) -> Journey {
    seen(Direction::Request, key, at)
}

fn answers(key: u64, at: &[(usize, i64)]) -> Journey {
    seen(Direction::Reply, key, at)
}

fn vantage((machine, device): (&str, &str)) -> Vantage {
    Vantage {
        machine: machine.to_owned(),
        netns: String::new(),
        device: device.to_owned(),
        clock: 0,
        doubt_ns: 0,
        is_complete: true,
    }
}

/// What a diagnosis tells of these journeys over [`WATCHED`].
fn told(cloud: &Cloud, probe: ProbeResult, journeys: Vec<Journey>) -> SeenWay {
    told_at(cloud, probe, WATCHED.map(vantage).to_vec(), journeys).unwrap()
}

fn told_at(
    cloud: &Cloud,
    probe: ProbeResult,
    vantages: Vec<Vantage>,
    journeys: Vec<Journey>,
) -> Option<SeenWay> {
    let (from, to, octets) = (probe.from.clone(), probe.to, probe.asked.octets());
    let (exchange, port) = (probe.asked.exchange(), probe.asked.port());
    let seen = QuestionSeen { from, to, exchange, octets, port, vantages, journeys, left_out: 0 };
    let cloud = Cloud { seen: vec![seen], ..cloud.clone() };
    let diagnosis = cloud.diagnose_with("web1", &[probe]);
    let way = diagnosis.seen.first().cloned();
    let path = way.as_ref().and_then(|way| diagnosis.paths.get(way.path));
    assert!(path.is_none_or(|path| path.direction == Direction::Request && path.exchange == Exchange::Icmp));
    way
}

fn ends(way: &SeenWay) -> Vec<End> {
    way.journeys.iter().map(|journey| journey.end.clone()).collect()
}

#[test]
fn a_question_that_does_not_come_to_the_next_vantage_is_lost_before_it() {
    let journeys = vec![asks(1, &[(0, 1), (1, 2)]), asks(2, &[(0, 9)])];
    let way = told(&healthy(), ping(2, 0), journeys);
    assert_eq!(ends(&way), [End::LostBefore(2), End::LostBefore(1)]);
    let names: Vec<String> = way.vantages.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["compute1//vnet0", "compute1//eth0", "gw//eth0"]);
}

#[test]
fn what_came_to_the_last_vantage_is_not_lost_but_unanswered() {
    let way = told(&healthy(), ping(1, 0), vec![asks(1, &[(0, 1), (1, 2), (2, 3)])]);
    assert_eq!(ends(&way), [End::Unanswered]);
}

#[test]
fn an_answer_is_lost_on_its_way_back_and_its_question_is_not() {
    let journeys = vec![asks(1, &[(0, 1), (1, 2), (2, 3)]), answers(1, &[(2, 4), (1, 5)])];
    assert_eq!(ends(&told(&healthy(), ping(1, 0), journeys)), [End::Open, End::LostBefore(0)]);
}

#[test]
fn nothing_is_lost_that_was_answered_however_it_went() {
    let by_another_way = vec![asks(1, &[(0, 1)]), answers(1, &[(0, 9)])];
    assert_eq!(ends(&told(&healthy(), ping(1, 1), by_another_way)), [End::Open, End::Open]);
    assert_eq!(ends(&told(&healthy(), ping(1, 1), vec![asks(1, &[(0, 1)])])), [End::Open]);
    // Which of the two was answered nobody saw.
    let one_of_two = vec![asks(1, &[(0, 1)]), asks(2, &[(0, 2)])];
    assert_eq!(ends(&told(&healthy(), ping(2, 1), one_of_two)), [End::Open, End::Open]);
    let mut home_unseen = vec![asks(1, &[(0, 1), (1, 2), (2, 3)]), answers(1, &[(2, 4)])];
    home_unseen.extend([asks(2, &[(0, 11), (1, 12), (2, 13)]), answers(2, &[(2, 14)])]);
    let is_open = |end: &End| *end == End::Open;
    assert!(ends(&told(&healthy(), ping(2, 1), home_unseen)).iter().all(is_open));
}

#[test]
fn a_vantage_that_lost_packets_itself_lacks_none() {
    let leaky = Vantage { is_complete: false, ..vantage(WATCHED[1]) };
    let journeys = vec![asks(1, &[(0, 1), (1, 2)]), asks(2, &[(0, 9)])];
    let vantages = vec![vantage(WATCHED[0]), leaky.clone()];
    let way = told_at(&healthy(), ping(2, 0), vantages, journeys).unwrap();
    assert_eq!(ends(&way), [End::Unanswered, End::Unanswered]);
    // And with nothing to see nor to miss there is no way to tell of.
    assert_eq!(told_at(&healthy(), ping(2, 0), vec![leaky], Vec::new()), None);
}

#[test]
fn what_was_sent_twice_is_lost_only_where_fewer_came() {
    // As what is sent again looks, where the first was under way for longer than that takes.
    let again = asks(1, &[(0, 1_000_000), (1, 1_100_000)]);
    let twice = vec![asks(1, &[(0, 0)]), again, asks(1, &[(1, 2_100_000)])];
    let way = told(&healthy(), ping(1, 0), twice);
    assert_eq!(ends(&way), [End::Open, End::LostBefore(2), End::LostBefore(2)]);
}

#[test]
fn what_is_seen_nowhere_is_told_as_one() {
    let way = told(&healthy(), ping(2, 0), Vec::new());
    assert_eq!(ends(&way), [End::LostBefore(0)]);
    let first = &way.journeys[0];
    assert!(first.packet.ends_with("ICMP echo request ttl 64, 2 times"), "{}", first.packet);
    assert_eq!(first.stops, []);
    let way = told(&healthy(), ping(2, 1), vec![asks(1, &[(0, 1)]), answers(1, &[(0, 2)])]);
    assert_eq!(ends(&way), [End::LostBefore(0), End::Open, End::Open]);
}

#[test]
fn where_the_walk_has_it_die_that_is_said() {
    let way = told(&broken("ip-forward-0"), ping(1, 0), vec![asks(1, &[(0, 1)])]);
    let [End::DiesBehind(why)] = &ends(&way)[..] else { panic!("{way:?}") };
    assert_eq!(why, "IP forwarding is off");
    // Of an answer, too, though it came to the last vantage on the way that it goes.
    let cloud = broken("foreign-rule-drop");
    let inbound =
        ProbeResult { from: "external".to_owned(), to: "203.0.113.30".parse().unwrap(), ..ping(1, 0) };
    let journeys = vec![asks(1, &[(2, 1), (1, 2), (0, 3)]), answers(1, &[(0, 4)])];
    let way = told(&cloud, inbound, journeys);
    assert!(matches!(&ends(&way)[..], [End::Open, End::DiesBehind(_)]), "{way:?}");
    // Not where an answer says otherwise.
    let way = told(&broken("ip-forward-0"), ping(1, 1), vec![asks(1, &[(0, 1)]), answers(1, &[(0, 2)])]);
    assert_eq!(ends(&way), [End::Open, End::Open]);
}

#[test]
fn a_walk_that_an_answer_disproves_foretells_no_loss() {
    let journeys = vec![asks(1, &[(0, 1)]), answers(1, &[(0, 2)]), asks(2, &[(0, 9)])];
    let way = told(&broken("ip-forward-0"), ping(2, 1), journeys);
    assert!(!ends(&way).iter().any(|end| matches!(end, End::DiesBehind(_))), "{way:?}");
}

#[test]
fn connections_to_two_ports_are_two_questions() {
    let asked = |port| Asked::Connection { port, accepted: true, page: None, greeting: None };
    let probe = |port| ProbeResult { asked: asked(port), ..ping(1, 1) };
    let seen = |port, key| QuestionSeen {
        from: "web1".to_owned(),
        to: ping(1, 1).to,
        exchange: Exchange::Tcp,
        octets: None,
        port: Some(port),
        vantages: WATCHED.map(vantage).to_vec(),
        journeys: vec![asks(key, &[(0, 1)])],
        left_out: 0,
    };
    assert!(super::is_of(&seen(443, 7), &probe(443)) && !super::is_of(&seen(80, 8), &probe(443)));
}

#[test]
fn of_one_stamp_the_way_tells_which_was_first() {
    let journeys = vec![asks(1, &[(1, 5), (0, 5)]), answers(1, &[(0, 9), (1, 9), (2, 8)])];
    let way = told(&healthy(), ping(1, 1), journeys);
    let order = |at: usize| way.journeys[at].stops.iter().map(|stop| stop.vantage).collect::<Vec<_>>();
    assert_eq!((order(0), order(1)), (vec![0, 1], vec![2, 1, 0]));
}

#[test]
fn of_many_those_that_did_not_arrive_are_told_first() {
    let arrived = |key: u64| {
        let time_us = i64::try_from(key).unwrap() * 100;
        [
            asks(key, &[(0, time_us), (1, time_us + 1), (2, time_us + 2)]),
            answers(key, &[(2, time_us + 3), (1, time_us + 4), (0, time_us + 5)]),
        ]
    };
    let mut journeys: Vec<Journey> = (0..40).flat_map(arrived).collect();
    journeys.push(asks(77, &[(0, 7_700)]));
    let way = told(&healthy(), ping(41, 40), journeys);
    assert!(way.journeys.len() <= JOURNEYS_MAX);
    assert_eq!(ends(&way).last(), Some(&End::LostBefore(1)));
    let asked = way.journeys.iter().filter(|journey| journey.direction == Direction::Request).count();
    assert_eq!(way.left_out, 41 - asked);
}
