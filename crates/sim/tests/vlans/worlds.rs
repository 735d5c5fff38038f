//! The worlds: what is different in each from the drawing, as the commands that make it so.

/// Who pings which address.
pub(crate) type Probe = (&'static str, &'static str);

/// What is asked in every world: both ways, with the tag and without.
pub(crate) const PROBES: &[Probe] =
    &[("g", "10.0.0.2"), ("k", "10.0.0.11"), ("h", "10.7.0.2"), ("k", "10.7.0.1")];

/// One world.
pub(crate) struct WorldPlan {
    pub(crate) name: &'static str,
    /// `MACHINE: COMMAND`, a line each.
    pub(crate) made: &'static str,
    /// What is asked beside.
    pub(crate) probes: &'static [Probe],
}

const fn world(name: &'static str, made: &'static str, probes: &'static [Probe]) -> WorldPlan {
    WorldPlan { name, made, probes }
}

/// k's trunk becomes a bond in this mode, of these slaves in this order; `spare` leads into nothing.
macro_rules! bonded {
    ($mode:literal, $first:literal $(, $second:literal)?) => {
        concat!(
            "k: ip link del vlan100
             k: ip addr del 10.7.0.2/24 dev trunk0
             k: ip link set trunk0 down
             k: ip link add spare type veth peer name nothing
             k: ip link set nothing up
             k: ip link add bond0 address 02:00:00:00:0c:01 type bond miimon 50 mode ",
            $mode,
            "\nk: ip link set ", $first, " master bond0",
            $("\nk: ip link set ", $second, " master bond0",)?
            "
             k: ip link set bond0 up
             k: ip link add link bond0 name vlan100 type vlan id 100
             k: ip addr add 10.0.0.2/24 dev vlan100
             k: ip addr add 10.7.0.2/24 dev bond0
             k: ip link set vlan100 up"
        )
    };
}

