//! Links against `ip -s -d link`, and their settings against /proc/sys.

use model::Netns;
use model::link::{Link, LinkKind};
use serde_json::{Value, json};

use crate::canonical::{assert_same, has_flag, list, name, text};
use crate::scratch::Scratch;

/// The settings that are listed with each link rather than read from its files.
const SETTINGS: [&str; 9] = [
    "forwarding",
    "rp_filter",
    "accept_local",
    "arp_ignore",
    "arp_filter",
    "proxy_arp",
    "src_valid_mark",
    "route_localnet",
    "ignore_routes_with_linkdown",
];

const SETTINGS_V6: [&str; 9] = [
    "disable_ipv6",
    "force_forwarding",
    "forwarding",
    "hop_limit",
    "ignore_routes_with_linkdown",
    "mtu",
    "proxy_ndp",
    "use_oif_addrs_only",
    "use_tempaddr",
];

#[test]
fn every_link_is_as_ip_tells_it() {
    let (here, there) = (Scratch::new("link"), Scratch::new("link"));
    here.ip("link set lo up")
        .ip("link add br0 type bridge stp_state 1 forward_delay 1500")
        .ip("link add br1 type bridge forward_delay 0")
        .ip(&format!("link add v0 type veth peer name v1 netns {}", there.name))
        .ip("link add va type veth peer name vb")
        .ip("link add ifb9 type ifb")
        .ip("link add vx0 type vxlan id 7 dstport 4789 local 10.0.0.1")
        .ip("link add vx1 type vxlan id 8 dstport 8472 local 10.0.0.1 remote 10.0.0.3 dev va nolearning proxy")
        .ip("link add vx2 type vxlan id 9 dstport 4791 group 239.1.1.1 dev vb rsc")
        .ip("link add vx3 type vxlan id 10 dstport 4792 local 2001:db8::1 remote 2001:db8::3")
        .ip("link add vx4 type vxlan external dstport 4793")
        .ip("tuntap add dev tap0 mode tap")
        .ip("tuntap add dev tun0 mode tun")
        .ip("link set v0 master br0 mtu 1400")
        .ip("link set va master br1 promisc on")
        .ip("link set tap0 master br1 up")
        .ip("link set br0 up")
        .ip("link set br1 up")
        .ip("link set va up")
        .ip("link set vb up");
    there.ip("link set v1 up");
    let (told, netns) = here.settled(|here| without_timers(here.ip_json("-s -d link")));
    assert_same(
        "links",
        &list(&told).iter().map(told_link).collect::<Vec<_>>(),
        &netns.links.iter().map(|link| read_link(&netns, link)).collect::<Vec<_>>(),
    );
}

/// Its outer packets stay in the namespace that it was made in.
#[test]
fn a_vxlan_device_made_elsewhere_is_not_said_to_send_here() {
    let (here, there) = (Scratch::new("vxm"), Scratch::new("vxm"));
    there
        .ip("link add vx0 type vxlan id 7 dstport 4789 local 10.0.0.1")
        .ip(&format!("link set vx0 netns {}", here.name));
    let netns = here.read();
    let vxlan = netns.link_named("vx0").and_then(|link| link.vxlan).expect("a VXLAN device");
    assert_eq!((vxlan.vni, vxlan.port), (7, 4789));
    assert_ne!(vxlan.underlay_netns, netns.inode);
}

#[test]
fn every_setting_of_every_link_is_as_its_file_says() {
    let scratch = Scratch::new("conf");
    scratch.ip("link add br0 type bridge").ip("link add va type veth peer name vb");
    for (number, setting) in SETTINGS.iter().enumerate() {
        let link = ["lo", "br0", "va", "vb", "all", "default"][number % 6];
        scratch.run(&format!("sysctl -q -w net.ipv4.conf.{link}.{setting}=1"));
    }
    for (number, setting) in SETTINGS_V6.iter().enumerate() {
        let link = ["lo", "br0", "va", "vb"][number % 4];
        let value = if *setting == "mtu" { 1400 } else { 1 };
        scratch.run(&format!("sysctl -q -w net.ipv6.conf.{link}.{setting}={value}"));
    }
    scratch
        .run("sysctl -q -w net.ipv6.conf.vb.hop_limit=33")
        .run("sysctl -q -w net.ipv6.conf.all.proxy_ndp=1");
    scratch.run("sysctl -q -w net.ipv4.ip_forward=1").run("sysctl -q -w net.ipv4.conf.br0.forwarding=0");
    let read = scratch.read().sysctls;
    let links = ["lo", "br0", "va", "vb", "all", "default"];
    let of_links =
        links.iter().flat_map(|link| SETTINGS.map(|setting| format!("ipv4.conf.{link}.{setting}")));
    let of_v6 = links[..4].iter().flat_map(|link| SETTINGS_V6.map(|what| format!("ipv6.conf.{link}.{what}")));
    let of_all_v6 = ["disable_ipv6", "forwarding", "proxy_ndp"].map(|what| format!("ipv6.conf.all.{what}"));
    let global = [
        "ipv4.ip_forward",
        "bridge.bridge-nf-call-iptables",
        "bridge.bridge-nf-call-arptables",
        "bridge.bridge-nf-call-ip6tables",
        "ipv6.icmp.echo_ignore_all",
        "ipv6.icmp.echo_ignore_anycast",
    ];
    let names: Vec<String> =
        of_links.chain(of_v6).chain(of_all_v6).chain(global.map(str::to_owned)).collect();
    let told = names.iter().map(|name| json!([name, scratch.text(&format!("sysctl -n net.{name}")).trim()]));
    let read = names.iter().map(|name| json!([name, read.get(name)]));
    assert_same("sysctls", &told.collect::<Vec<_>>(), &read.collect::<Vec<_>>());
}

