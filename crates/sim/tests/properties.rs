//! Whatever the snapshot and the question: the walk ends, never panics, and says one thing.

#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "small numbers, made here")]

use std::net::{IpAddr, Ipv4Addr};

use model::intent::{Instance, Vif};
use model::link::{Bridge, BridgePort, FdbEntry, FdbKind, Link, LinkKind, Peer};
use model::netfilter::{
    Action, BaseChain, Chain, ChainKind, Dialect, Family, Hook, Match, NatTarget, NfRule, Policy, Ruleset,
    Table, Test,
};
use model::path::{Disposition, Path, Predicted};
use model::route::{Address, FibRule, Neighbour, NeighbourState, Nexthop, Route, RouteKind, RuleAction};
use model::vlan::{BridgeVlans, VlanDevice, VlanProtocol};
use model::{Intent, Mac, Netns, Snapshot};
use proptest::prelude::*;
use sim::{Endpoint, Protocol, Question, World};

/// More hops than any walk may make, ARP's apart.
const HOPS_MAX: usize = 1_000;

fn address() -> impl Strategy<Value = Ipv4Addr> {
    (0u8..4, 0u8..4).prop_map(|(net, host)| Ipv4Addr::new(10, 0, net, host))
}

fn mac() -> impl Strategy<Value = Mac> {
    (0u8..6).prop_map(|last| Mac([2, 0, 0, 0, 0, last]))
}

fn net() -> impl Strategy<Value = ipnet::IpNet> {
    (address(), prop::sample::select(vec![0u8, 8, 22, 24, 30, 32]))
        .prop_map(|(ip, length)| ipnet::IpNet::new(IpAddr::V4(ip), length).unwrap())
}

fn protocol(outer: bool) -> VlanProtocol {
    if outer { VlanProtocol::Dot1ad } else { VlanProtocol::Dot1q }
}

fn bridge_vlans() -> impl Strategy<Value = BridgeVlans> {
    let ids = (0u16..4, 0u16..4);
    (ids, any::<bool>(), any::<bool>()).prop_map(|((low, high), untagged, pvid)| BridgeVlans {
        low,
        high,
        untagged,
        pvid,
    })
}

fn link() -> impl Strategy<Value = Link> {
    let kind = prop::sample::select(vec![
        LinkKind::Bridge,
        LinkKind::Bridge,
        LinkKind::Veth,
        LinkKind::Veth,
        LinkKind::Veth,
        LinkKind::Physical,
        LinkKind::Tun,
        LinkKind::Loopback,
        LinkKind::Vxlan,
        LinkKind::Vlan,
        LinkKind::Vlan,
    ]);
    // Tags of two kinds, ids of which 0 is none, and bridges that look at them.
    let vlans =
        (0u16..4, any::<bool>(), prop::bool::weighted(0.3), prop::collection::vec(bridge_vlans(), 0..3));
    let port = prop::option::of(any::<(bool, bool, bool, bool)>());
    let peer = prop::option::of((1u32..6, prop::option::of(0u64..4)));
    let state = (prop::bool::weighted(0.9), prop::bool::weighted(0.9));
    (kind, state, mac(), prop::option::of(1u32..6), peer, port, vlans).prop_map(
        |(kind, (admin_up, carrier), mac, master, peer, port, (id, ad, vlan_filtering, bridge_vlans))| Link {
            vlan: (kind == LinkKind::Vlan).then(|| VlanDevice {
                reorder_header: !ad,
                protocol: protocol(ad),
                ..VlanDevice::of(id)
            }),
            bridge: (kind == LinkKind::Bridge).then(|| Bridge {
                vlan_filtering,
                vlan_protocol: protocol(ad),
                ..Bridge::default()
            }),
            bridge_vlans,
            kind,
            admin_up,
            carrier,
            mac: Some(mac),
            master,
            peer: peer.map(|(index, netns)| Peer { index, netns }),
            port: port.map(|(hairpin, flood, isolated, locked)| BridgePort {
                hairpin,
                flood,
                isolated,
                locked,
                ..BridgePort::default()
            }),
            ..Link::default()
        },
    )
}

