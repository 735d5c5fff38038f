//! Forms that addresses take in texts: none of them stays readable, and what only looks like one stays.

use std::net::Ipv4Addr;

use model::Mac;

use super::super::key::Key;
use super::super::names::Names;
use super::super::pseudonyms::{Known, Pseudonyms};

const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 24);
const MAC: &str = "fa:16:3e:aa:bb:cc";

fn pseudonyms() -> Pseudonyms {
    let key = Key::of([42; 32], vec!["10.0.0.0/16".parse().unwrap()]);
    let mut known = Known::default();
    known.v4.insert(IP);
    known.add_networks(["198.51.100.64/26", "198.51.100.0/24"].map(|net| net.parse().unwrap()).into());
    known.macs.insert("12:34:56:78:90:12".parse().unwrap());
    Pseudonyms::new(key, &Names::default(), known)
}

fn mac() -> String {
    pseudonyms().mac(MAC.parse().unwrap()).to_string()
}

fn assert_becomes(cases: &[(&str, String)]) {
    for (text, expected) in cases {
        assert_eq!(pseudonyms().text(text), *expected, "{text}");
    }
}

fn assert_stay(texts: &[&str]) {
    for text in texts {
        assert_eq!(pseudonyms().text(text), *text);
    }
}

#[test]
fn macs_are_found_however_they_are_parted() {
    let mac = mac();
    let digits = mac.replace(':', "");
    let grouped = |size: usize, mark: &str| {
        digits
            .as_bytes()
            .chunks(size)
            .map(|part| str::from_utf8(part).unwrap())
            .collect::<Vec<_>>()
            .join(mark)
    };
    assert_becomes(&[
        ("mac=fa%3A16%3A3e%3Aaa%3Abb%3Acc&x=1", format!("mac={}&x=1", mac.replace(':', "%3A"))),
        ("mac%3Dfa%3a16%3a3e%3aaa%3abb%3acc%26x", format!("mac%3D{}%26x", mac.replace(':', "%3a"))),
        ("fa%253A16%253A3e%253Aaa%253Abb%253Acc", mac.replace(':', "%253A")),
        ("GENERAL.HWADDR:fa\\:16\\:3e\\:aa\\:bb\\:cc", format!("GENERAL.HWADDR:{}", mac.replace(':', "\\:"))),
        ("fa16.3eaa.bbcc", grouped(4, ".")),
        ("FA16.3EAA.BBCC.conf", grouped(4, ".").to_ascii_uppercase() + ".conf"),
        ("fa16-3eaa-bbcc fa163e-aabbcc", format!("{} {}", grouped(4, "-"), grouped(6, "-"))),
        ("1234.5678.9012", {
            let known: Mac = "12:34:56:78:90:12".parse().unwrap();
            let digits = pseudonyms().mac(known).to_string().replace(':', "");
            format!("{}.{}.{}", &digits[..4], &digits[4..8], &digits[8..])
        }),
        ("fa-16-3e-aa-bb-cc-eth0", mac.replace(':', "-") + "-eth0"),
        ("01-fa-16-3e-aa-bb-cc", "01-".to_owned() + &mac.replace(':', "-")),
        ("fa-16-3e-aa-bb-cc-01", mac.replace(':', "-") + "-01"),
        (
            "00-01-00-01-2a-2b-2c-2d-fa-16-3e-aa-bb-cc",
            "00-01-00-01-2a-2b-2c-2d-".to_owned() + &mac.replace(':', "-"),
        ),
        ("net_vnet0_fa_16_3e_aa_bb_cc", "net_vnet0_".to_owned() + &mac.replace(':', "_")),
        // Nobody knows it, and its maker is that of instances.
        ("fa163eaabbcc", digits.clone()),
    ]);
    assert_stay(&["1234.5678.1234", "1a2b.3c4d.5e6f.7a8b", "dead-beef-cafe", "a1b2c3d4e5f6"]);
}

#[test]
fn addresses_are_found_in_names_of_hosts_and_devices() {
    let ip = pseudonyms().v4(IP).to_string();
    let (dashed, scored) = (ip.replace('.', "-"), ip.replace('.', "_"));
    let far = pseudonyms().v4(Ipv4Addr::new(203, 0, 113, 7)).to_string().replace('.', "-");
    let near = pseudonyms().v4(Ipv4Addr::new(192, 168, 7, 9)).to_string().replace('.', "-");
    assert_becomes(&[
        ("ip-10-0-2-24-eth0", format!("ip-{dashed}-eth0")),
        ("veth_10_0_2_24_up vm_10_0_2_24", format!("veth_{scored}_up vm_{scored}")),
        ("rack-7-10-0-2-24", format!("rack-7-{dashed}")),
        ("10-0-2-24-80", format!("{dashed}-80")),
        ("203-0-113-7-a", format!("{far}-a")),
        ("5-6-192-168-7-9-1", format!("5-6-{near}-1")),
    ]);
    assert_stay(&["2026-11-27-10-22", "1-2-3-4-5-6", "1_2_3", "01-02-03-04"]);
}

