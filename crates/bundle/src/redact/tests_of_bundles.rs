//! Whole bundles: what was joined is joined, what was within is within, and no name of it is left.

use std::io::{Cursor, Read};

use cloud::Records;
use model::intent::{Instance, Network, SecurityGroup, Vif};
use model::link::Link;
use model::netfilter::{
    Action, AddressOf, Chain, Dialect, Dimension, Element, Elements, Family, Field, Ipset, Lookup, Match,
    NfRule, NfSet, Part, Ruleset, Table, Test,
};
use model::route::Address;
use model::snapshot::Host;
use model::{Mac, Netns};

use super::*;

const UUID: &str = "1234abcd-ef01-4567-89ab-cdef01234567";

/// A name as nobody should give one.
const ODD: &str = "a<b>&\"c\" d";

fn v4(text: &str) -> u128 {
    u128::from(u32::from(text.parse::<std::net::Ipv4Addr>().unwrap()))
}

fn rule(test: Test) -> NfRule {
    let matches = vec![Match { negated: false, test }];
    NfRule {
        text: "-s 10.0.2.24 -m comment --comment \"bob's ticket 99\" -j DROP".to_owned(),
        counters: None,
        handle: None,
        line: 1,
        matches,
        action: Action::Drop,
    }
}

fn ruleset() -> Ruleset {
    let ip = Field::Ip(AddressOf::Source);
    let within = vec![(v4("10.0.2.3"), v4("10.0.2.17"))];
    let named =
        Lookup { fields: vec![ip.clone(), Field::Protocol], elements: Elements::Named("asked".to_owned()) };
    let rules = vec![
        rule(Test::Field { field: ip, mask: u128::from(u32::MAX), within }),
        rule(Test::InSet(named)),
        rule(Test::SourceRange("198.51.100.3".parse().unwrap(), "198.51.101.4".parse().unwrap())),
        rule(Test::EtherSource(mac("fa:16:3e:00:00:11"), mac("00:00:00:ff:ff:ff"))),
    ];
    let element = |low, high| Element {
        key: vec![Part::Range(low, high), Part::Range(6, 6)],
        excluded: false,
        data: None,
    };
    let set = |name: &str| NfSet {
        name: name.to_owned(),
        dynamic: false,
        elements: vec![element(v4("198.51.100.7"), v4("198.51.100.7"))],
    };
    let ipset = Ipset {
        name: "macs".to_owned(),
        dimensions: vec![Dimension::Mac],
        elements: vec![Element {
            key: vec![Part::Range(0xfa16_3e00_0011, 0xfa16_3e00_0011)],
            excluded: false,
            data: None,
        }],
        ..Ipset::default()
    };
    let chain = Chain { name: "nova-compute-inst-1".to_owned(), base: None, rules };
    let sets = vec![set("asked"), set("idle")];
    let (family, dialect) = (Family::Ip, Dialect::Nft);
    let table = Table { family, name: "filter".to_owned(), dialect, chains: vec![chain], sets };
    Ruleset { tables: vec![table], ipsets: vec![ipset], ..Ruleset::default() }
}

fn facts() -> Facts {
    let tap = Link {
        index: 2,
        name: "tap1234abcd-ef".to_owned(),
        mac: Some(mac("fe:16:3e:00:00:11")),
        ..Link::default()
    };
    let own = Link { index: 3, name: "shop-uplink-eth".to_owned(), ..Link::default() };
    let netns = Netns {
        machine: "kiwi1.acme.example".to_owned(),
        enter: Some("net-kiwi1".to_owned()),
        links: vec![tap, own],
        addresses: vec![Address::global(3, "10.0.0.42/16".parse().unwrap())],
        ruleset: ruleset(),
        ..Netns::default()
    };
    let host = Host { name: "kiwi1.acme.example".to_owned(), role: "external".to_owned(), ..Host::default() };
    let vif = Vif {
        mac: Some(mac("fa:16:3e:00:00:11")),
        network: Some(0),
        fixed: vec!["10.0.2.24".parse().unwrap()],
        ..Vif::default()
    };
    let instance = |name: &str| Instance {
        uuid: Some(UUID.to_owned()),
        name: name.to_owned(),
        host: "kiwi1".to_owned(),
        vm_state: Some("active".to_owned()),
        project: Some("1234abcdef01456789abcdef01234567".to_owned()),
        vifs: vec![vif.clone()],
        security_groups: vec![SecurityGroup { name: "default".to_owned(), rules: Vec::new() }],
        ..Instance::default()
    };
    let network = Network {
        label: "shop".to_owned(),
        cidr: Some("10.0.0.0/16".parse().unwrap()),
        cidr_v6: Some("2001:db8:17:4::/64".parse().unwrap()),
        gateway_v6: Some("fe80::f816:3eff:fe00:12".parse().unwrap()),
        ..Network::default()
    };
    let records = Records {
        source: "mysql://shopkeeper:***@dbl7.acme.example/nova".to_owned(),
        instances: vec![instance("active"), instance(ODD)],
        vif_uuids: [(mac("fa:16:3e:00:00:11"), UUID.to_owned())].into(),
        networks: vec![network],
        ..Records::default()
    };
    Facts {
        manifest: Manifest { taken_at: 1_700_000_000, ..Manifest::default() },
        machines: vec![(
            "kiwi1.acme.example".to_owned(),
            false,
            Ok(Machine { netns, host: Some(host), gaps: Vec::new() }),
        )],
        cloud: CloudFacts { records: Some(records), ..CloudFacts::default() },
    }
}

fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

/// The bundle, and what tar would unpack of it.
fn redacted(key: Option<Key>) -> (Bundle, Redacted, String) {
    let writer = Writer::new(Cursor::new(Vec::new()), 1_700_000_000).unwrap();
    let xml = "<title>a&lt;b&gt;&amp;\"c\" d</title><nova:user uuid='x'>olga</nova:user> olga@10.0.2.24";
    writer.add("kiwi1.acme.example", "lib/nova/olga/instance-00000001.xml", xml);
    let counted = format!("<nova:name>payslip-{UUID}</nova:name><name>payslip-{UUID}</name> Payslip");
    writer.add("kiwi1.acme.example", "counted.xml", &counted);
    writer.add(
        "kiwi1.acme.example",
        "log/dnsmasq.log",
        "Nov 27 03:00:00 kiwi1-real dnsmasq[7]: kiwi1-real fa:16:3e:00:00:11\n",
    );
    writer.add(
        "kiwi1.acme.example",
        "nova.conf",
        "rabbit_hosts=mq1.rabbits.lan:5672,mq2.rabbits.lan\nmemcached_servers = cache-9:11211\nmulti_host = True\n\
         network_host=kiwi1\nserver=/corp.lan/10.0.0.42\ndomain=inner.lan\n",
    );
    let hosts = "<source><host name='ceph-mon-a' port='6789'/><host port='6789'\n name = \"ceph-mon-b\"/>\
                 <host port='>' transport=\"rdma\" name='ceph-mon-c'></host></source><hostdev/><host></host>";
    writer.add("kiwi1.acme.example", "disk.xml", hosts);
    writer.add(
        "kiwi1.acme.example",
        "dnsmasq.conf",
        "dhcp-host=fa:16:3e:00:00:11,set:gold,mango-guest,10.0.0.3,24h\ndhcp-host=id:*,infinite\n# fa 24h infinite\n",
    );
    let option = "# x\ntag:blue,option:domain-name,payroll.lan\n15,sales.lan\n6,10.0.2.24\n";
    writer.add("kiwi1.acme.example", "nova-br100.opts", option);
    writer.add("kiwi1.acme.example", "ours.conf", "dhcp-option=119,staff.lan,10.0.2.24\nserver=9.9.9.9\n");
    writer.add("kiwi1.acme.example", "save.txt", "-A x -m comment --comment \"bob's ticket 99\" -j DROP\n");
    writer.add("kiwi1.acme.example", "app.log", "The quick brown fox jumps\n");
    crate::add_plain(&writer, &facts());
    let mut plain = Vec::new();
    writer.finish(&facts(), &mut plain).unwrap();
    let mut out = Vec::new();
    let done = redact(Cursor::new(plain), "x", key, Cursor::new(Vec::new()), &mut out).unwrap();
    let mut tar = Vec::new();
    zstd::Decoder::new(&out[..]).unwrap().read_to_end(&mut tar).unwrap();
    (read::read(&out[..], "x").unwrap(), done, String::from_utf8_lossy(&tar).into_owned())
}

