//! VLAN devices, tagged frames, and bridges that keep VLANs apart.
//!
//! ```text
//! g1 eth0 10.0.0.11 -- tap1 br1 -- vlan100 -- trunk0 h ---- p1 sw br0 p2 ---- trunk0 k -- vlan100 10.0.0.2
//! ```

use model::link::{FdbKind, LinkKind, Peer};
use model::netfilter::Dialect;
use model::path::{Disposition, Stage, Stop};
use model::vlan::{BridgeVlans, VlanDevice, VlanProtocol};
use sim::Answer;

use crate::cloud::{Cloud, rule_of, unknown, way};
use model::path::Direction;

const K: &str = "10.0.0.2";
const K_MAC: &str = "02:00:00:00:0c:01";

impl Cloud {
    fn vlan(&mut self, name: &str, lower: &str, device: &str, id: u16) {
        let (index, netns) = (self.index(name, lower), self.ns(name).inode);
        let own = self.link(name, lower).mac.unwrap();
        self.bridge(name, device, &own.to_string());
        let link = self.link(name, device);
        (link.kind, link.bridge) = (LinkKind::Vlan, None);
        link.vlan = Some(VlanDevice::of(id));
        link.peer = Some(Peer { index, netns });
    }

    fn tag(&mut self, name: &str, device: &str) -> &mut VlanDevice {
        self.link(name, device).vlan.as_mut().unwrap()
    }

    /// The switch's port is in these VLANs, tagged.
    fn trunk(&mut self, port: &str, ids: &[u16]) {
        let only = |id: &u16| BridgeVlans { low: *id, high: *id, untagged: false, pvid: false };
        self.link("sw", port).bridge_vlans = ids.iter().map(only).collect();
    }

    /// The switch's port is in this VLAN alone, without tags.
    fn access(&mut self, port: &str, id: u16) {
        let only = BridgeVlans { low: id, high: id, untagged: true, pvid: true };
        self.link("sw", port).bridge_vlans = vec![only];
    }
}

fn trunked() -> Cloud {
    let mut cloud = Cloud::new();
    for name in ["sw", "k"] {
        cloud.machine(name);
    }
    cloud.bridge("sw", "br0", "02:00:00:00:0d:00");
    cloud.link("sw", "br0").bridge.as_mut().unwrap().vlan_filtering = true;
    cloud.cable(("h", "trunk0", "02:00:00:00:0a:01"), ("sw", "p1", "02:00:00:00:0d:01"));
    cloud.cable(("k", "trunk0", K_MAC), ("sw", "p2", "02:00:00:00:0d:02"));
    for port in ["p1", "p2"] {
        cloud.enslave("sw", port, "br0");
        cloud.trunk(port, &[100]);
    }
    cloud.vlan("h", "trunk0", "vlan100", 100);
    cloud.vlan("k", "trunk0", "vlan100", 100);
    cloud.enslave("h", "vlan100", "br1");
    cloud.address("k", "vlan100", "10.0.0.2/24");
    cloud
}

/// Where and why the question for a neighbour is lost; it must be.
fn lost(answer: &Answer) -> (String, Stop) {
    let arp = &answer.paths[0];
    let (hop, stop) = arp.stop().unwrap_or_else(|| panic!("it was to be lost: {arp:#?}"));
    (format!("{}/{}", hop.at.host, hop.at.device), stop.clone())
}

fn refused(answer: &Answer, at: &str) -> String {
    match lost(answer) {
        (place, Stop::VlanRefused(why)) if place == at => why,
        other => panic!("{at} was to refuse it: {other:?}"),
    }
}

