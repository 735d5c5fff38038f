//! What pseudonyms promise, whatever they are of.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use model::Mac;
use proptest::prelude::*;

use super::names::Names;
use super::pseudonyms::Known;
use super::*;

fn pseudonyms(names: &[(Kind, &str)]) -> Pseudonyms {
    let key = Key::of([42; 32], vec!["10.0.0.0/16".parse().unwrap()]);
    let mut all = Names::default();
    names.iter().for_each(|(kind, name)| all.add(*kind, name));
    let mut known = Known::default();
    known.v4.insert(Ipv4Addr::new(10, 0, 2, 24));
    known.macs.insert("fa:16:3e:00:00:11".parse().unwrap());
    Pseudonyms::new(key, &all, known)
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn what_is_special_stays_and_private_stays_private() {
    let p = pseudonyms(&[]);
    for kept in [
        "0.0.0.0",
        "127.0.0.1",
        "127.0.0.53",
        "169.254.169.254",
        "192.0.2.1",
        "224.0.0.5",
        "255.255.255.255",
        "255.255.240.0",
        "0.0.0.255",
    ] {
        assert_eq!(p.text(kept), kept);
    }
    for kept in
        ["::", "::1", "ff02::1", "ff00::/8", "fe80::/10", "fe80::", "0.0.0.0/0", "::/0", "169.254.0.0/16"]
    {
        assert_eq!(p.text(kept), kept);
    }
    for kept in ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:00", "33:33:00:00:00:01"] {
        assert_eq!(p.text(kept), kept);
    }
    for (private, within) in
        [("10.9.8.7", "10.0.0.0/8"), ("172.20.1.2", "172.16.0.0/12"), ("192.168.3.4", "192.168.0.0/16")]
    {
        let within: Ipv4Net = within.parse().unwrap();
        assert!(within.contains(&p.v4(v4(private))), "{private}");
        assert_ne!(p.v4(v4(private)), v4(private));
    }
}

#[test]
fn networks_keep_their_ends_and_ranges_their_order() {
    let p = pseudonyms(&[]);
    for net in ["10.0.0.0/16", "203.0.113.0/24", "198.51.100.64/26"] {
        let net: Ipv4Net = net.parse().unwrap();
        let mapped: Ipv4Net = p.text(&net.to_string()).parse().unwrap();
        assert_eq!(mapped.trunc(), mapped, "{net}");
        assert_eq!(
            (p.v4(net.network()), p.v4(net.broadcast())),
            (mapped.network(), mapped.broadcast()),
            "{net}"
        );
    }
    assert!(p.v4(v4("10.0.2.2")) < p.v4(v4("10.0.200.1")));
}

#[test]
fn whatever_is_joined_stays_joined() {
    let p = pseudonyms(&[]);
    let mac: Mac = "fa:16:3e:00:00:11".parse().unwrap();
    assert_eq!(p.mac(mac).of_tap(), p.mac(mac.of_tap()));
    let [.., x, y, z] = p.mac(mac).0;
    let made = p.v6("fe80::f816:3eff:fe00:11".parse().unwrap());
    assert_eq!(made.octets()[8..], [0xf8, 0x16, 0x3e, 0xff, 0xfe, x, y, z]);
    assert!(made.is_unicast_link_local());
    let id = "1234abcd-ef01-4567-89ab-cdef01234567";
    let mapped = p.text(id).into_owned();
    assert_eq!(p.text("tap1234abcd-ef"), format!("tap{}", &mapped[..11]));
    assert_eq!(p.text("qbr1234abcd-ef@if3"), format!("qbr{}@if3", &mapped[..11]));
    assert_eq!(p.text(&format!("qdhcp-{id}")), format!("qdhcp-{mapped}"));
    assert_eq!(p.text(&id.replace('-', "")), mapped.replace('-', ""));
    assert_eq!(&mapped[14..15], "4");
}

