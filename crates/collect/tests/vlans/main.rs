//! VLAN devices and vlan-aware bridges against `ip -d link` and `bridge vlan`. Needs root.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's helper fails by panicking")]

#[path = "../differential/canonical.rs"]
#[expect(dead_code, reason = "shared with the tests of everything else")]
mod canonical;
#[path = "../differential/scratch.rs"]
#[expect(dead_code, reason = "shared with the tests of everything else")]
mod scratch;

use model::Netns;
use model::link::Link;
use model::vlan::BridgeVlans;
use serde_json::{Value, json};

use canonical::{assert_same, list, name};
use plumbing::Namespace;
use scratch::Scratch;
use sys::netns::NetnsFd;
use vm::{Feature, KernelWith};

static VLANS: KernelWith = KernelWith::new(&[Feature::Vlan, Feature::NoOthers], &[]);

#[test]
fn with_vlans_every_vlan_device_is_as_ip_tells_it() {
    VLANS.run(|| {
        let (here, there) = (Scratch::new("vlan"), Scratch::new("vlan"));
        here.ip("link add eth1 type dummy")
            .ip("link add link eth1 name q7 type vlan protocol 802.1ad id 7 reorder_hdr off")
            .ip("link add link q7 name inner type vlan id 4094 loose_binding on")
            .ip("link add br0 type bridge")
            .ip("link add link br0 name br0.5 type vlan id 5")
            .ip("link add link eth1 name away type vlan id 8")
            .ip(&format!("link set away netns {}", there.name));
        let mut ns = Namespace::new(here.name.clone(), NetnsFd::named(&here.name).unwrap()).unwrap();
        plumbing::vlan::create(&mut ns, "vlan100", "eth1", 100).unwrap();
        let (told, netns) = here.settled(|here| here.ip_json("-d link"));
        let told = list(&told).iter().filter(|link| link["linkinfo"]["info_kind"] == "vlan");
        let told: Vec<Value> = told.map(told_device).collect();
        let read: Vec<Value> = netns.links.iter().filter_map(|link| read_device(&netns, link)).collect();
        assert_eq!(read.len(), 4);
        assert_same("VLAN devices", &told, &read);
        // Its lower link stayed behind.
        let plans = [here.plan(), there.plan()];
        let both = collect::site(&plans).snapshot.netns;
        let away = both[1].link_named("away").unwrap();
        let lower = away.peer.unwrap();
        assert_eq!(lower.netns, both[0].inode);
        assert_eq!(both[0].link_name(lower.index), "eth1");
    });
}

