//! What is read of a site's part of a cloud is what is read of it among all: random small clouds, sites and what
//! their hosts show. Goal: no fact that concerns the site is lost or another. Method: both readings of one SQLite file,
//! merged with the same snapshot, compared instance by instance and network by network.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

mod support;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use cloud::{DatabaseUrl, InstanceEntry, Sought, intent};
use model::intent::Instance;
use model::link::{FdbEntry, FdbKind, Link, LinkKind};
use model::netfilter::{Action, Chain, Dialect, Family, Match, NatTarget, NfRule, Ruleset, Table, Test};
use model::service::{DhcpHost, Dnsmasq, Domain, NovaOptions};
use model::snapshot::Host;
use model::{Intent, Mac, Netns, Snapshot};
use proptest::prelude::*;
use support::{PATIENCE, make_sqlite};

/// Hosts as nova names them; the site's are the first two, by other names. The last is none.
const HOSTS: [&str; 6] = ["c1", "c2.example.com", "nova-name", "c4", "c5", ""];
/// The site calls them so; the third is known by its nova.conf alone.
const SITE: [&str; 3] = ["c1", "c2", "c3"];

/// One instance of a cloud: where it is recorded, its state, its network, its last octet and its MAC's.
#[derive(Debug, Clone)]
struct Drawn {
    host: Option<usize>,
    is_off: bool,
    deleted: bool,
    network: u8,
    /// Few, so that several share one.
    octet: u8,
    mac: u8,
    floating: Option<u8>,
    floating_host: Option<usize>,
    /// What the site's hosts show of it.
    shown: u8,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let host = prop::option::of(0..HOSTS.len());
    let rest = (any::<bool>(), prop::bool::weighted(0.2), 1u8..4, 2u8..30, 0u8..30);
    let floating = (prop::option::of(0u8..20), prop::option::of(0..HOSTS.len()), 0u8..12);
    (host, rest, floating).prop_map(|(host, rest, (floating, floating_host, shown))| {
        let (is_off, deleted, network, octet, mac) = rest;
        Drawn { host, is_off, deleted, network, octet, mac, floating, floating_host, shown }
    })
}

/// A cloud, and how many of `SITE` are the site's.
#[derive(Debug, Clone)]
struct Case {
    instances: Vec<Drawn>,
    /// The one host of the second network.
    network_host: usize,
    site: usize,
}

fn case() -> impl Strategy<Value = Case> {
    (prop::collection::vec(drawn(), 1..14), 0..HOSTS.len() - 1, 1..=SITE.len())
        .prop_map(|(instances, network_host, site)| Case { instances, network_host, site })
}

fn quoted(name: Option<usize>) -> String {
    name.map_or_else(|| "NULL".to_owned(), |at| format!("'{}'", HOSTS[at]))
}

fn uuid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn mac(number: u8) -> Mac {
    Mac([0xfa, 0x16, 0x3e, 0, 0, number])
}

fn fixed(one: &Drawn) -> Ipv4Addr {
    [10, one.network, 0, one.octet].into()
}

fn floating(number: u8) -> Ipv4Addr {
    [203, 0, 113, number].into()
}