#[test]
fn a_vlan_device_wraps_what_it_sends_and_unwraps_what_is_its_own() {
    let cloud = trunked();
    let answer = cloud.ping("g1", K);
    assert!(answer.answered, "{answer:#?}");
    let hops = &way(&answer, Direction::Request).hops;
    let told: Vec<(String, Stage, &str)> = hops
        .iter()
        .map(|h| (format!("{}/{}", h.at.host, h.at.device), h.at.stage, h.detail.as_str()))
        .collect();
    let at = |device: &str| told.iter().position(|(d, ..)| d == device).unwrap_or_else(|| panic!("{told:?}"));
    assert!(at("h/vlan100") < at("h/trunk0") && at("h/trunk0") < at("sw/p1"), "{told:?}");
    assert!(at("sw/p2") < at("k/trunk0") && at("k/trunk0") < at("k/vlan100"), "{told:?}");
    assert_eq!(told[at("h/vlan100")].2, "leaves by trunk0 with the tag of VLAN 100");
    assert_eq!(told[at("k/trunk0")].2, "of VLAN 100: taken by vlan100");
    assert_eq!(told[at("h/vlan100")].1, Stage::Wire);
}

#[test]
fn a_switch_lets_each_port_have_its_own_vlans_only() {
    let mut cloud = trunked();
    cloud.trunk("p2", &[200]);
    assert_eq!(refused(&cloud.ping("g1", K), "sw/p2"), "p2 is not in VLAN 100");
    let mut cloud = trunked();
    cloud.trunk("p1", &[200]);
    assert_eq!(refused(&cloud.ping("g1", K), "sw/p1"), "p1 is not in VLAN 100");
    // One that does not look at tags passes all of them.
    let mut cloud = trunked();
    cloud.link("sw", "br0").bridge.as_mut().unwrap().vlan_filtering = false;
    for port in ["p1", "p2"] {
        cloud.trunk(port, &[]);
    }
    cloud.passes("g1", K);
}

#[test]
fn a_frame_of_a_wrong_vlan_is_told_where_it_is_not_taken() {
    let mut cloud = trunked();
    cloud.link("sw", "br0").bridge.as_mut().unwrap().vlan_filtering = false;
    cloud.tag("h", "vlan100").id = 101;
    let (place, stop) = lost(&cloud.ping("g1", K));
    assert_eq!(place, "k/trunk0");
    assert_eq!(sim::stop_text(&stop), "no VLAN device here takes frames of VLAN 101");
    let mut cloud = trunked();
    cloud.tag("h", "vlan100").id = 101;
    assert_eq!(refused(&cloud.ping("g1", K), "sw/p1"), "p1 is not in VLAN 101");
}

#[test]
fn tags_of_the_two_kinds_are_not_each_other() {
    let mut cloud = trunked();
    cloud.link("sw", "br0").bridge.as_mut().unwrap().vlan_filtering = false;
    cloud.tag("h", "vlan100").protocol = VlanProtocol::Dot1ad;
    let (place, stop) = lost(&cloud.ping("g1", K));
    assert_eq!((place.as_str(), sim::stop_text(&stop).ends_with("VLAN 802.1ad 100")), ("k/trunk0", true));
    cloud.tag("k", "vlan100").protocol = VlanProtocol::Dot1ad;
    cloud.passes("g1", K);
}

#[test]
fn a_vlan_device_that_is_down_takes_nothing_and_sends_nothing() {
    let mut cloud = trunked();
    cloud.link("k", "vlan100").admin_up = false;
    assert_eq!(lost(&cloud.ping("g1", K)), ("k/vlan100".to_owned(), Stop::LinkDown));
    let mut cloud = trunked();
    cloud.link("h", "trunk0").admin_up = false;
    // The kernel takes its VLAN devices down with it; one that is bound loosely stays up.
    cloud.tag("h", "vlan100").loose_binding = true;
    assert_eq!(lost(&cloud.ping("g1", K)), ("h/trunk0".to_owned(), Stop::LinkDown));
}

#[test]
fn an_access_port_has_the_vlan_without_the_tag() {
    let mut cloud = trunked();
    cloud.access("p2", 100);
    cloud.address("k", "trunk0", "10.0.0.3/24");
    // A tagged frame of the VLAN is let in, but its answer comes back without the tag, past the device.
    let (place, _) = lost(&cloud.ping("k", "10.0.0.11"));
    assert_eq!(place, "k/trunk0");
    // The tag was taken off, so the VLAN device is passed by.
    let device = cloud.index("k", "vlan100");
    cloud.ns("k").routes.retain(|route| route.nexthops.iter().all(|n| n.link != device));
    cloud.passes("g1", "10.0.0.3");
    cloud.access("p2", 7);
    assert_eq!(refused(&cloud.ping("g1", "10.0.0.3"), "sw/p2"), "p2 is not in VLAN 100");
}

