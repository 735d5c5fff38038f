//! The clouds that faults are made in, and where each fault stands in them.

use serde::{Deserialize, Serialize};

use crate::tables::{self, Row};

/// A fault as it is made in a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its code.
    pub code: &'static str,
    /// Where it is to be found: `HOST/NETNS/DEVICE`.
    pub place: String,
}

impl Made {
    /// As a finding of it is written down.
    pub fn finding(&self) -> String {
        format!("{} {}", self.code, self.place)
    }
}

/// A cloud's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// FlatDHCPManager, one host, which is its instances' gateway.
    OneHost,
    /// FlatDHCPManager, two hosts, each gateway of its own instances (multi-host).
    TwoHosts,
    /// FlatDHCPManager, two compute hosts, and a network host that is everybody's gateway.
    NetworkHost,
    /// One host, whose instances are virtual machines that nobody can look into.
    Machines,
    /// VlanManager, two hosts, each gateway of its own instances. Takes a kernel with 8021q.
    Vlan,
}

impl Shape {
    /// All.
    pub const ALL: [Shape; 5] =
        [Shape::OneHost, Shape::TwoHosts, Shape::NetworkHost, Shape::Machines, Shape::Vlan];

    /// As it is called in a case's name.
    pub fn name(self) -> &'static str {
        match self {
            Shape::OneHost => "one-host",
            Shape::TwoHosts => "two-hosts",
            Shape::NetworkHost => "network-host",
            Shape::Machines => "machines",
            Shape::Vlan => "vlan",
        }
    }

    /// What `hopline lab up` is told.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Shape::OneHost => &[],
            Shape::TwoHosts => &["--hosts", "2"],
            Shape::NetworkHost => &["--hosts", "2", "--no-multi-host"],
            Shape::Machines => &["--guest", "qemu"],
            Shape::Vlan => &["--manager", "vlan", "--hosts", "2"],
        }
    }

    /// The faults that are made in it, each with where it stands there.
    pub fn faults(self) -> Vec<Made> {
        let every = tables::all();
        let is_of = |table: &[Row], row: &Row| table.iter().any(|(code, _)| *code == row.0);
        // What any cloud can have.
        let of_some = [&tables::OF_VLANS[..], &tables::OF_MACHINES, &tables::OF_KERNELS, &tables::OF_PEERS];
        let is_common = |row: &Row| of_some.iter().all(|table| !is_of(table, row));
        let rows: Vec<Row> = match self {
            Shape::OneHost => every.into_iter().filter(is_common).collect(),
            Shape::TwoHosts => {
                let is_made = |row: &Row| is_common(row) || is_of(&tables::OF_PEERS, row);
                every.into_iter().filter(is_made).collect()
            }
            Shape::NetworkHost => {
                let is_none = |code: &str| NONE_WITH_A_NETWORK_HOST.iter().any(|(none, _)| *none == code);
                every.into_iter().filter(|row| is_common(row) && !is_none(row.0)).collect()
            }
            Shape::Machines => {
                let is_made = |row: &Row| OF_MACHINES.contains(&row.0) || is_of(&tables::OF_MACHINES, row);
                every.into_iter().filter(is_made).collect()
            }
            Shape::Vlan => every.into_iter().filter(|(code, _)| OF_VLAN_CLOUDS.contains(code)).collect(),
        };
        rows.into_iter().map(|(code, place)| Made { code, place: self.place(code, place) }).collect()
    }

    /// Where a fault stands in this cloud; `place` is where it does with one host.
    fn place(self, code: &str, place: &str) -> String {
        let of = |rows: &[Row]| {
            rows.iter().find(|(moved, _)| *moved == code).map(|(_, there)| (*there).to_owned())
        };
        let moved = match self {
            Shape::OneHost | Shape::TwoHosts | Shape::Machines => None,
            Shape::NetworkHost => of(&WITH_A_NETWORK_HOST).or_else(|| {
                let device = place.strip_prefix("compute1/").filter(|_| OF_THE_GATEWAY.contains(&code));
                device.map(|device| format!("network1/{device}"))
            }),
            Shape::Vlan => of(&WITH_VLANS),
        };
        moved.unwrap_or_else(|| place.to_owned())
    }
}