impl Case {
    /// nova's tables, without its constraints, which a hand that writes into them breaks as well.
    fn sql(&self) -> String {
        let tables = include_str!("fixtures/queens.sql");
        let tables: Vec<&str> = tables.split("INSERT").next().unwrap().lines().skip(1).collect();
        let tables = tables.join(" ");
        let words: Vec<&str> = tables.split_whitespace().collect();
        let mut sql = words.join(" ").replace(", UNIQUE (address, deleted)", "");
        for (id, host) in [(1, "NULL"), (2, HOSTS[self.network_host]), (3, "NULL")] {
            let host = if host == "NULL" { host.to_owned() } else { format!("'{host}'") };
            let multi = u8::from(id != 2);
            sql += &format!(
                "INSERT INTO networks (id, label, cidr, bridge, gateway, host, multi_host, deleted) VALUES \
                 ({id}, 'n{id}', '10.{id}.0.0/24', 'br{id}', '10.{id}.0.1', {host}, {multi}, 0);"
            );
            for (at, name) in HOSTS[..5].iter().enumerate() {
                sql += &format!(
                    "INSERT INTO fixed_ips VALUES ({}, '10.{id}.0.{}', {id}, NULL, 0, 0, 0, '{name}', NULL, 0);",
                    id * 1000 + at,
                    200 + at
                );
            }
        }
        for group in 1..4 {
            sql += &format!(
                "INSERT INTO security_groups VALUES ({group}, 'g{group}', '', 'u', 'p', 0);\
                 INSERT INTO security_group_rules VALUES ({group}, {group}, 'tcp', {group}, {group}, '0.0.0.0/0', \
                 NULL, 0);"
            );
        }
        for (at, one) in self.instances.iter().enumerate() {
            let (id, uuid) = (at + 1, uuid(at + 1));
            let deleted = if one.deleted { id } else { 0 };
            let state = if one.is_off { "stopped" } else { "active" };
            sql += &format!(
                "INSERT INTO instances VALUES ({id}, '{uuid}', 'vm{}', NULL, {}, 'p', '{state}', NULL, {deleted});\
                 INSERT INTO virtual_interfaces VALUES ({id}, '{}', {net}, '1{}', '{uuid}', NULL, {deleted});\
                 INSERT INTO fixed_ips VALUES ({id}, '{}', {net}, {id}, 1, 1, 0, NULL, '{uuid}', 0);\
                 INSERT INTO security_group_instance_association VALUES ({id}, {net}, '{uuid}', 0);",
                one.octet % 10,
                quoted(one.host),
                // As a hand may write it.
                if one.octet % 3 == 0 {
                    mac(one.mac).to_string().to_uppercase()
                } else {
                    mac(one.mac).to_string()
                },
                &uuid[1..],
                fixed(one),
                net = one.network
            );
            if let Some(number) = one.floating {
                sql += &format!(
                    "INSERT INTO floating_ips VALUES ({id}, '{}', {id}, 'p', {}, 'nova', 'eth0', 0, 0);",
                    floating(number),
                    quoted(one.floating_host)
                );
            }
        }
        sql
    }

    fn database(&self, folder: &Path) -> DatabaseUrl {
        let path = folder.join("nova.db");
        make_sqlite(&path, &format!("PRAGMA synchronous = OFF; BEGIN; {}; COMMIT", self.sql()));
        DatabaseUrl::parse(&format!("sqlite:{}", path.display())).unwrap()
    }

    /// What the site's machines show: the bridges of two networks, and of an instance what its number says.
    fn snapshot(&self) -> Snapshot {
        let mut hosts: Vec<Host> = SITE[..self.site]
            .iter()
            .map(|name| Host { name: (*name).to_owned(), role: "compute".to_owned(), ..Host::default() })
            .collect();
        if let Some(third) = hosts.get_mut(2) {
            let values = [("host".to_owned(), HOSTS[2].to_owned())].into();
            third.nova = Some(NovaOptions { values, ..NovaOptions::default() });
        }
        let bridge = |index: u32| Link {
            index,
            name: format!("br{index}"),
            kind: LinkKind::Bridge,
            ..Link::default()
        };
        let main = |host: &Host| Netns {
            machine: host.name.clone(),
            links: vec![bridge(1), bridge(2)],
            ..Netns::default()
        };
        let mut netns: Vec<Netns> = hosts.iter().map(main).collect();
        let mut nat = Vec::new();
        let mut chains = Vec::new();
        let (mut lines, first) = (Vec::new(), &mut netns[0]);
        for (at, one) in self.instances.iter().enumerate() {
            match one.shown {
                0 => first.fdb.push(FdbEntry {
                    mac: mac(one.mac),
                    link: 1,
                    vlan: None,
                    kind: FdbKind::Learned,
                    sticky: false,
                    remote: None,
                    on_self: false,
                }),
                1 => {
                    lines.push(DhcpHost {
                        mac: mac(one.mac),
                        hostname: None,
                        ip: Some(fixed(one)),
                        ignored: false,
                        line: 1,
                    });
                }
                2 => nat.push(dnat(one)),
                3 => chains.push(format!("nova-compute-inst-{}", at + 1)),
                4 => first.links.push(Link {
                    index: 100 + u32::try_from(at).unwrap(),
                    name: format!("vnet{at}"),
                    mac: Some(mac(one.mac).of_tap()),
                    ..Link::default()
                }),
                5 => hosts[0].domains.push(Domain {
                    name: format!("instance-{:08x}", at + 1),
                    uuid: Some(uuid(at + 1)),
                    live: true,
                    ..Domain::default()
                }),
                6 => hosts[0].domains.push(Domain {
                    name: format!("instance-{:08x}", at + 1),
                    live: true,
                    ..Domain::default()
                }),
                _ => {}
            }
        }
        hosts[0].dnsmasq.push(Dnsmasq { hosts: Some(lines), ..Dnsmasq::default() });
        let chain = |name: String, rules| Chain { name, base: None, rules };
        let table = |name: &str, chains| Table {
            family: Family::Ip,
            name: name.to_owned(),
            dialect: Dialect::IptablesLegacy,
            chains,
            sets: Vec::new(),
        };
        let filter = chains.into_iter().map(|name| chain(name, Vec::new())).collect();
        let tables = vec![table("nat", vec![chain("PREROUTING".to_owned(), nat)]), table("filter", filter)];
        first.ruleset = Ruleset { tables, ..Ruleset::default() };
        Snapshot { hosts, netns, ..Snapshot::default() }
    }
}

