//! How the machines are set: sysctls, switches of bridge ports, routes that refuse, FIB rules, neighbour
//! entries.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use model::Mac;
use model::link::BridgePort;
use model::route::{FibRule, Route, RouteKind, RuleAction};
use plumbing::rule::Protocol as IpVersion;

use super::Menu;
use super::topology::{HOST, ROUTER, of_kind, via};
use crate::case::{Case, Machine, Pinned};
use crate::random::Random;

/// A table of the case's own.
const OWN_TABLE: u32 = 100;

pub(super) fn draw(random: &mut Random, menu: &Menu, case: &mut Case) {
    for at in 0..case.machines.len() {
        sysctls(random, menu, case, at);
    }
    ports(random, case);
    for at in [HOST, ROUTER] {
        routes(random, case, at);
    }
    if case.v6 {
        for at in 0..case.machines.len() {
            more_addresses(random, case, at);
        }
    }
}

fn sysctls(random: &mut Random, menu: &Menu, case: &mut Case, at: usize) {
    let links: Vec<String> =
        case.links(at).filter(|(_, bridge)| bridge.is_none()).map(|(link, _)| link.to_owned()).collect();
    let v6 = case.v6;
    let Some(machine) = case.machines.get_mut(at) else { return };
    let (is_host, guest) = (at == HOST, machine.instance);
    let has_bridges = !machine.bridges.is_empty();
    let link = random.pick(&links).cloned().unwrap_or_else(|| "lo".to_owned());
    let mut set = |name: String, value: u32| machine.sysctls.push((name, value.to_string()));
    if !guest {
        let off = is_host && random.one_in(10);
        set("ipv4/ip_forward".into(), u32::from(!off));
        if v6 {
            let off = is_host && random.one_in(10);
            set("ipv6/conf/all/forwarding".into(), u32::from(!off));
        }
    }
    if !guest || random.one_in(4) {
        set("ipv4/conf/all/rp_filter".into(), random.of([0, 0, 0, 0, 1, 2]));
        set(format!("ipv4/conf/{link}/rp_filter"), random.of([0, 0, 0, 1, 2]));
    }
    if has_bridges && menu.br_netfilter {
        set("bridge/bridge-nf-call-iptables".into(), u32::from(random.one_in(2)));
        set("bridge/bridge-nf-call-ip6tables".into(), u32::from(random.one_in(2)));
        set("bridge/bridge-nf-call-arptables".into(), u32::from(random.one_in(3)));
    }
    if random.one_in(10) {
        let scope = random.of(["all", link.as_str()]);
        set(format!("ipv4/conf/{scope}/arp_ignore"), random.of([1, 2, 3, 8]));
    }
    let rare: [(&str, u32); 9] = [
        ("ipv4/conf/LINK/proxy_arp", 1),
        ("ipv4/conf/LINK/forwarding", 0),
        ("ipv4/conf/LINK/arp_filter", 1),
        ("ipv4/conf/all/accept_local", 1),
        ("ipv4/conf/LINK/accept_local", 1),
        ("ipv4/conf/all/src_valid_mark", 1),
        ("ipv4/conf/LINK/route_localnet", 1),
        ("ipv4/icmp_echo_ignore_all", 1),
        ("ipv4/conf/LINK/ignore_routes_with_linkdown", 1),
    ];
    let rare_v6: [(&str, u32); 8] = [
        ("ipv6/conf/LINK/forwarding", 0),
        ("ipv6/conf/LINK/forwarding", 1),
        ("ipv6/conf/all/proxy_ndp", 1),
        ("ipv6/conf/LINK/proxy_ndp", 1),
        ("ipv6/conf/LINK/hop_limit", 33),
        ("ipv6/conf/LINK/use_oif_addrs_only", 1),
        ("ipv6/conf/LINK/ignore_routes_with_linkdown", 1),
        ("ipv6/icmp/echo_ignore_all", 1),
    ];
    for (name, value) in rare.into_iter().chain(rare_v6.into_iter().filter(|_| v6)) {
        let likely = if is_host { 20 } else { 60 };
        if random.one_in(likely) {
            set(name.replace("LINK", &link), value);
        }
    }
}

/// Addresses of other prefixes beside the segment's own: IPv6 chooses among them by rules of its own
/// (RFC 6724).
fn more_addresses(random: &mut Random, case: &mut Case, at: usize) {
    const PREFIXES: [u16; 5] = [0xfd00, 0xfd01, 0x2001, 0x2002, 0xfec0];
    let links: Vec<String> =
        case.links(at).filter(|(_, bridge)| bridge.is_none()).map(|(link, _)| link.to_owned()).collect();
    let Some(machine) = case.machines.get_mut(at) else { return };
    for nth in 0..random.below(3) {
        let Some(link) = random.pick(&links) else { return };
        let link = if random.one_in(5) { "lo" } else { link };
        let host = u16::try_from(0x100 * (at + 1) + nth).unwrap_or(u16::MAX);
        let ip = Ipv6Addr::new(random.of(PREFIXES), 0xa0, 0, 0, 0, 0, 0x77, host);
        if let Ok(net) = Ipv6Net::new(ip, random.of([64, 64, 128, 16])) {
            machine.addresses.push((link.to_owned(), net.into()));
        }
    }
}

