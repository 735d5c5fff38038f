//! What tells a rule that cannot match from one that may, without looking at the rule: addresses under
//! masks and the protocol, side by side in memory, as iptables' own `struct ipt_ip` has them.
//!
//! A chain of a hundred thousand rules is mostly rules about somebody else. A guard is a part of the
//! rule's conditions, so that a packet that fails it fails the rule for certain, whatever the rest
//! says; one that passes it is shown the rule itself.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Packet;
use model::netfilter::{Chain, Family, NfRule, Test};

/// Chains of fewer rules are run rule by rule.
const WORTH_IT: usize = 4;
/// No protocol number: any will do.
const ANY: u16 = u16::MAX;

/// A chain's guards, by the family of the packet.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    v4: Vec<Guard<u32>>,
    v6: Vec<Guard<u128>>,
}

#[derive(Debug, Clone, Copy)]
struct Guard<A> {
    source: A,
    source_mask: A,
    destination: A,
    destination_mask: A,
    protocol: u16,
}

impl Guards {
    /// Linear in the chain's rules. Chains of families that see no IP have none.
    pub(super) fn new(family: Family, chain: &Chain) -> Guards {
        let (v4, v6) = match family {
            Family::Ip => (true, false),
            Family::Ip6 => (false, true),
            Family::Inet => (true, true),
            Family::Arp | Family::Bridge | Family::Netdev => (false, false),
        };
        let rules: &[NfRule] = if chain.rules.len() < WORTH_IT { &[] } else { &chain.rules };
        Guards {
            v4: if v4 { rules.iter().map(|rule| guard(rule, 0, v4_net)).collect() } else { Vec::new() },
            v6: if v6 { rules.iter().map(|rule| guard(rule, 0, v6_net)).collect() } else { Vec::new() },
        }
    }

    /// The first rule from `at` on, counted from 0, that the packet may match; the number of rules
    /// where there is none.
    pub(super) fn next(&self, packet: Option<&Packet>, at: usize, rules: usize) -> usize {
        let Some(packet) = packet else { return at };
        let protocol = u16::from(packet.protocol());
        match (packet.source, packet.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) if !self.v4.is_empty() => {
                scan(&self.v4, at, (source.to_bits(), destination.to_bits()), protocol).unwrap_or(rules)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) if !self.v6.is_empty() => {
                scan(&self.v6, at, (source.to_bits(), destination.to_bits()), protocol).unwrap_or(rules)
            }
            _ => at,
        }
    }
}

fn scan<A>(guards: &[Guard<A>], at: usize, (source, destination): (A, A), protocol: u16) -> Option<usize>
where
    A: Copy + PartialEq + std::ops::BitAnd<Output = A>,
{
    let passes = |guard: &Guard<A>| {
        source & guard.source_mask == guard.source
            && destination & guard.destination_mask == guard.destination
            && (guard.protocol == ANY || guard.protocol == protocol)
    };
    guards.get(at..)?.iter().position(passes).map(|found| at + found)
}

/// An address range of the wanted family under its mask; `None` for a prefix of the other family.
type Masked<A> = fn(&IpNet) -> Option<(A, A)>;

fn v4_net(net: &IpNet) -> Option<(u32, u32)> {
    match net {
        IpNet::V4(net) => Some((net.network().to_bits(), net.netmask().to_bits())),
        IpNet::V6(_) => None,
    }
}

fn v6_net(net: &IpNet) -> Option<(u128, u128)> {
    match net {
        IpNet::V6(net) => Some((net.network().to_bits(), net.netmask().to_bits())),
        IpNet::V4(_) => None,
    }
}

/// The first condition of each kind. A prefix of the other family can never hold either, and needs no
/// guard to say so.
fn guard<A: Copy>(rule: &NfRule, zero: A, masked: Masked<A>) -> Guard<A> {
    let mut guard =
        Guard { source: zero, source_mask: zero, destination: zero, destination_mask: zero, protocol: ANY };
    for condition in rule.matches.iter().filter(|c| !c.negated) {
        match &condition.test {
            Test::Source(nets) => {
                if let [net] = nets.as_slice()
                    && let Some((value, mask)) = masked(net)
                {
                    (guard.source, guard.source_mask) = (value, mask);
                }
            }
            Test::Destination(nets) => {
                if let [net] = nets.as_slice()
                    && let Some((value, mask)) = masked(net)
                {
                    (guard.destination, guard.destination_mask) = (value, mask);
                }
            }
            Test::Protocol(number) => guard.protocol = u16::from(*number),
            _ => {}
        }
    }
    guard
}
