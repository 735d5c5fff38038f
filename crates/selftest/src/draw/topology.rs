//! What is plugged into what: a host with bridges and instances, a way of one to three routed hops to a
//! server, and now and then a second host on the same bridge, a switch between, a bridged uplink.
//!
//! Cables never close a ring: a frame flooded into one would go round until the machine is turned off.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::Mac;
use model::route::{Nexthop, Route, RouteKind, TABLE_MAIN};

use crate::case::{Bridge, Cable, CableEnd, Case, Machine};
use crate::random::Random;

/// An IPv4 and an IPv6 prefix that are used side by side.
#[derive(Clone, Copy)]
struct Segment {
    v4: [u8; 3],
    v6: u16,
}

const FIRST: Segment = Segment { v4: [10, 0, 0], v6: 0xa0 };
const SECOND: Segment = Segment { v4: [10, 0, 1], v6: 0xa1 };
const PUBLIC: Segment = Segment { v4: [203, 0, 113], v6: 0x113 };
const BETWEEN: Segment = Segment { v4: [192, 0, 2], v6: 0x2 };
const OUTSIDE: Segment = Segment { v4: [198, 51, 100], v6: 0x100 };
/// A network of its own for the instance of this number, where it hangs on no bridge.
fn own_segment(nth: u8) -> Segment {
    Segment { v4: [10, 0, 20 + nth], v6: 0xb0 + u16::from(nth) }
}

impl Segment {
    fn v4(self, host: u8) -> Ipv4Net {
        let [a, b, c] = self.v4;
        Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, host), 24)
    }

    fn v6(self, host: u8) -> Ipv6Net {
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, self.v6, 0, 0, 0, 0, 0, host.into()), 64)
    }
}

/// The host that the rules are about.
pub(super) const HOST: usize = 0;
pub(super) const ROUTER: usize = 1;
pub(super) const SERVER: usize = 2;

/// Draws machines, cables, addresses and the routes that make them reach each other.
pub(super) fn draw(random: &mut Random, seed: u64, v6: bool) -> Case {
    let v6 = v6 && !random.one_in(3);
    let mut site = Site { machines: Vec::new(), cables: Vec::new(), v6 };
    for name in ["h", "r", "s"] {
        site.machine(name, false);
    }
    let two_bridges = random.one_in(2);
    site.bridge(HOST, "br1", 1);
    site.address(HOST, "br1", FIRST, 1);
    if two_bridges {
        site.bridge(HOST, "br2", 2);
        site.address(HOST, "br2", SECOND, 1);
    }
    site.uplink(random);
    let second_host = random.one_in(4).then(|| site.second_host(random));
    for nth in 1..=2 + u8::try_from(random.below(3)).unwrap_or(0) {
        site.instance(random, nth, two_bridges, second_host);
    }
    let Site { machines, cables, v6 } = site;
    Case { seed, machines, cables, probes: Vec::new(), v6 }
}

struct Site {
    machines: Vec<Machine>,
    cables: Vec<Cable>,
    v6: bool,
}

impl Site {
    fn machine(&mut self, name: &str, instance: bool) -> usize {
        self.machines.push(Machine { name: name.to_owned(), instance, ..Machine::default() });
        self.machines.len() - 1
    }

