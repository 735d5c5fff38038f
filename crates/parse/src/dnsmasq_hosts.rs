//! A `--dhcp-hostsfile` of dnsmasq, which nova writes as `nova-BR.conf`: `MAC,hostname.domain,IP`.

use std::net::Ipv4Addr;

use model::Mac;
use model::service::DhcpHost;

use crate::{Parsed, Problem, line_number};

/// Reads a whole file: an entry for each MAC of a line. Tags, lease times, client identifiers and
/// IPv6 addresses are passed over; so is `#` and what follows, at the start of a line or of a word.
pub fn parse(text: &str) -> Parsed<Vec<DhcpHost>> {
    let mut out = Parsed::<Vec<DhcpHost>>::default();
    for (index, line) in text.lines().enumerate() {
        let written = without_comment(line).trim();
        if written.is_empty() {
            continue;
        }
        let before = out.value.len();
        out.value.extend(entries(written, line_number(index)));
        if out.value.len() == before {
            let what = "expected a host as nova writes it: `MAC,hostname,IP`; no MAC address is given here";
            out.problems.push(Problem::at(index, line, written, what));
        }
    }
    out
}

fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or_default();
        }
        before = c;
    }
    line
}

/// The parts of a line may stand in any order; each is told by its shape, as dnsmasq does
/// (`src/option.c`, option `dhcp-host`).
fn entries(line: &str, number: u32) -> Vec<DhcpHost> {
    let mut macs: Vec<Mac> = Vec::new();
    let mut hostname = None;
    let (mut ip, mut ignored) = (None, false);
    for part in line.split(',').map(str::trim) {
        if let Ok(mac) = part.parse() {
            macs.push(mac);
        } else if let Ok(address) = part.parse::<Ipv4Addr>() {
            ip = ip.or(Some(address));
        } else if part == "ignore" {
            ignored = true;
        } else if !part.contains(':') && !is_setting(part) {
            hostname = hostname.or_else(|| Some(part.to_owned()));
        }
    }
    let host = |mac| DhcpHost { mac, hostname: hostname.clone(), ip, ignored, line: number };
    macs.into_iter().map(host).collect()
}

/// Neither name nor address: nothing at all, or a lease time.
fn is_setting(part: &str) -> bool {
    let digits = part.strip_suffix(['s', 'm', 'h', 'd', 'w']).unwrap_or(part);
    matches!(part, "" | "infinite") || digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn novas_file_is_read_without_a_newline_at_its_end() {
        let text = "# written by nova\nfa:16:3e:56:0b:6f,web1.novalocal,192.168.100.3\n\
                    fa:16:3e:00:00:12,web2.novalocal,192.168.100.4,net:NW-7 # second\n\
                    02:00:00:00:00:01,02:00:00:00:00:02,set:red,10.0.0.9,12h";
        let read = parse(text);
        assert_eq!(read.problems, []);
        let seen: Vec<_> = read
            .value
            .iter()
            .map(|h| (h.mac.to_string(), h.hostname.as_deref(), h.ip.map(|ip| ip.octets()[3]), h.line))
            .collect();
        let expected = [
            ("fa:16:3e:56:0b:6f".to_owned(), Some("web1.novalocal"), Some(3), 2),
            ("fa:16:3e:00:00:12".to_owned(), Some("web2.novalocal"), Some(4), 3),
            ("02:00:00:00:00:01".to_owned(), None, Some(9), 4),
            ("02:00:00:00:00:02".to_owned(), None, Some(9), 4),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn who_is_ignored_by_a_line_is_told_from_who_has_no_more_than_a_mac() {
        let read = parse("fa:16:3e:00:00:12,ignore\nfa:16:3e:00:00:13,web3,10.0.0.5");
        let ignored: Vec<bool> = read.value.iter().map(|host| host.ignored).collect();
        assert_eq!((read.problems, ignored), (Vec::new(), vec![true, false]));
        assert_eq!(read.value[0].hostname, None);
    }

    #[test]
    fn a_line_without_a_mac_is_a_problem_at_its_place() {
        let read = parse(
            "fa:16:3e:00:00:12,a,10.0.0.2\n  fa:16:3e:00:00:1,web3,10.0.0.5,x\nfa:16:3e:00:00,b,10.0.0.3\n",
        );
        assert_eq!(read.value.len(), 2);
        assert_eq!(read.problems.iter().map(|p| (p.line, p.column)).collect::<Vec<_>>(), [(3, 1)]);
    }
}
