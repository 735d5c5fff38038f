//! resolv.conf(5): which servers a machine's resolver asks, and how long it waits for them.

use std::net::IpAddr;

use model::service::ResolvConf;

use crate::{Parsed, Problem};

/// As many servers are asked at most (`MAXNS`, glibc resolv.h).
const SERVERS_MAX: usize = 3;
/// A wait or a number of attempts beyond these is cut (`RES_MAXRETRANS`, `RES_MAXRETRY`).
const TIMEOUT_MAX: u32 = 30;
const ATTEMPTS_MAX: u32 = 5;

/// Reads a whole file. Keywords count at the beginning of a line only, and of repeated options the last.
pub fn parse(file: &str, text: &str) -> Parsed<ResolvConf> {
    let mut out =
        Parsed { value: ResolvConf { file: file.to_owned(), ..ResolvConf::default() }, problems: Vec::new() };
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        match words.next() {
            Some("nameserver") if line.starts_with("nameserver") => {
                let word = words.next().unwrap_or_default();
                // A link-local server has its link behind it.
                match word.split('%').next().unwrap_or_default().parse::<IpAddr>() {
                    Ok(server) => out.value.servers.push(server),
                    Err(_) => out.problems.push(Problem::at(index, line, word, "expected an IP address")),
                }
            }
            Some("options") if line.starts_with("options") => {
                words.for_each(|word| apply(&mut out.value, word));
            }
            Some(_) | None => {}
        }
    }
    out.value.servers.truncate(SERVERS_MAX);
    out
}

fn apply(conf: &mut ResolvConf, option: &str) {
    let number = |name: &str| option.strip_prefix(name)?.parse::<u32>().ok();
    if let Some(seconds) = number("timeout:") {
        conf.timeout_seconds = seconds.min(TIMEOUT_MAX);
    }
    if let Some(times) = number("attempts:") {
        conf.attempts = times.min(ATTEMPTS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_waits_are_read() {
        let text = "# made by hand\nsearch novalocal\nnameserver 10.0.0.42\nnameserver\t1.2.3.4 # outside\n\
                    nameserver fe80::1%eth0\nnameserver 9.9.9.9\n nameserver 8.8.8.8\n\
                    options timeout:99 attempts:3 rotate\n";
        let read = parse("/etc/resolv.conf", text);
        assert_eq!(read.problems, []);
        let servers: Vec<String> = read.value.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.42", "1.2.3.4", "fe80::1"]);
        assert_eq!((read.value.timeout_seconds, read.value.attempts), (30, 3));
    }

    #[test]
    fn an_empty_file_waits_as_glibc_does() {
        let read = parse("/etc/resolv.conf", "").value;
        assert_eq!((read.servers.len(), read.timeout_seconds, read.attempts), (0, 5, 2));
    }

    #[test]
    fn what_is_no_address_is_said_with_its_place() {
        let read = parse("/etc/resolv.conf", "nameserver 10.0.0.1\nnameserver ns.example\n");
        assert_eq!(read.value.servers.len(), 1);
        assert_eq!((read.problems[0].line, read.problems[0].column), (2, 12));
    }
}
