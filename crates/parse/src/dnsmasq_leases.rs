//! A lease file of dnsmasq, and what `nova-dhcpbridge init` prints in its place:
//! `EXPIRY MAC IP HOSTNAME CLIENT-ID`.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::service::DhcpLease;

use crate::{Parsed, Problem};

/// Reads a whole file. The `duid` line and IPv6 leases are passed over.
pub fn parse(text: &str) -> Parsed<Vec<DhcpLease>> {
    let mut out = Parsed::<Vec<DhcpLease>>::default();
    for (index, line) in text.lines().enumerate() {
        match lease(line) {
            Ok(lease) => out.value.extend(lease),
            Err((part, what)) => out.problems.push(Problem::at(index, line, part, what)),
        }
    }
    out
}

/// One line; `Ok(None)` for one that holds no IPv4 lease, and the part at fault for one amiss.
fn lease(line: &str) -> Result<Option<DhcpLease>, (&str, &'static str)> {
    let mut words = line.split_whitespace();
    let end = line.get(line.trim_end().len()..).unwrap_or_default();
    let Some(expires) = words.next() else { return Ok(None) };
    if expires == "duid" {
        return Ok(None);
    }
    let mac = words.next().ok_or((end, "the line ends where a MAC address is expected"))?;
    let ip = words.next().ok_or((end, "the line ends where an IP address is expected"))?;
    if ip.parse::<Ipv6Addr>().is_ok() {
        return Ok(None);
    }
    Ok(Some(DhcpLease {
        expires: expires.parse().map_err(|_| (expires, "expected the lease's end in Unix seconds"))?,
        mac: mac.parse().map_err(|_| (mac, "expected a MAC address"))?,
        ip: ip.parse::<Ipv4Addr>().map_err(|_| (ip, "expected an IP address"))?,
        hostname: words.next().unwrap_or("*").to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_leases_are_read_and_the_rest_passed_over() {
        let text = "1700000000 fa:16:3e:56:0b:6f 192.168.100.3 web1 01:fa:16:3e:56:0b:6f\n\
                    0 fa:16:3e:00:00:12 192.168.100.4 * *\n\
                    duid 00:01:00:01:2b:3c\n1700000000 1044567 fd00::3 web1 00:01:00:01\n";
        let read = parse(text);
        assert_eq!(read.problems, []);
        assert_eq!(read.value.len(), 2);
        assert_eq!(read.value[0].expires, 1_700_000_000);
        assert_eq!(read.value[0].mac.to_string(), "fa:16:3e:56:0b:6f");
        assert_eq!(read.value[0].ip, Ipv4Addr::new(192, 168, 100, 3));
        assert_eq!(read.value[0].hostname, "web1");
        assert_eq!((read.value[1].expires, read.value[1].hostname.as_str()), (0, "*"));
    }

    #[test]
    fn what_is_amiss_is_named_at_its_place() {
        let read = parse("1700 fa:16:3e:56:0b 10.0.0.3 a *\nsoon fa:16:3e:56:0b:6f 10.0.0.3 a *\n1700 \n");
        assert_eq!(read.value, []);
        let places: Vec<_> = read.problems.iter().map(|p| (p.line, p.column)).collect();
        assert_eq!(places, [(1, 6), (2, 1), (3, 5)]);
        assert_eq!(read.problems[0].what, "expected a MAC address");
    }
}
