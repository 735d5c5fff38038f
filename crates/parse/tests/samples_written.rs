//! Goal: formats whose tools are not at hand are read in the shape that their manuals give.
//! Method: files of `fixtures/text/written`, made by hand.

use std::net::Ipv4Addr;

use model::service::{ConsoleEventKind, DomainInterface};
use parse::brctl_show::BrctlBridge;

#[test]
fn brctl_show() {
    let read = parse::brctl_show::parse(include_str!("fixtures/text/written/brctl-show.txt"));
    assert_eq!(read.problems, []);
    let bridge = |name: &str, id: &str, stp, ports: &[&str]| BrctlBridge {
        name: name.to_owned(),
        id: id.to_owned(),
        stp,
        ports: ports.iter().map(|port| (*port).to_owned()).collect(),
    };
    let expected = [
        bridge("br100", "8000.02163e7a5b01", false, &["eth1", "vnet0", "vnet1"]),
        bridge("br101", "8000.000000000000", false, &[]),
        bridge("virbr0", "8000.525400c1f4b2", true, &["virbr0-nic"]),
    ];
    assert_eq!(read.value, expected);
}

#[test]
fn live_domain() {
    let text = include_str!("fixtures/text/written/domain-live.xml");
    let domain = parse::libvirt_xml::parse("/run/libvirt/qemu/instance-0000000a.xml", text).unwrap();
    assert_eq!(domain.name, "instance-0000000a");
    assert_eq!(domain.uuid.as_deref(), Some("7f0e2c61-4bb1-4d11-9c3e-6a1f0a3c2b10"));
    assert_eq!(domain.display_name.as_deref(), Some("web1 & co"));
    assert!(domain.live);
    let expected = [
        DomainInterface {
            kind: "bridge".into(),
            mac: "fa:16:3e:00:00:11".parse().ok(),
            bridge: Some("br100".into()),
            target: Some("vnet0".into()),
            model: Some("virtio".into()),
            filter: Some("nova-instance-instance-0000000a-fa163e000011".into()),
            link_down: false,
        },
        DomainInterface {
            kind: "network".into(),
            mac: "52:54:00:00:00:12".parse().ok(),
            bridge: Some("virbr0".into()),
            target: Some("vnet1".into()),
            link_down: true,
            ..DomainInterface::default()
        },
    ];
    assert_eq!(domain.interfaces, expected);
    let log = "/var/lib/nova/instances/7f0e2c61-4bb1-4d11-9c3e-6a1f0a3c2b10/console.log";
    assert_eq!(domain.console_log.as_deref(), Some(log));
}

#[test]
fn persistent_domain() {
    let text = include_str!("fixtures/text/written/domain-persistent.xml");
    let domain = parse::libvirt_xml::parse("/etc/libvirt/qemu/instance-0000000b.xml", text).unwrap();
    assert!(!domain.live);
    assert_eq!((domain.uuid, domain.display_name), (None, None));
    assert_eq!(domain.interfaces.len(), 1);
    assert_eq!(domain.interfaces[0].target, None);
    assert_eq!(domain.console_log.as_deref(), Some("/var/lib/nova/instances/b/console.log"));
}

#[test]
fn nova_conf() {
    let read = parse::oslo_config::parse("nova.conf", include_str!("fixtures/text/written/nova.conf"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.all("DEFAULT", "dns_server"), ["8.8.8.8", "8.8.4.4"]);
    let connection = read.value.raw("database", "connection").unwrap();
    assert_eq!(connection.value, "mysql+pymysql://nova:s3cr#t;x@db/nova?charset=utf8");
    assert_eq!(connection.line, 21);

    let options = parse::oslo_config::nova_options(&read.value);
    assert_eq!(options.get("routing_source_ip"), Some("203.0.113.10"));
    assert_eq!(options.get("networks_path"), Some("/var/lib/nova/networks"));
    assert_eq!(options.get("metadata_host"), Some("127.0.0.1"));
    assert_eq!(options.get("dmz_cidr"), Some("10.128.0.0/24,\n10.129.0.0/24"));
    assert_eq!(options.get("use_neutron"), Some("False"));
    assert_eq!(options.get("connection"), None);
    assert_eq!(options.values.len(), 13);
}

#[test]
fn console_of_cirros_0_3() {
    use ConsoleEventKind as Kind;
    let console = parse::console::parse("c", include_str!("fixtures/text/written/console-cirros-0.3.txt"));
    let seen: Vec<_> = console.events.into_iter().map(|event| (event.line, event.kind)).collect();
    let expected = [
        (3, Kind::DhcpStarted(Some("1.20.1".into()))),
        (4, Kind::DhcpDiscover),
        (5, Kind::DhcpSelect),
        (6, Kind::DhcpLease(Ipv4Addr::new(10, 0, 0, 11))),
        (8, Kind::MetadataAsked),
        (9, Kind::MetadataUnreachable("request failed".into())),
        (10, Kind::MetadataUnreachable("request failed".into())),
        (11, Kind::MetadataUnreachable("failed to read iid from metadata. tried 20".into())),
        (13, Kind::Login),
    ];
    assert_eq!(seen, expected);
}