/// Switches of bridge ports, and a cable that is cut.
fn ports(random: &mut Random, case: &mut Case) {
    let both_isolated = random.one_in(8);
    for cable in &mut case.cables {
        // Two bridges that each send back what the other floods would do so until the machine is turned
        // off.
        let between_bridges = cable.ends.iter().all(|end| end.bridge.is_some());
        for end in &mut cable.ends {
            if end.bridge.is_none() {
                continue;
            }
            let port = BridgePort {
                hairpin: random.one_in(5) && !between_bridges,
                isolated: both_isolated || random.one_in(20),
                learning: !random.one_in(20),
                flood: !random.one_in(20),
                bcast_flood: !random.one_in(30),
                ..BridgePort::default()
            };
            if port != BridgePort::default() {
                end.port = Some(port);
            }
        }
        if random.one_in(50) {
            let [near, far] = &mut cable.ends;
            let end = if random.one_in(2) { near } else { far };
            end.down = true;
        }
    }
}

fn routes(random: &mut Random, case: &mut Case, at: usize) {
    let addresses: Vec<IpNet> =
        case.machines.iter().flat_map(|m| &m.addresses).map(|(_, net)| *net).collect();
    let gateway = |v6: bool| {
        let routes = case.machines.get(at).into_iter().flat_map(|m| &m.routes);
        routes.filter(|r| r.destination.addr().is_ipv6() == v6).find_map(|r| r.nexthops.first()?.via)
    };
    let gateways = [gateway(false), gateway(true)];
    let links: Vec<String> =
        case.links(at).filter(|(_, bridge)| bridge.is_none()).map(|(link, _)| link.to_owned()).collect();
    let Some(machine) = case.machines.get_mut(at) else { return };
    for v6 in [false, true] {
        if v6 && !case.v6 {
            continue;
        }
        let own: Vec<IpNet> = addresses.iter().filter(|net| net.addr().is_ipv6() == v6).copied().collect();
        let Some(gateway) = gateways.get(usize::from(v6)).copied().flatten() else { continue };
        refusing(random, machine, &own, v6);
        if random.one_in(3) {
            policy(random, machine, (&own, &links), gateway);
        }
        if random.one_in(12)
            && let Some((link, net)) =
                machine.addresses.iter().find(|(_, net)| net.contains(&gateway)).cloned()
        {
            // A neighbour's MAC that nobody wears.
            let mac = Mac([2, 0, 0, 0, 0, 0x99]);
            let ip = if random.one_in(2) { gateway } else { net.addr() };
            machine.neighbours.push(Pinned { link, ip, mac: (ip == gateway).then_some(mac) });
        }
    }
}

/// Routes that refuse, and an address of somebody else's carried here.
fn refusing(random: &mut Random, machine: &mut Machine, addresses: &[IpNet], v6: bool) {
    let kinds = [RouteKind::Blackhole, RouteKind::Unreachable, RouteKind::Prohibit, RouteKind::Throw];
    let held: Vec<IpNet> = machine.addresses.iter().map(|(_, net)| *net).collect();
    if random.one_in(6)
        && let Some(net) = random.pick(addresses)
    {
        let single = IpNet::from(net.addr());
        let whole = net.trunc();
        let destination =
            if random.one_in(2) || held.iter().any(|h| h.trunc() == whole) { single } else { whole };
        let route = of_kind(random.of(kinds), destination);
        if !machine.routes.iter().any(|r| r.destination == destination) {
            machine.routes.push(Route { metric: u32::from(v6) * 512, ..route });
        }
    }
    if random.one_in(15)
        && let Some(net) = random.pick(addresses)
        // Two that answer for an address on one segment are a race.
        && !held.iter().any(|h| h.contains(&net.addr()))
        && !is_gateway(machine, net.addr())
    {
        machine.addresses.push(("lo".to_owned(), IpNet::from(net.addr())));
    }
}

/// The kernel refuses routes by an address of its own.
fn is_gateway(machine: &Machine, ip: IpAddr) -> bool {
    machine.routes.iter().flat_map(|route| &route.nexthops).any(|nexthop| nexthop.via == Some(ip))
}

/// A FIB rule, and a table for it to look into.
fn policy(
    random: &mut Random,
    machine: &mut Machine,
    (addresses, links): (&[IpNet], &[String]),
    gateway: IpAddr,
) {
    let v6 = gateway.is_ipv6();
    let mut rule = FibRule { priority: 100, invert: random.one_in(4), ..FibRule::default() };
    let net = |random: &mut Random| {
        random.pick(addresses).map(|net| if random.one_in(2) { net.trunc() } else { IpNet::from(net.addr()) })
    };
    match random.below(6) {
        0 => rule.source = net(random),
        1 => rule.destination = net(random),
        2 => rule.iif = random.pick(links).cloned(),
        3 => rule.fwmark = Some(random.of([(1, 1), (2, u32::MAX), (1, 3)])),
        4 => (rule.source, rule.destination) = (net(random), net(random)),
        _ => rule.iif = Some("lo".to_owned()),
    }
    rule.action = match random.below(8) {
        0 => RuleAction::Blackhole,
        1 => RuleAction::Prohibit,
        2 => RuleAction::Unreachable,
        3 => RuleAction::Goto(32766),
        _ => RuleAction::Lookup(OWN_TABLE),
    };
    let everywhere = default_of(gateway);
    let own = match random.below(6) {
        0 => of_kind(RouteKind::Blackhole, everywhere),
        1 => of_kind(RouteKind::Throw, everywhere),
        2 => of_kind(RouteKind::Unreachable, net(random).unwrap_or(everywhere)),
        3 => {
            let held = machine.addresses.iter().map(|(_, net)| net.addr());
            let own: Vec<IpAddr> = held.filter(|ip| ip.is_ipv6() == v6).collect();
            Route { preferred_source: random.pick(&own).copied(), ..via(everywhere, gateway) }
        }
        _ => via(everywhere, gateway),
    };
    machine.routes.push(Route { table: OWN_TABLE, ..own });
    machine.fib_rules.push((if v6 { IpVersion::V6 } else { IpVersion::V4 }, rule));
}

fn default_of(gateway: IpAddr) -> IpNet {
    match gateway {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}
