//! Diagnoses made by hand, as the tests of every kind of page show them.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses what it shows")]

pub mod packets;
pub mod rows;

use model::finding::{Confidence, Coverage, Evidence, EvidenceKind, Outcome, Remedy};
use model::netfilter::{Dialect, Family, Hook};
use model::path::{
    Direction, Disposition, Exchange, Hop, Observed, Path, Place, Predicted, RuleRef, Stage, Step, Stop,
};
use model::snapshot::Gap;
use model::{Diagnosis, Finding};

pub fn place(host: &str, device: &str, stage: Stage) -> Place {
    Place { host: host.to_owned(), netns: String::new(), device: device.to_owned(), stage }
}

pub fn hop(at: Place, packet: &str, detail: &str) -> Hop {
    Hop {
        at,
        predicted: Predicted::Pass,
        observed: Observed::NotWatched,
        packet: packet.to_owned(),
        detail: detail.to_owned(),
        steps: Vec::new(),
    }
}

pub const INSIDE: &str = "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64";
pub const ROUTED: &str = "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 63";
pub const OUTSIDE: &str = "203.0.113.30 > 1.2.3.4 ICMP echo request ttl 63";

pub fn request() -> Path {
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

pub fn reply() -> Path {
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

pub fn rule() -> RuleRef {
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

pub fn dropped_by_rule() -> Path {
    let mut path = request();
    path.hops.truncate(3);
    let mut stop = hop(place("compute1", "br100", Stage::Filter), ROUTED, "DOCKER-USER rule 2 drops it");
    stop.predicted = Predicted::Drop;
    stop.steps = vec![Step::Rule(rule())];
    path.hops.push(stop);
    path.disposition = Disposition::Dropped(Stop::Rule(rule()));
    path
}

pub fn foreign_rule() -> Finding {
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

pub fn uplink_down() -> Finding {
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

pub fn leaked_row() -> Finding {
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

pub fn diagnosis(outcome: Outcome, findings: Vec<Finding>, paths: Vec<Path>) -> Diagnosis {
    Diagnosis {
        command: "diagnose".to_owned(),
        subject: "web1".to_owned(),
        outcome,
        findings,
        paths,
        seen: Vec::new(),
        excused: Vec::new(),
        coverage: Coverage {
            looked_at: vec!["compute1: links, routes, netfilter".to_owned(), "external: links".to_owned()],
            gaps: Vec::new(),
        },
    }
}

pub fn healthy() -> Diagnosis {
    diagnosis(Outcome::Healthy, Vec::new(), vec![request(), reply()])
}

pub fn fault() -> Diagnosis {
    diagnosis(Outcome::Fault, vec![foreign_rule()], vec![dropped_by_rule(), reply()])
}

pub fn two_findings() -> Diagnosis {
    let findings = vec![foreign_rule(), uplink_down(), leaked_row()];
    diagnosis(Outcome::Fault, findings, vec![dropped_by_rule(), reply()])
}

pub fn undetermined() -> Diagnosis {
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

pub fn hostile() -> Diagnosis {
    let mut finding = uplink_down();
    finding.hop = place("compute1", "ev\x1b[2Jil\"'", Stage::Wire);
    finding.summary = "\u{202e}nwod si 0hte\u{9b}31m".into();
    finding.evidence[0].text = "line one\nline \x07two\r".into();
    finding.remedy[0].command = "ip link set 'ev\x1b]0;owned\x07il' up".into();
    let mut diagnosis = diagnosis(Outcome::Fault, vec![finding], Vec::new());
    diagnosis.subject = "we\u{200b}b1\x1b[0m".into();
    diagnosis
}

/// A way through two hosts with a station for each of their devices, seen at some, and its way back.
pub fn long(seen_up_to: usize) -> Diagnosis {
    let stations = [
        ("web1", "eth0", Stage::Instance, "via 10.0.0.1"),
        ("compute1", "vnet0", Stage::Bridge, "port of br100"),
        ("compute1", "br100", Stage::Bridge, "port vlan100"),
        ("compute1", "vlan100", Stage::Wire, "tag 100"),
        ("compute1", "eth1", Stage::Wire, ""),
        ("network1", "eth1", Stage::Wire, ""),
        ("network1", "vlan100", Stage::Wire, "untagged"),
        ("network1", "br100", Stage::Route, "via 203.0.113.33 dev eth0"),
        ("network1", "eth0", Stage::Nat, "SNAT to 203.0.113.30"),
        ("external", "eth0", Stage::Local, ""),
    ];
    let hops = |packet: &str| {
        stations.map(|(host, device, stage, detail)| hop(place(host, device, stage), packet, detail)).to_vec()
    };
    let mut there = hops(INSIDE);
    for (at, hop) in there.iter_mut().enumerate() {
        hop.observed = if at <= seen_up_to { Observed::Seen } else { Observed::NotSeen };
    }
    let mut back = hops("1.2.3.4 > 203.0.113.30 ICMP echo reply ttl 64");
    back.reverse();
    back.iter_mut().for_each(|hop| hop.detail.clear());
    let path = |direction, hops, machine: &str| Path {
        exchange: Exchange::Icmp,
        direction,
        hops,
        disposition: Disposition::Delivered { machine: machine.to_owned() },
    };
    let lost = Finding {
        code: "lost-at-hop".to_owned(),
        hop: place("compute1", "vlan100", Stage::Wire),
        summary: "its packets are lost between vlan100 of compute1 and what is behind it".to_owned(),
        cause: "the packet was seen at vlan100 and nowhere behind".to_owned(),
        ..uplink_down()
    };
    let (outcome, findings) =
        if seen_up_to < 9 { (Outcome::Fault, vec![lost]) } else { (Outcome::Healthy, Vec::new()) };
    let paths = vec![path(Direction::Request, there, "external"), path(Direction::Reply, back, "web1")];
    diagnosis(outcome, findings, paths)
}

/// A name that wants to be more than a name.
pub const EVIL: &str =
    "</title></svg><script>document.title='owned'</script><img src=x onerror=\"alert(1)\">'\"&amp;";

/// Names as they would be written by someone who wants the page to do what they say.
pub fn scripted() -> Diagnosis {
    let mut diagnosis = fault();
    diagnosis.subject = EVIL.into();
    for path in &mut diagnosis.paths {
        for hop in &mut path.hops {
            hop.at.host = format!("{}{EVIL}", hop.at.host);
            hop.at.device = EVIL.into();
            hop.detail = EVIL.into();
            hop.packet = EVIL.into();
        }
    }
    for finding in &mut diagnosis.findings {
        finding.hop.device = EVIL.into();
        for text in [&mut finding.code, &mut finding.summary, &mut finding.cause, &mut finding.owner] {
            *text = EVIL.into();
        }
        for item in &mut finding.evidence {
            (item.source, item.text) = (EVIL.to_owned(), EVIL.to_owned());
        }
        for remedy in &mut finding.remedy {
            *remedy = Remedy { command: EVIL.to_owned(), undo: EVIL.to_owned(), note: EVIL.to_owned() };
        }
    }
    diagnosis.coverage.looked_at.push(EVIL.to_owned());
    diagnosis
}