#[test]
fn texts_are_read_whatever_stands_around() {
    let names = [
        (Kind::Instance, "web1"),
        (Kind::Host, "compute1.acme.example"),
        (Kind::Project, "a&b"),
        (Kind::Host, "c1"),
    ];
    let p = pseudonyms(&names);
    let names = p.table().into_iter().map(|(pseudonym, name)| (name, pseudonym)).collect::<BTreeMap<_, _>>();
    let (vm, host) = (&names["web1"], &names["compute1"]);
    let ip = p.v4(v4("10.0.2.24")).to_string();
    let far = p.v4(v4("203.0.113.7"));
    let mac = p.mac("fa:16:3e:00:00:11".parse().unwrap()).to_string();
    let hex = format!("{:08x}", u32::from(p.v4(v4("10.0.2.24"))));
    let turned = ip.rsplit('.').collect::<Vec<_>>().join(".");
    let cases = [
        ("-A x -d 10.0.2.24/32 -j DNAT --to 10.0.2.24:80", format!("-A x -d {ip}/32 -j DNAT --to {ip}:80")),
        ("IP 10.0.2.24.4711 > 203.0.113.7.80: S", format!("IP {ip}.4711 > {far}.80: S")),
        ("10.0.2.24-10.0.2.24", format!("{ip}-{ip}")),
        ("24.2.0.10.in-addr.arpa", format!("{turned}.in-addr.arpa")),
        ("host-10-0-2-24", format!("host-{}", ip.replace('.', "-"))),
        ("0x0a000218 0xa000218 0a000218", format!("0x{hex} 0x{} {hex}", &hex[1..])),
        ("id 01:fa:16:3e:00:00:11", format!("id 01:{mac}")),
        ("FA:16:3E:00:00:11", mac.to_ascii_uppercase()),
        ("mac:fa:16:3e:00:00:11:x fa163e000011", format!("mac:{mac}:x {}", mac.replace(':', ""))),
        (
            "web1 login: <web1> web10 _web1_ Web1.novalocal",
            format!("{vm} login: <{vm}> web10 _{vm}_ {vm}.novalocal"),
        ),
        ("/x/nova-compute1-web1.conf", format!("/x/nova-{host}-{vm}.conf")),
        ("c1:00:00:00:00:00 c1", format!("{} {}", p.mac("c1:00:00:00:00:00".parse().unwrap()), names["c1"])),
        ("<p>a&amp;b</p>", format!("<p>{}</p>", names["a&b"])),
        (
            "std::f 12:34:56 1.2.3.4.5.6 v1.2.3 2026-11-27",
            "std::f 12:34:56 1.2.3.4.5.6 v1.2.3 2026-11-27".to_owned(),
        ),
        ("[2001:db8::1]:80", format!("[{}]:80", p.v6("2001:db8::1".parse().unwrap()))),
        ("fe80::1%eth0 ::1", "fe80::1%eth0 ::1".to_owned()),
        ("::10.0.2.24", p.v6("::a00:218".parse().unwrap()).to_string()),
        (
            "instance-0000000a nova-compute-inst-10 vnet3 br100",
            "instance-0000000a nova-compute-inst-10 vnet3 br100".to_owned(),
        ),
    ];
    assert_ne!(p.v6("::a00:218".parse().unwrap()).to_string(), "::a00:218");
    for (text, expected) in cases {
        assert_eq!(p.text(text), expected, "{text}");
    }
}

fn shared4(one: Ipv4Addr, other: Ipv4Addr) -> u32 {
    (u32::from(one) ^ u32::from(other)).leading_zeros()
}

fn shared6(one: Ipv6Addr, other: Ipv6Addr) -> u32 {
    (u128::from(one) ^ u128::from(other)).leading_zeros()
}

const NETS: [&str; 7] =
    ["::/96", "fe80::/64", "2001:db8::/32", "fd00::/8", "::/0", "::ffff:0:0/96", "ff02::1:ff00:0/104"];

