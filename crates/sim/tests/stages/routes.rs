//! Route look-up, FIB rules, reverse path, forwarding, addresses that machines speak with.

use model::netfilter::Dialect;
use model::path::{Direction, Stop};
use model::route::{RouteKind, RuleAction};
use sim::Protocol;

use crate::cloud::{Cloud, ip, received, stop_of};

const SERVER: &str = "198.51.100.10";

#[test]
fn a_cloud_without_faults_answers() {
    let cloud = Cloud::new();
    for (from, to) in
        [("g1", SERVER), ("g1", "10.0.0.12"), ("s", "10.0.0.11"), ("h", SERVER), ("h", "10.0.0.1")]
    {
        cloud.passes(from, to);
    }
    assert_eq!(received(&cloud.ping("g1", SERVER)), "10.0.0.11 > 198.51.100.10 ICMP echo request ttl 62");
}

#[test]
fn the_longest_prefix_wins_whatever_its_metric() {
    let mut cloud = Cloud::new();
    cloud.route_in("h", 254, "198.51.100.0/28", RouteKind::Blackhole, None, None).metric = 900;
    assert_eq!(cloud.stop("g1", SERVER), Stop::RouteRefuses("blackhole 198.51.100.0/28 metric 900".into()));
    cloud.route("h", "198.51.100.10/32", Some("203.0.113.1"), "up0");
    cloud.passes("g1", SERVER);
}

#[test]
fn of_equal_prefixes_the_lower_metric_wins() {
    let mut cloud = Cloud::new();
    cloud.route_in("h", 254, "198.51.100.0/24", RouteKind::Unreachable, None, None).metric = 10;
    cloud.route("h", "198.51.100.0/24", Some("203.0.113.1"), "up0").metric = 5;
    cloud.passes("g1", SERVER);
    cloud.ns("h").routes.last_mut().unwrap().metric = 20;
    assert!(matches!(cloud.stop("g1", SERVER), Stop::RouteRefuses(_)));
}

#[test]
fn a_dead_nexthop_gives_way_to_the_next_prefix() {
    let mut cloud = Cloud::new();
    cloud.route("h", "198.51.100.0/24", Some("10.0.0.99"), "br1").nexthops[0].dead = true;
    cloud.passes("g1", SERVER);
}

#[test]
fn linkdown_is_used_unless_ignored() {
    let mut cloud = Cloud::new();
    cloud.route("h", "198.51.100.0/24", Some("10.0.0.12"), "br1").nexthops[0].linkdown = true;
    assert_eq!(cloud.stop("g1", SERVER), Stop::ForwardingOff);
    cloud.sysctl("h", "ipv4.conf.br1.ignore_routes_with_linkdown", 1);
    cloud.passes("g1", SERVER);
}

#[test]
fn rules_select_by_source_mark_and_their_inversion() {
    for (set, refused) in [
        (
            Box::new(|r: &mut model::route::FibRule| r.source = Some("10.0.0.0/24".parse().unwrap()))
                as Box<dyn Fn(&mut model::route::FibRule)>,
            true,
        ),
        (Box::new(|r| (r.source, r.invert) = (Some("10.0.0.0/24".parse().unwrap()), true)), false),
        (Box::new(|r| r.destination = Some("198.51.100.11/32".parse().unwrap())), false),
        (Box::new(|r| r.iif = Some("br1".into())), true),
        (Box::new(|r| r.iif = Some("up0".into())), false),
        (Box::new(|r| r.fwmark = Some((1, 1))), false),
        (Box::new(|r| (r.fwmark, r.invert) = (Some((1, 1)), true)), true),
    ] {
        let mut cloud = Cloud::new();
        set(cloud.rule("h", 100, RuleAction::Blackhole));
        let rule = cloud.ns("h").rules[1].clone();
        let answer = cloud.ping("g1", SERVER);
        assert_eq!(answer.received_by.is_none(), refused, "{rule:?}");
    }
}

#[test]
fn a_mark_set_in_prerouting_picks_the_table() {
    let mut cloud = Cloud::new();
    cloud.iptables(
        Dialect::IptablesLegacy,
        "*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -j MARK --set-xmark 0x1/0x1\n\
         -A PREROUTING -m mark --mark 0x1/0x1 -j MARK --set-xmark 0x2/0x2\nCOMMIT\n",
    );
    cloud.rule("h", 100, RuleAction::Lookup(100)).fwmark = Some((3, 3));
    cloud.route_in("h", 100, "0.0.0.0/0", RouteKind::Prohibit, None, None);
    assert_eq!(cloud.stop("g1", SERVER), Stop::RouteRefuses("prohibit default".into()));
}

#[test]
fn throw_ends_its_table_only() {
    let mut cloud = Cloud::new();
    cloud.rule("h", 100, RuleAction::Lookup(100));
    cloud.route_in("h", 100, "0.0.0.0/0", RouteKind::Throw, None, None);
    cloud.passes("g1", SERVER);
}

#[test]
fn goto_leads_to_its_very_target_or_nowhere() {
    let mut cloud = Cloud::new();
    cloud.rule("h", 100, RuleAction::Goto(300));
    cloud.rule("h", 200, RuleAction::Blackhole);
    assert!(matches!(cloud.stop("g1", SERVER), Stop::RouteRefuses(_)), "there is no rule 300");
    cloud.rule("h", 300, RuleAction::Nop);
    cloud.passes("g1", SERVER);
}

#[test]
fn a_selector_that_is_not_modelled_is_unknown() {
    let mut cloud = Cloud::new();
    cloud.rule("h", 100, RuleAction::Blackhole).unmodelled = Some("ipproto tcp".into());
    assert!(crate::cloud::unknown(&cloud.ping("g1", SERVER)).contains("ipproto tcp"));
}