#[test]
fn what_was_joined_is_joined() {
    let (bundle, done, _) = redacted(None);
    assert!(bundle.manifest.redacted && bundle.gaps.is_empty(), "{:?}", bundle.gaps);
    let member = &bundle.members[0];
    let machine = member.outcome.as_ref().unwrap();
    let records = bundle.cloud.records.as_ref().unwrap();
    let [active, odd] = records.instances.as_slice() else { panic!("two") };
    let short = member.name.split('.').next().unwrap();
    assert_eq!((short, &machine.netns.machine), (active.host.as_str(), &member.name));
    assert_eq!(machine.netns.enter, Some(format!("net-{short}")));
    assert!(active.name.starts_with("vm-") && odd.name.starts_with("vm-") && active.name != odd.name);
    assert_eq!(
        (active.vm_state.as_deref(), machine.host.as_ref().unwrap().role.as_str()),
        (Some("active"), "external")
    );
    assert_eq!(active.security_groups[0].name, "default");
    let guest = active.vifs[0].mac.unwrap();
    assert!(machine.netns.links[0].mac.unwrap().is_tap_of(guest));
    let port = &records.vif_uuids[&guest];
    assert_eq!(machine.netns.links[0].name, format!("tap{}", &port[..11]));
    assert_eq!(active.uuid.as_ref().unwrap(), port);
    assert_eq!(active.project.as_ref().unwrap(), &port.replace('-', ""));
    let long = &machine.netns.links[1].name;
    assert!(long.len() <= DEVICE_MAX && long != "shop-uplink-eth", "{long}");
    let net = records.networks[0].cidr.unwrap();
    assert!(net.trunc() == net && net.contains(&active.vifs[0].fixed[0]), "{net}");
    assert_eq!(done.machines, 1);
    // A range stays one, and what is made of it and a MAC is made of their pseudonyms.
    let (range, gateway) = (records.networks[0].cidr_v6.unwrap(), records.networks[0].gateway_v6.unwrap());
    assert_eq!((range.trunc(), range.prefix_len()), (range, 64));
    let p = &done.pseudonyms;
    assert_ne!(range, "2001:db8:17:4::/64".parse().unwrap());
    let made = mac("fa:16:3e:00:00:11").made_v6("2001:db8:17:4::".parse().unwrap());
    assert_eq!(p.text(&made.to_string()), guest.made_v6(range.addr()).to_string());
    assert_eq!(gateway.to_string(), p.text("fe80::f816:3eff:fe00:12"));
}

#[test]
fn what_was_within_is_within() {
    let (bundle, done, _) = redacted(None);
    let rules = &bundle.members[0].outcome.as_ref().unwrap().netns.ruleset;
    let table = &rules.tables[0];
    let new = |text: &str| v4(&done.pseudonyms.text(text));
    let Test::Field { within, .. } = &table.chains[0].rules[0].matches[0].test else { panic!("a field") };
    for last in 0..32 {
        let ip = new(&format!("10.0.2.{last}"));
        assert_eq!(
            within.iter().any(|(low, high)| (*low..=*high).contains(&ip)),
            (3..=17).contains(&last),
            "{last}"
        );
    }
    let Test::Source(nets) = &table.chains[0].rules[2].matches[0].test else { panic!("networks") };
    for (text, expected) in
        [("198.51.100.2", false), ("198.51.100.255", true), ("198.51.101.4", true), ("198.51.101.5", false)]
    {
        let ip: std::net::IpAddr = done.pseudonyms.text(text).parse().unwrap();
        assert_eq!(nets.iter().any(|net| net.contains(&ip)), expected, "{text}");
    }
    let Test::EtherSource(given, mask) = &table.chains[0].rules[3].matches[0].test else { panic!("a MAC") };
    assert_eq!(*mask, mac("00:00:00:ff:ff:ff"), "a mask is nobody's MAC");
    assert_eq!(given.to_string(), done.pseudonyms.text("fa:16:3e:00:00:11"));
    let one = new("198.51.100.7");
    assert_eq!(table.sets[0].elements[0].key, [Part::Range(one, one), Part::Range(6, 6)]);
    assert!(table.sets[1].elements.is_empty(), "nobody asks it, so nobody knows what its numbers are");
    let Part::Range(low, high) = rules.ipsets[0].elements[0].key[0] else { panic!("a MAC") };
    let text = done.pseudonyms.text("fa163e000011").into_owned();
    assert_eq!((low, high), (u128::from_str_radix(&text, 16).unwrap(), low));
}