proptest! {
    #[test]
    fn prefixes_of_v4_are_kept_and_way_back_found(one: u32, other: u32, near in 0..32_u32, secret: [u8; 32]) {
        let key = Key::of(secret, vec!["10.0.0.0/16".parse().unwrap()]);
        let (one, far) = (Ipv4Addr::from(one), Ipv4Addr::from(other));
        for other in [far, Ipv4Addr::from(u32::from(one) ^ (1 << near))] {
            let mapped = [one, other].map(|ip| v4::permute(&key, ip, false));
            prop_assert_eq!(shared4(one, other), shared4(mapped[0], mapped[1]));
            prop_assert_eq!(v4::permute(&key, mapped[0], true), one);
        }
    }

    #[test]
    fn no_network_is_its_own_pseudonym(bits: u32, length in 1..=32_u8, wide: u32, secret: [u8; 32]) {
        let wide = Ipv4Net::new(wide.into(), 16).unwrap().trunc();
        let key = Key::of(secret, [wide].into_iter().filter(|net| v4::is_wide(*net)).collect());
        let net = Ipv4Net::new(bits.into(), length).unwrap().trunc();
        let mapped = Ipv4Net::new(v4::permute(&key, net.network(), false), length).unwrap().trunc();
        prop_assert_eq!(v4::has_others(net), mapped != net, "{} {}", net, mapped);
    }

    #[test]
    fn prefixes_of_v6_are_kept_and_way_back_found(
        net in prop::sample::select(NETS.to_vec()),
        bits: u128, iid in prop::sample::select(vec![u64::MAX, 0xffff, 0xff_ffff]), of_mac: bool, near in 0..128_u32,
        secret: [u8; 32],
    ) {
        let key = Key::of(secret, Vec::new());
        let net: Ipv6Net = net.parse().unwrap();
        let mut bits = bits & (u128::from(u64::MAX) << 64 | u128::from(iid));
        if of_mac {
            bits = bits & !(0xffff << 24) | 0xfffe << 24;
        }
        let host = u128::from(net.hostmask());
        let one = Ipv6Addr::from(u128::from(net.network()) | bits & host);
        let other = Ipv6Addr::from(u128::from(one) ^ (1 << near));
        let mapped = [one, other].map(|ip| v6::permute(&key, ip, false));
        prop_assert_eq!(shared6(one, other), shared6(mapped[0], mapped[1]), "{} {} {:?}", one, other, mapped);
        prop_assert_eq!(v6::permute(&key, mapped[0], true), one);
        prop_assert!(net.contains(&mapped[0]) || net.prefix_len() == 32);
    }

    #[test]
    fn macs_keep_their_maker_and_differ_as_before(one: [u8; 6], other: [u8; 6], secret: [u8; 32]) {
        let key = Key::of(secret, Vec::new());
        let (one, other) = (Mac(one), Mac(other));
        let mapped = [one, other].map(|address| mac::permute(&key, address, false));
        prop_assert_eq!(&mapped[0].0[..3], &one.0[..3]);
        prop_assert_eq!(one == other, mapped[0] == mapped[1]);
        prop_assert_eq!(mac::permute(&key, mapped[0], true), one);
        prop_assert_eq!(one.0[1..] == other.0[1..], mapped[0].0[1..] == mapped[1].0[1..]);
    }

    #[test]
    fn texts_of_nothing_known_stay(text in "[g-z ,;=\\-\\n<>/äß]*") {
        let read = pseudonyms(&[]).text(&text).into_owned();
        prop_assert_eq!(read, text);
    }

    #[test]
    fn any_text_is_read(text in "[0-9a-fA:./ x%_&\\\\\\-ü]{0,60}|\\PC{0,40}") {
        let p = pseudonyms(&[(Kind::Instance, "ü"), (Kind::Instance, "a b")]);
        let once = p.text(&text).into_owned();
        prop_assert_eq!(&once, &pseudonyms(&[(Kind::Instance, "ü"), (Kind::Instance, "a b")]).text(&text));
    }
}

#[test]
fn nothing_stays_behind_what_is_glued_to_it() {
    let p = pseudonyms(&[(Kind::Instance, "db1"), (Kind::Instance, "web 1"), (Kind::Host, "a1")]);
    for (text, secrets) in [
        ("\u{1b}[35m10.0.2.24\u{1b}[0;33mfa:16:3e:aa:bb:cc\u{1b}[0m", vec!["10.0.2.24", "aa:bb:cc"]),
        ("one\\n10.0.2.24\\tfa:16:3e:aa:bb:cc", vec!["10.0.2.24", "aa:bb:cc"]),
        ("url?host%3D10.0.2.24", vec!["10.0.2.24"]),
        ("src10.0.2.24", vec!["10.0.2.24"]),
        ("db1 booted, db1.example", vec!["db1"]),
        ("captures/1-web_1_broken.pcap-12345678", vec!["web_1"]),
        ("MAC=fa:16:3e:aa:bb:cc:fa:16:3e:dd:ee:ff:08:00 SRC=", vec!["aa:bb:cc", "dd:ee"]),
        ("4.3.2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", vec!["8.b.d.0.1"]),
    ] {
        let told = p.text(text);
        for secret in secrets {
            assert!(!told.contains(secret), "{text:?} -> {told:?}");
        }
    }
    let address: Ipv6Addr = "2001:db8::1234".parse().unwrap();
    let reverse = |address: Ipv6Addr| {
        let digits: Vec<String> =
            address.octets().iter().rev().map(|o| format!("{:x}.{:x}", o & 15, o >> 4)).collect();
        digits.join(".") + ".ip6.arpa"
    };
    assert_eq!(p.text(&reverse(address)), reverse(p.v6(address)));
    let whole = p.text("24.2.0.10.IN-ADDR.ARPA").into_owned();
    assert_eq!(whole, p.text("24.2.0.10.in-addr.arpa").replace("in-addr.arpa", "IN-ADDR.ARPA"));
    let logged = p.text("MAC=fa:16:3e:aa:bb:cc:fa:16:3e:dd:ee:ff:08:00").into_owned();
    let [one, other] = ["fa:16:3e:aa:bb:cc", "fa:16:3e:dd:ee:ff"].map(|mac| p.text(mac).into_owned());
    assert_eq!(logged, format!("MAC={one}:{other}:08:00"));
    assert_eq!(p.text("a1:16:3e:00:00:12").len(), 17, "an octet is no host");
}

