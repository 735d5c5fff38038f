//! The pages as people and scripts read them, byte for byte, from diagnoses made by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use model::finding::{Confidence, Coverage, Evidence, EvidenceKind, Outcome, Remedy};
use model::netfilter::{Dialect, Family, Hook};
use model::path::{
    Direction, Disposition, Exchange, Hop, Observed, Path, Place, Predicted, RuleRef, Stage, Step, Stop,
};
use model::snapshot::Gap;
use model::{Diagnosis, Finding};
use report::Style;

fn place(host: &str, device: &str, stage: Stage) -> Place {
    Place { host: host.to_owned(), netns: String::new(), device: device.to_owned(), stage }
}

fn hop(at: Place, packet: &str, detail: &str) -> Hop {
    Hop {
        at,
        predicted: Predicted::Pass,
        observed: Observed::NotWatched,
        packet: packet.to_owned(),
        detail: detail.to_owned(),
        steps: Vec::new(),
    }
}

const INSIDE: &str = "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64";
const ROUTED: &str = "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 63";
const OUTSIDE: &str = "203.0.113.30 > 1.2.3.4 ICMP echo request ttl 63";

fn request() -> Path {
    let hops = vec![
        hop(place("web1", "eth0", Stage::Instance), INSIDE, "via 10.0.0.42"),
        hop(place("compute1", "vnet0", Stage::Bridge), INSIDE, "port of br100"),
        hop(place("compute1", "br100", Stage::Route), ROUTED, "via 203.0.113.33 dev eth0"),
        hop(place("compute1", "eth0", Stage::Nat), OUTSIDE, "SNAT to 203.0.113.30"),
        hop(place("external", "eth0", Stage::Local), OUTSIDE, ""),
    ];
    let disposition = Disposition::Delivered { machine: "external".to_owned() };
    Path { exchange: Exchange::Icmp, direction: Direction::Request, hops, disposition }
}

fn reply() -> Path {
    let seen = "1.2.3.4 > 203.0.113.30 ICMP echo reply ttl 64";
    let inside = "1.2.3.4 > 10.0.2.24 ICMP echo reply ttl 60";
    let hops = vec![
        hop(place("external", "eth0", Stage::Local), seen, ""),
        hop(place("compute1", "eth0", Stage::Nat), inside, "translated back to 10.0.2.24"),
        hop(place("web1", "eth0", Stage::Instance), inside, ""),
    ];
    let disposition = Disposition::Delivered { machine: "web1".to_owned() };
    Path { exchange: Exchange::Icmp, direction: Direction::Reply, hops, disposition }
}

fn rule() -> RuleRef {
    RuleRef {
        dialect: Dialect::IptablesNft,
        family: Family::Ip,
        table: "filter".to_owned(),
        hook: Hook::Forward,
        chains: vec!["FORWARD".to_owned(), "DOCKER-USER".to_owned()],
        number: 2,
        text: "-A DOCKER-USER -s 10.0.2.24/32 -p icmp -m comment --comment \"no pings please\" -j DROP"
            .to_owned(),
        counters: Some((12, 1008)),
        handle: None,
        rejects_with: None,
    }
}

fn dropped_by_rule() -> Path {
    let mut path = request();
    path.hops.truncate(3);
    let mut stop = hop(place("compute1", "br100", Stage::Filter), ROUTED, "DOCKER-USER rule 2 drops it");
    stop.predicted = Predicted::Drop;
    stop.steps = vec![Step::Rule(rule())];
    path.hops.push(stop);
    path.disposition = Disposition::Dropped(Stop::Rule(rule()));
    path
}

fn foreign_rule() -> Finding {
    Finding {
        code: "foreign-rule-drop".to_owned(),
        hop: place("compute1", "br100", Stage::Filter),
        direction: Direction::Request,
        exchange: Exchange::Icmp,
        summary: "a rule that nova did not write drops its pings".to_owned(),
        cause: "FORWARD jumps to DOCKER-USER, whose rule 2 drops ICMP from 10.0.2.24.".to_owned(),
        confidence: Confidence::Proven,
        evidence: vec![Evidence {
            kind: EvidenceKind::Rule,
            source: "iptables-save -c".to_owned(),
            text: format!("[12:1008] {}", rule().text),
        }],
        owner: "docker".to_owned(),
        remedy: vec![Remedy {
            command: "iptables -D DOCKER-USER 2".to_owned(),
            undo: format!("iptables {}", rule().text.replacen("-A DOCKER-USER", "-I DOCKER-USER 2", 1)),
            note: "only this rule; docker does not put it back".to_owned(),
        }],
        instances: vec!["web1".to_owned()],
    }
}