/// As nova-network writes it for a floating address.
fn dnat(one: &Drawn) -> NfRule {
    let to = fixed(one).into();
    let outside = floating(one.floating.unwrap_or(99));
    NfRule {
        text: String::new(),
        counters: None,
        handle: None,
        line: 1,
        matches: vec![Match {
            negated: false,
            test: Test::Destination(vec![ipnet::Ipv4Net::from(outside).into()]),
        }],
        action: Action::Dnat(NatTarget { addresses: Some((to, to)), ..NatTarget::default() }),
    }
}

/// Both readings of a case, for these words.
fn readings(case: &Case, words: &[&str], entries: &[InstanceEntry]) -> (Intent, Intent, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let url = case.database(folder.path());
    let snapshot = case.snapshot();
    let all = cloud::read(&url, PATIENCE).unwrap();
    let sought = Sought::of(&snapshot, entries, words);
    let some = cloud::read_site(&url, PATIENCE, &snapshot, &sought).unwrap();
    (intent(Some(all), &snapshot, entries), intent(Some(some), &snapshot, entries), snapshot)
}

/// Instances that the site is told of by their host, or by that of a floating address, as it is merged.
fn of_site<'i>(intent: &'i Intent, snapshot: &Snapshot) -> Vec<&'i Instance> {
    let is_here = |name: &str| snapshot.host(name).is_some();
    let all = intent.instances.iter();
    let by_floating =
        |one: &Instance| one.floating().any(|floating| floating.host.as_deref().is_some_and(is_here));
    all.filter(|one| {
        intent.servers_of(one).iter().chain([&one.host.as_str()]).any(|host| is_here(host))
            || by_floating(one)
    })
    .collect()
}

