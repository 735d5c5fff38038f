//! Questions from inside a namespace that may be entered: each by a socket of its own.

use std::net::SocketAddr;
use std::time::Duration;

use collect::{At, MachinePlan};
use model::probe::{Asked, ProbeResult};
use model::snapshot::Gap;
use probe::as_instance::{Asks, Then, own_port};
use probe::dns::{DnsOutcome, DnsPlan, Question, Transport};
use probe::tcp::TcpOutcome;
use probe::{AskError, Asker, EchoPlan, EchoResult, IcmpError, NotSent, dns, greeting, http, tcp};
use sys::netns::{NetnsError, NetnsFd};

use super::{Came, Probe, Unsent};
use crate::failure::Failure;

/// How long a resolver waits before it asks again; the shortest that is common (musl's, in half of five seconds).
const ASK_AGAIN: Duration = Duration::from_millis(1500);

/// Asks one, and waits for what comes of it.
pub(super) fn send(
    machine: &MachinePlan,
    probe: &Probe<'_>,
    patience: Duration,
    answered: &mut (dyn FnMut(u16) + Send),
    afforded: &dyn Fn(u16, u32) -> bool,
) -> Result<Came, Unsent> {
    let unsent = |why| Unsent { why, would_need: "root; --passive does without".to_owned() };
    let netns = netns(machine).map_err(|error| unsent(error.to_string()))?;
    let asker = Asker { name: &machine.name, netns: &netns, source: None };
    let result = match &probe.asks {
        Asks::Echo(size) => {
            let plan = EchoPlan {
                to: probe.to,
                scope: 0,
                count: probe.pace.count,
                interval: probe.pace.interval,
                timeout: patience,
                ttl: None,
                id: Some(probe.id),
                size: *size,
            };
            let result = probe::echo_and_tell(&asker, &plan, || answered(probe.id))
                .map_err(|error| unsent(Failure::of(&error).to_string()))?;
            echo(nothing(&asker, probe, Asked::Echo { octets: result.octets }), result)
        }
        // Nobody asks for an address from inside: see `super::from`.
        Asks::Address => return Ok(Came::default()),
        Asks::Name(question) => {
            let may_go_on = || probe.is_at_home || afforded(probe.id, super::cost::NAME_OVER_TCP_PACKETS);
            name(&asker, probe, question, patience, may_go_on)
                .map_err(|error| unsent(Failure::of(&error).to_string()))?
        }
        Asks::Connection { port, then } => {
            let to = SocketAddr::new(probe.to, *port);
            let result = connect(&asker, probe, (to, *then), patience, answered)
                .map_err(|error| unsent(Failure::of(&error).to_string()))?;
            let packets = probe.packets(&result);
            return Ok(Came { packets, results: vec![result], ..Came::default() });
        }
    };
    if result.received > 0 && !matches!(probe.asks, Asks::Echo(_)) {
        answered(probe.id);
    }
    let gaps = halved(&result).into_iter().collect();
    let packets = probe.packets(&result);
    Ok(Came { packets, results: vec![result], gaps, ..Came::default() })
}

/// Of an answer that is cut short the whole was not asked for, for want of packets.
fn halved(result: &ProbeResult) -> Option<Gap> {
    let Asked::Name { question, over_tcp: false, cut_short: true, .. } = &result.asked else { return None };
    Some(Gap {
        what: format!("what {} tells {} of {question}", result.to, result.from),
        why: format!("its answer over UDP is cut short, and {}", super::TOO_MANY),
        would_need: super::FEWER.to_owned(),
    })
}

pub(crate) fn netns(machine: &MachinePlan) -> Result<NetnsFd, NetnsError> {
    match &machine.at {
        At::Local => NetnsFd::current(),
        At::Netns(name) => NetnsFd::named(name),
    }
}

/// A result of which nothing has come yet.
fn nothing(asker: &Asker<'_>, probe: &Probe<'_>, asked: Asked) -> ProbeResult {
    ProbeResult {
        from: asker.name.to_owned(),
        by_host: false,
        to: probe.to,
        asked,
        sent: 1,
        received: 0,
        reply_ttl: None,
        rtt_us: None,
        errors: Vec::new(),
        send_error: None,
        recorded: None,
    }
}

fn echo(nothing: ProbeResult, came: EchoResult) -> ProbeResult {
    ProbeResult {
        sent: came.sent,
        received: u32::try_from(came.replies.len()).unwrap_or(u32::MAX),
        reply_ttl: came.reply_ttl,
        rtt_us: came.median().map(|took| microseconds(took.duration)),
        errors: came.error.iter().map(said).collect(),
        send_error: came.not_sent.as_ref().map(refused),
        recorded: None,
        ..nothing
    }
}

