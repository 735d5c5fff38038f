//! An instance's console log: what its DHCP client and its look for metadata tell.
//!
//! Read are busybox udhcpc of three generations, ISC dhclient, dhcpcd (CirrOS 0.6), the metadata
//! scripts of CirrOS, and cloud-init. The guest writes what it likes there, so the lines are
//! hearsay; and they may hold terminal escapes, which are taken out.

use std::net::Ipv4Addr;

use model::service::{Console, ConsoleEvent, ConsoleEventKind};

use crate::line_number;

/// Reads a whole log. `file` is where it was found.
pub fn parse(file: &str, text: &str) -> Console {
    let mut console = Console { file: file.to_owned(), events: Vec::new() };
    for (index, line) in text.split('\n').enumerate() {
        let line = plain(line);
        let kind = dhcp(&line).or_else(|| no_nic(&line)).or_else(|| metadata(&line));
        let Some(kind) = kind.or_else(|| login(&line)) else { continue };
        let last = console.events.last();
        // dhclient tells of one lease twice: `DHCPACK of X` and `bound to X`.
        let repeated = matches!(kind, ConsoleEventKind::DhcpLease(_)) && last.is_some_and(|e| e.kind == kind);
        if !repeated {
            console.events.push(ConsoleEvent { line: line_number(index), kind, text: line });
        }
    }
    console
}

/// A line without terminal escapes (ECMA-48) and control characters.
fn plain(line: &str) -> String {
    const ESCAPE: char = '\u{1b}';
    const CSI: char = '\u{9b}';
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == CSI {
            skip_control_sequence(&mut chars);
        } else if c == ESCAPE {
            match chars.next() {
                Some('[') => skip_control_sequence(&mut chars),
                // Operating system commands and their like run to BEL or to ESC \.
                Some(']' | 'P' | '^' | '_' | 'X') => {
                    if chars.find(|c| matches!(c, '\u{7}' | &ESCAPE)) == Some(ESCAPE) {
                        chars.next();
                    }
                }
                // Intermediate bytes, as of `ESC ( B`, precede the final one.
                Some(' '..='/') => {
                    chars.find(|c| !matches!(c, ' '..='/'));
                }
                Some(_) | None => {}
            }
        } else if c == '\t' || !c.is_control() {
            out.push(c);
        }
    }
    out
}

fn skip_control_sequence(chars: &mut std::str::Chars<'_>) {
    chars.find(|c| matches!(c, '@'..='~'));
}

fn dhcp(line: &str) -> Option<ConsoleEventKind> {
    udhcpc(line).or_else(|| dhclient(line)).or_else(|| dhcpcd(line))
}

/// Until 1.25 without the name before each line and in capitals; `broadcasting` since 1.34.
fn udhcpc(line: &str) -> Option<ConsoleEventKind> {
    if let Some(version) = line.strip_prefix("udhcpc (v").and_then(|rest| rest.strip_suffix(") started")) {
        return Some(ConsoleEventKind::DhcpStarted(Some(version.to_owned())));
    }
    let message = line.strip_prefix("udhcpc: ").unwrap_or(line);
    if let Some(version) = message.strip_prefix("started, v") {
        return Some(ConsoleEventKind::DhcpStarted(Some(version.to_owned())));
    }
    let (first, rest) = message.split_once(' ')?;
    match (first.to_ascii_lowercase().as_str(), rest) {
        ("sending" | "broadcasting", rest) if rest.starts_with("discover") => {
            Some(ConsoleEventKind::DhcpDiscover)
        }
        ("sending" | "broadcasting", rest) if rest.starts_with("select for ") => {
            Some(ConsoleEventKind::DhcpSelect)
        }
        ("lease", rest) if rest.contains(" obtained") => {
            address_after(rest, "of ").map(ConsoleEventKind::DhcpLease)
        }
        ("no", "lease, failing") => Some(ConsoleEventKind::DhcpFailed),
        ("no", rest) if rest.starts_with("lease, ") => Some(ConsoleEventKind::DhcpNoLease),
        _ => None,
    }
}

fn dhclient(line: &str) -> Option<ConsoleEventKind> {
    if let Some((_, version)) = line.split_once("Internet Systems Consortium DHCP Client ") {
        return Some(ConsoleEventKind::DhcpStarted(Some(version.to_owned())));
    }
    if line.contains("DHCPDISCOVER on ") {
        return Some(ConsoleEventKind::DhcpDiscover);
    }
    if ["DHCPREQUEST of ", "DHCPREQUEST for ", "DHCPREQUEST on "].iter().any(|words| line.contains(words)) {
        return Some(ConsoleEventKind::DhcpSelect);
    }
    if line.contains("No DHCPOFFERS received") {
        return Some(ConsoleEventKind::DhcpNoLease);
    }
    let bound = address_after(line, "bound to ").filter(|_| line.contains("renewal in"));
    bound.or_else(|| address_after(line, "DHCPACK of ")).map(ConsoleEventKind::DhcpLease)
}