fn route() -> impl Strategy<Value = Route> {
    let kind = prop::sample::select(vec![
        RouteKind::Unicast,
        RouteKind::Unicast,
        RouteKind::Unicast,
        RouteKind::Local,
        RouteKind::Broadcast,
        RouteKind::Blackhole,
        RouteKind::Throw,
    ]);
    let hops = prop::collection::vec((prop::option::of(address()), 1u32..7, any::<bool>()), 0..3);
    (prop::sample::select(vec![254u32, 255, 100]), net(), kind, 0u32..3, hops).prop_map(
        |(table, destination, kind, metric, hops)| Route {
            metric,
            nexthops: hops
                .into_iter()
                .map(|(via, link, linkdown)| Nexthop {
                    via: via.map(IpAddr::V4),
                    link,
                    weight: 1,
                    onlink: false,
                    dead: false,
                    linkdown,
                })
                .collect(),
            ..Route::new(table, destination, kind)
        },
    )
}

fn fib_rule() -> impl Strategy<Value = FibRule> {
    let action = prop_oneof![
        prop::sample::select(vec![254u32, 255, 100]).prop_map(RuleAction::Lookup),
        (0u32..400).prop_map(RuleAction::Goto),
        Just(RuleAction::Nop),
        Just(RuleAction::Prohibit),
    ];
    (0u32..400, any::<bool>(), prop::option::of(net()), action).prop_map(
        |(priority, invert, source, action)| FibRule {
            priority,
            invert,
            source,
            action,
            ..FibRule::default()
        },
    )
}

fn rule() -> impl Strategy<Value = NfRule> {
    let name = || prop::sample::select(vec!["a", "b", "c", "missing"]).prop_map(str::to_owned);
    let to = |ip| NatTarget { addresses: Some((IpAddr::V4(ip), IpAddr::V4(ip))), ..NatTarget::default() };
    let action = prop_oneof![
        name().prop_map(Action::Jump),
        name().prop_map(Action::Jump),
        name().prop_map(Action::Goto),
        prop::sample::select(vec![
            Action::Accept,
            Action::Drop,
            Action::Return,
            Action::Masquerade(None),
            Action::Redirect(None),
            Action::Notrack,
            Action::SetMark { value: 1, mask: 3 },
            Action::Unmodelled("?".into()),
        ]),
        address().prop_map(move |ip| Action::Dnat(to(ip))),
        address().prop_map(move |ip| Action::Snat(to(ip))),
    ];
    let test = prop_oneof![
        net().prop_map(|n| Test::Source(vec![n])),
        net().prop_map(|n| Test::Destination(vec![n])),
        Just(Test::In("l1".into())),
        Just(Test::Always),
        Just(Test::Mark { value: 1, mask: 1 }),
        Just(Test::Unmodelled("?".into())),
    ];
    let matches = (any::<bool>(), test).prop_map(|(negated, test)| Match { negated, test });
    (prop::collection::vec(matches, 0..2), action).prop_map(|(matches, action)| NfRule {
        text: format!("{action:?}"),
        counters: None,
        handle: None,
        line: 0,
        matches,
        action,
    })
}

fn table() -> impl Strategy<Value = Table> {
    let hook = prop::sample::select(vec![
        Hook::Prerouting,
        Hook::Input,
        Hook::Forward,
        Hook::Output,
        Hook::Postrouting,
    ]);
    let kind = prop::sample::select(vec![ChainKind::Filter, ChainKind::Nat, ChainKind::Route]);
    let family = prop::sample::select(vec![Family::Ip, Family::Inet, Family::Bridge, Family::Arp]);
    let rules = || prop::collection::vec(rule(), 0..4);
    (family, hook, kind, -300i32..300, any::<bool>(), rules(), rules(), rules(), rules()).prop_map(
        |(family, hook, kind, priority, drops, first, a, b, c)| {
            let policy = if drops { Policy::Drop } else { Policy::Accept };
            let base = BaseChain { hook, priority, kind, policy, policy_counters: None, devices: Vec::new() };
            let chain = |name: &str, base, rules| Chain { name: name.to_owned(), base, rules };
            Table {
                family,
                name: "t".into(),
                dialect: Dialect::Nft,
                sets: Vec::new(),
                chains: vec![
                    chain("first", Some(base), first),
                    chain("a", None, a),
                    chain("b", None, b),
                    chain("c", None, c),
                ],
            }
        },
    )
}

