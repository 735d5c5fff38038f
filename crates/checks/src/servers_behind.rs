//! Servers behind a resolver whose answers are of no use to it: cut short without the rest, not to be read, to another
//! question than was asked, or the same failure for every name.

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::path::{Direction, Exchange, Place, Stage, Stop};
use model::probe::ProbeResult;
use sim::{Endpoint, Protocol, Question};

use crate::catalogue::dns::ssh_slow_reverse_dns;
use crate::dns::{self, PORT, Server};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung};
use crate::looked_up::{self, Word, word};
use crate::removal;
use crate::said;
use crate::view::View;

/// A server that answers, and not so that anybody could use it.
struct Amiss<'v> {
    rung: &'v Rung,
    probe: &'v ProbeResult,
    /// What it does, to follow its address.
    does: String,
}

/// All whom the resolver asks are such servers, or silent.
pub(crate) fn useless(view: &View, rung: &Rung) -> Option<Found> {
    let asked = looked_up::upstreams(view, rung);
    let amiss = |(rung, probe): &(&Rung, Option<&ProbeResult>)| {
        probe.is_some_and(|probe| does(view, rung, probe).is_some())
    };
    let is_silent = |(_, probe): &(&Rung, Option<&ProbeResult>)| {
        probe.and_then(word).is_some_and(|word| word == Word::Nothing)
    };
    if !asked.iter().all(|behind| amiss(behind) || is_silent(behind)) {
        return None;
    }
    let found = asked.into_iter().find_map(|(rung, probe)| {
        let does = does(view, rung, probe?)?;
        Some(Amiss { rung, probe: probe?, does })
    })?;
    told(view, rung, &found)
}

/// What a server does that leaves who asks it without an answer; `None` where it answers, refuses or is silent.
fn does(view: &View, rung: &Rung, probe: &ProbeResult) -> Option<String> {
    match says(view, rung, probe)? {
        Word::NoTcp => {
            Some("cuts its answers short, and the whole of them is not to be had over TCP".to_owned())
        }
        Word::Unreadable(why) => Some(format!("answers what cannot be read: {why}")),
        Word::Strays(strays) => {
            Some(format!("sends what resolvers take for no answer of its: {}", said::strays(strays)))
        }
        Word::Failed(rcode) => fails_at_all(view.probes, rung)
            .then(|| format!("fails at every name, that of the root included: {}", said::rcode(rcode))),
        Word::Told | Word::Refused | Word::CutShort | Word::Nothing => None,
    }
}

/// What came of a question. Of one whose answer was cut short, and which was not asked over TCP, another tells
/// whether it could have been.
fn says<'p>(view: &'p View, rung: &Rung, probe: &'p ProbeResult) -> Option<Word<'p>> {
    let own = word(probe)?;
    let is_of_it = |word: &Word| own == Word::CutShort && *word == Word::NoTcp;
    Some(of_root(view.probes, rung).filter(is_of_it).unwrap_or(own))
}

/// It fails at the root, too, which is no zone of somebody far away.
pub(crate) fn fails_at_all(probes: &[ProbeResult], rung: &Rung) -> bool {
    of_root(probes, rung).is_some_and(|word| matches!(word, Word::Failed(_)))
}

/// It answered for the root: what it fails at is a zone of somebody's.
pub(crate) fn knows_the_root(probes: &[ProbeResult], rung: &Rung) -> bool {
    of_root(probes, rung).is_some_and(|word| word == Word::Told)
}

fn of_root<'p>(probes: &'p [ProbeResult], rung: &Rung) -> Option<Word<'p>> {
    looked_up::put(probes, rung).find(|probe| looked_up::is_of_root(probe)).and_then(word)
}