fn uplink_down() -> Finding {
    Finding {
        code: "uplink-down".to_owned(),
        hop: place("compute1", "eth0", Stage::Wire),
        direction: Direction::Both,
        summary: "eth0 of compute1 is down".to_owned(),
        cause: "Someone set it down.".to_owned(),
        evidence: vec![Evidence {
            kind: EvidenceKind::State,
            source: "ip link show eth0".to_owned(),
            text: "eth0: <> mtu 1500 state DOWN".to_owned(),
        }],
        owner: "operator".to_owned(),
        remedy: vec![Remedy {
            command: "ip link set eth0 up".to_owned(),
            undo: "ip link set eth0 down".to_owned(),
            note: String::new(),
        }],
        instances: vec!["web1".to_owned(), "web2".to_owned()],
        ..foreign_rule()
    }
}

fn leaked_row() -> Finding {
    Finding {
        code: "floating-ip-leaked".to_owned(),
        hop: place("compute1", "", Stage::Service),
        exchange: Exchange::None,
        summary: "203.0.113.31 hangs on an instance that is gone".to_owned(),
        remedy: Vec::new(),
        instances: Vec::new(),
        ..uplink_down()
    }
}

fn diagnosis(outcome: Outcome, findings: Vec<Finding>, paths: Vec<Path>) -> Diagnosis {
    Diagnosis {
        command: "diagnose".to_owned(),
        subject: "web1".to_owned(),
        outcome,
        findings,
        paths,
        coverage: Coverage {
            looked_at: vec!["compute1: links, routes, netfilter".to_owned(), "external: links".to_owned()],
            gaps: Vec::new(),
        },
    }
}

fn healthy() -> Diagnosis {
    diagnosis(Outcome::Healthy, Vec::new(), vec![request(), reply()])
}

fn fault() -> Diagnosis {
    diagnosis(Outcome::Fault, vec![foreign_rule()], vec![dropped_by_rule(), reply()])
}

fn two_findings() -> Diagnosis {
    let findings = vec![foreign_rule(), uplink_down(), leaked_row()];
    diagnosis(Outcome::Fault, findings, vec![dropped_by_rule(), reply()])
}

fn undetermined() -> Diagnosis {
    let mut path = request();
    path.hops.truncate(2);
    path.hops[1].predicted = Predicted::Unknown;
    path.hops[1].detail = "the set `allowed` was not dumped".into();
    path.disposition = Disposition::Unknown {
        why: "the set `allowed` was not dumped".to_owned(),
        would_need: "ipset save allowed, as root on compute1".to_owned(),
    };
    let mut diagnosis = diagnosis(Outcome::Undetermined, Vec::new(), vec![path]);
    diagnosis.coverage.gaps.push(Gap {
        what: "IP sets of compute1".to_owned(),
        why: "permission denied".to_owned(),
        would_need: "run hopline as root".to_owned(),
    });
    diagnosis
}

fn hostile() -> Diagnosis {
    let mut finding = uplink_down();
    finding.hop = place("compute1", "ev\x1b[2Jil\"'", Stage::Wire);
    finding.summary = "\u{202e}nwod si 0hte\u{9b}31m".into();
    finding.evidence[0].text = "line one\nline \x07two\r".into();
    finding.remedy[0].command = "ip link set 'ev\x1b]0;owned\x07il' up".into();
    let mut diagnosis = diagnosis(Outcome::Fault, vec![finding], Vec::new());
    diagnosis.subject = "we\u{200b}b1\x1b[0m".into();
    diagnosis
}