#[test]
fn words_of_options_sysctls_and_services_stay_where_they_are_no_names() {
    let p = pseudonyms(&[
        (Kind::Host, "nova-network"),
        (Kind::Group, "dmz"),
        (Kind::User, "max"),
        (Kind::Group, "firewall"),
        (Kind::Host, "external"),
    ]);
    for kept in ["nova-network-POSTROUTING", "dmz_cidr", "net.netfilter.nf_conntrack_max", "firewall_driver"]
    {
        assert_eq!(p.text(kept), kept);
    }
    assert_ne!(p.name("nova-network"), "nova-network");
    assert_eq!(p.vantage("external//eth0"), format!("{}//eth0", p.name("external")));
}

#[test]
fn a_key_is_drawn_that_gives_no_network_the_name_of_another() {
    let networks = |count: u8| (0..count).map(|nth| Ipv4Net::new(Ipv4Addr::new(10, nth, 7, 0), 24).unwrap());
    let few: Vec<Ipv4Net> =
        networks(40).chain(["128.0.0.0/1", "10.0.0.0/8"].map(|net| net.parse().unwrap())).collect();
    for _ in 0..5 {
        let p = Pseudonyms::of_key(drawn(&few).unwrap());
        let is_anothers =
            |net: &Ipv4Net| few[..40].iter().any(|other| other.network() == p.v4(net.network()));
        assert!(!few[..40].iter().any(is_anothers));
    }
    // Of too many for that, a key is drawn all the same, and the table says so.
    let many: Vec<Ipv4Net> =
        Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 0), 8).unwrap().subnets(24).unwrap().collect();
    let spread: Vec<Ipv4Net> = many.iter().copied().step_by(109).collect();
    let p = Pseudonyms::of_key(drawn(&spread).unwrap());
    let q = Pseudonyms::of_key(Key::of([1; 32], Vec::new()));
    for net in many.iter().step_by(16) {
        assert_ne!(p.v4(net.network()), net.network());
        q.v4(net.network());
    }
    assert!(table(&q).contains(" of these pseudonyms are true names of others"), "{}", &table(&q)[..200]);
}

#[test]
fn ids_known_by_their_beginning_stand_in_the_table() {
    let p = pseudonyms(&[]);
    let told = p.text(
        "tap1234abcd-ef neutron-linuxbri-i89abcdef-0 tapfedcba98-76 fedcba98-7654-4321-8fed-cba987654321",
    );
    let table = p.table();
    let device = told.split(' ').next().unwrap().strip_prefix("tap").unwrap();
    assert_eq!(table.get(device).map(String::as_str), Some("1234abcd-ef"));
    assert!(table.values().any(|name| name == "89abcdef-0"), "{table:?}");
    assert!(!table.values().any(|name| name == "fedcba98-76"), "its whole id is there");
}

#[test]
fn names_of_options_and_sysctls_stay_but_for_devices() {
    use crate::mapped::Texts;
    let p = pseudonyms(&[(Kind::Host, "vpn"), (Kind::Instance, "tcp"), (Kind::Device, "shop-uplink-eth")]);
    let key = |map, key: &str| Texts::key(&p, Some(map), key).into_owned();
    assert_eq!(key("values", "vpn_ip"), "vpn_ip");
    for kept in ["ipv4.vpn.mode", "ipv4.conf.all.vpn", "ipv6.conf.default.vpn", "netfilter.vpn"] {
        assert_eq!(key("sysctls", kept), kept);
    }
    let device = p.text("tap1234abcd-ef").into_owned();
    assert_eq!(key("sysctls", "ipv4.conf.tap1234abcd-ef.vpn"), format!("ipv4.conf.{device}.vpn"));
    assert_eq!(key("sysctls", "ipv6.neigh.vpn.100.x"), format!("ipv6.neigh.{}.100.x", p.name("vpn")));
    assert_ne!(key("vif_uuids", "fa:16:3e:00:00:11"), "fa:16:3e:00:00:11");
}
