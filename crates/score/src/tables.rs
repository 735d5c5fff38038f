//! Every fault of the lab with where it is found, in one place: the end-to-end tests and the score read these tables.
//!
//! A place is `HOST/NETNS/DEVICE`, where web1 runs on compute1 of a lab with one host, and an instance may be entered.
//! What differs in other clouds is `shape`'s.

/// A fault's code, and where it is found.
pub type Row = (&'static str, &'static str);

/// What stands on the links, and where each is found.
pub const LINKS: [Row; 18] = [
    ("guest-nic-down", "web1//eth0"),
    ("tap-down", "compute1//vnet0"),
    ("tap-missing", "compute1//vnet0"),
    ("tap-not-enslaved", "compute1//vnet0"),
    ("tap-wrong-bridge", "compute1//vnet0"),
    ("mtu-tap-small", "compute1//vnet0"),
    ("bridge-down", "compute1//br100"),
    ("flatif-down", "compute1//eth1"),
    ("flatif-not-enslaved", "compute1//eth1"),
    ("flatif-mtu-small", "compute1//eth1"),
    ("stp-forward-delay", "compute1//vnet0"),
    ("hairpin-off", "compute1//vnet0"),
    ("port-isolated", "compute1//vnet1"),
    ("fdb-static-stale", "compute1//br100"),
    ("flood-off-unknown-unicast", "compute1//vnet0"),
    ("duplicate-mac", "compute1//vnet1"),
    ("l2-loop", "compute1//eth2"),
    ("hairpin-ipv6-dad", "compute1//vnet0"),
];

/// What stands inside the instance.
pub const GUESTS: [Row; 6] = [
    ("guest-powered-off", "web1//"),
    ("guest-wrong-ip", "web1//eth0"),
    ("guest-no-default-route", "web1//eth0"),
    ("guest-wrong-gateway", "web1//eth0"),
    ("guest-arp-poisoned", "web1//eth0"),
    ("guest-firewall", "web1//eth0"),
];

/// The way to the outside.
pub const WAY_OUT: [Row; 18] = [
    ("uplink-down", "compute1//eth0"),
    ("uplink-no-carrier", "compute1//eth0"),
    ("link-queue-drops", "compute1//eth0"),
    ("ip-forward-0", "compute1//br100"),
    ("default-route-missing", "compute1//br100"),
    ("default-route-wrong-gw", "compute1//eth0"),
    ("rp-filter-asymmetric", "compute1//eth0"),
    ("ext-gateway-down", "gw//eth0"),
    ("blackhole-route", "compute1//br100"),
    ("policy-route-wrong", "compute1//virbr0"),
    ("host-subnet-overlap", "compute1//docker0"),
    ("arp-ignore", "compute1//br100"),
    ("host-neigh-wrong", "compute1//br100"),
    ("gateway-address-missing", "compute1//br100"),
    ("ext-gateway-not-forwarding", "gw//eth0"),
    ("ext-no-return-route", "external//eth0"),
    ("ext-server-down", "external//eth0"),
    ("stale-arp-after-float-move", "gw//eth0"),
];

/// Rules, addresses and services.
pub const SERVICES: [Row; 26] = [
    ("foreign-rule-drop", "compute1//br100"),
    ("forward-policy-drop-no-accept", "compute1//br100"),
    ("sg-missing-icmp", "compute1//eth0"),
    ("rules-flushed", "compute1//eth0"),
    ("float-dnat-missing", "compute1//eth0"),
    ("float-snat-missing", "compute1//eth0"),
    ("float-address-missing", "compute1//eth0"),
    ("nova-rules-drift", "compute1//br100"),
    ("dnsmasq-not-running", "compute1//br100"),
    ("dnsmasq-pool-exhausted", "compute1//br100"),
    ("dnsmasq-hosts-not-reloaded", "compute1//br100"),
    ("dnsmasq-stale-hosts-file", "compute1//br100"),
    ("dnsmasq-hung", "compute1//br100"),
    ("dnsmasq-wrong-interface", "compute1//br100"),
    ("dnsmasq-wrong-subnet", "compute1//br100"),
    ("dnsmasq-lease-max", "compute1//br100"),
    ("libvirt-dnsmasq-steals-port", "compute1//br100"),
    ("input-blocks-dhcp", "compute1//br100"),
    ("dhcp-reply-lost", "compute1//br100"),
    ("dhcp-bad-udp-checksum", "compute1//br100"),
    ("dhcp-offer-wrong", "compute1//br100"),
    ("dhcp-not-authoritative", "compute1//br100"),
    ("dhcp-offer-refused", "web1//eth0"),
    ("dhcp-nak", "compute1//br100"),
    ("dnsmasq-twice", "compute1//br100"),
    ("dhcp-not-asked", "web1//eth0"),
];

