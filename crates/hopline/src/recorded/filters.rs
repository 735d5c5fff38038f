//! Whether a filter that a capture was made with takes a question's packets: yes, no, or nobody can tell.

use std::net::IpAddr;

use capture::filter::{self, End, Expr, Family, Primitive, Protocol, Transport};
use model::path::Exchange;

/// A packet as far as a walk tells of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Like {
    pub(crate) exchange: Exchange,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// `None` where that cannot be told: the filter is in a language that we do not have, or asks what no walk knows.
pub(crate) fn takes(text: &str, packet: Like) -> Option<bool> {
    filter::parse(text).ok().and_then(|expr| holds(&expr, packet))
}

fn holds(expr: &Expr, packet: Like) -> Option<bool> {
    match expr {
        Expr::And(parts) => all(parts.iter().map(|part| holds(part, packet))),
        Expr::Or(parts) => all(parts.iter().map(|part| holds(part, packet).map(|is| !is))).map(|is| !is),
        Expr::Not(part) => holds(part, packet).map(|is| !is),
        Expr::Test(test) => of_test(test, packet),
    }
}

/// One that does not hold decides, whatever is unknown beside it.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut every = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => every = None,
        }
    }
    every
}

fn of_test(test: &Primitive, packet: Like) -> Option<bool> {
    let is_v4 = packet.source.is_ipv4();
    let is_family = |family: Family| match family {
        Family::Ip => is_v4,
        Family::Ip6 => !is_v4,
        Family::Arp | Family::Rarp => false,
    };
    match test {
        Primitive::Protocol(Protocol::Family(family)) => Some(is_family(*family)),
        Primitive::Protocol(Protocol::Icmp) => Some(is_v4 && packet.exchange == Exchange::Icmp),
        Primitive::Protocol(Protocol::Icmp6) => Some(!is_v4 && packet.exchange == Exchange::Icmp),
        Primitive::Protocol(Protocol::Transport(of)) => is_over(packet.exchange, *of),
        Primitive::Net { family, end, net } => {
            let here = (net.contains(&packet.source), net.contains(&packet.destination));
            Some(family.is_none_or(is_family) && either(*end, here))
        }
        Primitive::Port { transport, end, low, high } => {
            if transport.is_some_and(|of| is_over(packet.exchange, of) == Some(false)) {
                return Some(false);
            }
            let has = |port: u16| (*low..=*high).contains(&port);
            match (packet.exchange, end) {
                (Exchange::Icmp | Exchange::Arp, _) => Some(false),
                (Exchange::Dns, End::Either) if has(53) => Some(true),
                (Exchange::Dhcp, End::Either) if has(67) || has(68) => Some(true),
                // Which of its ends is the server's, and from which port the client asks, is not looked at.
                (Exchange::Dns | Exchange::Dhcp | Exchange::Tcp | Exchange::Udp | Exchange::None, _) => None,
            }
        }
        Primitive::Flow(a, b) => {
            let pair = (packet.source, packet.destination);
            Some(pair == (*a, *b) || pair == (*b, *a))
        }
        Primitive::Ether { .. } | Primitive::Vlan { .. } | Primitive::Instance(_) => None,
    }
}

fn either(end: End, (source, destination): (bool, bool)) -> bool {
    match end {
        End::Source => source,
        End::Destination => destination,
        End::Either => source || destination,
        End::Both => source && destination,
    }
}

fn is_over(exchange: Exchange, transport: Transport) -> Option<bool> {
    Some(match (exchange, transport) {
        (Exchange::Tcp, of) => of == Transport::Tcp,
        (Exchange::Udp | Exchange::Dhcp, of) => of == Transport::Udp,
        // A question for a name may be either, and is the one that the capture has.
        (Exchange::Dns, Transport::Tcp | Transport::Udp) => return None,
        (Exchange::Dns, Transport::Sctp) => false,
        (Exchange::Icmp | Exchange::Arp, _) => false,
        (Exchange::None, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_a_packet_or_not_or_nobody_can_tell() {
        let ping = Like {
            exchange: Exchange::Icmp,
            source: "203.0.113.30".parse().unwrap(),
            destination: "1.2.3.4".parse().unwrap(),
        };
        for (filter, expected) in [
            ("icmp and (host 10.0.2.24 or host 203.0.113.30 or ether host fa:16:3e:00:00:01)", Some(true)),
            ("icmp", Some(true)),
            ("icmp and host 10.0.2.24", Some(false)),
            ("src host 203.0.113.30", Some(true)),
            ("src host 1.2.3.4", Some(false)),
            ("not icmp", Some(false)),
            ("port 53", Some(false)),
            ("net 203.0.113.0/24 and ip", Some(true)),
            ("ether host fa:16:3e:00:00:01", None),
            ("icmp[0] == 8", None),
        ] {
            assert_eq!(takes(filter, ping), expected, "{filter}");
        }
        let dns = Like { exchange: Exchange::Dns, ..ping };
        assert_eq!(
            (takes("port 53", dns), takes("udp", dns), takes("tcp port 80", dns)),
            (Some(true), None, None)
        );
    }
}