fn netns() -> impl Strategy<Value = Netns> {
    let addresses = prop::collection::vec((1u32..7, net()), 0..4);
    let neighbours = prop::collection::vec((1u32..7, address(), mac()), 0..3);
    let fdb = prop::collection::vec((1u32..7, mac(), any::<bool>()), 0..4);
    let sysctls = (any::<bool>(), 0i64..3, 0i64..3, any::<bool>());
    (
        prop::collection::vec(link(), 0..6),
        addresses,
        prop::collection::vec(route(), 0..6),
        prop::collection::vec(fib_rule(), 0..4),
        prop::collection::vec(table(), 0..3),
        (neighbours, fdb, sysctls, any::<bool>()),
    )
        .prop_map(|(mut links, addresses, routes, mut rules, tables, rest)| {
            let (neighbours, fdb, (forwards, rp_filter, arp_ignore, detour), instance) = rest;
            for (at, link) in links.iter_mut().enumerate() {
                link.index = at as u32 + 1;
                link.name = format!("l{}", link.index);
            }
            rules.extend(model::route::default_rules());
            rules.sort_by_key(|r| r.priority);
            let scope = "global".to_owned();
            let settings = [
                ("ipv4.ip_forward", i64::from(forwards)),
                ("ipv4.conf.all.rp_filter", rp_filter),
                ("ipv4.conf.all.arp_ignore", arp_ignore),
                ("ipv4.conf.all.proxy_arp", arp_ignore & 1),
                ("bridge.bridge-nf-call-iptables", i64::from(detour)),
            ];
            Netns {
                instance,
                links,
                addresses: addresses
                    .into_iter()
                    .map(|(link, net)| Address { scope: scope.clone(), ..Address::global(link, net) })
                    .collect(),
                routes,
                rules,
                neighbours: neighbours
                    .into_iter()
                    .map(|(link, ip, mac)| Neighbour {
                        link,
                        ip: IpAddr::V4(ip),
                        mac: Some(mac),
                        state: NeighbourState::Stale,
                        proxy: false,
                    })
                    .collect(),
                fdb: fdb
                    .into_iter()
                    .map(|(link, mac, sticky)| FdbEntry {
                        mac,
                        link,
                        vlan: None,
                        kind: FdbKind::Learned,
                        sticky,
                        remote: None,
                        on_self: false,
                    })
                    .collect(),
                ruleset: Ruleset { tables, ..Ruleset::default() },
                sysctls: settings.map(|(name, value)| (name.to_owned(), value.to_string())).into(),
                ..Netns::default()
            }
        })
}

/// Up to four namespaces and an instance that cannot be entered.
fn site() -> impl Strategy<Value = (Snapshot, Intent)> {
    (prop::collection::vec(netns(), 1..4), mac(), address()).prop_map(|(mut netns, mac, fixed)| {
        for (at, ns) in netns.iter_mut().enumerate() {
            ns.machine = format!("m{at}");
            ns.inode = Some(at as u64);
        }
        let vif = Vif { mac: Some(mac), device: Some("l2".into()), fixed: vec![fixed], ..Vif::default() };
        let instance =
            Instance { name: "i".into(), host: "m0".into(), vifs: vec![vif], ..Instance::default() };
        let intent = Intent { instances: vec![instance], ..Intent::default() };
        (Snapshot { netns, ..Snapshot::default() }, intent)
    })
}

fn is_whole(path: &Path) -> Result<(), TestCaseError> {
    let last = path.hops.last();
    prop_assert!(last.is_some(), "no hops: {path:?}");
    prop_assert!(path.hops.len() < HOPS_MAX, "{} hops", path.hops.len());
    let expected = match &path.disposition {
        Disposition::Delivered { .. } | Disposition::LeftSite => Predicted::Pass,
        Disposition::Dropped(_) => Predicted::Drop,
        Disposition::Unknown { .. } => Predicted::Unknown,
    };
    prop_assert_eq!(last.map(|h| h.predicted), Some(expected));
    let before = path.hops.iter().rev().skip(1);
    prop_assert!(before.clone().all(|h| h.predicted == Predicted::Pass), "{:?}", path.hops);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_question_has_an_ending((snapshot, intent) in site(), to in address()) {
        let world = World::new(&snapshot, &intent);
        let machines = (0..snapshot.netns.len()).map(Endpoint::Machine);
        for from in machines.chain([Endpoint::Instance(0)]) {
            for protocol in [Protocol::Arp, Protocol::Icmp, Protocol::Tcp(22), Protocol::Udp(53)] {
                let answer = sim::ask(&world, &Question { from, to: to.into(), protocol, reply: true });
                prop_assert!(!answer.paths.is_empty());
                answer.paths.iter().try_for_each(is_whole)?;
                prop_assert!(!answer.answered || answer.received_by.is_some() || protocol == Protocol::Arp
                    || answer.paths.iter().any(|p| p.disposition == Disposition::LeftSite));
            }
        }
        sim::dhcp::ask(&world, 0).iter().try_for_each(is_whole)?;
    }
}
