//! Forwarding databases against `bridge fdb`, and ports against `bridge -d link`.

use model::link::{FdbEntry, FdbKind};
use model::{Mac, Netns};
use serde_json::{Value, json};

use crate::canonical::{assert_same, has_flag, list, name};
use crate::scratch::Scratch;

const FLAGS: [&str; 7] = ["hairpin", "learning", "flood", "mcast_flood", "bcast_flood", "isolated", "locked"];

/// A bridge with three ports and a VXLAN link.
fn bridged() -> Scratch {
    let scratch = Scratch::new("br");
    scratch
        .ip("link add br0 type bridge")
        .ip("link add p1 type veth peer name q1")
        .ip("link add p2 type veth peer name q2")
        .ip("link add p3 type veth peer name q3")
        .ip("link add vx0 type vxlan id 7 dstport 4789 local 10.0.0.1");
    for port in ["p1", "p2", "p3", "vx0"] {
        scratch.ip(&format!("link set {port} master br0 up"));
    }
    scratch.ip("link set br0 up").ip("link set q1 up").ip("link set q2 up");
    scratch
}

#[test]
fn every_fdb_entry_is_as_bridge_tells_it() {
    let scratch = bridged();
    scratch.wait_for_forwarding("p2");
    scratch
        .bridge("fdb add 02:00:00:00:00:01 dev p1 master static")
        .bridge("fdb add 02:00:00:00:00:02 dev p2 master dynamic")
        .bridge("fdb add 02:00:00:00:00:03 dev p3 master sticky static")
        .bridge("fdb add 02:00:00:00:00:04 dev p3 master permanent")
        .bridge("fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.9")
        .bridge("fdb add 02:00:00:00:00:05 dev vx0 dst 10.0.0.10")
        .bridge("fdb add 02:00:00:00:00:06 dev p1 self")
        .bridge("fdb append 02:00:00:00:00:07 dev vx0 dst 10.0.0.11 port 4790 vni 9 via q2");
    let (told, netns) = scratch.settled(|scratch| scratch.bridge_json("fdb"));
    let read: Vec<Value> = netns.fdb.iter().map(|entry| read_entry(&netns, entry)).collect();
    assert_same("FDB entries", &list(&told).iter().map(told_entry).collect::<Vec<_>>(), &read);
}

#[test]
fn every_port_is_as_bridge_tells_it() {
    let scratch = bridged();
    scratch
        .bridge("link set dev p1 hairpin on learning off")
        .bridge("link set dev p2 flood off mcast_flood off isolated on")
        .bridge("link set dev p3 bcast_flood off locked on")
        .bridge("link set dev vx0 state 4");
    let (told, netns) = scratch.settled(|scratch| scratch.bridge_json("-d link"));
    let told = list(&told).iter().map(|port| {
        let flags = FLAGS.map(|flag| port[flag].clone());
        json!({ "port": port["ifname"], "bridge": port["master"], "state": port["state"], "flags": flags })
    });
    let ports = netns.links.iter().filter_map(|link| Some((link, link.port?)));
    let read = ports.map(|(link, p)| {
        let flags = [p.hairpin, p.learning, p.flood, p.mcast_flood, p.bcast_flood, p.isolated, p.locked];
        json!({ "port": link.name, "bridge": link.master_name, "state": p.state, "flags": flags })
    });
    assert_same("bridge ports", &told.collect::<Vec<_>>(), &read.collect::<Vec<_>>());
}

#[test]
fn unfinished_checksums_are_as_ethtool_tells_them() {
    let scratch = bridged();
    for (setting, leaves) in [("off", false), ("on", true)] {
        scratch.run(&format!("ethtool -K br0 tx {setting}"));
        assert!(scratch.text("ethtool -k br0").contains(&format!("tx-checksumming: {setting}")));
        let netns = scratch.read();
        let bridge = netns.link_named("br0").unwrap();
        assert_eq!(bridge.leaves_checksums, Some(leaves));
        assert_eq!(netns.link_named("p1").unwrap().leaves_checksums, None, "asked of bridges only");
    }
}

fn told_entry(entry: &Value) -> Value {
    let kind = match entry["state"].as_str() {
        Some("permanent") => "local",
        Some("static") => "static",
        _ => "learned",
    };
    json!({
        "mac": entry["mac"], "link": entry["ifname"], "kind": kind, "vlan": entry["vlan"],
        "sticky": has_flag(entry, "sticky"), "self": has_flag(entry, "self"), "remote": entry["dst"],
        "port": entry["port"], "vni": entry["vni"], "via": entry["viaIf"],
    })
}

fn read_entry(netns: &Netns, entry: &FdbEntry) -> Value {
    let FdbEntry { mac, link, vlan, kind, sticky, remote, on_self } = entry;
    let kind = match kind {
        FdbKind::Local => "local",
        FdbKind::Static => "static",
        FdbKind::Learned => "learned",
    };
    json!({
        "mac": Mac::to_string(mac), "link": name(netns, *link), "kind": kind, "vlan": vlan,
        "sticky": sticky, "self": on_self, "remote": remote.map(|remote| remote.ip),
        "port": remote.and_then(|remote| remote.port), "vni": remote.and_then(|remote| remote.vni),
        "via": remote.and_then(|remote| remote.via).map(|link| name(netns, link)),
    })
}