/// Asks twice, as resolvers do, for UDP may be lost; once where silence is foreseen.
/// Who waits for a name takes a late answer to the first as well.
fn name(
    asker: &Asker<'_>,
    probe: &Probe<'_>,
    question: &Question,
    patience: Duration,
    may_go_on: impl FnOnce() -> bool,
) -> Result<ProbeResult, dns::DnsError> {
    let plan = DnsPlan {
        question: question.clone(),
        server: SocketAddr::new(probe.to, probe.server_port),
        transport: Transport::Udp,
        id: Some(probe.id),
        own_port: own_port(probe.id),
        timeout: patience,
        again: (probe.pace.count > 1).then_some(ASK_AGAIN),
    };
    let result = dns::ask_sparingly(asker, &plan, may_go_on)?;
    let asked = Asked::Name {
        question: question.to_string(),
        server_port: probe.server_port,
        over_tcp: result.is_truncated && result.outcome != DnsOutcome::CutShort,
        cut_short: result.is_truncated,
        answer: None,
        unreadable: None,
        strays: result.strays,
    };
    let rtt_us = result.took.map(|took| microseconds(took.duration));
    let nothing = ProbeResult { sent: result.sent, rtt_us, ..nothing(asker, probe, asked) };
    Ok(answered_over_udp(with_outcome(nothing, result.outcome)))
}

/// Where the answer over UDP was cut short and none came over TCP, UDP has answered all the same.
fn answered_over_udp(mut result: ProbeResult) -> ProbeResult {
    let is_lost = result.is_cut_short() && result.received == 0;
    if let Asked::Name { unreadable, .. } = &mut result.asked
        && is_lost
    {
        *unreadable = Some("it is cut short, and nothing came over TCP".to_owned());
        result.received = 1;
    }
    result
}

/// With what came of a question for a name.
fn with_outcome(mut result: ProbeResult, outcome: DnsOutcome) -> ProbeResult {
    let to = result.to;
    let Asked::Name { answer, unreadable, .. } = &mut result.asked else { return result };
    match outcome {
        DnsOutcome::Answered(said) => {
            *answer = Some(said);
            result.received = 1;
        }
        DnsOutcome::CutShort => {
            *unreadable = Some("it is cut short, and over TCP it was not asked for".to_owned());
            result.received = 1;
        }
        DnsOutcome::Malformed(why) => {
            *unreadable = Some(why);
            result.received = 1;
        }
        DnsOutcome::HungUp => {
            *unreadable = Some("the connection was closed before the answer was whole".to_owned());
            result.received = 1;
        }
        DnsOutcome::PortClosed(None) => result.errors.push((to, "connection refused".to_owned())),
        DnsOutcome::PortClosed(Some(icmp)) | DnsOutcome::Unreachable(icmp) => result.errors.push(said(&icmp)),
        DnsOutcome::NotSent(why) => result.send_error = Some(refused(&why)),
        DnsOutcome::Flooded => {
            *unreadable = Some("so much came that was no answer that waiting ended".to_owned());
        }
        DnsOutcome::Silent => {}
    }
    result
}

/// Connects, and asks for a page or waits for a greeting where one is wanted. The question is answered when the
/// connection is.
fn connect(
    asker: &Asker<'_>,
    probe: &Probe<'_>,
    (to, then): (SocketAddr, Then),
    patience: Duration,
    answered: &mut (dyn FnMut(u16) + Send),
) -> Result<ProbeResult, AskError> {
    let own = own_port(probe.id);
    let mut connected = || answered(probe.id);
    let (came, page, greeting) = match then {
        Then::Nothing => (tcp::connect_from(asker, own, to, patience)?, None, None),
        Then::Page(path) => {
            let (came, page) = http::get(asker, (own, to), path, patience, &mut connected)?;
            (came, page, None)
        }
        Then::Greeting => {
            let (came, greeting) = greeting::hear(asker, (own, to), patience, &mut connected)?;
            (came, None, greeting)
        }
    };
    let is_told = page.is_some() || greeting.is_some();
    let accepted = came.outcome == TcpOutcome::Answered;
    let asked = Asked::Connection { port: to.port(), accepted, page, greeting };
    let result = connection(asker, probe, asked, came);
    if result.received > 0 && !is_told {
        answered(probe.id);
    }
    Ok(result)
}

fn connection(asker: &Asker<'_>, probe: &Probe<'_>, asked: Asked, came: tcp::TcpResult) -> ProbeResult {
    let nothing = nothing(asker, probe, asked);
    let mut result = ProbeResult { rtt_us: came.took.map(|took| microseconds(took.duration)), ..nothing };
    match came.outcome {
        TcpOutcome::Answered | TcpOutcome::Refused => result.received = 1,
        TcpOutcome::Unreachable(icmp) => result.errors.push(said(&icmp)),
        TcpOutcome::NotSent(why) => result.send_error = Some(refused(&why)),
        TcpOutcome::Silent => {}
    }
    result
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn said(icmp: &IcmpError) -> (std::net::IpAddr, String) {
    (icmp.from, icmp.meaning())
}

/// Why our own stack would not send, in ping's words.
pub(super) fn refused(why: &NotSent) -> String {
    match why {
        NotSent::NoRoute => "Network is unreachable".to_owned(),
        NotSent::Prohibited => "the route prohibits it".to_owned(),
        NotSent::Blackhole => "the route is a blackhole".to_owned(),
        NotSent::Dropped => "Operation not permitted: a rule of its own drops it".to_owned(),
        NotSent::TooBig => "Message too long".to_owned(),
        NotSent::Other(why) => why.clone(),
    }
}