#[test]
fn without_a_pvid_untagged_frames_are_refused() {
    let mut cloud = trunked();
    cloud.address("k", "trunk0", "10.7.0.2/24");
    cloud.address("h", "trunk0", "10.7.0.1/24");
    assert!(refused(&cloud.ping("h", "10.7.0.2"), "sw/p1").contains("no PVID"));
    for port in ["p1", "p2"] {
        cloud.link("sw", port).bridge_vlans.push(BridgeVlans::default());
    }
    cloud.passes("h", "10.7.0.2");
}

#[test]
fn the_tag_is_not_counted_against_the_lower_links_mtu() {
    let mut cloud = trunked();
    // An echo of 84 bytes.
    cloud.link("h", "trunk0").mtu = 84;
    cloud.passes("g1", K);
    cloud.link("h", "trunk0").mtu = 83;
    assert!(matches!(cloud.stop("g1", K), Stop::TooBig { mtu: 83 }));
}

#[test]
fn what_the_lower_link_takes_for_its_own_is_the_vlan_devices_too() {
    let mut cloud = trunked();
    cloud.link("k", "vlan100").mac = Some("02:00:00:00:0c:99".parse().unwrap());
    cloud.passes("g1", K);
    // A neighbour entry that names the lower link's address serves as well.
    cloud.neighbour("g1", "eth0", K, K_MAC, model::route::NeighbourState::Permanent);
    cloud.passes("g1", K);
    cloud.ns("g1").neighbours.clear();
    cloud.neighbour("g1", "eth0", K, "02:00:00:00:0c:77", model::route::NeighbourState::Permanent);
    assert!(!cloud.ping("g1", K).answered);
}

#[test]
fn a_vlan_device_takes_frames_before_the_bridge_that_its_lower_link_is_in() {
    let mut cloud = trunked();
    cloud.bridge("k", "br9", K_MAC);
    cloud.enslave("k", "trunk0", "br9");
    cloud.passes("g1", K);
    // Tags that nothing takes go into the bridge with the frame, and die at its stack.
    cloud.tag("k", "vlan100").id = 5;
    cloud.address("k", "br9", "10.0.0.9/24");
    let (place, stop) = lost(&cloud.ping("g1", "10.0.0.9"));
    assert_eq!(sim::stop_text(&stop), "no VLAN device here takes frames of VLAN 100", "{place}");
}

#[test]
fn a_vlan_device_on_a_bridge_has_the_bridges_frames_of_its_vlan() {
    let mut cloud = trunked();
    cloud.address("sw", "br0", "10.9.9.9/24");
    cloud.vlan("sw", "br0", "br0.100", 100);
    cloud.address("sw", "br0.100", "10.0.0.5/24");
    // The bridge's own stack is a port too.
    assert_eq!(refused(&cloud.ping("sw", K), "sw/br0"), "br0 is not in VLAN 100");
    assert!(!cloud.ping("g1", "10.0.0.5").answered);
    cloud.link("sw", "br0").bridge_vlans =
        vec![BridgeVlans { low: 100, high: 100, untagged: false, pvid: false }];
    cloud.passes("g1", "10.0.0.5");
    cloud.passes("sw", K);
}

#[test]
fn a_vlan_device_on_one_bridge_may_be_a_port_of_another() {
    let mut cloud = trunked();
    cloud.vlan("sw", "br0", "br0.100", 100);
    let tagged = BridgeVlans { low: 100, high: 100, untagged: false, pvid: false };
    cloud.link("sw", "br0").bridge_vlans = vec![tagged];
    cloud.bridge("sw", "br100", "02:00:00:00:0d:64");
    cloud.enslave("sw", "br0.100", "br100");
    cloud.address("sw", "br100", "10.0.0.6/24");
    cloud.passes("g1", "10.0.0.6");
    cloud.passes("sw", K);
    cloud.passes("g1", K);
    // It makes the bridge below listen to everything, be that in the VLAN or not. What it sends must be.
    cloud.link("sw", "br0").bridge_vlans.clear();
    assert_eq!(
        cloud.ping("g1", "10.0.0.6").paths[0].stop().map(|(hop, _)| hop.at.device.as_str()),
        Some("br0")
    );
}

