//! Who has an address: the question and its answer, by ARP (RFC 826) and by neighbour discovery (RFC 4861), as a frame
//! carries them.
//!
//! Read are Ethernet frames with up to two VLAN tags. No input panics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETH_P_ARP: [u8; 2] = [0x08, 0x06];
const ETH_P_IPV6: [u8; 2] = [0x86, 0xdd];
const ETH_P_8021Q: [u8; 2] = [0x81, 0x00];
const ETH_P_8021AD: [u8; 2] = [0x88, 0xa8];
/// Of ARP: for IPv4, with addresses of 6 and 4 octets.
const IPV4_OVER_ETHERNET: [u8; 4] = [0x08, 0x00, 6, 4];
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const TAGS_MAX: usize = 2;

/// Half of such an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// It asks; else it answers.
    pub is_question: bool,
    /// Who asks, or whom the answer is for: unspecified of nobody, all nodes' group of an answer to nobody.
    pub asker: IpAddr,
    /// The address that is asked for.
    pub asked: IpAddr,
}

/// Reads an Ethernet frame; `None` where it is neither, or cut off before it tells.
pub fn read(frame: &[u8]) -> Option<Neighbour> {
    let mut rest = frame.get(12..)?;
    for _ in 0..=TAGS_MAX {
        let (kind, carried) = rest.split_first_chunk::<2>()?;
        match *kind {
            ETH_P_ARP => return arp(carried),
            ETH_P_IPV6 => return discovery(carried),
            ETH_P_8021Q | ETH_P_8021AD => rest = carried.get(2..)?,
            _ => return None,
        }
    }
    None
}

fn arp(octets: &[u8]) -> Option<Neighbour> {
    if octets.get(2..6)? != IPV4_OVER_ETHERNET {
        return None;
    }
    let address = |at: usize| Some(IpAddr::from(Ipv4Addr::from(*octets.get(at..)?.first_chunk::<4>()?)));
    let (sender, target) = (address(14)?, address(24)?);
    match octets.get(6..8)? {
        [0, 1] => Some(Neighbour { is_question: true, asker: sender, asked: target }),
        [0, 2] => Some(Neighbour { is_question: false, asker: target, asked: sender }),
        _ => None,
    }
}

/// Without extension headers: a solicitation has none (RFC 6980).
fn discovery(octets: &[u8]) -> Option<Neighbour> {
    let address = |at: usize| Some(IpAddr::from(Ipv6Addr::from(*octets.get(at..)?.first_chunk::<16>()?)));
    if octets.get(6) != Some(&ICMPV6) {
        return None;
    }
    let (source, destination, target) = (address(8)?, address(24)?, address(48)?);
    match octets.get(40..42)? {
        [SOLICITATION, 0] => Some(Neighbour { is_question: true, asker: source, asked: target }),
        [ADVERTISEMENT, 0] => Some(Neighbour { is_question: false, asker: destination, asked: target }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ethernet(tags: &[[u8; 4]], kind: [u8; 2], carried: &[u8]) -> Vec<u8> {
        [&[0; 12][..], &tags.concat(), &kind, carried].concat()
    }

    fn arp_of(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let head = [0, 1, 8, 0, 6, 4, 0, operation];
        [&head[..], &[2; 6], &sender, &[0; 6], &target].concat()
    }

    fn icmp6_of(kind: u8, source: [u8; 16], destination: [u8; 16], target: [u8; 16]) -> Vec<u8> {
        let ip = [0x60, 0, 0, 0, 0, 24, ICMPV6, 255];
        [&ip[..], &source, &destination, &[kind, 0, 0, 0, 0, 0, 0, 0], &target].concat()
    }

    proptest! {
        #[test]
        fn a_question_and_its_answer_tell_the_same_ends(
            v4 in any::<[[u8; 4]; 2]>(), v6 in any::<[[u8; 16]; 3]>(), tags in 0_usize..=TAGS_MAX,
        ) {
            let tags = vec![[0x81, 0, 0, 100]; tags];
            let ([own, other], [near, group, far]) = (v4, v6);
            for (is_question, carried) in [(true, arp_of(1, own, other)), (false, arp_of(2, other, own))] {
                let expected = Neighbour { is_question, asker: own.into(), asked: other.into() };
                prop_assert_eq!(read(&ethernet(&tags, ETH_P_ARP, &carried)), Some(expected));
            }
            let halves = [(true, icmp6_of(135, near, group, far)), (false, icmp6_of(136, far, near, far))];
            for (is_question, carried) in halves {
                let expected = Neighbour { is_question, asker: near.into(), asked: far.into() };
                prop_assert_eq!(read(&ethernet(&tags, ETH_P_IPV6, &carried)), Some(expected));
            }
        }

        #[test]
        fn whatever_comes_is_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = read(&octets);
        }

        #[test]
        fn what_is_cut_off_is_not_read(length in 0_usize..78) {
            let whole = ethernet(&[], ETH_P_IPV6, &icmp6_of(135, [1; 16], [2; 16], [3; 16]));
            prop_assert_eq!(read(&whole[..length]), None);
        }
    }

    #[test]
    fn what_is_neither_is_not_read() {
        for other in [
            ethernet(&[], [8, 0], &arp_of(1, [1; 4], [2; 4])),
            ethernet(&[], ETH_P_ARP, &arp_of(3, [1; 4], [2; 4])),
            ethernet(&[], ETH_P_IPV6, &icmp6_of(128, [1; 16], [2; 16], [3; 16])),
            ethernet(&[[0x81, 0, 0, 1]; 3], ETH_P_ARP, &arp_of(1, [1; 4], [2; 4])),
        ] {
            assert_eq!(read(&other), None, "{other:02x?}");
        }
    }
}
