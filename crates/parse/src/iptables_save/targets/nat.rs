//! Targets that rewrite addresses and ports.

use std::net::IpAddr;

use model::netfilter::{Action, NatTarget};

use super::super::values;
use super::super::words::Words;

/// Flags that choose among several possible ports or addresses, and exclude none.
pub(in super::super) const FLAGS: [&str; 3] = ["--random", "--random-fully", "--persistent"];

fn only_flags(options: &mut Words<'_>) -> Option<()> {
    while let Some(flag) = options.value() {
        if !FLAGS.contains(&flag.as_ref()) {
            return None;
        }
    }
    Some(())
}

/// DNAT and SNAT.
pub(super) fn to(options: &mut Words<'_>, to: &str) -> Option<NatTarget> {
    if options.value()? != to {
        return None;
    }
    let target = target(&options.value()?)?;
    only_flags(options)?;
    Some(target)
}

/// `ip[-ip][:port[-port[/base]]]`, `[ip6[-ip6]]:port`, `:port`.
fn target(text: &str) -> Option<NatTarget> {
    let (addresses, ports) = if let Some(bracketed) = text.strip_prefix('[') {
        let (addresses, ports) = bracketed.split_once(']')?;
        (addresses, ports.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            // More than one colon without brackets is a bare IPv6 address.
            Some((addresses, ports)) if !ports.contains(':') => (addresses, Some(ports)),
            Some(_) | None => (text, None),
        }
    };
    let addresses = match addresses {
        "" => None,
        range if range.contains('-') => Some(values::ip_range(range)?),
        one => {
            let ip: IpAddr = one.parse().ok()?;
            Some((ip, ip))
        }
    };
    let Some(ports) = ports else { return Some(NatTarget { addresses, ..NatTarget::default() }) };
    let (ports, base) = match ports.split_once('/') {
        Some((ports, base)) => (ports, Some(base.parse().ok()?)),
        None => (ports, None),
    };
    Some(NatTarget { addresses, ports: Some(values::ports(ports, '-')?), base })
}

/// MASQUERADE and REDIRECT.
pub(super) fn to_ports(options: &mut Words<'_>, make: fn(Option<(u16, u16)>) -> Action) -> Option<Action> {
    let ports = if options.take("--to-ports") { Some(values::ports(&options.value()?, '-')?) } else { None };
    only_flags(options)?;
    Some(make(ports))
}

pub(super) fn netmap(options: &mut Words<'_>) -> Option<Action> {
    if options.value()? != "--to" {
        return None;
    }
    values::net(&options.value()?).map(Action::Netmap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_in_every_form() {
        for text in ["5.6.7.8", "5.6.7.8-5.6.7.9", "5.6.7.8-5.6.7.9:50-60", ":50", ":50-70/90", "2001:db8::1"]
        {
            assert_eq!(target(text).unwrap().to_string(), text);
        }
        let six = target("[2001:db8::1-2001:db8::5]:80-90").unwrap();
        assert_eq!(six.ports, Some((80, 90)));
        assert_eq!(six.addresses.unwrap().1.to_string(), "2001:db8::5");
        for bad in [":50-70/x", "1.2.3", "1.2.3.4:", "[::1", ":70000"] {
            assert_eq!(target(bad), None, "{bad}");
        }
    }
}