#[test]
fn a_tag_inside_a_tag_is_taken_off_by_the_device_on_the_device() {
    let mut cloud = trunked();
    for name in ["h", "k"] {
        cloud.vlan(name, "vlan100", "inner", 7);
    }
    cloud.address("h", "inner", "10.7.0.1/24");
    cloud.address("k", "inner", "10.7.0.2/24");
    // On h the VLAN device is a port of br1: it takes its own frames first.
    cloud.passes("h", "10.7.0.2");
    cloud.passes("k", "10.7.0.1");
    cloud.tag("k", "inner").id = 8;
    assert_eq!(lost(&cloud.ping("h", "10.7.0.2")).0, "k/vlan100");
}

#[test]
fn vlan_devices_on_each_other_in_a_circle_end() {
    let mut cloud = trunked();
    cloud.vlan("h", "vlan100", "vlan5", 5);
    let index = cloud.index("h", "vlan5");
    cloud.link("h", "vlan100").peer.as_mut().unwrap().index = index;
    assert!(!cloud.ping("g1", K).answered);
}

#[test]
fn an_unread_lower_link_is_unknown() {
    let mut cloud = trunked();
    cloud.link("h", "vlan100").peer.as_mut().unwrap().netns = Some(999);
    cloud.neighbour("g1", "eth0", K, K_MAC, model::route::NeighbourState::Permanent);
    cloud.fdb(K_MAC, "vlan100", FdbKind::Static);
    assert!(unknown(&cloud.ping("g1", K)).contains("which link is below vlan100"));
}

#[test]
fn stations_are_known_by_vlan() {
    let mut cloud = trunked();
    let p1 = cloud.index("sw", "p1");
    // An entry of another VLAN leads nowhere here.
    let entry = cloud.fdb(K_MAC, "trunk0", FdbKind::Static).clone();
    cloud.ns("h").fdb.clear();
    let entry = model::link::FdbEntry { link: p1, vlan: Some(200), sticky: true, ..entry };
    cloud.ns("sw").fdb.push(entry);
    cloud.passes("g1", K);
    cloud.ns("sw").fdb[0].vlan = Some(100);
    assert!(!cloud.ping("g1", K).answered);
}

#[test]
fn br_netfilter_looks_past_a_tag_only_where_it_is_told_to() {
    let mut cloud = trunked();
    cloud.sysctl("sw", "bridge.bridge-nf-call-iptables", 1);
    let drop = parse::iptables_save::parse(
        "*filter\n:FORWARD DROP\nCOMMIT\n",
        Dialect::IptablesNft,
        model::netfilter::Family::Ip,
    );
    cloud.ns("sw").ruleset.tables = drop.value;
    cloud.passes("g1", K);
    cloud.sysctl("sw", "bridge.bridge-nf-filter-vlan-tagged", 1);
    assert_eq!(rule_of(cloud.stop("g1", K)), "policy of FORWARD");
    // Untagged on both sides it is looked into, though it wears a tag inside the bridge.
    cloud.sysctl("sw", "bridge.bridge-nf-filter-vlan-tagged", 0);
    cloud.address("h", "trunk0", "10.7.0.1/24");
    cloud.address("k", "trunk0", "10.7.0.2/24");
    for port in ["p1", "p2"] {
        cloud.link("sw", port).bridge_vlans.push(BridgeVlans::default());
    }
    assert_eq!(rule_of(cloud.stop("h", "10.7.0.2")), "policy of FORWARD");
    cloud.link("sw", "p2").bridge_vlans.pop();
    cloud.link("sw", "p2").bridge_vlans.push(BridgeVlans { untagged: false, ..BridgeVlans::default() });
    cloud.vlan("k", "trunk0", "vlan1", 1);
    cloud.address("k", "vlan1", "10.7.0.3/24");
    cloud.address("h", "trunk0", "10.7.0.4/24");
    // It leaves with the tag on, so FORWARD does not see it.
    let answer = cloud.ping("h", "10.7.0.3");
    assert!(answer.received_by.as_deref() == Some("k"), "{answer:#?}");
}

