//! # ssh-slow-reverse-dns
//!
//! The instance lets ssh connect at once and prompts late: nobody tells it who the client is.
//!
//! ## What it means
//! sshd looks up the name of whoever connects (`UseDNS yes`, the default before OpenSSH 6.8), and so do login
//! records and TCP wrappers. The instance asks dnsmasq, dnsmasq asks its upstream, and no answer comes back:
//! the resolver waits its time out, 5 seconds a server, twice. Ping and http are fast.
//!
//! ## How hopline knows
//! Asked for with `--symptom ssh` only. The walk from the host that runs dnsmasq to the server that it asks,
//! or the way of the answer, ends; and so that dnsmasq is not told at once: a route that is missing on the
//! host itself, or a rule in its OUTPUT, fails the question there, and dnsmasq refuses it without delay. Or the
//! client's name was asked for as the instance, and the answer took a second or more, or none came where the servers
//! behind dnsmasq fail: it tells that only those who ask with EDNS.
//!
//! ## What it looks like
//! The TCP handshake takes a millisecond, the banner or the prompt ten seconds to a minute; on the bridge PTR
//! questions repeat without an answer. Past LoginGraceTime, 120 seconds, sshd hangs up.
//!
//! ## Nearest look-alikes
//! * a network that is slow: http is as slow.
//! * `dns-upstream-dead`, `dns-upstream-wrong`, `foreign-rule-drop`: the same, asked for without `--symptom ssh`.
//! * `dhcp-offer-wrong`, `guest-resolv-conf-wrong`: the instance asks a server that is not dnsmasq, and that one does
//!   not answer.
//!
//! ## Fix
//! Repair the way to the DNS server at the hop that is named. Until then `UseDNS no` in the instance's
//! sshd_config. Undo: take the line out.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (ssh takes a minute); sshd_config(5) `UseDNS`,
//! `LoginGraceTime`; resolv.conf(5) `timeout`, `attempts`.

use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::netfilter::Hook;
use model::netns::Socket;
use model::path::{Direction, Exchange, Place, Stage, Stop};
use model::probe::ProbeResult;
use model::service::ResolvConf;

use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung};
use crate::looked_up;
use crate::mend::Mend;
use crate::removal;
use crate::said as probed;
use crate::view::{Stopped, View};

/// LoginGraceTime's default, in seconds (sshd_config(5)).
const GRACE_SECONDS: u32 = 120;

/// Looks for reverse look-ups that nobody answers: one finding a hop.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops().filter(waits) {
        if !found.iter().any(|f| f.finding.hop.same_device(&stopped.hop.at)) {
            found.push(finding(view, stopped));
        }
    }
    // What does not come at all is told already.
    if found.is_empty() {
        found.extend(view.rungs.iter().find_map(|rung| late(view, rung)));
    }
    found
}

