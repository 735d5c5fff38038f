//! What strangers named stays one value of one line; that the files agree with the tools is tested on real namespaces.

use cloud::Records;
use model::Mac;
use model::intent::{Floating, Instance, LeakedFixed, Network, Remains, TiedFloating, Vif};
use model::link::{FdbEntry, FdbKind, Link, LinkKind};
use model::service::Process;
use model::snapshot::Host;
use model::vxlan::{VxlanDevice, VxlanRemote};

use super::*;

const HOSTILE: &str = "a\"\n-,\u{1b}[31m b";

#[test]
fn lists_are_json_with_an_object_a_line() {
    let named = |index, name: &str| Link { index, name: name.to_owned(), ..Link::default() };
    let ns = Netns { links: vec![named(1, HOSTILE), named(2, "eth0")], ..Netns::default() };
    let text = lines(&links::links(&ns));
    assert_eq!(text.lines().count(), 2);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read[0]["ifname"], HOSTILE);
    assert_eq!(read[1]["linkinfo"], Value::Null);
    assert_eq!(lines(&[]), "[]\n");
}

#[test]
fn kinds_are_the_kernels_words() {
    for word in ["bridge", "veth", "tun", "vlan", "vxlan", "bond", "dummy", "ifb"] {
        let link = Link { kind: LinkKind::from_kernel(word), ..Link::default() };
        let listed = links::links(&Netns { links: vec![link], ..Netns::default() });
        assert_eq!(listed[0]["linkinfo"]["info_kind"], word);
    }
}

#[test]
fn a_vxlan_device_and_its_entries_are_as_ip_and_bridge_print_them() {
    let ip = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    let device = |remote, underlay_netns| {
        let remote = Some(ip(remote));
        Some(VxlanDevice {
            vni: 100,
            remote,
            port: 4789,
            underlay: Some(1),
            underlay_netns,
            ..VxlanDevice::default()
        })
    };
    let link = |index, name: &str, vxlan| Link {
        index,
        name: name.to_owned(),
        kind: LinkKind::Vxlan,
        vxlan,
        ..Link::default()
    };
    let remote = VxlanRemote { ip: ip("10.0.0.10"), port: Some(4790), vni: Some(9), via: Some(1) };
    let ns = Netns {
        inode: Some(7),
        links: vec![
            Link { index: 1, name: "eth0".to_owned(), ..Link::default() },
            link(2, "vx0", device("10.0.0.3", Some(7))),
            link(3, "vx1", device("ff05::100", Some(8))),
        ],
        fdb: vec![FdbEntry {
            mac: model::Mac([2, 0, 0, 0, 0, 5]),
            link: 2,
            vlan: None,
            kind: FdbKind::Local,
            sticky: false,
            remote: Some(remote),
            on_self: true,
        }],
        ..Netns::default()
    };
    let listed = links::links(&ns);
    assert_eq!(
        listed[1]["linkinfo"]["info_data"],
        serde_json::json!({ "id": 100, "remote": "10.0.0.3", "link": "eth0", "port": 4789, "learning": true })
    );
    assert_eq!(
        listed[2]["linkinfo"]["info_data"],
        serde_json::json!({ "id": 100, "group6": "ff05::100", "link_index": 1, "port": 4789, "learning": true })
    );
    assert_eq!(
        bridges::fdb(&ns)[0],
        serde_json::json!({
            "mac": "02:00:00:00:00:05", "ifname": "vx0", "dst": "10.0.0.10", "port": 4790, "vni": 9,
            "viaIf": "eth0", "flags": ["self"], "state": "permanent",
        })
    );
}

#[test]
fn a_command_line_stays_one_line() {
    let argv = vec!["dnsmasq".to_owned(), String::new(), HOSTILE.to_owned()];
    let process =
        Process { pid: 7, user: "nobody".to_owned(), state: "S".to_owned(), argv, ..Process::default() };
    let text = services::processes(&Host { processes: vec![process], ..Host::default() });
    let expected = "nobody 7 S dnsmasq \"\" \"a\\\"\\n-,\\u{1b}[31m b\"";
    assert_eq!(text.lines().collect::<Vec<_>>(), ["USER PID STAT COMMAND", expected]);
}

#[test]
fn a_cell_stays_one_cell() {
    let instance =
        Instance { id: Some(1), name: HOSTILE.to_owned(), host: "c".to_owned(), ..Instance::default() };
    let [(file, text), ..] = records::tables(&Records { instances: vec![instance], ..Records::default() });
    assert_eq!(file, "instances.csv");
    assert_eq!(text, "id,uuid,name,host,vm_state,project\n1,,\"a\"\"\n-,\u{1b}[31m b\",c,,\n");
}

/// What a person looks up in `fixed_ips` and `floating_ips` is there also where its instance is not any more.
#[test]
fn addresses_of_the_living_and_the_dead_are_in_the_tables() {
    let network = Network { label: "net".to_owned(), ..Network::default() };
    let mac: Mac = "fa:16:3e:00:00:11".parse().unwrap();
    let [own, leaked] = [11, 12].map(|last| std::net::Ipv4Addr::new(10, 0, 2, last));
    let vif = Vif { mac: Some(mac), network: Some(0), fixed: vec![own], ..Vif::default() };
    let instance = Instance { name: "web1".to_owned(), vifs: vec![vif], ..Instance::default() };
    let fixed = LeakedFixed {
        id: 7,
        address: leaked,
        network: Some(0),
        allocated: true,
        leased: false,
        instance: Some("8d7b".to_owned()),
        name: Some("web2".to_owned()),
    };
    let outside = std::net::Ipv4Addr::new(203, 0, 113, 20);
    let floating = TiedFloating {
        id: 3,
        floating: Floating { id: None, address: outside, fixed: leaked, host: Some("compute1".to_owned()) },
        fixed_id: 7,
        instance: None,
        name: None,
    };
    let records = Records {
        instances: vec![instance],
        networks: vec![network],
        vif_uuids: [(mac, "uuid-1".to_owned())].into(),
        remains: Remains { fixed: vec![fixed], floating: vec![floating], ..Remains::default() },
        ..Records::default()
    };
    let tables = records::tables(&records);
    let rows = |name: &str| tables.iter().find(|(file, _)| *file == name).unwrap().1.lines().nth(1).unwrap();
    assert_eq!(rows("fixed_ips.csv"), "10.0.2.11,net,web1,fa:16:3e:00:00:11");
    assert_eq!(rows("virtual_interfaces.csv"), "web1,fa:16:3e:00:00:11,net,10.0.2.11,uuid-1");
    assert_eq!(rows("left_fixed_ips.csv"), "7,10.0.2.12,net,true,false,8d7b,web2");
    assert_eq!(rows("left_floating_ips.csv"), "3,203.0.113.20,10.0.2.12,7,compute1,,");
}