#[test]
fn the_rules_link_of_arrival_may_be_the_vlan_device_on_the_bridge() {
    let mut cloud = trunked();
    cloud.vlan("sw", "br0", "br0.100", 100);
    for (name, value) in [
        ("bridge-nf-call-iptables", 1),
        ("bridge-nf-filter-vlan-tagged", 1),
        ("bridge-nf-pass-vlan-input-dev", 0),
    ] {
        cloud.sysctl("sw", &format!("bridge.{name}"), value);
    }
    let text = "*filter\n:FORWARD ACCEPT\n-A FORWARD -i br0.100 -j DROP\nCOMMIT\n";
    let read = parse::iptables_save::parse(text, Dialect::IptablesNft, model::netfilter::Family::Ip);
    cloud.ns("sw").ruleset.tables = read.value;
    cloud.passes("g1", K);
    cloud.sysctl("sw", "bridge.bridge-nf-pass-vlan-input-dev", 1);
    assert_eq!(rule_of(cloud.stop("g1", K)), "FORWARD 1");
}

#[test]
fn rules_of_frames_see_the_tag() {
    let with = |dialect: Dialect, rule: &str| {
        let mut cloud = trunked();
        let text =
            format!("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A FORWARD {rule} -j DROP\n");
        let read = parse::ebtables_save::parse(&text, dialect);
        assert_eq!(read.problems, []);
        cloud.ns("sw").ruleset.tables = read.value;
        cloud
    };
    for dialect in [Dialect::EbtablesNft, Dialect::EbtablesLegacy] {
        with(dialect, "-p IPv4").passes("g1", K);
        with(dialect, "-p ARP").passes("g1", K);
        with(dialect, "-p IPv4 --ip-proto icmp").passes("g1", K);
        with(dialect, "-p 802_1Q --vlan-id 101").passes("g1", K);
        for rule in ["-p 802_1Q", "-p 802_1Q --vlan-id 100", "-p ! IPv4"] {
            assert!(!with(dialect, rule).ping("g1", K).answered, "{rule}");
        }
    }
}

#[test]
fn whether_nft_looks_past_the_tag_is_not_guessed() {
    let with = |rule: &str| {
        let mut cloud = trunked();
        let text = format!(
            "table bridge t {{\n\tchain f {{\n\t\ttype filter hook forward priority filter; \
             policy accept;\n\t\t{rule}\n\t}}\n}}\n"
        );
        let read = parse::nft_text::parse(&text, &|_, _| false);
        assert_eq!(read.problems, []);
        cloud.ns("sw").ruleset.tables = read.value;
        cloud.neighbour("g1", "eth0", K, K_MAC, model::route::NeighbourState::Permanent);
        cloud
    };
    assert!(unknown(&with("ip saddr 10.0.0.11 drop").ping("g1", K)).contains("VLAN 100"));
    with("ip6 nexthdr tcp drop").passes("g1", K);
    assert_eq!(rule_of(with("ether type vlan drop").stop("g1", K)), "f 1");
    assert_eq!(rule_of(with("vlan id 100 drop").stop("g1", K)), "f 1");
    with("vlan id 101 drop").passes("g1", K);
}

#[test]
fn beyond_an_unread_switch_the_tag_still_decides() {
    let mut cloud = trunked();
    for name in ["h", "k"] {
        let trunk = cloud.link(name, "trunk0");
        (trunk.kind, trunk.peer) = (LinkKind::Physical, None);
    }
    cloud.passes("g1", K);
    cloud.tag("k", "vlan100").id = 101;
    let (place, stop) = lost(&cloud.ping("g1", K));
    assert_eq!((place.as_str(), sim::stop_text(&stop).contains("VLAN 100")), ("k/trunk0", true));
    // Nobody of the site has this one: it is somebody else's, beyond.
    let answer = cloud.ping("g1", "10.0.0.99");
    assert!(answer.paths.iter().any(|p| p.disposition == Disposition::LeftSite), "{answer:#?}");
}