/// Timers of bridges run down between any two readings.
fn without_timers(mut links: Value) -> Value {
    for link in links.as_array_mut().expect("a list") {
        for part in ["info_data", "info_slave_data"] {
            if let Some(settings) = link["linkinfo"][part].as_object_mut() {
                settings.retain(|name, _| !name.ends_with("_timer"));
            }
        }
    }
    links
}

fn told_link(link: &Value) -> Value {
    let info = &link["linkinfo"];
    let is_ether = link["link_type"] == "ether";
    json!({
        "index": link["ifindex"], "name": link["ifname"], "mtu": link["mtu"], "qdisc": link["qdisc"],
        "kind": if link["link_type"] == "loopback" { "loopback" } else { text(info, "info_kind") },
        "up": has_flag(link, "UP"), "carrier": has_flag(link, "LOWER_UP"),
        "promisc": has_flag(link, "PROMISC"),
        "state": link["operstate"], "master": link["master"], "xdp": !link["xdp"].is_null(),
        "mac": if is_ether { link["address"].clone() } else { Value::Null },
        "bridge": told_bridge(info), "port": told_port(info), "stats": told_stats(&link["stats64"]),
        "vxlan": told_vxlan(info),
    })
}

fn told_bridge(info: &Value) -> Value {
    if info["info_kind"] != "bridge" {
        return Value::Null;
    }
    let data = &info["info_data"];
    json!([data["stp_state"] != 0, data["forward_delay"], data["vlan_filtering"] != 0])
}

/// A far end is a `remote` or a `group`, and those of IPv6 have names of their own.
fn told_vxlan(info: &Value) -> Value {
    if info["info_kind"] != "vxlan" {
        return Value::Null;
    }
    let data = &info["info_data"];
    let any_of = |keys: &[&str]| keys.iter().map(|key| data[*key].clone()).find(|value| !value.is_null());
    let remote = any_of(&["remote", "group", "remote6", "group6"]);
    let local = any_of(&["local", "local6"]);
    let external = data["external"] == true;
    let answers_itself = data["proxy"] == true || data["rsc"] == true;
    json!([data["id"], local, remote, data["link"], data["port"], data["learning"], answers_itself, external])
}

fn told_port(info: &Value) -> Value {
    if info["info_slave_kind"] != "bridge" {
        return Value::Null;
    }
    let data = &info["info_slave_data"];
    let flags = ["hairpin", "learning", "flood", "mcast_flood", "bcast_flood", "isolated", "locked"];
    json!([data["state"], flags.map(|flag| data[flag].clone())])
}

fn told_stats(stats: &Value) -> Value {
    let both = |what| [stats["rx"][what].clone(), stats["tx"][what].clone()];
    json!([both("packets"), both("bytes"), both("errors"), both("dropped")])
}

fn read_link(netns: &Netns, link: &Link) -> Value {
    let kind = match &link.kind {
        LinkKind::Physical => "",
        LinkKind::Loopback => "loopback",
        LinkKind::Bridge => "bridge",
        LinkKind::Veth => "veth",
        LinkKind::Tun => "tun",
        LinkKind::Vlan => "vlan",
        LinkKind::Vxlan => "vxlan",
        LinkKind::Bond => "bond",
        LinkKind::Dummy => "dummy",
        LinkKind::Other(name) => name,
    };
    let port = link.port.map(|p| {
        json!([p.state, [p.hairpin, p.learning, p.flood, p.mcast_flood, p.bcast_flood, p.isolated, p.locked]])
    });
    let stats = link.stats.map(|s| {
        json!([
            [s.rx_packets, s.tx_packets],
            [s.rx_bytes, s.tx_bytes],
            [s.rx_errors, s.tx_errors],
            [s.rx_dropped, s.tx_dropped]
        ])
    });
    let vxlan = link.vxlan.map(|v| {
        assert_eq!(v.underlay_netns, netns.inode, "{} was made here", link.name);
        let underlay = v.underlay.map(|index| name(netns, index));
        json!([v.vni, v.local, v.remote, underlay, v.port, v.learning, v.answers_itself, v.external])
    });
    json!({
        "index": link.index, "name": link.name, "mtu": link.mtu, "qdisc": link.qdisc, "kind": kind,
        "up": link.admin_up, "carrier": link.carrier, "promisc": link.promiscuous,
        "state": link.operstate, "master": link.master_name, "xdp": link.xdp,
        "mac": link.mac.map(|mac| mac.to_string()),
        "bridge": link.bridge.map(|b| json!([b.stp, b.forward_delay_cs, b.vlan_filtering])),
        "port": port, "stats": stats, "vxlan": vxlan,
    })
}
