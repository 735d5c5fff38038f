//! Two faults at once: which can be, and which are drawn.

use crate::draw;

/// Two faults that cannot both be, whoever makes them: what both set has one value, or one takes away what the other
/// is made of. Each with the reason.
const IMPOSSIBLE: [(&str, &[&str], &[&str]); 12] = [
    (
        "the metadata service is one process, which is there or not",
        &["metadata-service-down"],
        &["metadata-service-fails"],
    ),
    (
        "the external server's DNS is one process, which is in one state",
        &["dns-lookup-fails"],
        &["dns-upstream-dead"],
    ),
    ("web1's server of DHCP and names is one process, which is in one state", DNSMASQ, DNSMASQ),
    ("a tap is in one bridge or in none, and its flags are those of that port", WHICH_BRIDGE, PORT),
    ("a port's flags are set as a whole, and anew when it is plugged in", PORT, PORT),
    (
        "without a tap there is neither a port nor web1's NIC",
        &["tap-missing", "guest-powered-off"],
        TAP_AND_NIC,
    ),
    (
        "web1's addresses, routes and neighbours go with its NIC, and its routes with its address",
        &["guest-nic-down", "guest-wrong-ip", "dhcp-offer-refused", "dhcp-nak", "dhcp-not-asked"],
        GUEST_ROUTES,
    ),
    ("web1 has one default route", &["guest-no-default-route"], &["guest-wrong-gateway"]),
    ("the gateway has one default route, which goes with its uplink", DEFAULT_ROUTE, DEFAULT_ROUTE),
    ("where all of nova's rules are gone, none of them is missing by itself", &["rules-flushed"], NOVAS),
    (
        "where nobody calls the security groups, nothing in them matters",
        &["br-netfilter-docker-drop"],
        GROUPS,
    ),
    (
        "a connection is in use only while web1's packets come to a gateway that could translate them",
        &["bridge-mac-change-unnat"],
        CUT_OFF,
    ),
];

const DNSMASQ: &[&str] = &[
    "dnsmasq-not-running",
    "dnsmasq-pool-exhausted",
    "dnsmasq-hosts-not-reloaded",
    "dnsmasq-stale-hosts-file",
    "dnsmasq-hung",
    "dnsmasq-wrong-interface",
    "dnsmasq-wrong-subnet",
    "dnsmasq-lease-max",
    "libvirt-dnsmasq-steals-port",
    "dhcp-offer-wrong",
    "dhcp-not-authoritative",
    "dhcp-offer-refused",
    "dhcp-nak",
    "dnsmasq-twice",
    "dns-upstream-wrong",
    "dns-answer-wrong",
    "dns-name-withheld",
];
const WHICH_BRIDGE: &[&str] = &["tap-not-enslaved", "tap-wrong-bridge"];
const PORT: &[&str] = &[
    "tap-not-enslaved",
    "tap-wrong-bridge",
    "stp-forward-delay",
    "hairpin-off",
    "port-isolated",
    "flood-off-unknown-unicast",
    "hairpin-ipv6-dad",
];
const TAP_AND_NIC: &[&str] = &[
    "tap-missing",
    "tap-down",
    "tap-not-enslaved",
    "tap-wrong-bridge",
    "mtu-tap-small",
    "stp-forward-delay",
    "hairpin-off",
    "port-isolated",
    "flood-off-unknown-unicast",
    "antispoof-mac",
    "ebtables-drop",
    "guest-nic-down",
    "guest-wrong-ip",
    "guest-no-default-route",
    "guest-wrong-gateway",
    "guest-arp-poisoned",
    "guest-firewall",
    "metadata-zeroconf-route",
    "dnsmasq-hosts-not-reloaded",
    "dnsmasq-stale-hosts-file",
    "dnsmasq-pool-exhausted",
    "bridge-mac-flap",
    "hairpin-ipv6-dad",
    "dhcp-offer-refused",
    "dhcp-nak",
    "dhcp-not-asked",
];
const GUEST_ROUTES: &[&str] = &[
    "dhcp-offer-refused",
    "dhcp-nak",
    "dhcp-not-asked",
    "guest-nic-down",
    "guest-wrong-ip",
    "guest-no-default-route",
    "guest-wrong-gateway",
    "guest-arp-poisoned",
    "metadata-zeroconf-route",
    "bridge-mac-flap",
    "hairpin-ipv6-dad",
];
const DEFAULT_ROUTE: &[&str] = &["uplink-down", "default-route-missing", "default-route-wrong-gw"];
const NOVAS: &[&str] = &[
    "sg-missing-icmp",
    "sg-missing-ssh",
    "dhcp-reply-lost",
    "nova-rules-drift",
    "br-netfilter-docker-drop",
    "forward-policy-drop-no-accept",
    "float-dnat-missing",
    "float-snat-missing",
    "snat-missing",
    "snat-wrong-address",
    "dnat-wrong-fixed-ip",
    "metadata-dnat-missing",
];
const GROUPS: &[&str] = &[
    "sg-missing-icmp",
    "sg-missing-ssh",
    "dhcp-reply-lost",
    "nova-rules-drift",
    "forward-policy-drop-no-accept",
];
const CUT_OFF: &[&str] = &[
    "guest-nic-down",
    "guest-powered-off",
    "guest-wrong-ip",
    "guest-no-default-route",
    "guest-wrong-gateway",
    "tap-missing",
    "tap-down",
    "tap-not-enslaved",
    "tap-wrong-bridge",
    "stp-forward-delay",
    "bridge-down",
    "antispoof-mac",
    "ebtables-drop",
    "arp-ignore",
    "gateway-address-missing",
    "host-neigh-wrong",
    "fdb-static-stale",
    "flood-off-unknown-unicast",
    "rules-flushed",
    "dhcp-offer-refused",
    "dhcp-nak",
    "dhcp-not-asked",
];

