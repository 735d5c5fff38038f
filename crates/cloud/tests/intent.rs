//! Merging the sources: what each adds, which one wins, and what survives a broken host.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

mod support;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use cloud::{InstanceEntry, Records, intent};
use model::intent::{Instance, Vif};
use model::link::{Link, LinkKind};
use model::route::{Address, Nexthop, Route, RouteKind, TABLE_MAIN};
use model::service::{DhcpHost, DhcpRange, Dnsmasq, Domain, DomainInterface, NovaOptions};
use model::snapshot::Host;
use model::{Intent, Mac, Netns, Snapshot};
use support::{WEB1, sqlite_records};

const GUEST: &str = "fa:16:3e:00:00:10";

fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

fn ip(last: u8) -> Ipv4Addr {
    [10, 0, 0, last].into()
}

fn link(index: u32, name: &str, kind: LinkKind) -> Link {
    Link { index, name: name.to_owned(), kind, ..Link::default() }
}

/// A host's main namespace: `br100` with these addresses, and these links beside.
fn host_netns(machine: &str, addresses: &[&str], links: Vec<Link>) -> Netns {
    let address = |net: &&str| Address::global(5, net.parse().unwrap());
    Netns {
        machine: machine.to_owned(),
        links: [vec![link(5, "br100", LinkKind::Bridge)], links].concat(),
        addresses: addresses.iter().map(address).collect(),
        ..Netns::default()
    }
}

fn site(hosts: &[&str], netns: Vec<Netns>) -> Snapshot {
    let host = |name: &&str| Host { name: (*name).to_owned(), role: "compute".to_owned(), ..Host::default() };
    Snapshot { hosts: hosts.iter().map(host).collect(), netns, ..Snapshot::default() }
}

fn domain(live: bool, target: Option<&str>) -> Domain {
    Domain {
        name: "instance-0000000a".to_owned(),
        uuid: Some(WEB1.to_owned()),
        live,
        file: "/etc/libvirt/qemu/instance-0000000a.xml".to_owned(),
        display_name: Some("Web 1".to_owned()),
        interfaces: vec![DomainInterface {
            kind: "bridge".to_owned(),
            mac: Some(mac(GUEST)),
            bridge: Some("br100".to_owned()),
            target: target.map(str::to_owned),
            ..DomainInterface::default()
        }],
        ..Domain::default()
    }
}

fn entry(name: &str, host: &str, last: u8) -> InstanceEntry {
    InstanceEntry {
        name: name.to_owned(),
        host: Some(host.to_owned()),
        device: Some("vnet1".to_owned()),
        mac: Some(mac(GUEST)),
        addresses: vec![ip(last)],
        floating: vec![[203, 0, 113, 101].into()],
        at_given: false,
    }
}

fn nova_dnsmasq(listen: &str) -> Dnsmasq {
    Dnsmasq {
        listen: vec![listen.parse().unwrap()],
        ranges: vec![DhcpRange {
            tag: None,
            start: ip(2),
            end: None,
            is_static: true,
            netmask: Some([255, 255, 255, 0].into()),
            lease_seconds: None,
        }],
        pid_file: Some("/var/lib/nova/networks/nova-br100.pid".to_owned()),
        ..Dnsmasq::default()
    }
}

fn queens() -> Records {
    sqlite_records(include_str!("fixtures/queens.sql"))
}

fn named<'i>(intent: &'i Intent, name: &str) -> &'i Instance {
    intent.instances.iter().find(|instance| instance.name == name).unwrap()
}

fn only_vif(instance: &Instance) -> &Vif {
    let [vif] = instance.vifs.as_slice() else { panic!("{:?}", instance.vifs) };
    vif
}

fn device_and_bridge(vif: &Vif) -> (Option<&str>, Option<&str>) {
    (vif.device.as_deref(), vif.bridge.as_deref())
}