/// What the site's hosts show by which an instance is found, whoever shows it.
fn shown(case: &Case) -> BTreeSet<u64> {
    let numbered = (1u64..).zip(&case.instances);
    numbered.filter(|(_, one)| one.shown < 7 && !one.deleted).map(|(id, _)| id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_concerns_a_site_is_the_same(case in case(), asked in 0u8..10) {
        let word = format!("vm{asked}");
        let (all, some, snapshot) = readings(&case, &[&word], &[]);
        prop_assert_eq!(of_site(&some, &snapshot), of_site(&all, &snapshot));
        let by_id = |intent: &Intent, id: u64| intent.instances.iter().find(|one| one.id == Some(id)).cloned();
        for one in &some.instances {
            prop_assert!(all.instances.contains(one), "{:?}", one);
        }
        for id in shown(&case) {
            prop_assert_eq!(by_id(&some, id), by_id(&all, id), "{} is shown", id);
        }
        // The word means the same, one, none or several.
        let found =
            |intent: &Intent| cloud::find(intent, &word).map(|at| intent.instances[at].clone()).ok();
        prop_assert_eq!(found(&some), found(&all));
        // Whoever has the same MAC or address as one of the site's.
        for one in of_site(&all, &snapshot) {
            for other in &all.instances {
                let macs = |of: &Instance| of.vifs.iter().filter_map(|vif| vif.mac).collect::<BTreeSet<_>>();
                let ips = |of: &Instance| {
                    of.fixed().chain(of.floating().map(|f| f.address)).collect::<BTreeSet<_>>()
                };
                if !macs(one).is_disjoint(&macs(other)) || !ips(one).is_disjoint(&ips(other)) {
                    prop_assert!(some.instances.contains(other), "{:?}", other);
                }
            }
        }
        // Networks whose bridges the hosts have, or their instances are in.
        let used = of_site(&all, &snapshot).into_iter().flat_map(|one| &one.vifs).filter_map(|vif| vif.network);
        let there: BTreeSet<usize> = used.chain([0, 1]).collect();
        prop_assert_eq!(some.networks.len(), all.networks.len());
        for at in &there {
            prop_assert_eq!(&some.networks[*at], &all.networks[*at]);
        }
        // Rows of nobody's.
        let leaked = |intent: &Intent| {
            let leaked = intent.remains.fixed.iter();
            let there = leaked.filter(|leaked| leaked.network.is_some_and(|at| there.contains(&at)));
            there.map(|one| (one.clone(), intent.networks[one.network.unwrap()].free)).collect::<Vec<_>>()
        };
        prop_assert_eq!(leaked(&some), leaked(&all));
        let is_here = |host: Option<&str>| host.is_none_or(|host| snapshot.host(host).is_some());
        let tied = |intent: &Intent| {
            let tied = intent.remains.floating.iter().filter(|tied| is_here(tied.floating.host.as_deref()));
            tied.cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(tied(&some), tied(&all));
        // Whether one of these still has a floating address, which tells what becomes of it.
        let tied_leaks = |intent: &Intent| {
            let ids: BTreeSet<u64> = leaked(intent).iter().map(|(one, _)| one.id).collect();
            let tied = intent.remains.floating.iter().map(|tied| tied.fixed_id);
            tied.filter(|id| ids.contains(id)).collect::<BTreeSet<u64>>()
        };
        prop_assert_eq!(tied_leaks(&some), tied_leaks(&all));
        prop_assert_eq!(&some.remains.words, &all.remains.words);
    }

    /// Each instance of the site has as many neighbours elsewhere as the ladder asks for, where there are so many.
    #[test]
    fn neighbours_elsewhere_are_read(case in case()) {
        let (all, some, snapshot) = readings(&case, &[], &[]);
        let used = of_site(&some, &snapshot).into_iter().flat_map(|one| &one.vifs).filter_map(|vif| vif.network);
        for network in used.collect::<BTreeSet<usize>>() {
            let elsewhere = |intent: &Intent| {
                let there = intent.instances.iter().filter(|one| {
                    !one.is_meant_off()
                        && !one.host.is_empty()
                        && snapshot.host(&one.host).is_none()
                        && one.vifs.iter().any(|vif| vif.network == Some(network))
                });
                there.count().min(4)
            };
            prop_assert_eq!(elsewhere(&some), elsewhere(&all));
        }
    }
}

/// An entry of the site file is joined to the instance that it means, wherever that is recorded.
#[test]
fn what_the_site_file_tells_finds_its_instance() {
    let one = Drawn {
        host: Some(4),
        is_off: false,
        deleted: false,
        network: 3,
        octet: 7,
        mac: 7,
        floating: Some(7),
        floating_host: Some(4),
        shown: 11,
    };
    let case = Case { instances: vec![one], network_host: 4, site: 1 };
    let by_nothing = readings(&case, &[], &[]).1;
    assert!(by_nothing.instances.is_empty(), "{by_nothing:?}");
    for entry in [
        InstanceEntry { name: "vm7".to_owned(), ..InstanceEntry::default() },
        InstanceEntry { name: "x".to_owned(), mac: Some(mac(7)), ..InstanceEntry::default() },
        InstanceEntry {
            name: "x".to_owned(),
            addresses: vec![[10, 3, 0, 7].into()],
            ..InstanceEntry::default()
        },
    ] {
        let (all, some, _) = readings(&case, &[], std::slice::from_ref(&entry));
        assert_eq!(some.instances, all.instances, "{entry:?}");
    }
    for word in ["vm7", &uuid(1), "instance-00000001", "10.3.0.7", "203.0.113.7", "fe:16:3e:00:00:07"] {
        assert_eq!(readings(&case, &[word], &[]).1.instances.len(), 1, "{word}");
    }
}

/// A host that is down is the site's all the same, under its full name, and so are those who run on it.
#[test]
fn who_runs_on_a_host_out_of_reach_is_read() {
    let one = Drawn {
        host: Some(1),
        is_off: false,
        deleted: false,
        network: 3,
        octet: 7,
        mac: 7,
        floating: None,
        floating_host: None,
        shown: 11,
    };
    let case = Case { instances: vec![one], network_host: 4, site: 1 };
    let folder = tempfile::tempdir().unwrap();
    let url = case.database(folder.path());
    let snapshot = case.snapshot();
    let read = |unread: &[&str]| {
        let sought = Sought::of(&snapshot, &[], &[]).with_unread_hosts(unread.iter().copied());
        intent(Some(cloud::read_site(&url, PATIENCE, &snapshot, &sought).unwrap()), &snapshot, &[])
    };
    assert!(read(&[]).instances.is_empty());
    assert_eq!(read(&["c2"]).instances.len(), 1);
}
