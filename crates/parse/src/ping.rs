//! `ping` of iputils and of busybox.

use std::net::IpAddr;

/// What a ping printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PingOutput {
    /// The name or address asked for, where the output tells it.
    pub host: Option<String>,
    /// The address that was pinged, once the name was resolved.
    pub address: Option<IpAddr>,
    /// The name could not be resolved: the line that says so.
    pub name_error: Option<String>,
    /// The socket refused to send: the line that says so.
    pub send_error: Option<String>,
    /// Each reply.
    pub replies: Vec<PingReply>,
    /// ICMP errors: who sent them (where it was an address) and what they say.
    pub errors: Vec<(Option<IpAddr>, String)>,
    /// Requests sent, from the summary.
    pub sent: Option<u32>,
    /// Replies received, from the summary.
    pub received: Option<u32>,
}

/// One echo reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingReply {
    /// Who answered; `None` where only a name is printed.
    pub from: Option<IpAddr>,
    /// Sequence number: iputils counts from 1, busybox from 0.
    pub sequence: u16,
    /// TTL that the reply came with.
    pub ttl: Option<u8>,
    /// Round-trip time in microseconds.
    pub time_us: Option<u64>,
}

/// Reads a whole output; lines that tell nothing are passed over.
pub fn parse(text: &str) -> PingOutput {
    let mut out = PingOutput::default();
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("PING ") {
            heading(rest, &mut out);
        } else if let Some(reply) = reply(line) {
            out.replies.push(reply);
        } else if let Some((from, error)) = icmp_error(line) {
            out.errors.push((from, error));
        } else if let Some((sent, received)) = summary(line) {
            (out.sent, out.received) = (Some(sent), Some(received));
        } else if let Some(message) = line.strip_prefix("ping: ").or(line.strip_prefix("connect: ")) {
            complaint(line, message, &mut out);
        }
    }
    out
}

/// `openstack.org (174.143.194.225): 56 data bytes`, `10.0.0.1 (10.0.0.1) 56(84) bytes of data.`
fn heading(rest: &str, out: &mut PingOutput) {
    let Some((host, rest)) = rest.split_once(' ') else { return };
    out.host = Some(host.to_owned());
    out.address = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')?.0.parse().ok());
}

/// `64 bytes from host (10.0.0.1): icmp_seq=1 ttl=64 time=1.31 ms`; busybox writes `seq=0`.
fn reply(line: &str) -> Option<PingReply> {
    let (_, rest) = line.split_once(" bytes from ")?;
    let (from, fields) = rest.split_once(": ")?;
    let field =
        |name| fields.split(' ').find_map(|word| word.split_once('=').filter(|(key, _)| *key == name));
    let sequence = field("icmp_seq").or_else(|| field("seq")).or_else(|| field("icmp_req"))?.1;
    Some(PingReply {
        from: address_of(from),
        sequence: sequence.parse().ok()?,
        ttl: field("ttl").and_then(|(_, ttl)| ttl.parse().ok()),
        time_us: field("time").and_then(|(_, ms)| microseconds(ms)),
    })
}

/// `From 10.0.0.1 icmp_seq=1 Destination Host Unreachable`, with a colon or none after the address.
fn icmp_error(line: &str) -> Option<(Option<IpAddr>, String)> {
    let rest = line.strip_prefix("From ")?;
    let (from, error) = rest.split_once("icmp_seq=").or_else(|| rest.split_once("icmp_req="))?;
    let (_, error) = error.split_once(' ')?;
    Some((address_of(from.trim().trim_end_matches(':')), error.to_owned()))
}

/// `10.0.0.1` or `name (10.0.0.1)`.
fn address_of(text: &str) -> Option<IpAddr> {
    let inner = text.split_once('(').map_or(text, |(_, inner)| inner.trim_end_matches(')'));
    inner.parse().ok()
}

/// `2 packets transmitted, 2 received, ...` or `2 packets transmitted, 2 packets received, ...`.
fn summary(line: &str) -> Option<(u32, u32)> {
    let (sent, rest) = line.split_once(" packets transmitted, ")?;
    Some((sent.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}

/// A line of ping's own about the name or the socket.
fn complaint(line: &str, message: &str, out: &mut PingOutput) {
    let quoted = |rest: &str| rest.trim_matches('\'').to_owned();
    let bad_name = message.strip_prefix("bad address ").or(message.strip_prefix("unknown host "));
    let resolver = ["Name or service not known", "failure in name resolution", "No address associated"];
    if let Some(name) = bad_name {
        out.host = Some(quoted(name));
        out.name_error = Some(line.to_owned());
    } else if resolver.iter().any(|words| message.contains(words)) {
        out.host = message.split_once(": ").map(|(host, _)| host.to_owned());
        out.name_error = Some(line.to_owned());
    } else if !message.to_ascii_lowercase().starts_with("warning") {
        out.send_error = Some(line.to_owned());
    }
}

/// `0.128` milliseconds; digits below the microsecond are dropped.
fn microseconds(ms: &str) -> Option<u64> {
    let (whole, fraction) = ms.split_once('.').unwrap_or((ms, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(digits.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_pings_are_read() {
        let iputils = "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.\n\
            64 bytes from web1 (10.0.0.1): icmp_seq=1 ttl=64 time=1.31 ms\n\
            From 10.0.0.3 icmp_seq=2 Destination Host Unreachable\n\n--- 10.0.0.1 ping statistics ---\n\
            2 packets transmitted, 1 received, +1 errors, 50% packet loss, time 1002ms\n";
        let read = parse(iputils);
        assert_eq!((read.host.as_deref(), read.address), (Some("10.0.0.1"), Some(ip("10.0.0.1"))));
        let reply = PingReply { from: Some(ip("10.0.0.1")), sequence: 1, ttl: Some(64), time_us: Some(1310) };
        assert_eq!(read.replies, [reply]);
        assert_eq!(read.errors, [(Some(ip("10.0.0.3")), "Destination Host Unreachable".into())]);
        assert_eq!((read.sent, read.received), (Some(2), Some(1)));

        let busybox = "PING 10.0.0.1 (10.0.0.1): 56 data bytes\n\
            64 bytes from 10.0.0.1: seq=0 ttl=63 time=0.128 ms\n\n--- 10.0.0.1 ping statistics ---\n\
            1 packets transmitted, 1 packets received, 0% packet loss\n";
        let read = parse(busybox);
        let reply = PingReply { from: Some(ip("10.0.0.1")), sequence: 0, ttl: Some(63), time_us: Some(128) };
        assert_eq!(read.replies, [reply]);
        assert_eq!((read.sent, read.received), (Some(1), Some(1)));
    }

    #[test]
    fn what_ping_could_not_do_is_told_apart() {
        let unknown = parse("ping: nosuch.invalid: Name or service not known\n");
        assert_eq!(unknown.host.as_deref(), Some("nosuch.invalid"));
        assert!(unknown.name_error.is_some() && unknown.send_error.is_none());
        let old = parse("ping: unknown host openstack.org\n");
        assert_eq!((old.host.as_deref(), old.name_error.is_some()), (Some("openstack.org"), true));
        let refused = parse("PING 1.2.3.4 (1.2.3.4): 56 data bytes\nping: sendto: Network is unreachable\n");
        assert_eq!(refused.send_error.as_deref(), Some("ping: sendto: Network is unreachable"));
        assert_eq!(refused.name_error, None);
    }
}
