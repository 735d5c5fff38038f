//! What came of our own probes, as evidence and in a sentence's words.

use std::net::Ipv4Addr;

use model::dhcp::{HeardReply, ReplyKind, UdpChecksum, UnreadableReply};
use model::dns::{DnsAnswer, Found, Rcode, Strays};
use model::finding::{Evidence, EvidenceKind};
use model::http::{HttpAnswer, Page};
use model::path::Exchange;
use model::probe::{Asked, PING_OCTETS, ProbeResult, Recorded};
use model::ssh::{Greeted, Greeting};

use crate::dns;
use crate::looked_up::{self, Word};

/// What ping(8) does not count: an IPv4 header and the echo's own.
pub(crate) const HEADERS_OCTETS: u16 = 28;

/// What a probe said, as evidence.
pub(crate) fn evidence(probe: &ProbeResult) -> Evidence {
    if let Some(recorded) = &probe.recorded {
        let source = recorded.shown_by.clone();
        return Evidence { kind: EvidenceKind::Capture, source, text: text(probe) };
    }
    let how = if probe.by_host { "as" } else { "from" };
    let what = match &probe.asked {
        Asked::Echo { octets: PING_OCTETS } => format!("ping {}", probe.to),
        Asked::Echo { octets } => {
            format!("ping -M do -s {} {}", octets.saturating_sub(HEADERS_OCTETS), probe.to)
        }
        Asked::Address { .. } => "DHCPDISCOVER".to_owned(),
        Asked::Name { question, over_tcp, server_port, .. } => {
            let port = if *server_port == dns::PORT { String::new() } else { format!(" -p {server_port}") };
            format!("dig @{}{port} {question}{}", probe.to, if *over_tcp { " +tcp" } else { "" })
        }
        Asked::Connection { port, page: Some(page), .. } => curl(probe, *port, page),
        Asked::Connection { port, greeting: Some(_), .. } => format!("nc -w 5 {} {port}", probe.to),
        Asked::Connection { port, .. } => format!("nc -z {} {port}", probe.to),
    };
    Evidence { kind: EvidenceKind::Probe, source: format!("{what} {how} {}", probe.from), text: text(probe) }
}

/// What was asked, and what came of it: `ping 1.2.3.4 from web1: 2 of 2 answered, ttl 61`.
pub fn told(probe: &ProbeResult) -> String {
    let Evidence { source, text, .. } = evidence(probe);
    format!("{source}: {text}")
}

/// What servers said to an instance's DISCOVER.
pub(crate) fn offers<'p>(probes: &'p [ProbeResult], instance: &str) -> impl Iterator<Item = &'p HeardReply> {
    addresses(probes, instance).flat_map(|(offers, _)| offers)
}

/// What was sent to it that no client could read.
pub(crate) fn unreadable<'p>(
    probes: &'p [ProbeResult],
    instance: &str,
) -> impl Iterator<Item = &'p UnreadableReply> {
    addresses(probes, instance).flat_map(|(_, unreadable)| unreadable)
}

fn addresses<'p>(
    probes: &'p [ProbeResult],
    instance: &str,
) -> impl Iterator<Item = (&'p [HeardReply], &'p [UnreadableReply])> {
    probes.iter().filter(move |probe| probe.from == instance).filter_map(|probe| match &probe.asked {
        Asked::Address { offers, unreadable } => Some((offers.as_slice(), unreadable.as_slice())),
        Asked::Echo { .. } | Asked::Name { .. } | Asked::Connection { .. } => None,
    })
}

/// What a probe sends, with its article: `the ping`.
pub(crate) fn question(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Arp => "the ARP question",
        Exchange::Dhcp => "the DHCPDISCOVER",
        Exchange::Dns => "the DNS question",
        Exchange::Icmp => "the ping",
        Exchange::Tcp => "the SYN",
        Exchange::Udp => "the datagram",
        Exchange::None => "the packet",
    }
}

/// Whose answer it would be, to follow "no answer": `from 1.2.3.4`.
pub(crate) fn answer_from(probe: &ProbeResult) -> String {
    match &probe.asked {
        Asked::Echo { .. } => format!("from {}", probe.to),
        Asked::Address { .. } => "to a DHCPDISCOVER".to_owned(),
        Asked::Name { question, .. } if question.is_empty() => format!("from {} about a name", server(probe)),
        Asked::Name { question, .. } => format!("from {} about {question}", server(probe)),
        Asked::Connection { port, .. } => format!("from {}:{port}", probe.to),
    }
}

/// The server that a name was asked of: with its port, where that is not DNS's.
pub(crate) fn server(probe: &ProbeResult) -> String {
    match probe.asked.server_port() {
        Some(port) if port != dns::PORT => format!("{}:{port}", probe.to),
        Some(_) | None => probe.to.to_string(),
    }
}

