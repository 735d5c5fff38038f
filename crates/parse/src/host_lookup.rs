//! `host NAME` and `host ADDRESS` (bind9-host).

use std::net::IpAddr;

use crate::{Parsed, Problem};

/// What a look-up gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostLookup {
    /// `NAME has address A` and `NAME has IPv6 address A`.
    pub addresses: Vec<(String, IpAddr)>,
    /// `NAME mail is handled by PREFERENCE SERVER.`
    pub mail: Vec<MailHandler>,
    /// `NAME is an alias for CANONICAL.`
    pub aliases: Vec<(String, String)>,
    /// `REVERSE domain name pointer NAME.`
    pub pointers: Vec<(String, String)>,
    /// The last failure told. A name with an address may still fail for IPv6 or mail: `host` asks
    /// for all three.
    pub failure: Option<LookupFailure>,
}

/// A mail server of a name (MX).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailHandler {
    /// The name asked for.
    pub name: String,
    /// Lower is tried first.
    pub preference: u16,
    /// The server, without the dot at its end.
    pub server: String,
}

/// Why a look-up gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupFailure {
    /// A server answered with an error: `Host NAME not found: 3(NXDOMAIN)`.
    NotFound {
        /// The name asked for.
        name: String,
        /// The error's name: `NXDOMAIN`, `SERVFAIL`, `REFUSED`.
        code: String,
    },
    /// No server answered; the line that says so.
    NoServer(String),
}

/// Reads a whole answer.
pub fn parse(text: &str) -> Parsed<HostLookup> {
    let mut out = Parsed::<HostLookup>::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if !is_preamble(line) && record(line, &mut out.value).is_none() {
            let what = "expected a record as `host` prints it: `NAME has address A`";
            out.problems.push(Problem::at(index, line, line.trim_start(), what));
        }
    }
    out
}

/// Nothing, or what `host NAME SERVER` says of the server before the answer.
fn is_preamble(line: &str) -> bool {
    line.is_empty()
        || ["Using domain server", "Name: ", "Address: ", "Aliases:"].iter().any(|p| line.starts_with(p))
}

fn record(line: &str, lookup: &mut HostLookup) -> Option<()> {
    if line.starts_with(";;") {
        if line.contains("no servers could be reached") || line.contains("timed out") {
            lookup.failure = Some(LookupFailure::NoServer(line.trim_start_matches([';', ' ']).to_owned()));
        }
        return Some(());
    }
    if let Some((name, code)) = line.strip_prefix("Host ").and_then(|rest| rest.split_once(" not found: ")) {
        let code = code.split_once('(').map_or(code, |(_, code)| code.trim_end_matches(')'));
        lookup.failure = Some(LookupFailure::NotFound { name: name.to_owned(), code: code.to_owned() });
        return Some(());
    }
    let (name, rest) = line.split_once(' ')?;
    let name = name.to_owned();
    if let Some(ip) = rest.strip_prefix("has address ").or(rest.strip_prefix("has IPv6 address ")) {
        lookup.addresses.push((name, ip.parse().ok()?));
    } else if let Some(handler) = rest.strip_prefix("mail is handled by ") {
        let (preference, server) = handler.split_once(' ')?;
        let preference = preference.parse().ok()?;
        lookup.mail.push(MailHandler { name, preference, server: without_dot(server) });
    } else if let Some(canonical) = rest.strip_prefix("is an alias for ") {
        lookup.aliases.push((name, without_dot(canonical)));
    } else {
        lookup.pointers.push((name, without_dot(rest.strip_prefix("domain name pointer ")?)));
    }
    Some(())
}

fn without_dot(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_is_read() {
        let text = "Using domain server:\nName: 8.8.8.8\nAddress: 8.8.8.8#53\nAliases: \n\n\
                    www.example.org is an alias for example.org.\nexample.org has IPv6 address 2001:db8::1\n\
                    3.100.168.192.in-addr.arpa domain name pointer web1.novalocal.\n";
        let read = parse(text);
        assert_eq!(read.problems, []);
        assert_eq!(read.value.aliases, [("www.example.org".into(), "example.org".into())]);
        assert_eq!(read.value.addresses, [("example.org".into(), "2001:db8::1".parse().unwrap())]);
        let pointer = ("3.100.168.192.in-addr.arpa".into(), "web1.novalocal".into());
        assert_eq!(read.value.pointers, [pointer]);
    }

    #[test]
    fn failures_are_told_apart() {
        let not_found = parse("Host nosuch.example.org not found: 3(NXDOMAIN)\n").value.failure;
        let expected = LookupFailure::NotFound { name: "nosuch.example.org".into(), code: "NXDOMAIN".into() };
        assert_eq!(not_found, Some(expected));
        let silent = ";; connection timed out; no servers could be reached\n";
        let expected = LookupFailure::NoServer("connection timed out; no servers could be reached".into());
        assert_eq!(parse(silent).value.failure, Some(expected));
    }

    #[test]
    fn other_lines_are_problems() {
        let read = parse("openstack.org has address 174.143.194\n");
        assert_eq!(read.value, HostLookup::default());
        assert_eq!(read.problems.len(), 1);
    }
}