pub(crate) const WORLDS: &[WorldPlan] = &[
    world("a bond of one slave", bonded!("balance-xor", "trunk0"), &[]),
    world("a bond whose backup leads nowhere", bonded!("active-backup", "trunk0", "spare"), &[]),
    world("a bond whose active slave leads nowhere", bonded!("active-backup", "spare", "trunk0"), &[]),
    world("a bond that spreads over one that leads nowhere", bonded!("balance-xor", "trunk0", "spare"), &[]),
    world("as drawn", "", &[]),
    world("a switch that does not look at tags", "sw: ip link set br0 type bridge vlan_filtering 0", &[]),
    world(
        "a wrong id, and a switch that lets it pass",
        "h: ip link del vlan100
         h: ip link add link trunk0 name vlan100 type vlan id 101
         h: ip link set vlan100 master br1 up
         sw: ip link set br0 type bridge vlan_filtering 0",
        &[],
    ),
    world(
        "a wrong id, and a switch that refuses it",
        "k: ip link del vlan100
         k: ip link add link trunk0 name vlan100 type vlan id 101
         k: ip addr add 10.0.0.2/24 dev vlan100
         k: ip link set vlan100 up",
        &[],
    ),
    world("a VLAN device set down where it receives", "k: ip link set vlan100 down", &[]),
    world("a VLAN device set down where it is a port", "h: ip link set vlan100 down", &[]),
    world(
        "a lower link set down below a device that stays up",
        "h: ip link set vlan100 type vlan id 100 loose_binding on
         h: ip link set trunk0 down",
        &[],
    ),
    world("a lower link set down", "k: ip link set trunk0 down", &[]),
    world("a port without the VLAN, on the way out", "sw: bridge vlan del vid 100 dev p2", &[]),
    world("a port without the VLAN, on the way in", "sw: bridge vlan del vid 100 dev p1", &[]),
    world(
        "an access port for a host that sends no tags",
        "k: ip addr add 10.0.0.3/24 dev trunk0
         k: ip addr del 10.0.0.2/24 dev vlan100
         sw: bridge vlan del vid 1 dev p2
         sw: bridge vlan add vid 100 dev p2 pvid untagged",
        &[("g", "10.0.0.3")],
    ),
    world(
        "an access port for a host that sends tags all the same",
        "sw: bridge vlan del vid 1 dev p2
         sw: bridge vlan add vid 100 dev p2 pvid untagged",
        &[],
    ),
    world(
        "another VLAN for what has no tag, on one side",
        "sw: bridge vlan del vid 1 dev p2
         sw: bridge vlan add vid 7 dev p2 pvid untagged",
        &[],
    ),
    world("no VLAN for what has no tag", "sw: bridge vlan del vid 1 dev p1", &[]),
    world(
        "a tag of the provider's kind, which is payload to the switch",
        "h: ip link del vlan100
         h: ip link add link trunk0 name vlan100 type vlan protocol 802.1ad id 100
         h: ip link set vlan100 master br1 up
         k: ip link del vlan100
         k: ip link add link trunk0 name vlan100 type vlan protocol 802.1ad id 100
         k: ip addr add 10.0.0.2/24 dev vlan100
         k: ip link set vlan100 up",
        &[],
    ),
    world("a switch of the provider's kind", "sw: ip link set br0 type bridge vlan_protocol 802.1ad", &[]),
    world(
        "a tag inside the tag",
        "h: ip link add link vlan100 name inner type vlan id 7
         h: ip addr add 10.9.0.1/24 dev inner
         h: ip link set inner up
         k: ip link add link vlan100 name inner type vlan id 7
         k: ip addr add 10.9.0.2/24 dev inner
         k: ip link set inner up",
        &[("h", "10.9.0.2"), ("k", "10.9.0.1")],
    ),
    world(
        "another tag inside the tag on each side",
        "h: ip link add link vlan100 name inner type vlan id 7
         h: ip addr add 10.9.0.1/24 dev inner
         h: ip link set inner up
         k: ip link add link vlan100 name inner type vlan id 8
         k: ip addr add 10.9.0.2/24 dev inner
         k: ip link set inner up",
        &[("h", "10.9.0.2"), ("k", "10.9.0.1")],
    ),
    world(
        "a VLAN device with an address of its own, below it another",
        "k: ip link set vlan100 address 02:00:00:00:0c:99",
        &[],
    ),
    world(
        "a neighbour entry that names the lower link's address",
        "k: ip link set vlan100 address 02:00:00:00:0c:99
         g: ip neigh add 10.0.0.2 lladdr 02:00:00:00:0c:01 dev eth0",
        &[],
    ),
    world(
        "a lower link that is in a bridge",
        "k: ip link add br9 address 02:00:00:00:0c:01 type bridge
         k: ip addr del 10.7.0.2/24 dev trunk0
         k: ip link set trunk0 master br9
         k: ip link set br9 up
         k: ip addr add 10.7.0.2/24 dev br9",
        &[],
    ),
    world(
        "a VLAN device on the switch's own bridge, which is not in the VLAN",
        "sw: ip link add link br0 name br0.100 type vlan id 100
         sw: ip addr add 10.0.0.5/24 dev br0.100
         sw: ip link set br0.100 up",
        &[("g", "10.0.0.5"), ("sw", "10.0.0.2")],
    ),
    world(
        "a VLAN device on the switch's own bridge",
        "sw: ip link add link br0 name br0.100 type vlan id 100
         sw: ip addr add 10.0.0.5/24 dev br0.100
         sw: ip link set br0.100 up
         sw: bridge vlan add vid 100 dev br0 self",
        &[("g", "10.0.0.5"), ("sw", "10.0.0.2"), ("sw", "10.0.0.11")],
    ),
    world(
        "the switch's own address, without a tag",
        "sw: ip addr add 10.7.0.5/24 dev br0
         sw: bridge vlan add vid 1 dev br0 self pvid untagged",
        &[("h", "10.7.0.5"), ("sw", "10.7.0.2")],
    ),
    world(
        "a VLAN device on the switch's bridge that is a port of another bridge",
        "sw: ip link add link br0 name br0.100 type vlan id 100
         sw: bridge vlan add vid 100 dev br0 self
         sw: ip link add br100 address 02:00:00:00:0d:64 type bridge
         sw: ip link set br0.100 master br100 up
         sw: ip addr add 10.0.0.6/24 dev br100
         sw: ip link set br100 up",
        &[("g", "10.0.0.6"), ("sw", "10.0.0.2")],
    ),
    world(
        "such a device where the switch's own bridge is not in the VLAN",
        "sw: ip link add link br0 name br0.100 type vlan id 100
         sw: ip link add br100 address 02:00:00:00:0d:64 type bridge
         sw: ip link set br0.100 master br100 up
         sw: ip addr add 10.0.0.6/24 dev br100
         sw: ip link set br100 up",
        &[("g", "10.0.0.6"), ("sw", "10.0.0.2")],
    ),
    world(
        "a static entry in another VLAN",
        "sw: bridge fdb replace 02:00:00:00:0c:01 dev p1 master static sticky vlan 1",
        &[],
    ),
    world(
        "a static entry in the VLAN",
        "sw: bridge fdb replace 02:00:00:00:0c:01 dev p1 master static sticky vlan 100",
        &[],
    ),
    world(
        "iptables that does not look past tags",
        "sw: sysctl -q -w net.bridge.bridge-nf-call-iptables=1
         sw: sysctl -q -w net.bridge.bridge-nf-filter-vlan-tagged=0
         sw: iptables-nft -P FORWARD DROP",
        &[],
    ),
    world(
        "iptables that looks past tags",
        "sw: sysctl -q -w net.bridge.bridge-nf-call-iptables=1
         sw: sysctl -q -w net.bridge.bridge-nf-filter-vlan-tagged=1
         sw: iptables-nft -P FORWARD DROP",
        &[],
    ),
    world(
        "iptables that sees the VLAN device as the link of arrival",
        "sw: ip link add link br0 name br0.100 type vlan id 100
         sw: sysctl -q -w net.bridge.bridge-nf-call-iptables=1
         sw: sysctl -q -w net.bridge.bridge-nf-filter-vlan-tagged=1
         sw: sysctl -q -w net.bridge.bridge-nf-pass-vlan-input-dev=1
         sw: iptables-nft -A FORWARD -i br0.100 -j DROP",
        &[],
    ),
    world("ebtables that drops IPv4", "sw: ebtables-nft -A FORWARD -p IPv4 -j DROP", &[]),
    world("ebtables that drops ARP", "sw: ebtables-nft -A FORWARD -p ARP -j DROP", &[]),
    world("ebtables that drops tags", "sw: ebtables-nft -A FORWARD -p 802_1Q -j DROP", &[]),
    world(
        "ebtables that drops this VLAN",
        "sw: ebtables-nft -A FORWARD -p 802_1Q --vlan-id 100 -j DROP",
        &[],
    ),
    world(
        "ebtables that drops another VLAN",
        "sw: ebtables-nft -A FORWARD -p 802_1Q --vlan-id 101 -j DROP",
        &[],
    ),
    world(
        "nft that drops this VLAN",
        "sw: nft -f - < table bridge t { chain f { type filter hook forward priority 0; vlan id 100 drop; }; }",
        &[],
    ),
    world(
        "nft that drops an address, tagged or not",
        "sw: nft -f - < table bridge t { chain f { type filter hook forward priority 0; ip daddr 10.0.0.2 drop; } ;}",
        &[],
    ),
    world(
        "a tag that tells a priority only",
        "h: ip link add link trunk0 name vlan0 type vlan id 0
         h: ip addr add 10.8.0.1/24 dev vlan0
         h: ip link set vlan0 up
         k: ip addr add 10.8.0.2/24 dev trunk0",
        &[("h", "10.8.0.2"), ("k", "10.8.0.1")],
    ),
];