/// The filter that shows a probe's packets, as `tcpdump` and `hopline capture` take it.
pub(crate) fn filter(probe: &ProbeResult) -> String {
    match &probe.asked {
        Asked::Echo { .. } if probe.to.is_ipv6() => format!("icmp6 and host {}", probe.to),
        Asked::Echo { .. } => format!("icmp and host {}", probe.to),
        Asked::Address { .. } => "udp and portrange 67-68".to_owned(),
        Asked::Name { server_port, .. } => format!("port {server_port}"),
        // Its address may be translated on the way, and its port with it.
        Asked::Connection { .. } => "tcp[tcpflags] & tcp-syn != 0".to_owned(),
    }
}

/// What is asked with, and how often: `2 echo requests`.
pub(crate) fn asked(probe: &ProbeResult) -> String {
    let what = match probe.asked {
        Asked::Echo { .. } => "echo requests",
        // A client that has an address, or had one, asks for it by a REQUEST.
        Asked::Address { .. } if probe.recorded.is_some() => "DHCP questions",
        Asked::Address { .. } => "DISCOVER",
        Asked::Name { .. } => "DNS questions",
        Asked::Connection { .. } if probe.recorded.is_some() => "TCP connections",
        Asked::Connection { .. } => "SYN",
    };
    format!("{} {what}", probe.sent)
}

/// What a probe said, in one line.
pub(crate) fn text(probe: &ProbeResult) -> String {
    if let Some(Recorded { packet, .. }) = &probe.recorded {
        let (from, to, answered) = (&probe.from, probe.to, probe.received);
        return format!(
            "of {} from {from} to {to} {answered} were answered; the first is {packet}",
            asked(probe)
        );
    }
    let mut text = match &probe.asked {
        Asked::Echo { .. } => format!("{} of {} answered", probe.received, probe.sent),
        Asked::Address { offers, unreadable } => offered(probe.sent, offers, unreadable),
        Asked::Name { answer, unreadable, strays, .. } => {
            format!("{}{}", named(answer.as_ref(), unreadable.as_deref()), beside(strays))
        }
        Asked::Connection { page: Some(page), .. } => served(page),
        Asked::Connection { greeting: Some(greeting), .. } => greeted(greeting),
        Asked::Connection { accepted: true, .. } => "a SYN is answered by a SYN".to_owned(),
        Asked::Connection { .. } if probe.received > 0 => "connection refused".to_owned(),
        Asked::Connection { .. } => format!("no answer to {} SYN", probe.sent),
    };
    if let Some(ttl) = probe.reply_ttl {
        text.push_str(&format!(", ttl {ttl}"));
    }
    if let Some(us) = took_us(probe) {
        text.push_str(&format!(", after {} ms", milliseconds(us)));
    }
    for (from, what) in &probe.errors {
        text.push_str(&format!("; {from} says {what}"));
    }
    if let Some(error) = &probe.send_error {
        text.push_str(&format!("; {error}"));
    }
    text
}

/// How long the answer took that the line tells of: of an echo it is no part of it.
fn took_us(probe: &ProbeResult) -> Option<u64> {
    match &probe.asked {
        Asked::Echo { .. } => None,
        Asked::Connection { page: Some(page), .. } => Some(page.took_us),
        Asked::Connection { greeting: Some(greeting), .. } => Some(greeting.took_us),
        Asked::Address { .. } | Asked::Name { .. } | Asked::Connection { .. } => probe.rtt_us,
    }
}

/// The command that asks for a page as we did.
fn curl(probe: &ProbeResult, port: u16, page: &Page) -> String {
    let port = if port == HTTP_PORT { String::new() } else { format!(":{port}") };
    format!("curl -i http://{}{port}{}", probe.to, page.path)
}

/// The port that a URL means without one.
const HTTP_PORT: u16 = 80;

/// What an ssh server said first.
fn greeted(greeting: &Greeting) -> String {
    match &greeting.said {
        Greeted::Version(line) => line.clone(),
        Greeted::Other(text) => format!("a greeting that is no ssh: {}", beginning(text)),
        Greeted::HungUp => "the connection is taken, and closed without a greeting".to_owned(),
        Greeted::Silent => "the connection is taken, and no greeting comes".to_owned(),
    }
}

/// What a web server said.
pub(crate) fn served(page: &Page) -> String {
    match &page.answer {
        HttpAnswer::Status(line) => line.text.clone(),
        HttpAnswer::Unreadable(text) => format!("an answer that is no HTTP: {}", beginning(text)),
        HttpAnswer::HungUp => "the connection is taken, and closed without an answer".to_owned(),
        HttpAnswer::Silent => "the connection is taken, and no answer comes".to_owned(),
    }
}

