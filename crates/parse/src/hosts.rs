//! A hosts file (hosts(5)): an address a line, and its names. dnsmasq reads those of `--addn-hosts`, where nova writes
//! the names of floating addresses (nova/network/linux_net.py `update_dns`).

use std::net::IpAddr;

use model::service::HostsLine;

use crate::{Parsed, Problem, line_number};

/// Reads a whole file, which is called so. What follows `#` is passed over.
pub fn parse(file: &str, text: &str) -> Parsed<Vec<HostsLine>> {
    let mut out = Parsed::<Vec<HostsLine>>::default();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(first) = words.next() else { continue };
        let names: Vec<String> = words.map(str::to_owned).collect();
        match first.parse::<IpAddr>() {
            Ok(ip) if !names.is_empty() => {
                out.value.push(HostsLine { file: file.to_owned(), line: line_number(index), ip, names });
            }
            Ok(_) | Err(_) => {
                let what = "expected an address and its names, as hosts(5) has them";
                out.problems.push(Problem::at(index, line, first, what));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_names_are_read() {
        let text =
            "# by hand\n10.0.2.99\tweb1.novalocal web1 # old\n\n::1 localhost\nweb2 10.0.2.25\n10.0.2.1\n";
        let read = parse("/f", text);
        let told: Vec<(u32, String, usize)> =
            read.value.iter().map(|line| (line.line, line.ip.to_string(), line.names.len())).collect();
        assert_eq!(told, [(2, "10.0.2.99".to_owned(), 2), (4, "::1".to_owned(), 1)]);
        assert_eq!(read.problems.len(), 2);
    }
}
