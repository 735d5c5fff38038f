//! The worlds: what is different in each from the drawing, as the commands that make it so.

/// Who pings which address with a packet of how many bytes, which must not be fragmented.
pub(crate) type Probe = (&'static str, &'static str, u16);

/// What is asked in every world: both ways, by guests and by a host, small and as large as the overlay takes.
pub(crate) const PROBES: &[Probe] = &[
    ("g", "10.0.0.12", 84),
    ("f", "10.0.0.11", 84),
    ("h", "10.0.0.2", 84),
    ("g", "10.0.0.12", 1450),
    ("g", "10.0.0.12", 1451),
];

/// One world.
pub(crate) struct WorldPlan {
    pub(crate) name: &'static str,
    /// `MACHINE: COMMAND`, a line each.
    pub(crate) made: &'static str,
    /// What is told of each lost packet of a world where only one thing is wrong.
    pub(crate) died_at: Option<&'static str>,
    /// The walk may say that it does not know.
    pub(crate) unknown: bool,
}

const fn world(name: &'static str, made: &'static str, died_at: Option<&'static str>) -> WorldPlan {
    WorldPlan { name, made, died_at, unknown: false }
}

const fn unknown(name: &'static str, made: &'static str) -> WorldPlan {
    WorldPlan { name, made, died_at: None, unknown: true }
}

/// h's device made anew with other words.
macro_rules! remade {
    ($machine:literal, $words:literal) => {
        concat!(
            $machine,
            ": ip link del vx0\n",
            $machine,
            ": ip link add vx0 type vxlan ",
            $words,
            "\n",
            $machine,
            ": ip link set vx0 master br1 up"
        )
    };
}

pub(crate) const WORLDS: &[WorldPlan] = &[
    world("as drawn", "", None),
    world(
        "no entry for all others on one side",
        "h: bridge fdb del 00:00:00:00:00:00 dev vx0 dst 203.0.113.2",
        None,
    ),
    world(
        "no entry for all others on both sides",
        "h: bridge fdb del 00:00:00:00:00:00 dev vx0 dst 203.0.113.2
         k: bridge fdb del 00:00:00:00:00:00 dev vx0 dst 203.0.113.1",
        Some("no entry of vx0 tells"),
    ),
    world(
        "entries for single addresses, of guests that know each other",
        "h: bridge fdb del 00:00:00:00:00:00 dev vx0 dst 203.0.113.2
         k: bridge fdb del 00:00:00:00:00:00 dev vx0 dst 203.0.113.1
         h: bridge fdb append fa:16:3e:00:00:12 dev vx0 dst 203.0.113.2
         k: bridge fdb append fa:16:3e:00:00:11 dev vx0 dst 203.0.113.1
         g: ip neigh add 10.0.0.12 lladdr fa:16:3e:00:00:12 dev eth0
         f: ip neigh add 10.0.0.11 lladdr fa:16:3e:00:00:11 dev eth0",
        None,
    ),
    world(
        "an entry set by hand that leads elsewhere",
        "h: bridge fdb append fa:16:3e:00:00:12 dev vx0 dst 203.0.113.9",
        None,
    ),
    world(
        "a device that learns nothing",
        concat!(
            remade!("h", "id 100 local 203.0.113.1 dstport 4789 dev eth0 nolearning"),
            "\nh: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.2"
        ),
        None,
    ),
    unknown(
        // Its device has an MTU that does not count with what is below it.
        "far ends told with the devices",
        concat!(
            remade!("h", "id 100 local 203.0.113.1 remote 203.0.113.2 dstport 4789"),
            "\n",
            remade!("k", "id 100 local 203.0.113.2 remote 203.0.113.1 dstport 4789")
        ),
    ),
    world(
        "another network at the far end",
        concat!(
            remade!("k", "id 101 local 203.0.113.2 dstport 4789 dev eth0"),
            "\nk: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.1"
        ),
        None,
    ),
    world(
        "an entry that tells the other network of the far end",
        concat!(
            remade!("k", "id 101 local 203.0.113.2 dstport 4789 dev eth0"),
            "\nk: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.1 vni 100
             h: bridge fdb del 00:00:00:00:00:00 dev vx0 dst 203.0.113.2
             h: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.2 vni 101"
        ),
        None,
    ),
    world(
        "another port at the far end",
        concat!(
            remade!("k", "id 100 local 203.0.113.2 dstport 4790 dev eth0"),
            "\nk: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.1"
        ),
        None,
    ),
    world("the far end's device set down", "k: ip link set vx0 down", None),
    world("the near device set down", "h: ip link set vx0 down", None),
    world(
        "packets refused at one end",
        "k: iptables-nft -A INPUT -p udp --dport 4789 -j DROP",
        Some("INPUT rule 1"),
    ),
    world(
        "packets refused where they are made",
        "h: iptables-nft -A OUTPUT -p udp --dport 4789 -j DROP",
        None,
    ),
    world(
        "no route to the far end",
        "h: ip addr replace 203.0.113.1/32 dev eth0\nh: ip addr del 203.0.113.1/24 dev eth0",
        None,
    ),
    world("the cable set down", "k: ip link set eth0 down", None),
    world(
        "a source that is no address of the host",
        "h: ip addr add 203.0.113.7/24 dev eth0\nh: ip addr del 203.0.113.1/24 dev eth0",
        None,
    ),
    world("less room in the overlay", "h: ip link set vx0 mtu 1400\nk: ip link set vx0 mtu 1400", None),
    unknown(
        "a device that answers itself",
        concat!(
            remade!("h", "id 100 local 203.0.113.1 dstport 4789 dev eth0 proxy"),
            "\nh: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 203.0.113.2"
        ),
    ),
];