#[test]
fn the_database_alone() {
    let intent = intent(Some(queens()), &site(&["compute1", "compute2"], Vec::new()), &[]);
    assert!(intent.from_database);
    assert!(intent.sources[0].starts_with("database sqlite:/"), "{:?}", intent.sources);
    assert_eq!(named(&intent, "web1").host, "compute1");
    let db1 = named(&intent, "db1");
    assert_eq!(db1.host, "compute2", "nova's full host name is the site's short one");
    assert_eq!(db1.floating().next().unwrap().host.as_deref(), Some("compute2"));
    assert_eq!(intent.networks[0].gateway_on("compute2"), Some(ip(4)));
    assert_eq!(device_and_bridge(&db1.vifs[1]), (None, Some("br101")));
    assert!(db1.vifs[1].source.starts_with("database sqlite:"), "{}", db1.vifs[1].source);
}

#[test]
fn a_host_in_other_letters_is_the_sites() {
    let mut records = queens();
    let web1 = records.instances.iter_mut().find(|instance| instance.name == "web1").unwrap();
    web1.recorded_host = Some("Compute1 ".to_owned());
    web1.host = "Compute1 ".to_owned();
    let found = |names: &[&str]| {
        let intent = intent(Some(records.clone()), &site(names, Vec::new()), &[]);
        named(&intent, "web1").recorded_host.clone()
    };
    assert_eq!(found(&["compute1", "compute2"]).as_deref(), Some("compute1"));
    // Of two that are called so neither is meant.
    assert_eq!(found(&["compute1", "COMPUTE1"]).as_deref(), Some("Compute1 "));
}