/// As much of what a stranger said as tells who it may be.
pub(crate) fn beginning(text: &str) -> String {
    const CHARACTERS_MAX: usize = 64;
    let mut begun: String = text.chars().take(CHARACTERS_MAX).collect();
    if begun.len() < text.len() {
        begun.push_str("...");
    }
    begun
}

/// What came and was no answer, to follow what did: resolvers pass it over.
fn beside(came: &Strays) -> String {
    let parts = strays(came);
    if parts.is_empty() { parts } else { format!("; passed over: {parts}") }
}

/// What came and was no answer: `2 with another number`. Empty where nothing did.
pub(crate) fn strays(strays: &Strays) -> String {
    let Strays { other_server, wrong_id, wrong_question } = *strays;
    let of = |count: u32, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let parts: Vec<String> = [
        of(other_server, "from another address or port than was asked"),
        of(wrong_id, "with another number"),
        of(wrong_question, "to another question"),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.join(", ")
}

/// What comes back where no answer does.
pub(crate) fn in_its_stead(probe: &ProbeResult) -> String {
    match looked_up::word(probe) {
        Some(Word::Strays(came)) => format!("nothing but what is no answer ({})", strays(came)),
        Some(_) | None => "nothing".to_owned(),
    }
}

/// With one digit behind the point.
pub(crate) fn milliseconds(us: u64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}

fn offered(sent: u32, offers: &[HeardReply], unreadable: &[UnreadableReply]) -> String {
    let mut parts: Vec<String> = offers.iter().map(offer).collect();
    if let Some(last) = unreadable.last() {
        let (count, said) = (unreadable.len(), unread(last));
        parts.push(format!("{count} replies that no client could read, the last: {said}"));
    }
    if parts.is_empty() { format!("no answer to {sent} DISCOVER") } else { parts.join("; ") }
}

/// `10.0.0.1 (fa:16:3e:00:00:01) offers 10.0.0.3/24, router 10.0.0.1, DNS 10.0.0.1`.
pub(crate) fn offer(heard: &HeardReply) -> String {
    let HeardReply { reply, from, from_mac, checksum } = heard;
    let list =
        |addresses: &[Ipv4Addr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let address = reply.address.map_or_else(|| "no address".to_owned(), |address| address.to_string());
    let mut text = match reply.kind {
        ReplyKind::Offer => format!("{from} ({from_mac}) offers {address}"),
        ReplyKind::Ack => format!("{from} ({from_mac}) gives {address}"),
        ReplyKind::Nak => format!("{from} ({from_mac}) refuses"),
    };
    if let Some(bits) = reply.prefix_bits {
        text.push_str(&format!("/{bits}"));
    }
    let options = [("router", list(&reply.routers)), ("DNS", list(&reply.dns))];
    for (name, value) in options.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!(", {name} {value}"));
    }
    if let Some(mtu) = reply.mtu {
        text.push_str(&format!(", mtu {mtu}"));
    }
    match checksum {
        UdpChecksum::Right | UdpChecksum::Absent => {}
        UdpChecksum::Unfinished => text.push_str(", with an unfinished UDP checksum"),
        UdpChecksum::Wrong => text.push_str(", with a wrong UDP checksum"),
    }
    text
}

/// `10.0.2.25 (fa:16:3e:00:00:02): option 54 is cut short`.
pub(crate) fn unread(reply: &UnreadableReply) -> String {
    let UnreadableReply { from, from_mac, why } = reply;
    format!("{from} ({from_mac}): {why}")
}

fn named(answer: Option<&DnsAnswer>, unreadable: Option<&str>) -> String {
    match (answer, unreadable) {
        (Some(answer), _) => {
            let found: Vec<String> = answer.found.iter().map(name).collect();
            match (rcode(answer.rcode), found.is_empty()) {
                (word, false) => format!("{word}: {}", found.join(" ")),
                (word, true) => word,
            }
        }
        (None, Some(why)) => format!("an answer that cannot be read: {why}"),
        (None, None) => "no answer".to_owned(),
    }
}

fn name(found: &Found) -> String {
    match found {
        Found::Address(address) => address.to_string(),
        Found::Name(name) => name.clone(),
    }
}

/// As dig prints it.
pub(crate) fn rcode(rcode: Rcode) -> String {
    match rcode {
        Rcode::NoError => "NOERROR".to_owned(),
        Rcode::NxDomain => "NXDOMAIN".to_owned(),
        Rcode::ServFail => "SERVFAIL".to_owned(),
        Rcode::Refused => "REFUSED".to_owned(),
        Rcode::Other(number) => format!("RCODE{number}"),
    }
}
