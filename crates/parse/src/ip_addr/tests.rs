use super::*;

#[test]
fn vxlan_devices_are_read() {
    let text = "\
5: vxlan100: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:05 brd ff:ff:ff:ff:ff:ff promiscuity 0
    vxlan id 100 remote 10.0.0.3 local 10.0.0.1 dev eth0 srcport 0 0 dstport 4789 ttl auto ageing 300 udpcsum
6: vx2: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    vxlan id 9 group 239.1.1.1 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 udpcsum
7: vx3: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    vxlan external id 0 srcport 0 0 dstport 4790 nolearning ttl auto ageing 300 udpcsum
8: vx4: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN
    vxlan
";
    let read = parse(text);
    assert_eq!(read.problems, []);
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    let usual = VxlanDevice::default();
    let devices = [
        // Its link below is not in this listing.
        Some(VxlanDevice { vni: 100, local: ip("10.0.0.1"), remote: ip("10.0.0.3"), port: 4789, ..usual }),
        Some(VxlanDevice { vni: 9, remote: ip("239.1.1.1"), learning: false, ..usual }),
        Some(VxlanDevice { port: 4790, learning: false, external: true, ..usual }),
        None,
    ];
    let of_links: Vec<_> = read.value.links.iter().map(|link| link.vxlan).collect();
    assert_eq!(of_links, devices);
    assert!(read.value.links.iter().all(|link| link.kind == LinkKind::Vxlan));
}

#[test]
fn bonds_and_ends_in_other_namespaces_are_read() {
    let text = "\
2: bond0: <BROADCAST,MASTER,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff promiscuity 0
    bond mode 802.3ad miimon 100 updelay 0 ad_aggregator 7 ad_num_ports 2 ad_partner_mac 02:00:00:00:00:ff
3: eth1: <BROADCAST,SLAVE,UP,LOWER_UP> mtu 1500 qdisc mq master bond0 state UP
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff
    bond_slave state BACKUP mii_status UP link_failure_count 0 queue_id 0 ad_aggregator_id 7
4: veth0@if9: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether 02:00:00:00:00:04 brd ff:ff:ff:ff:ff:ff link-netnsid 3 promiscuity 0
    veth
5: veth1@if2: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether 02:00:00:00:00:05 brd ff:ff:ff:ff:ff:ff link-netns qdhcp-1
6: vx1: <BROADCAST> mtu 1450 qdisc noqueue state UNKNOWN
    vxlan id 9 dev bond0 dstport 4789
7: bond1: <BROADCAST,MASTER> mtu 1500 qdisc noop state DOWN
    bond mode new-fangled miimon 0
";
    let read = parse(text);
    assert_eq!(read.problems, []);
    let [bond0, eth1, _, _, vx1, bond1] = read.value.links.as_slice() else { panic!("six") };
    let partner = "02:00:00:00:00:ff".parse().ok();
    assert_eq!(bond0.bond, Some(Bond { mode: BondMode::Lacp, aggregator: Some(7), partner }));
    assert_eq!(eth1.bond_slave, Some(BondSlave { is_up: true, is_active: false, aggregator: Some(7) }));
    assert_eq!(vx1.vxlan.and_then(|device| device.underlay), Some(2));
    assert_eq!((bond1.kind.clone(), bond1.bond), (LinkKind::Bond, None));
    let elsewhere =
        BTreeMap::from([(4, Elsewhere::Numbered(3)), (5, Elsewhere::Named("qdhcp-1".to_owned()))]);
    assert_eq!(read.value.elsewhere, elsewhere);
}

#[test]
fn vlan_devices_and_what_filters_before_the_stack_are_read() {
    let text = "\
2: eth0: <NO-CARRIER,BROADCAST,MULTICAST,PROMISC,UP> mtu 1500 xdp/id:13 qdisc mq state LOWERLAYERDOWN
    link/ether 52:54:00:c1:f4:b2 brd ff:ff:ff:ff:ff:ff
    prog/xdp id 13
7: vlan100@eth0: <BROADCAST,MULTICAST> mtu 1496 qdisc noop state DOWN mode DEFAULT
    link/ether fa:16:3e:00:00:11 brd ff:ff:ff:ff:ff:ff promiscuity 0
    vlan protocol 802.1Q id 100 <REORDER_HDR>
8: tun0@NONE: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1400 qdisc fq_codel state UNKNOWN
    link/none
";
    let read = parse(text);
    assert_eq!(read.problems, []);
    let [eth0, vlan100, tun0] = read.value.links.as_slice() else { panic!("three links") };
    assert!(eth0.xdp && eth0.promiscuous && eth0.admin_up && !eth0.carrier);
    assert_eq!(eth0.operstate, OperState::LowerLayerDown);
    assert_eq!((vlan100.kind.clone(), vlan100.mtu), (LinkKind::Vlan, 1496));
    assert_eq!(vlan100.vlan, Some(VlanDevice::of(100)));
    assert_eq!(vlan100.peer, Some(Peer { index: 2, netns: None }));
    assert_eq!((tun0.name.as_str(), tun0.mac, tun0.peer), ("tun0", None, None));
}

#[test]
fn what_a_vlan_device_and_a_bridge_say_of_tags_is_read() {
    let text = "\
3: qinq@eth0: <BROADCAST,UP> mtu 1500
    vlan protocol 802.1ad id 7 <LOOSE_BINDING>
4: br0: <BROADCAST,UP> mtu 1500
    bridge stp_state 0 vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 5
5: old: <BROADCAST,UP> mtu 1500
    vlan id 8 <REORDER_HDR>
";
    let read = parse(text);
    assert_eq!(read.problems, []);
    let [qinq, br0, old] = read.value.links.as_slice() else { panic!("three links") };
    let outer =
        VlanDevice { id: 7, protocol: VlanProtocol::Dot1ad, reorder_header: false, loose_binding: true };
    assert_eq!((qinq.vlan, old.vlan), (Some(outer), Some(VlanDevice::of(8))));
    let bridge = br0.bridge.unwrap();
    assert!(bridge.vlan_filtering);
    assert_eq!((bridge.vlan_protocol, bridge.default_pvid), (VlanProtocol::Dot1ad, 5));
}

#[test]
fn what_cannot_be_read_is_not_given_to_another_link() {
    let text = "\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN
    inet 127.0.0.1/8 scope host lo
    inet 10.0.0.300/24 scope global lo
2: eth0 <BROADCAST,UP> mtu 1500
    inet 10.0.0.1/24 scope global eth0
";
    let read = parse(text);
    assert_eq!(read.value.links.len(), 1);
    assert_eq!(read.value.addresses.len(), 1);
    let places: Vec<_> = read.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(3, 5), (4, 1), (5, 5)]);
}
