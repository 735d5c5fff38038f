//! DHCP lines of dnsmasq's log: in a whole syslog (classic or RFC 3339 stamps), in a file that
//! `--log-facility` names, with or without `--log-dhcp`'s transaction numbers.
//!
//! The shape is `log_packet`'s in dnsmasq `src/rfc2131.c`:
//! `[XID ]MESSAGE(LINK) [IP ]MAC [HOSTNAME] [REASON]`.

use std::net::Ipv4Addr;

use model::service::{DhcpFileRead, DhcpLogLine, DhcpMessage};

use crate::{Parsed, Problem, line_number};

/// Picks the DHCP messages out of a log. Other lines are no problems, and cost one search for
/// `DHCP` each; DHCPv6 lines are passed over.
pub fn parse(text: &str) -> Parsed<Vec<DhcpLogLine>> {
    let mut out = Parsed::<Vec<DhcpLogLine>>::default();
    for (index, line) in text.lines().enumerate() {
        if !line.contains("DHCP") {
            continue;
        }
        let Some(entry) = entry(line) else { continue };
        match message(&entry) {
            Message::Read(read) => {
                out.value.push(DhcpLogLine { line: line_number(index), text: line.to_owned(), ..read });
            }
            Message::OtherProtocol => {}
            Message::Damaged => {
                let what = "expected `MESSAGE(LINK) [IP] MAC` as dnsmasq logs DHCP messages";
                out.problems.push(Problem::at(index, line, entry.body, what));
            }
        }
    }
    out
}

/// Picks out which files dnsmasq's DHCP part has read: `dnsmasq-dhcp[PID]: read FILE` (`one_file`, src/option.c).
pub fn reads(text: &str) -> Vec<DhcpFileRead> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains(": read "));
    let read = lines.filter_map(|(index, line)| {
        let entry = entry(line)?;
        let file = entry.body.strip_prefix("read ")?.trim_end().to_owned();
        Some(DhcpFileRead { pid: entry.pid, file, line: line_number(index), text: line.to_owned() })
    });
    read.collect()
}

/// A log line that dnsmasq's DHCP part wrote.
struct Entry<'a> {
    time: &'a str,
    pid: u32,
    /// What follows `dnsmasq-dhcp[PID]: `.
    body: &'a str,
}

/// Splits `[TIME] [HOST] dnsmasq-dhcp[PID]: BODY`. The program's name counts only where syslog puts
/// it, so a line of another program that quotes one of dnsmasq's is not taken for it.
fn entry(line: &str) -> Option<Entry<'_>> {
    let (time, rest) = split_time(line);
    let rest = match rest.strip_prefix("dnsmasq-dhcp") {
        Some(rest) => rest,
        None => rest.split_once(' ')?.1.trim_start().strip_prefix("dnsmasq-dhcp")?,
    };
    let (tag_end, body) = rest.split_once(": ")?;
    let pid = match tag_end.strip_prefix('[') {
        Some(digits) => digits.strip_suffix(']')?.parse().ok()?,
        // On standard error, as under a service manager, dnsmasq prints no pid.
        None if tag_end.is_empty() => 0,
        None => return None,
    };
    Some(Entry { time, pid, body: body.trim_start() })
}

/// `Feb 27 22:01:36 REST` or `2026-11-24T02:24:42.435672+01:00 REST`; no time where none stands.
fn split_time(line: &str) -> (&str, &str) {
    const CLASSIC: usize = "Feb 27 22:01:36".len();
    if let Some((time, rest)) = line.split_at_checked(CLASSIC)
        && time.bytes().filter(|b| *b == b':').count() == 2
        && time.starts_with(|c: char| c.is_ascii_uppercase())
        && rest.starts_with(' ')
    {
        return (time, rest.trim_start());
    }
    match line.split_once(' ') {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) && time.contains('T') => {
            (time, rest.trim_start())
        }
        Some(_) | None => ("", line),
    }
}

enum Message {
    Read(DhcpLogLine),
    /// DHCPv6, or no DHCP message at all (`DHCP, static leases only on ...`).
    OtherProtocol,
    Damaged,
}

fn message(entry: &Entry<'_>) -> Message {
    let body = match entry.body.split_once(' ') {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => rest,
        Some(_) | None => entry.body,
    };
    let Some((word, rest)) = body.split_once('(') else { return Message::OtherProtocol };
    let Some(kind) = kind(word) else { return Message::OtherProtocol };
    let Some((interface, rest)) = rest.split_once(')') else { return Message::Damaged };
    let (ip, rest) = take::<Ipv4Addr>(rest.trim_start());
    let (mac, rest) = take::<model::Mac>(rest);
    if ip.is_none() && mac.is_none() {
        // DHCPv6 has messages of the same names, which carry a DUID: more than six octets.
        let first = rest.split(' ').next().unwrap_or_default();
        let is_v6 = first.matches(':').count() > 5 || first.contains("::");
        return if is_v6 { Message::OtherProtocol } else { Message::Damaged };
    }
    Message::Read(DhcpLogLine {
        time: entry.time.to_owned(),
        pid: entry.pid,
        kind,
        interface: interface.to_owned(),
        ip,
        mac,
        rest: rest.trim_end().to_owned(),
        line: 0,
        text: String::new(),
    })
}

