//! A filter as text that [`super::parse`] reads back.

use std::fmt;

use super::expr::{End, Expr, Family, Primitive, Protocol, Transport};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str| {
            for (nth, part) in parts.iter().enumerate() {
                if nth > 0 {
                    write!(f, " {word} ")?;
                }
                inside(f, part)?;
            }
            Ok(())
        };
        match self {
            Expr::And(parts) => joined(f, parts, "and"),
            Expr::Or(parts) => joined(f, parts, "or"),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                inside(f, inner)
            }
            Expr::Test(test) => write!(f, "{test}"),
        }
    }
}

/// A part of something larger.
fn inside(f: &mut fmt::Formatter<'_>, part: &Expr) -> fmt::Result {
    match part {
        Expr::Test(test) => write!(f, "{test}"),
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) => write!(f, "({part})"),
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Primitive::Protocol(protocol) => f.write_str(protocol.name()),
            Primitive::Net { family, end, net } => {
                if let Some(family) = family {
                    write!(f, "{} ", family.name())?;
                }
                if net.prefix_len() == net.max_prefix_len() {
                    write!(f, "{}host {}", end.prefix(), net.addr())
                } else {
                    write!(f, "{}net {net}", end.prefix())
                }
            }
            Primitive::Port { transport, end, low, high } => {
                if let Some(transport) = transport {
                    write!(f, "{} ", transport.name())?;
                }
                if low == high {
                    write!(f, "{}port {low}", end.prefix())
                } else {
                    write!(f, "{}portrange {low}-{high}", end.prefix())
                }
            }
            Primitive::Ether { end, mac } => write!(f, "ether {}host {mac}", end.prefix()),
            Primitive::Vlan { id: None, .. } => f.write_str("vlan"),
            Primitive::Vlan { id: Some(id), .. } => write!(f, "vlan {id}"),
            Primitive::Instance(name) => write!(f, "instance:{name}"),
            Primitive::Flow(a, b) => write!(f, "flow:{a},{b}"),
        }
    }
}

impl End {
    fn prefix(self) -> &'static str {
        match self {
            End::Source => "src ",
            End::Destination => "dst ",
            End::Either => "",
            End::Both => "src and dst ",
        }
    }
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Arp => "arp",
            Family::Rarp => "rarp",
        }
    }
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Family(family) => family.name(),
            Protocol::Icmp => "icmp",
            Protocol::Icmp6 => "icmp6",
            Protocol::Transport(transport) => transport.name(),
        }
    }
}
