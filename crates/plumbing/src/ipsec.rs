//! IPsec policies (ip-xfrm(8)): those that block.

use collect::netlink::{Channel, NetlinkError};
use ipnet::Ipv4Net;

use crate::{Namespace, PlumbingError};

/// `NETLINK_XFRM` (linux/netlink.h), and its messages (linux/xfrm.h).
const FAMILY: isize = 6;
const NEW_POLICY: u16 = 0x13;
const FLUSH_POLICY: u16 = 0x1d;
/// `XFRM_POLICY_FWD`, for what is forwarded; `XFRM_POLICY_BLOCK`.
const FORWARDED: u8 = 2;
const BLOCK: u8 = 1;
/// `AF_INET`.
const IPV4: u16 = 2;
/// `XFRM_INF`: no limit of bytes or packets.
const UNLIMITED: [u8; 8] = [0xff; 8];

/// `ip xfrm policy add dir fwd src SOURCE dst DESTINATION action block`.
pub fn block(ns: &mut Namespace, source: Ipv4Net, destination: Ipv4Net) -> Result<(), PlumbingError> {
    let attempted = format!("block {source} > {destination} by an IPsec policy");
    change(ns, attempted, NEW_POLICY, &policy(source, destination))
}

/// `ip xfrm policy flush`.
pub fn flush(ns: &mut Namespace) -> Result<(), PlumbingError> {
    change(ns, "remove all IPsec policies".to_owned(), FLUSH_POLICY, &[])
}

fn change(ns: &mut Namespace, attempted: String, kind: u16, body: &[u8]) -> Result<(), PlumbingError> {
    let ask = || -> Result<(), NetlinkError> { Channel::open(FAMILY)?.request(kind, 0, body, |(), _, _| {}) };
    ns.inside(ask)?.map_err(|source| PlumbingError::Netlink { attempted, netns: ns.name.clone(), source })
}

/// `struct xfrm_userpolicy_info`: a selector, limits, what was used of them, and the policy's own numbers.
fn policy(source: Ipv4Net, destination: Ipv4Net) -> Vec<u8> {
    let address = |net: Ipv4Net| [&net.network().octets()[..], &[0; 12]].concat();
    let any_port = [0; 4];
    let selector = [
        address(destination),
        address(source),
        [any_port, any_port].concat(),
        IPV4.to_ne_bytes().to_vec(),
        // Any protocol, padding, any link, any user.
        [&[destination.prefix_len(), source.prefix_len()][..], &[0; 4 + 8]].concat(),
    ];
    let limits = [[UNLIMITED; 4].concat(), vec![0; 4 * 8], vec![0; 4 * 8]];
    let (priority, index) = ([0; 4], [0; 4]);
    let own = [&priority[..], &index, &[FORWARDED, BLOCK, 0, 0], &[0; 4]];
    [selector.concat(), limits.concat(), own.concat()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_the_kernels_layout() {
        let policy = policy("10.0.2.24/32".parse().unwrap(), "1.2.3.0/24".parse().unwrap());
        // sizeof(struct xfrm_userpolicy_info), of which the selector is the first 56.
        assert_eq!(policy.len(), 168);
        assert_eq!(
            (&policy[..4], &policy[16..20], &policy[42..44]),
            (&[1, 2, 3, 0][..], &[10, 0, 2, 24][..], &[24, 32][..])
        );
        assert_eq!(&policy[160..162], &[FORWARDED, BLOCK]);
    }
}