fn told(view: &View, rung: &Rung, amiss: &Amiss) -> Option<Found> {
    let Amiss { rung: behind, probe, does } = amiss;
    let server = dns::server(view.world, rung.instance)?;
    let instance = view.intent().instances.get(rung.instance)?;
    let own = looked_up::put(view.probes, rung).filter(|probe| looked_up::reverse(probe).is_some());
    let own: Vec<&ProbeResult> = own.collect();
    let is_unheard = own.iter().any(|probe| probe.received == 0);
    let of_it = looked_up::put(view.probes, behind);
    let mut evidence: Vec<Evidence> = own.into_iter().chain(of_it).map(said::evidence).collect();
    if let Purpose::Upstream(address) | Purpose::Reverse(address) = behind.purpose {
        evidence.push(server.asks(address));
    }
    let dies =
        (says(view, behind, probe) == Some(Word::NoTcp)).then(|| over_tcp(view, &server, behind)).flatten();
    let beyond = place_of(view, behind).unwrap_or_else(|| at(server.ns, server.bridge, Stage::Service));
    let (hop, mut remedy, cause) = match &dies {
        Some(TcpDies { place, detail, rule }) => {
            evidence.push(evidence::record(EvidenceKind::State, "the walk over TCP", detail.clone()));
            let ns = view.netns_at(place);
            let rule = ns.zip(rule.as_ref());
            evidence.extend(rule.iter().flat_map(|(ns, rule)| evidence::rule(ns, rule)));
            let removal = rule.map(|(ns, rule)| removal::of(ns, rule));
            let cause = format!(
                "{}, whom dnsmasq asks, {does}: what is sent to its tcp/{} dies on {}",
                said::server(probe),
                port(behind),
                place.host
            );
            (place.clone(), removal.into_iter().collect(), cause)
        }
        None => (beyond, Vec::new(), format!("{}, whom dnsmasq asks, {does}", said::server(probe))),
    };
    remedy.push(evidence::advice(
        format!("repair the server at {}, or set another dns_server in nova.conf", said::server(probe)),
        "",
    ));
    let fault = Fault {
        code: "dns-lookup-fails",
        hop,
        summary: format!(
            "{} learns no name of the outside: {}, whom {} asks, {does}",
            instance.name,
            said::server(probe),
            rung.to
        ),
        cause,
        confidence: Confidence::Likely,
        evidence,
        owner: "operator",
        remedy,
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    let mut found = fault.found().breaks(Exchange::Dns, Direction::Reply);
    // Who hears nothing waits, and that is what ssh suffers from.
    if is_unheard && matches!(behind.purpose, Purpose::Reverse(_)) {
        let inside = view.world.inside(rung.instance).map(|at| view.world.ns(at));
        found.finding = ssh_slow_reverse_dns::told_as(found.finding, &instance.name, inside);
    }
    Some(found)
}

fn port(behind: &Rung) -> u16 {
    if let Purpose::Upstream(server) | Purpose::Reverse(server) = behind.purpose {
        server.port()
    } else {
        PORT
    }
}

/// Where a connection to a server behind would die by what was read.
struct TcpDies {
    place: Place,
    detail: String,
    rule: Option<model::path::RuleRef>,
}

fn over_tcp(view: &View, server: &Server, behind: &Rung) -> Option<TcpDies> {
    let from = Endpoint::Machine(view.world.main_ns(&server.host.name)?);
    let question = Question { from, to: behind.to, protocol: Protocol::Tcp(port(behind)), reply: true };
    let answer = sim::ask(view.world, &question);
    let (hop, stop) = answer.paths.iter().find_map(|path| path.stop())?;
    let rule = if let Stop::Rule(rule) = stop { Some(rule.clone()) } else { None };
    Some(TcpDies { place: hop.at.clone(), detail: hop.detail.clone(), rule })
}

/// The device that carries the server's address, where its machine was read.
fn place_of(view: &View, behind: &Rung) -> Option<Place> {
    view.snapshot().netns.iter().find_map(|ns| {
        let carried = ns.addresses.iter().find(|carried| carried.net.addr() == behind.to)?;
        Some(at(ns, &ns.link_name(carried.link), Stage::Service))
    })
}

#[cfg(test)]
mod tests {
    use model::dns::{Rcode, Strays};
    use model::finding::Outcome;
    use model::netfilter::{Match, Test};
    use model::probe::{Asked, ProbeResult};

    use crate::Symptom;
    use crate::fixture::{Cloud, codes, drops, healthy, looked_up, of_root, told_its_version};

    const GATEWAY: [u8; 4] = [10, 0, 0, 42];
    const SERVER: [u8; 4] = [1, 2, 3, 4];

    /// web1 has this from its resolver, and that one's host has these from the server behind.
    fn cloud(own: ProbeResult, behind: Vec<ProbeResult>) -> Cloud {
        let mut cloud = healthy();
        cloud.probes = [told_its_version("web1", GATEWAY.into()), own].into_iter().chain(behind).collect();
        cloud
    }

    fn own(rcode: Option<Rcode>) -> ProbeResult {
        looked_up("web1", GATEWAY.into(), rcode)
    }

    /// The server behind answers so that nobody can use it.
    fn unusable(is_cut_short: bool, why: &str) -> ProbeResult {
        let mut result = looked_up("compute1", SERVER.into(), Some(Rcode::NoError));
        if let Asked::Name { over_tcp, cut_short, answer, unreadable, .. } = &mut result.asked {
            (*over_tcp, *cut_short, *answer) = (is_cut_short, is_cut_short, None);
            *unreadable = Some(why.to_owned());
        }
        result
    }

    fn only(cloud: &Cloud) -> model::Finding {
        let found = cloud.diagnose_for("web1", Symptom::Dns);
        assert_eq!(codes(&found), ["dns-lookup-fails external//eth0"], "{:?}", found.findings);
        found.findings[0].clone()
    }

    #[test]
    fn an_answer_that_is_cut_short_and_not_had_over_tcp_is_none() {
        let behind = unusable(true, "it is cut short, and nothing came over TCP");
        // Whether dnsmasq still knows it, says that it fails, or is silent.
        for told in [Some(Rcode::NoError), Some(Rcode::ServFail), None] {
            let finding = only(&cloud(own(told), vec![behind.clone()]));
            assert!(finding.cause.contains("not to be had over TCP"), "{}", finding.cause);
        }
    }

    #[test]
    fn the_rule_that_takes_tcp_on_the_way_to_the_server_is_named() {
        let mut cloud = cloud(own(None), vec![unusable(true, "nothing came over TCP")]);
        let port = Match { negated: false, test: Test::DestinationPort(vec![(53, 53)]) };
        let tcp = Match { negated: false, test: Test::Protocol(6) };
        let rule = drops("-A OUTPUT -p tcp -m tcp --dport 53 -j DROP", vec![tcp, port]);
        cloud.chain("compute1", "filter", "OUTPUT").rules.insert(0, rule);
        let found = cloud.diagnose_for("web1", Symptom::Dns);
        assert_eq!(codes(&found), ["dns-lookup-fails compute1//eth0"]);
        assert!(found.findings[0].remedy[0].command.contains("-D OUTPUT -p tcp"), "{:?}", found.findings[0]);
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_none() {
        let finding = only(&cloud(own(Some(Rcode::ServFail)), vec![unusable(false, "a pointer to itself")]));
        assert!(
            finding.cause.ends_with("answers what cannot be read: a pointer to itself"),
            "{}",
            finding.cause
        );
    }

    #[test]
    fn what_comes_beside_the_question_is_told_as_what_it_is() {
        let mut behind = looked_up("compute1", SERVER.into(), None);
        if let Asked::Name { strays, .. } = &mut behind.asked {
            *strays = Strays { wrong_id: 2, ..Strays::default() };
        }
        let cloud = cloud(own(None), vec![behind]);
        assert!(only(&cloud).cause.contains("2 with another number"));
        let ssh = cloud.diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&ssh), ["ssh-slow-reverse-dns external//eth0"]);
    }

    #[test]
    fn a_failure_at_every_name_is_a_fault_and_at_one_it_is_not() {
        let failing = Some(Rcode::ServFail);
        let behind = |root| {
            vec![looked_up("compute1", SERVER.into(), failing), of_root("compute1", SERVER.into(), root)]
        };
        assert!(only(&cloud(own(failing), behind(failing))).cause.contains("fails at every name"));
        let outcome = |behind| {
            let found = cloud(own(failing), behind).diagnose_for("web1", Symptom::Dns);
            assert_eq!(codes(&found), [""; 0]);
            assert!(
                found.coverage.gaps.iter().any(|gap| gap.what.contains("finds out other names")),
                "{found:?}"
            );
            found.outcome
        };
        assert_eq!(outcome(behind(Some(Rcode::NoError))), Outcome::Healthy);
        assert_eq!(outcome(behind(Some(Rcode::Refused))), Outcome::Undetermined);
        assert_eq!(outcome(vec![looked_up("compute1", SERVER.into(), failing)]), Outcome::Undetermined);
    }

    #[test]
    fn one_server_that_answers_is_enough() {
        let mut cloud = cloud(own(Some(Rcode::NoError)), vec![unusable(false, "a pointer to itself")]);
        cloud.dnsmasq("compute1").servers.push("1.2.3.5".to_owned());
        cloud.address("external", "eth0", "1.2.3.5/24");
        let sockets = &mut cloud.netns("external").sockets;
        let mut own =
            sockets.iter().find(|socket| socket.protocol == 17 && socket.port == 53).unwrap().clone();
        own.address = [1, 2, 3, 5].into();
        sockets.push(own);
        cloud.probes.push(looked_up("compute1", [1, 2, 3, 5].into(), Some(Rcode::NoError)));
        assert_eq!(codes(&cloud.diagnose_for("web1", Symptom::Dns)), [""; 0]);
    }
}