#[test]
fn nova_conf_says_by_which_name_nova_knows_a_host() {
    let mut snapshot = site(&["left", "right"], Vec::new());
    let values =
        [("host", "compute1"), ("flat_interface", "bond0")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    snapshot.hosts[1].nova = Some(NovaOptions { file: String::new(), values: BTreeMap::from(values) });
    let intent = intent(Some(queens()), &snapshot, &[]);
    assert_eq!(named(&intent, "web1").host, "right");
    assert_eq!(intent.networks[0].host_addresses[0], ("right".to_owned(), ip(3)));
    // The option wins over the row, for the flat network only.
    let lower: Vec<_> = intent.networks.iter().map(|n| n.bridge_interface.as_deref()).collect();
    assert_eq!(lower, [Some("bond0"), Some("eth1")]);
}

#[test]
fn libvirt_tells_the_tap_and_where_it_runs() {
    let mut snapshot = site(&["compute1", "compute2"], Vec::new());
    snapshot.hosts[0].domains = vec![domain(false, None)];
    snapshot.hosts[1].domains = vec![domain(true, Some("vnet7"))];
    let intent = intent(Some(queens()), &snapshot, &[]);
    assert_eq!(intent.instances.len(), 2);
    let web1 = named(&intent, "web1");
    assert_eq!(web1.host, "compute2", "the host where it is alive");
    let vif = only_vif(web1);
    assert_eq!(device_and_bridge(vif), (Some("vnet7"), Some("br100")));
    assert_eq!(vif.source, "/etc/libvirt/qemu/instance-0000000a.xml");
}

/// A move leaves the domain's file behind, and the other host may be out of reach.
#[test]
fn a_definition_that_does_not_run_does_not_tell_where_it_does() {
    let mut snapshot = site(&["compute1", "compute2"], Vec::new());
    snapshot.hosts[1].domains = vec![domain(false, None)];
    let host = |snapshot: &Snapshot| named(&intent(Some(queens()), snapshot, &[]), "web1").host.clone();
    assert_eq!(host(&snapshot), "compute2", "whether it runs there was not read");
    snapshot.hosts[1].running_domains = Some("/run/libvirt/qemu".to_owned());
    assert_eq!(host(&snapshot), "compute1", "as it is recorded");
}

#[test]
fn a_domain_without_a_row_is_an_instance() {
    let mut snapshot = site(&["compute1"], Vec::new());
    snapshot.hosts[0].domains = vec![domain(true, Some("vnet0"))];
    let mut dnsmasq = nova_dnsmasq("10.0.0.3");
    let line = DhcpHost { mac: mac(GUEST), hostname: None, ip: Some(ip(2)), ignored: false, line: 1 };
    dnsmasq.hosts = Some(vec![line]);
    snapshot.hosts[0].dnsmasq = vec![dnsmasq];
    let intent = intent(None, &snapshot, &[]);
    assert_eq!((intent.from_database, intent.sources), (false, vec!["libvirt".to_owned()]));
    let [web1] = intent.instances.as_slice() else { panic!("{:?}", intent.instances) };
    assert_eq!((web1.name.as_str(), web1.host.as_str(), web1.id), ("Web 1", "compute1", None));
    assert_eq!(web1.libvirt_name.as_deref(), Some("instance-0000000a"));
    let vif = only_vif(web1);
    assert_eq!(
        (vif.fixed.as_slice(), device_and_bridge(vif)),
        (&[ip(2)][..], (Some("vnet0"), Some("br100")))
    );
    // The bridge has no address at the moment; dnsmasq's command line still tells the network.
    let network = &intent.networks[vif.network.unwrap()];
    assert_eq!(network.cidr, Some("10.0.0.0/24".parse().unwrap()));
    assert_eq!((network.gateway_on("compute1"), network.dhcp_start), (Some(ip(3)), Some(ip(2))));
}

#[test]
fn taps_are_found_by_novas_name_then_by_mac() {
    let tap = Link { mac: Some(mac("fe:16:3e:00:00:10")), ..link(7, "vnet3", LinkKind::Tun) };
    // A bridge wears the lowest MAC of its ports, and is no tap for that.
    let bridge = Link { mac: Some(mac("fe:16:3e:00:00:10")), ..link(6, "br7", LinkKind::Bridge) };
    let netns = host_netns("compute1", &[], vec![bridge, tap.clone()]);
    let by_mac = intent(Some(queens()), &site(&["compute1"], vec![netns]), &[]);
    assert_eq!(device_and_bridge(only_vif(named(&by_mac, "web1"))), (Some("vnet3"), Some("br100")));

    let nic = link(8, "nicabcdef01-23", LinkKind::Tun);
    let netns = host_netns("compute1", &[], vec![tap, nic]);
    let by_name = intent(Some(queens()), &site(&["compute1"], vec![netns]), &[]);
    assert_eq!(only_vif(named(&by_name, "web1")).device.as_deref(), Some("nicabcdef01-23"));
}

#[test]
fn an_entry_fills_in_what_is_missing_and_contradicts_nothing() {
    let snapshot = site(&["compute1", "compute2"], Vec::new());
    let entry = InstanceEntry { at_given: true, ..entry("inside-web1", "compute2", 99) };
    let merged = intent(Some(queens()), &snapshot, &[entry]);
    assert_eq!(merged.instances.len(), 2);
    let web1 = named(&merged, "inside-web1");
    assert!(web1.entered, "and it has the name by which the snapshot knows its inside");
    assert_eq!((web1.host.as_str(), web1.uuid.as_deref()), ("compute1", Some(WEB1)));
    let vif = only_vif(web1);
    assert_eq!(vif.fixed, [ip(2), ip(5)]);
    assert_eq!(vif.device.as_deref(), Some("vnet1"));
    assert_eq!(web1.floating().count(), 1);
}

#[test]
fn entries_join_by_address_and_by_name() {
    let snapshot = site(&["compute1"], Vec::new());
    let address = InstanceEntry { mac: None, ..entry("other-name", "compute1", 5) };
    let name = InstanceEntry {
        mac: None,
        addresses: Vec::new(),
        device: Some("vnet9".to_owned()),
        ..entry("db1", "compute1", 0)
    };
    let merged = intent(Some(queens()), &snapshot, &[address, name]);
    assert_eq!(merged.instances.len(), 2);
    assert_eq!(only_vif(named(&merged, "web1")).device.as_deref(), Some("vnet1"));
    assert_eq!(named(&merged, "db1").vifs[0].device.as_deref(), Some("vnet9"));
}

#[test]
fn hosts_without_a_database_tell_their_network() {
    let netns = vec![
        host_netns("compute1", &["10.0.0.1/24"], Vec::new()),
        host_netns("compute2", &["10.0.0.4/24"], Vec::new()),
    ];
    let snapshot = site(&["compute1", "compute2"], netns);
    let second = InstanceEntry { mac: Some(mac("fa:16:3e:00:00:20")), ..entry("web2", "compute2", 12) };
    let merged = intent(None, &snapshot, &[entry("web1", "compute1", 11), second]);
    let [network] = merged.networks.as_slice() else { panic!("{:?}", merged.networks) };
    assert!(network.multi_host && !network.share_address);
    assert_eq!(network.cidr, Some("10.0.0.0/24".parse().unwrap()));
    assert_eq!(network.gateway_on("compute1"), Some(ip(1)));
    assert_eq!(network.gateway_on("compute2"), Some(ip(4)));
    for instance in &merged.instances {
        assert_eq!(device_and_bridge(only_vif(instance)), (Some("vnet1"), Some("br100")));
        assert_eq!(instance.floating().next().unwrap().address, Ipv4Addr::new(203, 0, 113, 101));
    }
}

#[test]
fn a_tap_in_the_wrong_bridge_does_not_change_what_is_meant() {
    let wrong = link(6, "br-wrong", LinkKind::Bridge);
    let tap = Link {
        mac: Some(mac("fe:16:3e:00:00:10")),
        master: Some(6),
        master_name: Some("br-wrong".to_owned()),
        ..link(7, "vnet1", LinkKind::Tun)
    };
    let netns = host_netns("compute1", &["10.0.0.1/24"], vec![wrong, tap]);
    let merged = intent(None, &site(&["compute1"], vec![netns]), &[entry("web1", "compute1", 11)]);
    assert_eq!(only_vif(&merged.instances[0]).bridge.as_deref(), Some("br100"));
}

#[test]
fn a_bridge_that_lost_its_address_is_known_by_what_is_left() {
    let bare = || host_netns("compute1", &[], Vec::new());
    let entry = entry("web1", "compute1", 11);

    let mut by_dnsmasq = site(&["compute1"], vec![bare()]);
    by_dnsmasq.hosts[0].dnsmasq = vec![nova_dnsmasq("10.0.0.1")];
    // Its files may be called by more than the bridge.
    let mut by_other_files = by_dnsmasq.clone();
    by_other_files.hosts[0].dnsmasq[0].pid_file = Some("/run/nova-br100-1.pid".to_owned());

    let mut inside = host_netns("web1", &["10.0.0.11/24"], Vec::new());
    inside.instance = true;
    inside.links[0].kind = LinkKind::Veth;
    inside.routes = vec![Route {
        nexthops: vec![Nexthop {
            via: Some("10.0.0.1".parse().unwrap()),
            link: 5,
            weight: 1,
            onlink: false,
            dead: false,
            linkdown: false,
        }],
        ..Route::new(TABLE_MAIN, "0.0.0.0/0".parse().unwrap(), RouteKind::Unicast)
    }];
    // Another host of the same flat network is no gateway for this one's instances.
    let other = host_netns("compute2", &["10.0.0.4/24"], Vec::new());
    let by_inside = site(&["compute1", "compute2"], vec![bare(), other, inside]);

    // Whether or not that other host has instances of its own.
    let neighbour = InstanceEntry { mac: None, ..self::entry("web2", "compute2", 12) };
    let cases = [
        (&by_dnsmasq, false, vec![]),
        (&by_other_files, false, vec![]),
        (&by_inside, true, vec![]),
        (&by_inside, true, vec![neighbour]),
    ];
    for (snapshot, at_given, others) in cases {
        let entries = [vec![InstanceEntry { at_given, ..entry.clone() }], others].concat();
        let merged = intent(None, snapshot, &entries);
        let vif = only_vif(&merged.instances[0]);
        assert_eq!(vif.bridge.as_deref(), Some("br100"));
        let network = &merged.networks[vif.network.unwrap()];
        assert_eq!(network.cidr, Some("10.0.0.0/24".parse().unwrap()));
        assert!(network.multi_host);
        assert_eq!(network.gateway_on("compute1"), Some(ip(1)));
    }
}

#[test]
fn a_single_network_host_is_recognised() {
    let netns =
        vec![host_netns("compute1", &[], Vec::new()), host_netns("netnode", &["10.0.0.1/24"], Vec::new())];
    let snapshot = site(&["compute1", "netnode"], netns);
    let merged = intent(None, &snapshot, &[entry("web1", "compute1", 11)]);
    let vif = only_vif(&merged.instances[0]);
    let network = &merged.networks[vif.network.unwrap()];
    assert_eq!((network.multi_host, network.host.as_deref()), (false, Some("netnode")));
    assert_eq!(network.gateway_on("compute1"), Some(ip(1)));
    assert_eq!(vif.bridge.as_deref(), Some("br100"));
}

#[test]
fn a_bridge_of_another_subnet_is_no_guess() {
    let netns = host_netns("compute1", &["172.17.0.1/16"], Vec::new());
    let merged = intent(None, &site(&["compute1"], vec![netns]), &[entry("web1", "compute1", 11)]);
    let vif = only_vif(&merged.instances[0]);
    assert_eq!((vif.network, vif.bridge.as_deref()), (None, None));
}

#[test]
fn nothing_known_is_an_empty_intent() {
    assert_eq!(intent(None, &Snapshot::default(), &[]), Intent::default());
}

/// `networks.cidr_v6` tells of which bits the instances make their addresses; nova.conf, whether they are to.
#[test]
fn a_nic_makes_its_ipv6_address_where_nova_uses_ipv6() {
    let sql = format!(
        "{} ALTER TABLE networks ADD COLUMN cidr_v6; UPDATE networks SET cidr_v6 = 'fd00:1::/64' WHERE id = 1;",
        include_str!("fixtures/queens.sql")
    );
    let made = |options: &[(&str, &str)]| {
        let mut snapshot = site(&["compute1", "compute2"], Vec::new());
        let values = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        snapshot.hosts[0].nova = Some(NovaOptions { file: String::new(), values });
        let intent = intent(Some(sqlite_records(&sql)), &snapshot, &[]);
        assert_eq!(intent.networks[0].cidr_v6, "fd00:1::/64".parse().ok());
        let of_db1: Vec<_> = named(&intent, "db1").vifs.iter().map(|vif| vif.made_v6).collect();
        assert_eq!(
            of_db1,
            [None, None],
            "no nova.conf of its host was read, and its second network has no range"
        );
        only_vif(named(&intent, "web1")).made_v6.map(|ip| ip.to_string())
    };
    let of_its_mac = Some("fd00:1::f816:3eff:fe00:10".to_owned());
    assert_eq!(made(&[("use_ipv6", "True")]), of_its_mac);
    assert_eq!(made(&[("use_ipv6", "true"), ("ipv6_backend", "rfc2462")]), of_its_mac);
    assert_eq!(made(&[("use_ipv6", "True"), ("ipv6_backend", "account_identifier")]), None);
    assert_eq!(made(&[("use_ipv6", "False")]), None);
    assert_eq!(made(&[]), None, "nova's default");
}