#[test]
fn addresses_are_found_in_hex_where_the_site_has_them() {
    let hex = |ip: Ipv4Addr| format!("{:08x}", u32::from(pseudonyms().v4(ip)));
    let turned = |ip: Ipv4Addr| format!("{:08X}", u32::from(pseudonyms().v4(ip)).swap_bytes());
    let other = Ipv4Addr::new(198, 51, 100, 77);
    assert_becomes(&[
        ("ip-0a000218-eth0 0A000218", format!("ip-{}-eth0 {}", hex(IP), hex(IP).to_ascii_uppercase())),
        // An address of nobody's that is known, in a network of the site.
        ("c633644d", hex(other)),
        // /proc/net/route and /proc/net/tcp have them as the CPU has.
        ("1802000A:0016 4D6433C6", format!("{}:0016 {}", turned(IP), turned(other))),
    ]);
    assert_stay(&["deadbeef 0badcafe c6336500 1234abcd 0a0002180"]);
}

#[test]
fn addresses_in_trees_and_behind_zeros_are_others() {
    let ip = pseudonyms().v4(IP);
    let turned = ip.to_string().rsplit('.').collect::<Vec<_>>().join(".");
    let behind: std::net::Ipv6Addr = format!("::1:{ip}").parse().unwrap();
    assert_becomes(&[
        ("24.2.0.10.in-addr.arpa.", format!("{turned}.in-addr.arpa.")),
        ("::1:a00:218", behind.to_string()),
        ("::1:10.0.2.24", behind.to_string()),
    ]);
    assert_stay(&["::1", "::1:0:1", "::ffff:ffff:ffff:ffff"]);
}

#[test]
fn masks_of_macs_stay() {
    let mac = mac();
    let short =
        pseudonyms().mac("0:11:22:33:44:55".parse().unwrap()).0.map(|octet| format!("{octet:x}")).join(":");
    let prefix = pseudonyms().mac("fa:16:3e:aa:00:00".parse().unwrap()).0;
    assert_becomes(&[
        ("-s fa:16:3e:aa:bb:cc/00:00:00:ff:ff:ff -j", format!("-s {mac}/00:00:00:ff:ff:ff -j")),
        ("-s 0:11:22:33:44:55/0:0:0:ff:ff:ff", format!("-s {short}/0:0:0:ff:ff:ff")),
        ("fa:16:3e:aa:00:00/ff:ff:ff:ff:0:0", format!("fa:16:3e:{:02x}:00:00/ff:ff:ff:ff:0:0", prefix[3])),
        (
            "ether saddr & 00:00:00:ff:ff:ff == fa:16:3e:aa:bb:cc",
            format!("ether saddr & 00:00:00:ff:ff:ff == {mac}"),
        ),
        ("fa:16:3e:aa:bb:cc/fa:16:3e:aa:bb:cc", format!("{mac}/{mac}")),
    ]);
}

#[test]
fn comments_of_rules_become_others() {
    let p = pseudonyms();
    let one = p.comment("acme 99, bob");
    let word = p.comment("bob");
    let quoted = p.comment(r#"say \"hi\" bob"#);
    assert_becomes(&[
        (
            r#"tcp dport 22 accept comment "acme 99, bob" # x"#,
            format!(r#"tcp dport 22 accept comment "{one}" # x"#),
        ),
        (r#"-m comment --comment "acme 99, bob" -j X"#, format!(r#"-m comment --comment "{one}" -j X"#)),
        (r#"-m comment --comment \"acme 99, bob\" -j X"#, format!(r#"-m comment --comment \"{one}\" -j X"#)),
        ("-m comment --comment bob -j X", format!("-m comment --comment {word} -j X")),
        (r#"--comment "say \"hi\" bob" -j X"#, format!(r#"--comment "{quoted}" -j X"#)),
        (r#"{"comment": "acme 99, bob", "x": 1}"#, format!(r#"{{"comment": "{one}", "x": 1}}"#)),
        (r#"add s 1.1.1.1 comment "bob""#, format!(r#"add s {} comment "{word}""#, p.text("1.1.1.1"))),
    ]);
    assert_stay(&["a comment is here", "comment \"\" x", "comment \"open", "comments \"x\"", "# comment: x"]);
    assert!(p.table().values().any(|original| original == "acme 99, bob"));
}

proptest::proptest! {
    #[test]
    fn whatever_a_comment_says_it_does_not_say_it_again(
        said in "[A-Z]{8,12}[A-Z \\\\ü,.-]{0,40}[A-Z]{8}", mess in "[a-z\"\\\\ :-]{0,30}",
    ) {
        let p = pseudonyms();
        for text in [
            format!("accept comment \"{said}\""),
            format!("--comment \"{said}\" -j X"),
            format!("{{\"comment\":\"{said}\"}}"),
        ] {
            let first = said.get(..8).unwrap_or_default();
            proptest::prop_assert!(!p.text(&text).contains(first), "{}", p.text(&text));
        }
        // Nothing panics.
        p.text(&format!("comment \"{mess}--comment {mess}\"comment{mess}{said}comment"));
    }
}