fn dhcpcd(line: &str) -> Option<ConsoleEventKind> {
    if let Some(version) = line.strip_prefix("dhcpcd-").and_then(|rest| rest.strip_suffix(" starting")) {
        return Some(ConsoleEventKind::DhcpStarted(Some(version.to_owned())));
    }
    if line.ends_with(": soliciting a DHCP lease") {
        return Some(ConsoleEventKind::DhcpDiscover);
    }
    if address_after(line, ": offered ").is_some() {
        return Some(ConsoleEventKind::DhcpSelect);
    }
    address_after(line, ": leased ").map(ConsoleEventKind::DhcpLease)
}

/// The address that follows `words`.
fn address_after(line: &str, words: &str) -> Option<Ipv4Addr> {
    let (_, rest) = line.split_once(words)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// `wget: can't connect to remote host (169.254.169.254): Network is unreachable`,
/// `Calling 'http://169.254.169.254/...' failed [0/120s]: url error [timed out]`,
/// `failed 1/20: up 2.05. request failed`, `checking http://169.254.169.254/...`.
fn metadata(line: &str) -> Option<ConsoleEventKind> {
    let unreachable = |why: &str| Some(ConsoleEventKind::MetadataUnreachable(why.trim().to_owned()));
    if let Some((_, why)) = line.split_once("(169.254.169.254): ") {
        return unreachable(why);
    }
    if let Some((_, tries)) = line.split_once("failed ")
        && let Some((count, why)) = tries.split_once(": ")
        && count.contains('/')
        && (line.contains("169.254.169.254") || line.starts_with("failed "))
    {
        // CirrOS says the uptime before the reason.
        return unreachable(
            why.split_once(". ").filter(|_| why.starts_with("up ")).map_or(why, |(_, why)| why),
        );
    }
    if line.contains("iving up on md ") || line.starts_with("failed to read iid from metadata") {
        return unreachable(line);
    }
    line.contains("http://169.254.169.254").then_some(ConsoleEventKind::MetadataAsked)
}

/// `udhcpc: SIOCGIFINDEX: No such device`, `ip: can't find device 'eth0'`, `Cannot find device "eth0"` (iproute2 and
/// dhclient), `eth0: error fetching interface information: Device not found` (net-tools), `Device eth0 does not seem to
/// be present, delaying initialization.` (Red Hat's initscripts), `ifup: interface eth0 does not exist`.
fn no_nic(line: &str) -> Option<ConsoleEventKind> {
    let of_client = line.starts_with("udhcpc: ") && line.ends_with(": No such device");
    let words = [
        ("can't find device '", "'"),
        ("Cannot find device \"", "\""),
        ("Device ", " does not seem to be present"),
        ("nterface ", " does not exist"),
        ("", ": error fetching interface information: Device not found"),
    ];
    let named = words.iter().any(|(before, after)| {
        let rest = line.split_once(before).and_then(|(_, rest)| rest.split_once(after));
        rest.is_some_and(|(name, _)| is_nic_name(name.rsplit(' ').next().unwrap_or(name)))
    });
    (of_client || named).then_some(ConsoleEventKind::NicMissing)
}

/// As Linux names an Ethernet NIC: `eth0`, `ens3`, `enp0s3`, `eno1`. A bridge or a tunnel is none.
fn is_nic_name(name: &str) -> bool {
    ["eth", "ens", "enp", "eno"].iter().any(|start| {
        let number = name.strip_prefix(start);
        number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// `cirros login:`, with or without something typed or a kernel message after it; but not the
/// `Last login:` of a session.
fn login(line: &str) -> Option<ConsoleEventKind> {
    let mut words = line.split_whitespace();
    let host = words.next()?;
    (host != "Last" && words.next() == Some("login:")).then_some(ConsoleEventKind::Login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConsoleEventKind as Kind;

    fn kinds(text: &str) -> Vec<ConsoleEventKind> {
        parse("console.log", text).events.into_iter().map(|event| event.kind).collect()
    }

    fn lease(last: u8) -> ConsoleEventKind {
        Kind::DhcpLease(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn each_generation_of_udhcpc_is_read() {
        let v1_17 = "udhcpc (v1.17.2) started\r\nSending discover...\r\nSending select for 10.0.0.3...\r\n\
                     Lease of 10.0.0.3 obtained, lease time 120\r\nNo lease, failing\r\n";
        let v1_17_kinds = [
            Kind::DhcpStarted(Some("1.17.2".into())),
            Kind::DhcpDiscover,
            Kind::DhcpSelect,
            lease(3),
            Kind::DhcpFailed,
        ];
        assert_eq!(kinds(v1_17), v1_17_kinds);
        let v1_30 = "udhcpc: started, v1.30.1\nudhcpc: sending discover\n\
                     udhcpc: sending select for 10.0.0.3\n\
                     udhcpc: lease of 10.0.0.3 obtained, lease time 600\n\
                     udhcpc: no lease, forking to background\n";
        let v1_30_kinds = [
            Kind::DhcpStarted(Some("1.30.1".into())),
            Kind::DhcpDiscover,
            Kind::DhcpSelect,
            lease(3),
            Kind::DhcpNoLease,
        ];
        assert_eq!(kinds(v1_30), v1_30_kinds);
        let v1_35 = "udhcpc: broadcasting discover\n\
                     udhcpc: broadcasting select for 10.0.0.3, server 10.0.0.1\n\
                     udhcpc: lease of 10.0.0.3 obtained from 10.0.0.1, lease time 600\n";
        assert_eq!(kinds(v1_35), [Kind::DhcpDiscover, Kind::DhcpSelect, lease(3)]);
    }

    #[test]
    fn dhclient_and_dhcpcd_are_read() {
        let dhclient = "Internet Systems Consortium DHCP Client 4.1-ESV-R4\n\
            [    9.1] dhclient[543]: DHCPDISCOVER on eth0 to 255.255.255.255 port 67 interval 3\n\
            DHCPREQUEST of 10.0.0.3 on eth0 to 255.255.255.255 port 67\nDHCPOFFER of 10.0.0.3 from 10.0.0.1\n\
            DHCPACK of 10.0.0.3 from 10.0.0.1\nbound to 10.0.0.3 -- renewal in 40 seconds.\n\
            No DHCPOFFERS received.\n";
        let dhclient_kinds = [
            Kind::DhcpStarted(Some("4.1-ESV-R4".into())),
            Kind::DhcpDiscover,
            Kind::DhcpSelect,
            lease(3),
            Kind::DhcpNoLease,
        ];
        assert_eq!(kinds(dhclient), dhclient_kinds);
        let dhcpcd = "dhcpcd-9.4.1 starting\neth0: soliciting a DHCP lease\n\
                      eth0: offered 10.0.0.3 from 10.0.0.1\neth0: leased 10.0.0.3 for 86400 seconds\n";
        let dhcpcd_kinds =
            [Kind::DhcpStarted(Some("9.4.1".into())), Kind::DhcpDiscover, Kind::DhcpSelect, lease(3)];
        assert_eq!(kinds(dhcpcd), dhcpcd_kinds);
    }

    #[test]
    fn a_nic_that_is_not_there_is_told_by_whoever_looks_for_it() {
        for line in [
            "udhcpc: SIOCGIFINDEX: No such device",
            "ip: can't find device 'eth0'",
            "Cannot find device \"ens3\"",
            "eth0: error fetching interface information: Device not found",
            "Bringing up interface eth0:  Device eth0 does not seem to be present, delaying initialization.",
            "ifup: interface enp0s3 does not exist",
        ] {
            assert_eq!(kinds(line), [Kind::NicMissing], "{line}");
        }
        for line in [
            "Cannot find device \"docker0\"",
            "mount: /dev/sdb: No such device",
            "Device or resource busy: eth0",
            "ethtool: error fetching interface information: Device not found",
        ] {
            assert_eq!(kinds(line), [], "{line}");
        }
    }

    #[test]
    fn metadata_failures_keep_their_reason() {
        let text = "checking http://169.254.169.254/2009-04-04/instance-id\n\
            failed 1/20: up 2.05. request failed\n\
            2026 - util.py[WARNING]: 'http://169.254.169.254/2009-04-04/meta-data/instance-id' \
            failed [0/120s]: url error [timed out]\ncirros login: ";
        let expected = [
            Kind::MetadataAsked,
            Kind::MetadataUnreachable("request failed".into()),
            Kind::MetadataUnreachable("url error [timed out]".into()),
            Kind::Login,
        ];
        assert_eq!(kinds(text), expected);
        assert_eq!(
            kinds("Last login: Mon Nov 23 from 10.0.0.1\nwget: server returned error: HTTP/1.1 404\n"),
            []
        );
    }

    #[test]
    fn escapes_are_taken_out_and_lines_counted() {
        let text =
            "one\r\n\u{1b}[1;32mtwo\u{1b}]0;title\u{7}\u{1b}(B\r\n\u{1b}[0;1mweb1\u{9b}m login:\u{1b}[\r\n";
        let events = parse("console.log", text).events;
        assert_eq!(events, [ConsoleEvent { line: 3, kind: Kind::Login, text: "web1 login:".into() }]);
        assert_eq!(plain("\u{1b}[1;32mtwo\u{1b}]0;title\u{7}\u{1b}(B!\u{1b}]x\u{1b}\\?"), "two!?");
    }
}