fn told_device(link: &Value) -> Value {
    let data = &link["linkinfo"]["info_data"];
    let flags = data["flags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |flag: &str| flags.iter().any(|f| f == flag);
    json!([
        link["ifname"],
        link["link"],
        data["id"],
        data["protocol"],
        has("REORDER_HDR"),
        has("LOOSE_BINDING")
    ])
}

fn read_device(netns: &Netns, link: &Link) -> Option<Value> {
    let vlan = link.vlan?;
    let lower = name(netns, link.peer.expect("it has a lower link").index);
    Some(json!([link.name, lower, vlan.id, vlan.protocol, vlan.reorder_header, vlan.loose_binding]))
}

#[test]
fn with_vlans_every_bond_is_as_ip_tells_it() {
    VLANS.run(|| {
        let scratch = Scratch::new("bond");
        for (bond, mode) in [("bond0", "active-backup"), ("bond1", "802.3ad"), ("bond2", "balance-alb")] {
            scratch.ip(&format!("link add {bond} type bond miimon 50 mode {mode}"));
            for slave in ["a", "b"] {
                let slave = format!("{bond}{slave}");
                scratch
                    .ip(&format!("link add {slave} type veth peer name {slave}-far"))
                    .ip(&format!("link set {slave} master {bond}"))
                    .ip(&format!("link set {slave}-far up"));
            }
            scratch.ip(&format!("link set {bond} up"));
        }
        let (told, netns) = scratch.settled(|scratch| scratch.ip_json("-d link"));
        let told: Vec<Value> = list(&told).iter().filter_map(told_bond).collect();
        let read: Vec<Value> = netns.links.iter().filter_map(read_bond).collect();
        assert_eq!(read.len(), 9);
        assert_same("bonds", &told, &read);
    });
}

fn told_bond(link: &Value) -> Option<Value> {
    let info = &link["linkinfo"];
    if info["info_kind"] == "bond" {
        let (data, agreed) = (&info["info_data"], &info["info_data"]["ad_info"]);
        return Some(json!([link["ifname"], data["mode"], agreed["aggregator"], agreed["partner_mac"]]));
    }
    let data = &info["info_slave_data"];
    let slave = || {
        json!([
            link["ifname"],
            data["mii_status"] == "UP",
            data["state"] == "ACTIVE",
            data["ad_aggregator_id"].clone()
        ])
    };
    (info["info_slave_kind"] == "bond").then(slave)
}

fn read_bond(link: &Link) -> Option<Value> {
    if let Some(bond) = link.bond {
        let partner = bond.partner.map(|mac| mac.to_string());
        return Some(json!([link.name, bond.mode.name(), bond.aggregator, partner]));
    }
    let slave = link.bond_slave?;
    Some(json!([link.name, slave.is_up, slave.is_active, slave.aggregator]))
}

#[test]
fn with_vlans_every_vlan_of_every_port_is_as_bridge_tells_it() {
    VLANS.run(|| {
        let scratch = Scratch::new("brvlan");
        scratch
            .ip("link add br0 type bridge vlan_filtering 1 vlan_default_pvid 9")
            .ip("link add br1 type bridge vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 0")
            .ip("link add br2 type bridge");
        for (port, bridge) in [("p1", "br0"), ("p2", "br0"), ("p3", "br1"), ("p4", "br2"), ("p5", "br0")] {
            scratch
                .ip(&format!("link add {port} type dummy"))
                .ip(&format!("link set {port} master {bridge}"));
        }
        scratch
            .bridge("vlan add vid 100-110 dev p1")
            .bridge("vlan add vid 105 dev p1 pvid untagged")
            .bridge("vlan add vid 20 dev p2 untagged")
            .bridge("vlan add vid 21 dev p2 pvid")
            .bridge("vlan add vid 100 dev br0 self")
            .bridge("vlan add vid 30-33 dev br0 self untagged")
            .bridge("vlan add vid 2-4094 dev p3")
            .bridge("vlan add vid 7 dev p3 pvid untagged");
        // Neighbours that differ are no range.
        for id in 1..12 {
            let flags = if id % 2 == 0 { "untagged" } else { "" };
            scratch.bridge(&format!("vlan add vid {id} dev p5 {flags}"));
        }
        let (told, netns) = scratch.settled(|scratch| scratch.bridge_json("vlan show"));
        let told: Vec<Value> = list(&told).iter().flat_map(told_vlans).collect();
        let read: Vec<Value> =
            netns.links.iter().flat_map(|l| l.bridge_vlans.iter().flat_map(|v| read_vlans(l, *v))).collect();
        assert!(read.len() > 4000, "{}", read.len());
        assert_same("VLANs of ports", &told, &read);
        let (told, netns) = scratch.settled(|scratch| scratch.ip_json("-d link show type bridge"));
        let told = list(&told).iter().map(|bridge| {
            let data = &bridge["linkinfo"]["info_data"];
            let filtering = data["vlan_filtering"] == 1;
            json!([bridge["ifname"], filtering, data["vlan_protocol"], data["vlan_default_pvid"]])
        });
        let read = netns.links.iter().filter_map(|link| {
            let bridge = link.bridge?;
            Some(json!([link.name, bridge.vlan_filtering, bridge.vlan_protocol, bridge.default_pvid]))
        });
        assert_same("bridges", &told.collect::<Vec<_>>(), &read.collect::<Vec<_>>());
    });
}

/// One line a VLAN, whatever ranges either side makes.
fn told_vlans(port: &Value) -> Vec<Value> {
    let vlans = port["vlans"].as_array().unwrap();
    let each = vlans.iter().flat_map(|vlan| {
        let low = vlan["vlan"].as_u64().unwrap();
        let high = vlan["vlanEnd"].as_u64().unwrap_or(low);
        let flags = vlan["flags"].as_array().map(Vec::as_slice).unwrap_or_default();
        let has = |flag: &str| flags.iter().any(|f| f == flag);
        let (pvid, untagged) = (has("PVID"), has("Egress Untagged"));
        (low..=high).map(move |id| json!([port["ifname"], id, pvid, untagged]))
    });
    each.collect()
}

fn read_vlans(link: &Link, vlans: BridgeVlans) -> impl Iterator<Item = Value> {
    (vlans.low..=vlans.high).map(move |id| json!([link.name, id, vlans.pvid, vlans.untagged]))
}