fn page(diagnosis: &Diagnosis, style: Style) -> String {
    let mut out = Vec::new();
    report::terminal(diagnosis, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(diagnosis: &Diagnosis) -> String {
    let mut out = Vec::new();
    report::json(diagnosis, 42, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_healthy_page_says_so_in_its_first_line() {
    insta::assert_snapshot!(page(&healthy(), Style::default()));
}

#[test]
fn a_fault_shows_the_path_to_it_then_proof_then_fix() {
    insta::assert_snapshot!(page(&fault(), Style::default()));
}

#[test]
fn further_findings_follow_in_short() {
    insta::assert_snapshot!(page(&two_findings(), Style::default()));
}

#[test]
fn a_question_beneath_a_neighbour_is_told_beneath_it() {
    let mut path = request();
    path.hops.truncate(3);
    path.hops[2].predicted = Predicted::Drop;
    path.hops[2].detail = "nobody answers ARP for 203.0.113.33".into();
    let mut question = dropped_by_rule();
    question.exchange = Exchange::Arp;
    question.hops.truncate(1);
    question.disposition = Disposition::Dropped(Stop::LinkDown);
    question.hops[0] = Hop { predicted: Predicted::Drop, ..hop(uplink_down().hop, "ARP who has", "is down") };
    let ip = "203.0.113.33".parse().unwrap();
    path.disposition =
        Disposition::Dropped(Stop::NeighbourUnresolved { ip, because: Some(Box::new(question)) });
    insta::assert_snapshot!(page(
        &diagnosis(Outcome::Fault, vec![uplink_down()], vec![path]),
        Style::default()
    ));
}

#[test]
fn doubt_names_what_would_settle_it() {
    insta::assert_snapshot!(page(&undetermined(), Style::default()));
}

#[test]
fn verbose_shows_every_path_and_decision() {
    insta::assert_snapshot!(page(&two_findings(), Style { verbose: true, ..Style::default() }));
}

#[test]
fn forty_columns_still_read_well() {
    insta::assert_snapshot!(page(&two_findings(), Style { width: 40, ..Style::default() }));
}

#[test]
fn ascii_marks_where_unicode_is_not_wanted() {
    let text = page(&two_findings(), Style { unicode: false, ..Style::default() });
    assert!(text.starts_with("x web1: foreign-rule-drop - a rule"), "{text}");
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let colored = page(&two_findings(), Style { color: true, ..Style::default() });
    assert!(colored.contains("\x1b[1m\x1b[31mforeign-rule-drop\x1b[0m"), "{colored:?}");
    assert_eq!(without_colour(&colored), page(&two_findings(), Style::default()));
}

/// The text without `ESC [ ... m`.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').expect("a colour ends with m").1);
    }
    out
}

#[test]
fn names_of_strangers_cannot_touch_the_terminal() {
    let text = page(&hostile(), Style::default());
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_path_report_shows_the_packet_at_every_hop() {
    let mut out = Vec::new();
    report::path_report(&healthy(), &Style::default(), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn minimal_is_one_line_a_finding() {
    let mut out = Vec::new();
    report::minimal(&two_findings(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "foreign-rule-drop compute1//br100\nuplink-down compute1//eth0\nfloating-ip-leaked compute1//\n"
    );
}

#[test]
fn json_keeps_the_contracts_names() {
    insta::assert_snapshot!(json(&fault()));
}

#[test]
fn json_gives_hostile_names_back_and_shows_none_of_them() {
    let text = json(&hostile());
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    let back: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(back["subject"], "we\u{200b}b1\x1b[0m");
    assert_eq!(back["findings"][0]["summary"], "\u{202e}nwod si 0hte\u{9b}31m");
}

#[test]
fn what_a_database_contradicts_itself_in_is_told_with_its_rows() {
    let style = Style { width: 80, ..Style::default() };
    let mut out = Vec::new();
    let remedy = |id| Remedy {
        command: format!("UPDATE floating_ips SET fixed_ip_id = NULL WHERE id = {id}"),
        undo: String::new(),
        note: "one row".to_owned(),
    };
    let hop = place("database", "floating_ips", Stage::Service);
    let leaked = Finding { hop, remedy: (1..=5).map(remedy).collect(), ..leaked_row() };
    report::records(&diagnosis(Outcome::Fault, vec![leaked.clone(), leaked], Vec::new()), &style, &mut out)
        .unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}