/// Faults made around virtual machines: those of their taps, and a few of each other kind. A machine takes seconds
/// to boot, and all that differs is that nobody can look into it.
const OF_MACHINES: [&str; 15] = [
    "guest-powered-off",
    "tap-down",
    "tap-missing",
    "tap-not-enslaved",
    "tap-wrong-bridge",
    "bridge-down",
    "mtu-tap-small",
    "ebtables-drop",
    "ip-forward-0",
    "foreign-rule-drop",
    "uplink-no-carrier",
    "sg-missing-icmp",
    "dnsmasq-not-running",
    "dhcp-bad-udp-checksum",
    "metadata-service-down",
];

/// Faults made in VlanManager's cloud: those of VLANs, and a few of each other kind. Where a virtual machine has to
/// lend its kernel, without KVM, a fault takes half a minute.
const OF_VLAN_CLOUDS: [&str; 19] = [
    "vlan-device-missing",
    "vlan-device-down",
    "vlan-tag-wrong",
    "vlan-double-tag-or-mtu",
    "neigh-table-overflow",
    "bond-half-dead",
    "tap-down",
    "tap-not-enslaved",
    "tap-wrong-bridge",
    "bridge-down",
    "flatif-down",
    "flatif-not-enslaved",
    "guest-no-default-route",
    "ip-forward-0",
    "foreign-rule-drop",
    "uplink-no-carrier",
    "float-dnat-missing",
    "dnsmasq-not-running",
    "duplicate-ip-foreign",
];

/// Faults of what is the gateway's own part: made on the network host, where there is one.
const OF_THE_GATEWAY: [&str; 57] = [
    "float-host-mismatch",
    "dns-answer-wrong",
    "dns-name-withheld",
    "metadata-service-fails",
    "foreign-rule-bends",
    "float-tied-to-deleted-instance",
    "fixed-ip-leaked",
    "uplink-down",
    "uplink-no-carrier",
    "ip-forward-0",
    "default-route-missing",
    "default-route-wrong-gw",
    "rp-filter-asymmetric",
    "blackhole-route",
    "policy-route-wrong",
    "host-subnet-overlap",
    "arp-ignore",
    "gateway-address-missing",
    "host-neigh-wrong",
    "foreign-rule-drop",
    "forward-policy-drop-no-accept",
    "rules-flushed",
    "float-dnat-missing",
    "float-snat-missing",
    "float-address-missing",
    "dnsmasq-not-running",
    "dnsmasq-pool-exhausted",
    "dnsmasq-hosts-not-reloaded",
    "dnsmasq-stale-hosts-file",
    "dnsmasq-hung",
    "dnsmasq-wrong-interface",
    "dnsmasq-wrong-subnet",
    "dnsmasq-lease-max",
    "dhcp-not-authoritative",
    "dhcp-nak",
    "dnsmasq-twice",
    "libvirt-dnsmasq-steals-port",
    "input-blocks-dhcp",
    "dhcp-bad-udp-checksum",
    "nft-other-priority",
    "iptables-legacy-hidden",
    "rule-order-wrong",
    "snat-missing",
    "snat-wrong-address",
    "dnat-wrong-fixed-ip",
    "conntrack-stale-dnat",
    "conntrack-full",
    "dns-port53-blocked",
    "dns-upstream-wrong",
    "metadata-dnat-missing",
    "metadata-service-down",
    "dhcp-offer-wrong",
    "bridge-mac-flap",
    "xdp-drop",
    "tc-bpf-drop",
    "link-queue-drops",
    "dropped-by-unmodelled",
];

/// The flat network's link carries VLANs there, and it is the VLAN's device that is a port of the bridge.
const WITH_VLANS: [Row; 2] =
    [("flatif-not-enslaved", "compute1//vlan100"), ("duplicate-ip-foreign", "compute1//vlan100")];

/// Places that differ with a network host, beyond the host's name: what is for an instance comes to its host bridged.
const WITH_A_NETWORK_HOST: [Row; 4] = [
    ("sg-missing-icmp", "compute1//eth1"),
    ("sg-missing-ssh", "compute1//eth1"),
    ("dhcp-reply-lost", "compute1//eth1"),
    ("random-loss", "fabric//pubh17"),
];

/// What is no fault with a network host, or cannot be made there, and why.
pub(crate) const NONE_WITH_A_NETWORK_HOST: [(&str, &str); 4] = [
    (
        "hairpin-off",
        "an instance's own floating address leads through the network host, and never back by its port",
    ),
    ("br-netfilter-docker-drop", "compute hosts have none of the chains of nova-network that it takes away"),
    (
        "bridge-mac-change-unnat",
        "the network host has no second port by which a frame for an old MAC could be bridged, and tracked",
    ),
    ("dhcp-bad-udp-checksum", "answers leave by a network card, which fills in the checksum"),
];