/// The client's name was told, and so late that whoever comes by ssh waits for it; or that it cannot be found out was
/// not told.
fn late(view: &View, rung: &Rung) -> Option<Found> {
    let is_reverse =
        |other: &Rung| other.instance == rung.instance && matches!(other.purpose, Purpose::Reverse(_));
    if rung.purpose != Purpose::Resolver || !view.rungs.iter().any(is_reverse) {
        return None;
    }
    let mut asked = looked_up::put(view.probes, rung).filter(|probe| dns::is_late(probe));
    let late = asked.find(|probe| looked_up::reverse(probe).is_some());
    let unheard = || dns::shared_failure(view.probes, view.rungs, rung).filter(|(own, _)| own.received == 0);
    let (probe, failing) = match late {
        Some(probe) => (probe, None),
        None => unheard().map(|(probe, behind)| (probe, Some(behind)))?,
    };
    let server = dns::server(view.world, rung.instance)?;
    let instance = view.intent().instances.get(rung.instance)?;
    let inside = view.world.inside(rung.instance).map(|at| view.world.ns(at));
    let (wait, budget) = budget(inside.and_then(|ns| ns.resolver.as_ref()).unwrap_or(&ResolvConf::default()));
    let how = match probe.rtt_us.filter(|_| failing.is_none()) {
        Some(us) => format!(
            "{} ms late: so long takes its look-up of the client's name, for which it waits {wait} s at most",
            probed::milliseconds(us)
        ),
        None => format!("up to {wait} s late: its look-up of the client's name gets no answer"),
    };
    let mut upstreams = looked_up::upstreams(view, rung).into_iter();
    let is_to_blame = |probe: &&ProbeResult| dns::is_late(probe) || failing.is_some();
    let slow = upstreams.find_map(|(other, probe)| Some((other, probe.filter(is_to_blame)?)));
    let mut evidence = vec![
        probed::evidence(probe),
        evidence::record(EvidenceKind::Config, "resolv.conf(5), sshd_config(5)", budget),
    ];
    if let Some((other, probe)) = slow
        && let Purpose::Reverse(address) = other.purpose
    {
        evidence.extend([probed::evidence(probe), server.asks(address)]);
    }
    let cause = match slow {
        Some((_, probe)) if failing.is_some() => {
            format!(
                "{}, whom dnsmasq asks, fails, and who asks dnsmasq without EDNS is not told so",
                probed::server(probe)
            )
        }
        Some((_, probe)) => format!("{}, whom dnsmasq asks, is as slow", probed::server(probe)),
        None => "dnsmasq waits for whom it asks, of whom its host had no late answer".to_owned(),
    };
    let around =
        evidence::advice("UseDNS no", "in the instance's /etc/ssh/sshd_config, until names come at once");
    let fault = Fault {
        code: "ssh-slow-reverse-dns",
        hop: at(server.ns, server.bridge, Stage::Service),
        summary: format!("ssh to {} prompts {how}", instance.name),
        cause,
        confidence: Confidence::Likely,
        evidence,
        owner: "operator",
        remedy: vec![around],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

/// The stop of a reverse look-up that dnsmasq is not told of, so that the instance waits.
pub(crate) fn waits(stopped: &Stopped) -> bool {
    let Purpose::Reverse(_) = stopped.rung.purpose else { return false };
    let here = stopped.hop.at.host == stopped.rung.from && stopped.direction == Direction::Request;
    // sendto() fails.
    let refused = matches!(stopped.stop, Stop::Rule(rule) | Stop::Policy(rule) if rule.hook == Hook::Output);
    let at_once = refused || matches!(stopped.stop, Stop::NoRoute(_) | Stop::RouteRefuses(_));
    !(here && at_once)
}

fn finding(view: &View, stopped: Stopped) -> Found {
    let place = &stopped.hop.at;
    let ns = view.snapshot().netns.iter().find(|ns| ns.machine == place.host && ns.name == place.netns);
    let instance = view.intent().instances.get(stopped.rung.instance);
    let name = instance.map_or("the instance", |instance| instance.name.as_str());
    let inside = view.world.inside(stopped.rung.instance).map(|at| view.world.ns(at));
    let conf = inside.and_then(|ns| ns.resolver.clone());
    let (wait, budget) = budget(conf.as_ref().unwrap_or(&ResolvConf::default()));
    let ends = if wait >= GRACE_SECONDS { "sshd hangs up before" } else { "then sshd goes on" };
    let mut evidence = vec![evidence::record(EvidenceKind::Config, "resolv.conf(5), sshd_config(5)", budget)];
    evidence.extend(shown(view, ns, &stopped));
    if let (Some(server), Purpose::Reverse(address)) =
        (dns::server(view.world, stopped.rung.instance), stopped.rung.purpose)
    {
        evidence.push(server.asks(address));
    }
    let fault = Fault {
        code: "ssh-slow-reverse-dns",
        hop: place.clone(),
        summary: format!(
            "ssh to {name} prompts up to {wait} s late: its look-up of the client's name gets no answer, for what \
             {} asks {} dies on {}",
            stopped.rung.from, stopped.rung.to, place.host
        ),
        cause: format!(
            "{}; the resolver waits {wait} s for it, {ends} (LoginGraceTime {GRACE_SECONDS} s)",
            said(&stopped)
        ),
        confidence: Confidence::Likely,
        evidence,
        owner: "operator",
        remedy: remedies(ns, stopped.stop),
        instances: view.instances_on(&stopped.rung.from),
        stopped: Some(stopped),
        mend: mends(place, &stopped),
    };
    fault.found()
}

/// What only a real question's silence tells: the finding that names its hop, told as what ssh suffers from it.
pub(crate) fn told_as(lost: Finding, instance: &str, inside: Option<&Netns>) -> Finding {
    let conf = inside.and_then(|ns| ns.resolver.clone()).unwrap_or_default();
    let (wait, budget) = budget(&conf);
    let told = evidence::record(EvidenceKind::Config, "resolv.conf(5), sshd_config(5)", budget);
    let around =
        evidence::advice("UseDNS no", "in the instance's /etc/ssh/sshd_config, until names resolve again");
    Finding {
        code: "ssh-slow-reverse-dns".to_owned(),
        summary: format!(
            "ssh to {instance} prompts up to {wait} s late: its look-up of the client's name gets no answer; {}",
            lost.summary
        ),
        evidence: std::iter::once(told).chain(lost.evidence).collect(),
        remedy: vec![around],
        ..lost
    }
}

/// How long a look-up waits at most, in seconds, and how that comes about.
pub(crate) fn budget(conf: &ResolvConf) -> (u32, String) {
    let servers = u32::try_from(conf.servers.len()).unwrap_or(u32::MAX).max(1);
    let wait = conf.timeout_seconds.saturating_mul(conf.attempts.max(1)).saturating_mul(servers);
    let times = |count: u32, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let text = format!(
        "{} s a server x {} x {} = {wait} s a look-up; LoginGraceTime {GRACE_SECONDS} s",
        conf.timeout_seconds,
        times(conf.attempts.max(1), "attempt"),
        times(servers, "server"),
    );
    (wait, text)
}

fn said(stopped: &Stopped) -> String {
    let what = if stopped.direction == Direction::Reply { "the answer" } else { "the question" };
    format!("{what} ends there: {}", stopped.hop.detail)
}

fn shown(view: &View, ns: Option<&Netns>, stopped: &Stopped) -> Vec<Evidence> {
    if let (Some(ns), Stop::Rule(rule) | Stop::Policy(rule)) = (ns, stopped.stop) {
        return evidence::stopping(view, ns, stopped, rule);
    }
    vec![evidence::record(EvidenceKind::State, "the walk", stopped.hop.detail.clone())]
}

fn remedies(ns: Option<&Netns>, stop: &Stop) -> Vec<model::finding::Remedy> {
    let rule = if let Stop::Rule(rule) = stop { Some(rule) } else { None };
    let repair = ns.zip(rule).map(|(ns, rule)| removal::of(ns, rule));
    let around =
        evidence::advice("UseDNS no", "in the instance's /etc/ssh/sshd_config, until names resolve again");
    repair.into_iter().chain([around]).collect()
}

fn mends(place: &Place, stopped: &Stopped) -> Vec<Mend> {
    let machine = place.host.clone();
    if let Stop::Rule(rule) = stopped.stop {
        return vec![Mend::RemoveRule { machine, rule: rule.clone() }];
    }
    let Purpose::Reverse(address) = stopped.rung.purpose else { return Vec::new() };
    let (ip, port) = ((*address.ip()).into(), address.port());
    let socket = Socket { protocol: 17, address: ip, port, device: None, receive_queue: 0 };
    let unheard = matches!(stopped.stop, Stop::NoListener { .. });
    unheard.then_some(Mend::Listen { machine, socket }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use model::service::ResolvConf;

    use super::budget;
    use crate::Symptom;
    use crate::fixture::{broken, codes, drops, healthy, lacks, looked_up, to};

    #[test]
    fn fires_where_ssh_is_complained_of_and_tells_how_long_it_waits() {
        let diagnosis = broken("ssh-slow-reverse-dns").diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&diagnosis), ["ssh-slow-reverse-dns gw//eth0"]);
        let finding = &diagnosis.findings[0];
        assert!(finding.summary.contains("up to 10 s late"), "{}", finding.summary);
        assert!(
            finding.remedy[0].command.contains("iptables -t filter -D FORWARD -d 1.2.3.4/32 -p udp"),
            "{finding:?}"
        );
    }

    #[test]
    fn a_server_beyond_what_is_read_is_waited_for_where_it_is_silent() {
        let mut cloud = healthy();
        cloud.netns("external").sockets.clear();
        let silent = crate::fixture::looked_up("compute1", [1, 2, 3, 4].into(), None);
        cloud.probes = vec![silent];
        let diagnosis = cloud.diagnose_for("web1", Symptom::Ssh);
        let [finding] = diagnosis.findings.as_slice() else { panic!("{:?}", codes(&diagnosis)) };
        assert_eq!(finding.code, "ssh-slow-reverse-dns");
        assert!(finding.summary.contains("up to 10 s late"), "{}", finding.summary);
        // Of names alone it is told as what it is.
        assert!(codes(&cloud.diagnose("web1"))[0].starts_with("lost-at-hop "));
    }

    #[test]
    fn a_dead_server_is_waited_for_too() {
        let diagnosis = broken("dns-upstream-dead").diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&diagnosis), ["ssh-slow-reverse-dns external//eth0"]);
    }

    #[test]
    fn every_server_is_waited_for_twice() {
        let servers = ["10.0.0.42", "1.2.3.4", "9.9.9.9"].map(|ip| ip.parse().unwrap()).to_vec();
        let conf = ResolvConf { servers, ..ResolvConf::default() };
        assert_eq!(budget(&conf).0, 30);
        assert_eq!(budget(&ResolvConf { timeout_seconds: 30, attempts: 5, ..conf }).0, 450);
        assert_eq!(
            budget(&ResolvConf::default()).1,
            "5 s a server x 2 attempts x 1 server = 10 s a look-up; LoginGraceTime 120 s"
        );
    }

    #[test]
    fn an_answer_that_is_late_is_waited_for_and_told_with_who_is_slow() {
        let answered_after = |resolver_us, upstream_us| {
            let mut cloud = healthy();
            let ok = Some(model::dns::Rcode::NoError);
            let mut resolver = looked_up("web1", [10, 0, 0, 42].into(), ok);
            let mut upstream = looked_up("compute1", [1, 2, 3, 4].into(), ok);
            (resolver.rtt_us, upstream.rtt_us) = (Some(resolver_us), Some(upstream_us));
            cloud.probes = vec![resolver, upstream];
            cloud
        };
        let both = answered_after(1_400_000, 1_390_000);
        let diagnosis = both.diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&diagnosis), ["ssh-slow-reverse-dns compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert!(finding.summary.contains("prompts 1400.0 ms late"), "{}", finding.summary);
        assert!(finding.summary.contains("waits 10 s at most"), "{}", finding.summary);
        assert!(finding.cause.starts_with("1.2.3.4, whom dnsmasq asks, is as slow"), "{finding:?}");
        // Where nobody complains of ssh, one slow answer is no fault.
        let diagnosis = both.diagnose("web1");
        assert_eq!(codes(&diagnosis), [""; 0]);
        assert!(diagnosis.coverage.gaps.iter().any(|gap| gap.why.contains("1400.0 ms")), "{diagnosis:?}");
        // A failure behind it, which dnsmasq does not pass on.
        let mut failing = healthy();
        failing.probes = vec![
            looked_up("web1", [10, 0, 0, 42].into(), None),
            looked_up("compute1", [1, 2, 3, 4].into(), Some(model::dns::Rcode::ServFail)),
            crate::fixture::told_its_version("web1", [10, 0, 0, 42].into()),
        ];
        let diagnosis = failing.diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&diagnosis), ["ssh-slow-reverse-dns compute1//br100"]);
        assert!(diagnosis.findings[0].summary.contains("up to 10 s late"), "{diagnosis:?}");
        let diagnosis = failing.diagnose("web1");
        assert_eq!(codes(&diagnosis), [""; 0]);
        assert!(diagnosis.coverage.gaps.iter().any(|gap| gap.why.contains("SERVFAIL")), "{diagnosis:?}");
        // Fast enough.
        let quick = answered_after(900_000, 900_000);
        assert_eq!(codes(&quick.diagnose_for("web1", Symptom::Ssh)), [""; 0]);
        let diagnosis = quick.diagnose("web1");
        assert!(diagnosis.coverage.gaps.iter().all(|gap| !gap.why.contains(" ms")), "{diagnosis:?}");
    }

    /// The instance was given another server than its network's.
    #[test]
    fn whom_sshd_really_asks_is_asked() {
        let nobody = std::net::Ipv4Addr::new(10, 0, 255, 254);
        let mut offered = healthy();
        let dnsmasq = offered.dnsmasq("compute1");
        (dnsmasq.options, dnsmasq.offered_dns) = (vec![format!("6,{nobody}")], vec![nobody]);
        let found = offered.diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&found), ["dhcp-offer-wrong compute1//br100"]);
        let by_hand = broken("guest-resolv-conf-wrong").diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&by_hand), ["guest-resolv-conf-wrong web1//eth0"]);
    }

    #[test]
    fn stays_silent_where_dnsmasq_is_told_at_once() {
        let mut cloud = healthy();
        let mut rule = drops("-A OUTPUT -d 1.2.3.4/32 -p udp -j DROP", vec![to("1.2.3.4/32")]);
        rule.matches
            .push(model::netfilter::Match { negated: false, test: model::netfilter::Test::Protocol(17) });
        cloud.chain("compute1", "filter", "OUTPUT").rules.insert(0, rule);
        let diagnosis = cloud.diagnose_for("web1", Symptom::Ssh);
        assert!(lacks(&diagnosis, "ssh-slow-reverse-dns"), "{:?}", codes(&diagnosis));
        assert!(!lacks(&diagnosis, "foreign-rule-drop"), "{:?}", codes(&diagnosis));
    }

    #[test]
    fn stays_silent_where_nobody_complains_of_ssh() {
        assert_eq!(codes(&broken("ssh-slow-reverse-dns").diagnose("web1")), ["foreign-rule-drop gw//eth0"]);
        assert_eq!(codes(&healthy().diagnose_for("web1", Symptom::Ssh)), Vec::<String>::new());
    }
}
