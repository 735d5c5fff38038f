//! An ICMP error that came back for something we sent, as a socket's error queue tells it.

use std::fmt;
use std::net::IpAddr;

use crate::icmp;

/// Type of ICMPv6's destination unreachable, packet too big and time exceeded (RFC 4443).
const V6_UNREACHABLE: u8 = 1;
const V6_TOO_BIG: u8 = 2;
const V6_TIME_EXCEEDED: u8 = 3;
/// Type and code of ICMP's port unreachable (RFC 792).
const V4_PORT_UNREACHABLE: (u8, u8) = (3, 3);
const V6_PORT_UNREACHABLE: (u8, u8) = (V6_UNREACHABLE, 4);

/// Who said what about a packet of ours. Type and code are ICMP's for an IPv4 sender, ICMPv6's for an
/// IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// The machine that sent it; our own, where it was our own stack that gave up.
    pub from: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// MTU of the next hop in bytes, where the error is about size and says one.
    pub next_mtu: Option<u32>,
}

impl IcmpError {
    /// Nobody listens at that port; so says the machine itself, or a rule that rejects.
    pub fn is_port_unreachable(&self) -> bool {
        let said = (self.kind, self.code);
        match self.from {
            IpAddr::V4(_) => said == V4_PORT_UNREACHABLE,
            IpAddr::V6(_) => said == V6_PORT_UNREACHABLE,
        }
    }

    /// What it says, in ping's words: `host unreachable`.
    pub fn meaning(&self) -> String {
        match self.from {
            IpAddr::V4(_) => icmp::describe(self.kind, self.code),
            IpAddr::V6(_) => describe_v6(self.kind, self.code),
        }
    }
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (ICMP from {})", self.meaning(), self.from)?;
        self.next_mtu.map_or(Ok(()), |mtu| write!(f, ", MTU {mtu}"))
    }
}

fn describe_v6(kind: u8, code: u8) -> String {
    let known = match (kind, code) {
        (V6_UNREACHABLE, 0) => "no route to destination",
        (V6_UNREACHABLE, 1) => "communication administratively prohibited",
        (V6_UNREACHABLE, 3) => "address unreachable",
        (V6_UNREACHABLE, 4) => "port unreachable",
        (V6_UNREACHABLE, 5) => "source address failed policy",
        (V6_UNREACHABLE, 6) => "route rejected",
        (V6_TOO_BIG, _) => "packet too big",
        (V6_TIME_EXCEEDED, 0) => "hop limit exceeded",
        _ => return format!("ICMPv6 error type {kind} code {code}"),
    };
    known.to_owned()
}