#[test]
fn no_name_is_left_and_a_key_gives_the_same_again() {
    let (_, done, text) = redacted(None);
    let gone = [
        "acme",
        "kiwi1",
        "shop",
        "olga",
        "shopkeeper",
        "dbl7",
        "kiwi1-real",
        "rabbits",
        "cache-9",
        "ceph-mon-",
        "corp.lan",
        "inner.lan",
        "mango-guest",
        "payslip",
        "payroll.lan",
        "sales.lan",
        "staff.lan",
        "bob",
        "ticket",
        "Payslip",
        UUID,
        &UUID[..11],
        "1234abcdef",
        "10.0.2.24",
        "10.0.0.42",
        "198.51.100",
        "fa:16:3e:00:00:11",
        "fa163e000011",
        "a<b>",
        "a&lt;b",
        "a\\u",
        "\\\"c\\\"",
        &v4("198.51.100.7").to_string(),
        &v4("10.0.2.3").to_string(),
        &0xfa16_3e00_0011_u64.to_string(),
    ];
    for name in gone {
        assert!(!text.contains(name), "{name}");
    }
    for stays in [
        "multi_host = True",
        ":5672,",
        "server=/",
        ",24h\ndhcp-host=id:*,infinite\n# fa 24h infinite",
        "The quick brown fox jumps",
    ] {
        assert!(text.contains(stays), "{stays}");
    }
    for (name, pseudonym) in done.pseudonyms.table().into_iter().map(|(pseudonym, name)| (name, pseudonym)) {
        assert_ne!(name, pseudonym);
    }
    let key = Key::read(&done.pseudonyms.key().text()).unwrap();
    let (_, again, same) = redacted(Some(key));
    assert_eq!((again.bytes, same == text), (done.bytes, true));
    let other = redacted(None).2;
    assert_ne!(other, text, "another key gives others");
}

#[test]
fn what_is_redacted_is_not_redacted_again() {
    let mut bundle = facts();
    bundle.manifest.redacted = true;
    let writer = Writer::new(Cursor::new(Vec::new()), 1).unwrap();
    let mut plain = Vec::new();
    writer.finish(&bundle, &mut plain).unwrap();
    let again = redact(Cursor::new(plain), "x", None, Cursor::new(Vec::new()), Vec::new());
    assert!(matches!(again, Err(RedactError::Already)));
    let none = redact(Cursor::new(b"x".to_vec()), "x", None, Cursor::new(Vec::new()), Vec::new());
    assert!(matches!(none, Err(RedactError::Read(_))));
}

#[test]
fn a_capture_may_be_longer_than_a_text() {
    const TEXT_MAX: u64 = 1000;
    let packet = [0x22; 60];
    let record = [&[0; 8][..], &[60, 0, 0, 0, 60, 0, 0, 0], &packet].concat();
    let head = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0xff, 0xff, 0, 0, 1, 0, 0, 0]].concat();
    let capture = [head, record.repeat(100)].concat();
    let writer = Writer::new(Cursor::new(Vec::new()), 1).unwrap();
    for (name, octets) in [("kiwi1.pcap", &capture[..]), ("cut.pcap.gz", &[0x1f, 0x8b, 8, 0])] {
        writer.add_capture(name, Some("kiwi1"), (octets.len() as u64, &mut &*octets)).unwrap();
    }
    writer.add("kiwi1.acme.example", "long.txt", &"kiwi1 ".repeat(1000));
    let mut plain = Vec::new();
    writer.finish(&facts(), &mut plain).unwrap();
    let mut out = Vec::new();
    let spool = Cursor::new(Vec::new());
    let done = within(Cursor::new(plain), "x", None, (spool, &mut out), TEXT_MAX).unwrap();
    let bundle = read::read(&out[..], "x").unwrap();
    let [entry] = bundle.captures.as_slice() else { panic!("one: {:?}", bundle.captures) };
    let host = done.pseudonyms.name("kiwi1");
    assert_eq!(
        (entry.path.clone(), entry.vantage.as_ref()),
        (format!("captures/1-{host}.pcap"), Some(&host))
    );
    let mut octets = Vec::new();
    crate::open_capture(&out[..], &entry.path).unwrap().read_to_end(&mut octets).unwrap();
    assert!(octets.len() == capture.len() && octets != capture);
    let gaps: Vec<&str> = bundle.gaps.iter().map(|gap| gap.what.as_str()).collect();
    let host = done.pseudonyms.name("kiwi1.acme.example");
    assert_eq!(gaps, ["the packets in captures/2-cut.pcap.gz", &format!("what {host}/long.txt says")]);
}
