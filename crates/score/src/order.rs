//! Which of two faults web1's packets meet first.
//!
//! Conversations are gone through in the order of an operator's questions: with the gateway, with the outside, from
//! the outside, with neighbours, then DHCP, names, metadata, large packets, ssh. Within one, a packet meets places in
//! the order of its way, there and back. A fault is met where it first stops one of these: what bends a packet, such as
//! a source that is not translated, where that has it lost. Between two that are met in one place nothing is first, and
//! between what stops nothing and what stops something, the latter.

/// Where a fault is first met, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Met {
    /// Inside web1, by whatever it sends.
    Inside,
    /// At its tap, before any bridge has the frame.
    Tap,
    /// Where the bridge looks at its port's state, before any rule (`br_handle_frame`, net/bridge/br_input.c).
    Port,
    /// By the bridge's rules for what comes in.
    BridgeRules,
    /// At its bridge.
    Bridge,
    /// At the gateway, by whatever is for it.
    Gateway,
    /// On the way from the gateway back to web1.
    BackToWeb1,
    /// Inside web1, by what it sends to the outside.
    InsideOutward,
    /// Where the gateway routes and filters what leaves.
    Routed,
    /// At the gateway's public link, by what leaves.
    Uplink,
    /// Beyond the hosts.
    Beyond,
    /// On the outside's way back.
    BackFromOutside,
    /// Only by what comes from the outside by itself.
    Inbound,
    /// By what comes from the outside, at its end: web1 is looked for by the address that is recorded.
    Arrival,
    /// Between neighbours.
    Neighbours,
    /// By DHCP.
    Dhcp,
    /// By what asks for names.
    Names,
    /// By what asks for metadata.
    Metadata,
    /// By large packets.
    Large,
    /// By ssh.
    Ssh,
    /// By connections from before, and by no new one.
    Tracked,
    /// By nothing that web1 sends or gets.
    Nothing,
}

use Met::{
    Arrival, BackFromOutside, BackToWeb1, Beyond, Bridge, BridgeRules, Dhcp, Gateway, Inbound, Inside,
    InsideOutward, Large, Metadata, Names, Neighbours, Nothing, Port, Routed, Ssh, Tap, Tracked, Uplink,
};