    fn bridge(&mut self, machine: usize, name: &str, nth: u8) {
        let mac = Mac([2, 0, 0, 0xb, u8::try_from(machine).unwrap_or(0), nth]);
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.bridges.push(Bridge { name: name.to_owned(), mac });
        }
    }

    fn cable(&mut self, near: (usize, &str, Option<&str>), far: (usize, &str, Option<&str>)) {
        let nth = u8::try_from(self.cables.len()).unwrap_or(0) + 1;
        let instance = self.machines.get(far.0).is_some_and(|m| m.instance);
        let end = |(machine, link, bridge): (usize, &str, Option<&str>), mac| CableEnd {
            machine,
            link: link.to_owned(),
            mac,
            bridge: bridge.map(str::to_owned),
            port: None,
            down: false,
        };
        // libvirt's and OpenStack's prefixes for a tap and its guest.
        let macs = if instance {
            [Mac([0xfe, 0x16, 0x3e, 0, 0, nth]), Mac([0xfa, 0x16, 0x3e, 0, 0, nth])]
        } else {
            [Mac([2, 0, 0, 0xc, nth, 1]), Mac([2, 0, 0, 0xc, nth, 2])]
        };
        self.cables.push(Cable { ends: [end(near, macs[0]), end(far, macs[1])] });
    }

    fn address(&mut self, machine: usize, link: &str, segment: Segment, host: u8) {
        let v6 = self.v6;
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.addresses.push((link.to_owned(), segment.v4(host).into()));
            if v6 {
                machine.addresses.push((link.to_owned(), segment.v6(host).into()));
            }
        }
    }

    /// Routes by a gateway: everywhere where no destination is given.
    fn route(&mut self, machine: usize, to: Option<Segment>, by: Segment, gateway: u8) {
        let v4 = to.map_or(IpNet::V4(Ipv4Net::default()), |s| s.v4(0).into());
        let v6 = to.map_or(IpNet::V6(Ipv6Net::default()), |s| s.v6(0).into());
        let with_v6 = self.v6;
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.routes.push(via(v4, by.v4(gateway).addr().into()));
            if with_v6 {
                machine.routes.push(via(v6, by.v6(gateway).addr().into()));
            }
        }
    }

    /// The host's way out: a router, perhaps a second one, the server.
    fn uplink(&mut self, random: &mut Random) {
        // The uplink may be a port of a bridge that carries the address, as of Neutron's br-ex.
        let bridged = random.one_in(5);
        let carrier = if bridged { "brx" } else { "up0" };
        if bridged {
            self.bridge(HOST, "brx", 3);
        }
        let own_end = (HOST, "up0", bridged.then_some("brx"));
        if random.one_in(5) {
            let switch = self.machine("w", false);
            self.bridge(switch, "brw", 1);
            self.cable(own_end, (switch, "p1", Some("brw")));
            self.cable((switch, "p2", Some("brw")), (ROUTER, "eth1", None));
        } else {
            self.cable(own_end, (ROUTER, "eth1", None));
        }
        self.address(HOST, carrier, PUBLIC, 34);
        if let Some(host) = self.machines.get_mut(HOST) {
            // A floating address.
            let float = Ipv4Net::new_assert(PUBLIC.v4(101).addr(), 32);
            host.addresses.push((carrier.to_owned(), float.into()));
        }
        self.address(ROUTER, "eth1", PUBLIC, 1);
        self.route(HOST, None, PUBLIC, 1);
        let last = if random.one_in(4) { self.second_router() } else { ROUTER };
        self.cable((last, "eth0", None), (SERVER, "eth0", None));
        self.address(last, "eth0", OUTSIDE, 1);
        self.address(SERVER, "eth0", OUTSIDE, 10);
        self.route(SERVER, None, OUTSIDE, 1);
        // The world does not always know the way back to private addresses.
        if !random.one_in(3) {
            self.route(ROUTER, Some(FIRST), PUBLIC, 34);
            self.route(ROUTER, Some(SECOND), PUBLIC, 34);
            if last != ROUTER {
                self.route(last, Some(FIRST), BETWEEN, 1);
                self.route(last, Some(SECOND), BETWEEN, 1);
            }
        }
    }

    fn second_router(&mut self) -> usize {
        let second = self.machine("q", false);
        self.cable((ROUTER, "eth2", None), (second, "eth1", None));
        self.address(ROUTER, "eth2", BETWEEN, 1);
        self.address(second, "eth1", BETWEEN, 2);
        self.route(ROUTER, None, BETWEEN, 2);
        self.route(second, Some(PUBLIC), BETWEEN, 1);
        second
    }

    /// A second host on the first bridge's segment, bridging its own instances into it.
    fn second_host(&mut self, random: &mut Random) -> usize {
        let host = self.machine("k", false);
        self.bridge(host, "br1", 1);
        self.cable((HOST, "flat0", Some("br1")), (host, "flat0", Some("br1")));
        if random.one_in(2) {
            self.address(host, "br1", FIRST, 2);
            self.route(host, None, FIRST, 1);
        }
        host
    }

    fn instance(&mut self, random: &mut Random, nth: u8, two_bridges: bool, second_host: Option<usize>) {
        let guest = self.machine(&format!("g{nth}"), true);
        let tap = format!("tap{nth}");
        let elsewhere = second_host.filter(|_| random.one_in(2));
        let (host, bridge, segment) = match elsewhere {
            Some(host) => (host, Some("br1"), FIRST),
            None if random.one_in(7) => (HOST, None, own_segment(nth)),
            None if two_bridges && random.one_in(2) => (HOST, Some("br2"), SECOND),
            None => (HOST, Some("br1"), FIRST),
        };
        self.cable((host, &tap, bridge), (guest, "eth0", None));
        if bridge.is_none() {
            self.address(host, &tap, segment, 1);
            // With the way back, which no prefix of the others covers.
            self.route(ROUTER, Some(segment), PUBLIC, 34);
        }
        self.address(guest, "eth0", segment, 10 + nth);
        self.route(guest, None, segment, 1);
    }
}

/// A route by a gateway, which finds its own link.
pub(super) fn via(destination: IpNet, gateway: IpAddr) -> Route {
    let nexthop =
        Nexthop { via: Some(gateway), link: 0, weight: 1, onlink: false, dead: false, linkdown: false };
    Route { nexthops: vec![nexthop], ..of_kind(RouteKind::Unicast, destination) }
}

/// A route of the main table that leads nowhere yet.
pub(super) fn of_kind(kind: RouteKind, destination: IpNet) -> Route {
    Route {
        table: TABLE_MAIN,
        destination,
        source: None,
        kind,
        metric: 0,
        tos: 0,
        preferred_source: None,
        protocol: String::new(),
        scope: String::new(),
        nexthops: Vec::new(),
        mtu: 0,
        preference: model::route::Preference::Medium,
    }
}