/// Rules that hide, and translations that lead astray.
pub const RULES: [Row; 13] = [
    ("antispoof-mac", "compute1//vnet0"),
    ("ebtables-drop", "compute1//vnet0"),
    ("nft-other-priority", "compute1//br100"),
    ("iptables-legacy-hidden", "compute1//br100"),
    ("rule-order-wrong", "compute1//eth0"),
    ("foreign-rule-bends", "compute1//br100"),
    ("snat-missing", "compute1//eth0"),
    ("snat-wrong-address", "compute1//eth0"),
    ("dnat-wrong-fixed-ip", "compute1//eth0"),
    ("br-netfilter-docker-drop", "compute1//vnet0"),
    ("conntrack-stale-dnat", "compute1//eth0"),
    ("bridge-mac-change-unnat", "compute1//eth0"),
    ("conntrack-full", "compute1//br100"),
];

/// Names.
pub const NAMES: [Row; 4] = [
    ("guest-resolv-conf-wrong", "web1//eth0"),
    ("dns-port53-blocked", "compute1//br100"),
    ("dns-upstream-wrong", "compute1//br100"),
    ("dns-upstream-dead", "external//eth0"),
];

/// What only who complains of ssh is told.
pub const NO_SSH: [Row; 1] = [("sg-missing-ssh", "compute1//eth0")];

/// Told where ssh is complained of; else it is the rule that makes it.
pub const OF_SSH: Row = ("ssh-slow-reverse-dns", "gw//eth0");

/// Metadata.
pub const METADATA: [Row; 3] = [
    ("metadata-dnat-missing", "compute1//br100"),
    ("metadata-service-down", "compute1//br100"),
    ("metadata-zeroconf-route", "web1//eth0"),
];

/// Told by what is answered, and by nothing that can be read.
pub const ANSWERS: [Row; 1] = [("rogue-dhcp", "web2//eth0")];

/// What only answers tell of, and nothing that is read.
pub const OF_ANSWERS: [Row; 3] = [
    ("dropped-by-unmodelled", "compute1//br100"),
    ("duplicate-ip-foreign", "compute1//eth1"),
    ("metadata-service-fails", "compute1//br100"),
];

/// What answers tell of, and what is read as well.
pub const READ_TOO: [Row; 6] = [
    ("dns-name-withheld", "compute1//br100"),
    ("dns-answer-wrong", "compute1//br100"),
    ("dns-lookup-fails", "external//eth0"),
    ("pmtu-blackhole", "gw//eth0"),
    ("tap-tx-queue-drops", "compute1//vnet0"),
    ("random-loss", "fabric//pubh1"),
];

/// What the database records, and nobody has.
pub const RECORDS: [Row; 4] = [
    ("float-tied-to-deleted-instance", "compute1//eth0"),
    ("fixed-ip-leaked", "compute1//br100"),
    ("float-host-mismatch", "compute1//eth0"),
    ("db-host-mismatch", "compute1//vnet0"),
];

/// What a question of the host's mends, and an instance's neighbour by its own.
pub const FLEETING: Row = ("bridge-mac-flap", "compute1//br100");

/// What a walk cannot tell, and answers that do not come do.
pub const UNREAD: [Row; 2] = [("xdp-drop", "compute1//eth0"), ("tc-bpf-drop", "compute1//eth0")];

/// The faults of VLANs. Those above can be had by any lab.
pub const OF_VLANS: [Row; 4] = [
    ("vlan-device-missing", "compute1//vlan100"),
    ("vlan-device-down", "compute1//vlan100"),
    ("vlan-tag-wrong", "compute1//vlan100"),
    ("vlan-double-tag-or-mtu", "compute1//eth1"),
];

/// The faults of virtual machines: a namespace cannot be paused, and its NIC needs no driver.
pub const OF_MACHINES: [Row; 2] =
    [("guest-paused-tap-full", "compute1//vnet0"), ("guest-driver-absent", "web1//")];

/// The faults of what all namespaces of a kernel share: made where the kernel is the lab's alone.
pub const OF_KERNELS: [Row; 2] =
    [("neigh-table-overflow", "compute1//br100"), ("bond-half-dead", "compute1//eth1")];

/// The faults that take two hosts: an overlay in the flat link's place, and an address on both.
pub const OF_PEERS: [Row; 5] = [
    ("float-on-two-hosts", "compute2//eth0"),
    ("vxlan-missing-fdb", "compute1//vxlan100"),
    ("vxlan-wrong-vni", "compute2//vxlan100"),
    ("vxlan-udp-blocked", "compute2//eth0"),
    ("vxlan-mtu-1500-inside", "compute1//vxlan100"),
];

/// Every row.
pub fn all() -> Vec<Row> {
    let single = [NO_SSH[0], OF_SSH, FLEETING];
    [
        &LINKS[..],
        &GUESTS,
        &WAY_OUT,
        &SERVICES,
        &RULES,
        &METADATA,
        &NAMES,
        &ANSWERS,
        &OF_ANSWERS,
        &READ_TOO,
        &RECORDS,
        &UNREAD,
        &single,
        &OF_VLANS,
        &OF_MACHINES,
        &OF_KERNELS,
        &OF_PEERS,
    ]
    .concat()
}
