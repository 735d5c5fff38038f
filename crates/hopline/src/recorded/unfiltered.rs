//! Whether what was recorded by a filter that nobody knows tells that it would have kept two others' packets.
//!
//! Plain pcap does not tell its filter. `host B` keeps all that B says and hears, both ways, and nothing that A and C
//! say to one another: so a capture of B's conversations with A, whole as they are, lacks nothing of A's with C. What
//! people filter by is a few hosts, or a network; where the packets of a capture have no such thing in common that
//! leaves A and C out, they were not kept for it. What they filter out is one host or network, and nothing of it is
//! left: so both A and C have to be there.

use std::collections::BTreeSet;

use model::sighting::Address;

/// Hosts that people name in one filter.
const HOSTS_MAX: usize = 2;

/// Bits of a network's prefix, at least, as addresses are held here: IPv4 within IPv6.
const V4_BITS_MIN: u32 = 96 + 8;
const V6_BITS_MIN: u32 = 16;

type Pair = (Address, Address);

/// An address that a filter for a host may name: of one machine.
pub(super) fn is_host(address: Address) -> bool {
    match address.to_ip() {
        std::net::IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast()),
        std::net::IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_multicast()),
    }
}

/// A few hosts, or a network, that take part in all of these conversations, and in none of the two's; or one of the two
/// that takes part in none of them.
pub(super) fn is_explained(pairs: &BTreeSet<Pair>, two: Pair) -> bool {
    let pairs: Vec<Pair> = pairs.iter().copied().collect();
    by_exclusion(&pairs, two) || by_hosts(&pairs, two, HOSTS_MAX) || by_network(&pairs, two)
}

/// `not host C` keeps nothing of C's, whoever it speaks to.
fn by_exclusion(pairs: &[Pair], two: Pair) -> bool {
    [two.0, two.1].into_iter().any(|end| !pairs.iter().any(|pair| is_of(*pair, end)))
}

fn is_of((a, b): Pair, host: Address) -> bool {
    a == host || b == host
}

fn by_hosts(pairs: &[Pair], two: Pair, hosts_max: usize) -> bool {
    let Some((a, b)) = pairs.first().copied() else { return true };
    let Some(others) = hosts_max.checked_sub(1) else { return false };
    [a, b].into_iter().filter(|host| !is_of(two, *host)).any(|host| {
        let rest: Vec<Pair> = pairs.iter().copied().filter(|pair| !is_of(*pair, host)).collect();
        by_hosts(&rest, two, others)
    })
}

/// The widest prefix of either of the first conversation's ends that holds none of the two.
fn by_network(pairs: &[Pair], two: Pair) -> bool {
    let Some((a, b)) = pairs.first().copied() else { return true };
    [a, b].into_iter().any(|host| {
        let common = [two.0, two.1].map(|end| (host.0 ^ end.0).leading_zeros()).into_iter().max();
        let least = if host.to_ip().is_ipv4() { V4_BITS_MIN } else { V6_BITS_MIN };
        // A prefix one bit longer than what it has in common with either holds neither.
        let bits = common.map(|common| (common + 1).max(least));
        let Some(shift) = bits.and_then(|bits| u128::BITS.checked_sub(bits)) else { return false };
        let within = |end: Address| end.0 >> shift == host.0 >> shift;
        pairs.iter().all(|(one, other)| within(*one) || within(*other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 4] = [10, 0, 2, 24];
    const C: [u8; 4] = [1, 2, 3, 4];

    /// Whether these conversations leave open that a filter took A's and C's out.
    fn is_open(pairs: &[([u8; 4], [u8; 4])]) -> bool {
        let pairs = pairs.iter().map(|(a, b)| (Address::v4(*a), Address::v4(*b))).collect();
        is_explained(&pairs, (Address::v4(A), Address::v4(C)))
    }

    #[test]
    fn a_filter_for_other_hosts_explains_their_conversations() {
        let [b, d, e] = [[10, 0, 0, 42], [10, 0, 2, 25], [10, 0, 2, 26]];
        assert!(is_open(&[]), "nothing at all");
        assert!(is_open(&[(A, b)]), "host B");
        assert!(is_open(&[(A, b), (C, b), (d, b)]), "host B, with both");
        assert!(is_open(&[(A, b), (C, d), (e, d)]), "host B or host D");
        let f = [192, 168, 7, 7];
        assert!(
            !is_open(&[(A, b), (C, f), (A, [8, 8, 8, 8])]),
            "three that have no host in common but A and C"
        );
    }

    #[test]
    fn a_filter_against_a_host_explains_that_nothing_of_it_is_there() {
        let [b, d, e, f] = [[10, 0, 0, 42], [172, 16, 0, 1], [192, 168, 7, 7], [8, 8, 8, 8]];
        let others = [(b, d), (e, f), (A, f), (A, d)];
        assert!(is_open(&others), "not host C");
        assert!(is_open(&[(b, d), (e, f), (C, b), (C, d)]), "not host A");
        assert!(!is_open(&[&others[..], &[(C, b)]].concat()), "each has said something");
    }

    #[test]
    fn a_filter_for_a_network_explains_its_conversations() {
        let net = |host| [172, 16, 0, host];
        assert!(is_open(&[(A, net(1)), (A, net(2)), (A, net(3)), (C, net(4))]), "net 172.16.0.0/24");
        let wide = [(A, net(1)), (A, net(2)), (C, net(4)), ([192, 168, 1, 1], [8, 8, 8, 8])];
        assert!(!is_open(&wide), "one that has no part in it");
    }

    #[test]
    fn who_speaks_for_many_is_no_host() {
        let told = ["0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1", "::", "10.0.0.1", "fe80::1"]
            .map(|ip| is_host(Address::from(ip.parse::<std::net::IpAddr>().unwrap())));
        assert_eq!(told, [false, false, false, false, false, true, true]);
    }
}