/// Every fault, by where it is met.
const ORDER: [(Met, &[&str]); 22] = [
    // By the latter three it is left without an address, and sends nothing.
    (Inside, &["guest-nic-down", "guest-driver-absent", "dhcp-offer-refused", "dhcp-nak", "dhcp-not-asked"]),
    (
        Tap,
        &[
            "guest-powered-off",
            "guest-paused-tap-full",
            "tap-missing",
            "tap-down",
            "tap-not-enslaved",
            "tap-wrong-bridge",
        ],
    ),
    (Port, &["stp-forward-delay", "bridge-down"]),
    (BridgeRules, &["antispoof-mac", "ebtables-drop"]),
    // Whatever web1 takes for its gateway, it is the bridge that has no port for it.
    (
        Bridge,
        &[
            "guest-arp-poisoned",
            "arp-ignore",
            "gateway-address-missing",
            "bridge-mac-flap",
            "vlan-device-missing",
            "vlan-tag-wrong",
            "l2-loop",
        ],
    ),
    (Gateway, &["conntrack-full", "neigh-table-overflow"]),
    (
        BackToWeb1,
        &[
            "host-neigh-wrong",
            "fdb-static-stale",
            "flood-off-unknown-unicast",
            "guest-firewall",
            "foreign-rule-bends",
        ],
    ),
    (InsideOutward, &["guest-no-default-route", "guest-wrong-gateway"]),
    (
        Routed,
        &[
            "ip-forward-0",
            "default-route-missing",
            "blackhole-route",
            "policy-route-wrong",
            "host-subnet-overlap",
            "foreign-rule-drop",
            "forward-policy-drop-no-accept",
            "nft-other-priority",
            "iptables-legacy-hidden",
            "dropped-by-unmodelled",
        ],
    ),
    // By the last nothing is lost; who looks at what leaves sees it here.
    (
        Uplink,
        &[
            "uplink-down",
            "uplink-no-carrier",
            "link-queue-drops",
            "default-route-wrong-gw",
            "float-snat-missing",
        ],
    ),
    (
        Beyond,
        &[
            "random-loss",
            "ext-gateway-down",
            "ext-gateway-not-forwarding",
            "ext-server-down",
            "ext-no-return-route",
        ],
    ),
    (
        BackFromOutside,
        &[
            "snat-missing",
            "snat-wrong-address",
            "rules-flushed",
            "rp-filter-asymmetric",
            "stale-arp-after-float-move",
            "float-on-two-hosts",
            "float-address-missing",
            "rule-order-wrong",
            "xdp-drop",
            "tc-bpf-drop",
        ],
    ),
    (Inbound, &["float-dnat-missing", "dnat-wrong-fixed-ip", "sg-missing-icmp", "sg-missing-ssh"]),
    (Arrival, &["guest-wrong-ip"]),
    (
        Neighbours,
        &[
            "hairpin-off",
            "port-isolated",
            "duplicate-mac",
            "br-netfilter-docker-drop",
            "vlan-device-down",
            "bond-half-dead",
        ],
    ),
    (
        Dhcp,
        &[
            "dnsmasq-not-running",
            "dnsmasq-pool-exhausted",
            "dnsmasq-hosts-not-reloaded",
            "dnsmasq-stale-hosts-file",
            "dnsmasq-hung",
            "dnsmasq-wrong-interface",
            "dnsmasq-wrong-subnet",
            "dnsmasq-lease-max",
            "libvirt-dnsmasq-steals-port",
            "input-blocks-dhcp",
            "dhcp-reply-lost",
            "dhcp-offer-wrong",
            "rogue-dhcp",
            "dhcp-not-authoritative",
            "dnsmasq-twice",
        ],
    ),
    (
        Names,
        &[
            "guest-resolv-conf-wrong",
            "dns-port53-blocked",
            "dns-upstream-wrong",
            "dns-upstream-dead",
            "dns-lookup-fails",
        ],
    ),
    (
        Metadata,
        &[
            "metadata-dnat-missing",
            "metadata-service-down",
            "metadata-service-fails",
            "metadata-zeroconf-route",
        ],
    ),
    // A queue without room for many at once is met by TCP's first packets, which are large.
    (
        Large,
        &[
            "mtu-tap-small",
            "flatif-mtu-small",
            "vlan-double-tag-or-mtu",
            "pmtu-blackhole",
            "tap-tx-queue-drops",
        ],
    ),
    (Ssh, &["ssh-slow-reverse-dns"]),
    (Tracked, &["conntrack-stale-dnat", "bridge-mac-change-unnat"]),
    (
        Nothing,
        &[
            "nova-rules-drift",
            "float-tied-to-deleted-instance",
            "fixed-ip-leaked",
            "float-host-mismatch",
            "db-host-mismatch",
            "duplicate-ip-foreign",
            "hairpin-ipv6-dad",
            // With one host there is nobody behind it.
            "flatif-down",
            "flatif-not-enslaved",
            "vxlan-missing-fdb",
            "vxlan-wrong-vni",
            "vxlan-udp-blocked",
            "vxlan-mtu-1500-inside",
            // Names are found: one of them is wrong, or said not to be there.
            "dns-answer-wrong",
            "dns-name-withheld",
            // Only old clients throw such answers away.
            "dhcp-bad-udp-checksum",
        ],
    ),
];

/// Where a fault of the corpus is first met.
pub(crate) fn met(code: &str) -> Option<Met> {
    ORDER.iter().find(|(_, codes)| codes.contains(&code)).map(|(met, _)| *met)
}

/// What stops a packet or does not by chance alone: of two machines that have an address, whoever answered last gets
/// what is for it.
const BY_CHANCE: &str = "duplicate-ip-foreign";

/// Which of two may be named first: one, or either.
pub(crate) fn firsts<'c>(one: &'c str, other: &'c str) -> Vec<&'c str> {
    if [one, other].contains(&BY_CHANCE) {
        return vec![one, other];
    }
    match met(one).cmp(&met(other)) {
        std::cmp::Ordering::Less => vec![one],
        std::cmp::Ordering::Equal => vec![one, other],
        std::cmp::Ordering::Greater => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn every_fault_is_met_in_one_place() {
        for (code, _) in tables::all() {
            let places = ORDER.iter().filter(|(_, codes)| codes.contains(&code)).count();
            assert_eq!(places, 1, "{code}");
        }
        assert_eq!(ORDER.iter().map(|(_, codes)| codes.len()).sum::<usize>(), tables::all().len());
        assert!(ORDER.is_sorted_by_key(|(met, _)| *met));
    }

    #[test]
    fn of_two_the_nearer_is_first_and_of_one_place_either() {
        assert_eq!(firsts("uplink-down", "tap-down"), ["tap-down"]);
        assert_eq!(firsts("dnsmasq-hung", "uplink-down"), ["uplink-down"]);
        assert_eq!(firsts("foreign-rule-drop", "ip-forward-0"), ["foreign-rule-drop", "ip-forward-0"]);
    }
}