#[test]
fn forwarding_is_the_links_own_where_it_was_read() {
    let mut cloud = Cloud::new();
    cloud.sysctl("h", "ipv4.conf.br1.forwarding", 0);
    assert_eq!(cloud.stop("g1", SERVER), Stop::ForwardingOff);
    cloud.sysctl("h", "ipv4.conf.br1.forwarding", 1);
    cloud.sysctl("h", "ipv4.ip_forward", 0);
    let answer = cloud.ping("g1", SERVER);
    assert_eq!(answer.received_by.as_deref(), Some("s"));
    assert_eq!(stop_of(&answer, Direction::Reply), Stop::ForwardingOff, "up0 has no setting of its own");
}

/// The host sends what is for g1 out by another way than g1's packets come in.
fn asymmetric() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.route("h", "10.0.0.11/32", Some("203.0.113.1"), "up0");
    cloud
}

#[test]
fn strict_reverse_path_needs_the_same_link_loose_any_route() {
    let mut cloud = asymmetric();
    assert_eq!(cloud.ping("g1", SERVER).received_by.as_deref(), Some("s"), "rp_filter is 0");
    cloud.sysctl("h", "ipv4.conf.br1.rp_filter", 1);
    // The host does not even answer ARP to whom it would refuse.
    assert!(matches!(cloud.stop("g1", SERVER), Stop::NeighbourUnresolved { .. }));
    cloud.neighbour("g1", "eth0", "10.0.0.1", "02:00:00:00:01:01", model::route::NeighbourState::Stale);
    assert!(matches!(cloud.stop("g1", SERVER), Stop::ReversePath { value: 1, .. }));
    cloud.sysctl("h", "ipv4.conf.all.rp_filter", 2);
    assert_eq!(cloud.ping("g1", SERVER).received_by.as_deref(), Some("s"), "the larger of all and own");
}

#[test]
fn loose_reverse_path_refuses_a_source_without_route() {
    let mut cloud = Cloud::new();
    cloud.sysctl("r", "ipv4.conf.all.rp_filter", 2);
    cloud.ns("r").routes.retain(|r| r.destination.to_string() != "10.0.0.0/24");
    assert!(matches!(cloud.stop("g1", SERVER), Stop::ReversePath { value: 2, .. }));
}

#[test]
fn the_way_back_is_looked_up_from_the_packets_destination() {
    let mut cloud = Cloud::new();
    cloud.sysctl("h", "ipv4.conf.br1.rp_filter", 1);
    cloud.neighbour("g1", "eth0", "10.0.0.1", "02:00:00:00:01:01", model::route::NeighbourState::Stale);
    cloud.rule("h", 100, RuleAction::Lookup(100)).source = Some("198.51.100.0/24".parse().unwrap());
    cloud.route_in("h", 100, "0.0.0.0/0", RouteKind::Unicast, Some("203.0.113.1"), Some("up0"));
    assert!(matches!(cloud.stop("g1", SERVER), Stop::ReversePath { .. }));
    // The way back of what stays here starts at lo, not where it came in.
    cloud.rule("h", 90, RuleAction::Prohibit).iif = Some("br1".into());
    cloud.passes("g1", "203.0.113.34");
}

#[test]
fn an_own_address_as_source_is_a_martian() {
    let mut cloud = Cloud::new();
    cloud.neighbour("g1", "eth0", "10.0.0.1", "02:00:00:00:01:01", model::route::NeighbourState::Stale);
    cloud.address("h", "up0", "10.0.0.11/32");
    assert_eq!(cloud.stop("g1", SERVER), Stop::MartianSource);
    cloud.sysctl("h", "ipv4.conf.all.accept_local", 1);
    assert_eq!(cloud.ping("g1", SERVER).received_by.as_deref(), Some("s"));
    cloud.sysctl("h", "ipv4.conf.br1.rp_filter", 1);
    assert!(matches!(cloud.stop("g1", SERVER), Stop::ReversePath { .. }), "its way back is not br1");
}

#[test]
fn a_routes_source_is_used_and_else_the_gateways_subnet() {
    let mut cloud = Cloud::new();
    cloud.address("h", "up0", "203.0.113.101/32");
    assert_eq!(cloud.ping("h", SERVER).source_seen, Some(ip("203.0.113.34").into()));
    cloud.route("h", "198.51.100.0/24", Some("203.0.113.1"), "up0").preferred_source =
        Some("203.0.113.101".parse().unwrap());
    assert_eq!(cloud.ping("h", SERVER).source_seen, Some(ip("203.0.113.101").into()));
    // An address of another subnet on the same link comes first, but not towards this gateway.
    let mut cloud = Cloud::new();
    let up0 = cloud.index("h", "up0");
    let other =
        model::route::Address { net: "192.0.2.7/24".parse().unwrap(), ..cloud.ns("h").addresses[1].clone() };
    assert_eq!(other.link, up0);
    cloud.ns("h").addresses.insert(0, other);
    assert_eq!(cloud.ping("h", SERVER).source_seen, Some(ip("203.0.113.34").into()));
}

#[test]
fn an_answer_from_another_address_is_none() {
    let mut cloud = Cloud::new();
    // s answers by its own address what was asked of another.
    cloud.address("s", "lo", "198.51.100.99/32");
    cloud.passes("g1", "198.51.100.99");
    cloud.iptables(
        Dialect::IptablesNft,
        "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -d 10.0.0.1/32 -j DNAT --to-destination 10.0.0.12\nCOMMIT\n",
    );
    let answer = cloud.ask("g1", "10.0.0.1", Protocol::Tcp(80));
    assert_eq!(answer.received_by.as_deref(), Some("g2"));
    assert!(!answer.answered, "g2 answers g1 straight over the bridge, past the host's NAT");
}