fn kind(word: &str) -> Option<DhcpMessage> {
    Some(match word {
        "DHCPDISCOVER" => DhcpMessage::Discover,
        "DHCPOFFER" => DhcpMessage::Offer,
        "DHCPREQUEST" => DhcpMessage::Request,
        "DHCPACK" => DhcpMessage::Ack,
        "DHCPNAK" => DhcpMessage::Nak,
        "DHCPDECLINE" => DhcpMessage::Decline,
        "DHCPRELEASE" => DhcpMessage::Release,
        "DHCPINFORM" => DhcpMessage::Inform,
        _ => return None,
    })
}

/// Takes the first word off where it reads as a `T`.
fn take<T: std::str::FromStr>(text: &str) -> (Option<T>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word.parse() {
        Ok(value) => (Some(value), rest.trim_start()),
        Err(_) => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &str) -> DhcpLogLine {
        let mut read = parse(line);
        assert_eq!(read.problems, []);
        assert_eq!(read.value.len(), 1, "{line}");
        read.value.remove(0)
    }

    #[test]
    fn every_way_to_log_is_read() {
        let trailing =
            only("Feb 27 22:01:36 mynode dnsmasq-dhcp[2438]: DHCPDISCOVER(br100) fa:16:3e:56:0b:6f ");
        assert_eq!((trailing.rest.as_str(), trailing.ip), ("", None));
        let own_file =
            only("Feb  7 22:01:36 dnsmasq-dhcp[24]: DHCPDISCOVER(br100) 10.0.0.5 fa:16:3e:56:0b:6f ");
        assert_eq!((own_file.time.as_str(), own_file.pid), ("Feb  7 22:01:36", 24));
        assert_eq!(own_file.ip, Some(Ipv4Addr::new(10, 0, 0, 5)));
        let numbered = only(
            "2026-11-24T02:24:42.435672+01:00 n1 dnsmasq-dhcp[24]: 3806031433 DHCPNAK(br100) 10.0.0.5 \
             fa:16:3e:56:0b:6f wrong network",
        );
        assert_eq!(numbered.time, "2026-11-24T02:24:42.435672+01:00");
        assert_eq!((numbered.kind, numbered.rest.as_str()), (DhcpMessage::Nak, "wrong network"));
        let bare = only("dnsmasq-dhcp: DHCPRELEASE(br100) 10.0.0.5 fa:16:3e:56:0b:6f");
        assert_eq!((bare.time.as_str(), bare.pid, bare.kind), ("", 0, DhcpMessage::Release));
    }

    #[test]
    fn other_lines_are_passed_over() {
        let text = "\
Feb 27 22:01:36 mynode dnsmasq-dhcp[2438]: DHCP, static leases only on 192.168.100.2, lease time 2m
Feb 27 22:01:36 mynode dnsmasq-dhcp[2438]: DHCPSOLICIT(br100) 00:01:00:01:2b:3c:4d:5e:fa:16
Feb 27 22:01:36 mynode dnsmasq-dhcp[2438]: DHCPREQUEST(br100) 00:01:00:01:2b:3c:4d:5e:fa:16
Feb 27 22:01:36 mynode evil: dnsmasq-dhcp[2438]: DHCPACK(br100) 10.0.0.9 fa:16:3e:56:0b:6f
Feb 27 22:01:36 mynode dnsmasq[2438]: query[A] DHCPACK.example from 10.0.0.9
";
        assert_eq!(parse(text), Parsed::default());
    }

    #[test]
    fn files_are_read_when_it_starts_and_at_each_signal() {
        let text = "\
Nov 26 16:21:58 dnsmasq[7400]: read /etc/hosts - 3 names
Nov 26 16:21:58 dnsmasq-dhcp[7400]: read /var/lib/nova/networks/nova-br100.conf
Nov 26 16:21:58 dnsmasq-dhcp[7400]: DHCPDISCOVER(br100) fa:16:3e:00:00:77 no address available
Nov 26 16:21:59 n1 evil: dnsmasq-dhcp[7400]: read /etc/shadow
";
        let read = reads(text);
        assert_eq!(read.len(), 1, "{read:?}");
        let file = "/var/lib/nova/networks/nova-br100.conf";
        assert_eq!((read[0].pid, read[0].file.as_str(), read[0].line), (7400, file, 2));
    }

    #[test]
    fn a_damaged_message_is_a_problem_at_its_place() {
        let read = parse("\nFeb 27 22:01:36 mynode dnsmasq-dhcp[2438]: DHCPACK(br100) 192.168.1\n");
        assert_eq!(read.value, []);
        assert_eq!((read.problems[0].line, read.problems[0].column), (2, 44));
    }
}