/// Made before the other: rules are flushed or written anew by it, which would undo the other, or web1 must be able to
/// ask for something once, so that there is a trace.
const MADE_FIRST: [&str; 10] = [
    "rules-flushed",
    "sg-missing-icmp",
    "sg-missing-ssh",
    "bridge-mac-flap",
    "dnsmasq-hosts-not-reloaded",
    "dnsmasq-stale-hosts-file",
    "dnsmasq-pool-exhausted",
    "bridge-mac-change-unnat",
    "dhcp-offer-refused",
    "dhcp-nak",
];

/// Why two faults cannot both be, where they cannot.
pub(crate) fn impossible(one: &str, other: &str) -> Option<&'static str> {
    let has = |codes: &[&str], code: &str| codes.contains(&code);
    let both = |left: &[&str], right: &[&str]| {
        has(left, one) && has(right, other) || has(left, other) && has(right, one)
    };
    IMPOSSIBLE.iter().find(|(_, left, right)| both(left, right)).map(|(why, ..)| *why)
}

/// Every reason, for the page.
pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
    IMPOSSIBLE.iter().map(|(why, ..)| *why)
}

/// So many pairs of these faults, drawn by the seed, each in the order in which they are made.
pub(crate) fn drawn<'c>(codes: &[&'c str], seed: u64, count: usize) -> Vec<[&'c str; 2]> {
    let pairs =
        codes.iter().enumerate().flat_map(|(at, one)| codes.iter().skip(at + 1).map(|other| [*one, *other]));
    let possible = pairs.filter(|[one, other]| impossible(one, other).is_none());
    let turned = possible.map(|[one, other]| {
        let turn = match (MADE_FIRST.contains(&one), MADE_FIRST.contains(&other)) {
            (true, false) => false,
            (false, true) => true,
            (true, true) | (false, false) => draw::number(seed, &format!("turn {one}+{other}")) % 2 == 1,
        };
        if turn { [other, one] } else { [one, other] }
    });
    draw::first(seed, turned.collect(), count, |[one, other]| format!("{one}+{other}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tables;

    #[test]
    fn what_cannot_be_is_told_whichever_comes_first() {
        assert!(impossible("dnsmasq-hung", "dnsmasq-not-running").is_some());
        assert_eq!(impossible("tap-missing", "tap-down"), impossible("tap-down", "tap-missing"));
        assert_eq!(impossible("tap-down", "uplink-down"), None);
    }

    #[test]
    fn the_list_names_faults_of_the_corpus() {
        let known: BTreeSet<&str> = tables::all().into_iter().map(|(code, _)| code).collect();
        let named =
            IMPOSSIBLE.iter().flat_map(|(_, left, right)| left.iter().chain(*right)).chain(&MADE_FIRST);
        let unknown: Vec<_> = named.filter(|code| !known.contains(**code)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn pairs_are_possible_and_each_is_drawn_once() {
        let codes: Vec<&str> = tables::all().into_iter().map(|(code, _)| code).collect();
        let pairs = drawn(&codes, 5, 200);
        assert_eq!(pairs.len(), 200);
        assert!(pairs.iter().all(|[one, other]| one != other && impossible(one, other).is_none()));
        let apart: BTreeSet<_> = pairs
            .iter()
            .map(|pair| {
                let mut pair = *pair;
                pair.sort_unstable();
                pair
            })
            .collect();
        assert_eq!(apart.len(), 200);
    }
}
