//! Bundles as they are written, and as strangers might write them.

use std::io::{Cursor, Write};

use cloud::{InstanceEntry, Records};
use model::Netns;
use model::service::NovaOptions;
use model::snapshot::Host;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;
use crate::limits::{MANIFEST_MAX, MANIFEST_PARTS_MAX};
use crate::manifest::FileEntry;
use crate::write::{Facts, Writer};
use crate::{entry, names};

fn machine(name: &str) -> Machine {
    let nova = NovaOptions {
        file: "/etc/nova/nova.conf".to_owned(),
        values: BTreeMap::from([("my_ip".to_owned(), "10.0.0.1".to_owned())]),
    };
    let sysctls = BTreeMap::from([("ipv4.ip_forward".to_owned(), "1".to_owned())]);
    let netns = Netns { machine: name.to_owned(), inode: Some(7), sysctls, ..Netns::default() };
    let host = Host { name: name.to_owned(), nova: Some(nova), ..Host::default() };
    let gaps = vec![Gap { what: "a".to_owned(), why: "b".to_owned(), would_need: "c".to_owned() }];
    Machine { netns, host: Some(host), gaps }
}

fn facts() -> Facts {
    let gone = Missing { why: "it burnt".to_owned(), would_need: "water".to_owned() };
    let records = Records { source: "sqlite:/nova".to_owned(), ..Records::default() };
    let entry = InstanceEntry { name: "web1".to_owned(), ..InstanceEntry::default() };
    Facts {
        manifest: Manifest { taken_at: 1_000_000, boot_id: "boot".to_owned(), ..Manifest::default() },
        machines: vec![
            ("compute1".to_owned(), false, Ok(machine("compute1"))),
            ("../odd".to_owned(), false, Ok(machine("../odd"))),
            ("gone".to_owned(), false, Err(gone)),
        ],
        cloud: CloudFacts { records: Some(records), entries: vec![entry], ..CloudFacts::default() },
    }
}

fn written(facts: &Facts) -> Vec<u8> {
    let writer = Writer::new(Cursor::new(Vec::new()), facts.manifest.taken_at).unwrap();
    writer.add("compute1", "main/iptables-nft-save.txt", "*filter\n");
    writer.add("compute1", "nova.conf", "[DEFAULT]\nrabbit_password = hunter2\n");
    let mut out = Vec::new();
    let length = writer.finish(facts, &mut out).unwrap().bytes;
    assert_eq!(length, out.len() as u64);
    out
}

/// A bundle made by hand: files of any kind, packed.
fn packed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut tar = Vec::new();
    write(&mut tar);
    entry::end(&mut tar).unwrap();
    zstd::encode_all(&tar[..], 3).unwrap()
}

fn manifest_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let listed = |(path, bytes): &(&str, &[u8])| FileEntry {
        path: (*path).to_owned(),
        bytes: bytes.len() as u64,
        sha256: names::hex(&Sha256::digest(bytes)),
    };
    let machines = files.iter().filter_map(|(path, _)| {
        let name = path.strip_suffix("/facts.json")?.to_owned();
        Some(crate::MachineEntry { folder: name.clone(), name, ..crate::MachineEntry::default() })
    });
    let manifest = Manifest {
        schema: MANIFEST_SCHEMA.to_owned(),
        machines: machines.collect(),
        files: files.iter().map(listed).collect(),
        ..Manifest::default()
    };
    serde_json::to_vec(&manifest).unwrap()
}

/// The files in a bundle whose manifest names them.
fn bundle_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    packed(|tar| {
        entry::write(tar, MANIFEST, &manifest_of(files), 0).unwrap();
        files.iter().for_each(|(path, bytes)| entry::write(tar, path, bytes, 0).unwrap());
    })
}

#[test]
fn what_is_written_is_read_again() {
    let facts = facts();
    let bundle = read(&written(&facts)[..], "x").unwrap();
    assert_eq!(bundle.gaps, []);
    let read: Vec<_> = bundle.members.iter().map(|m| (m.name.clone(), m.inside, m.outcome.clone())).collect();
    assert_eq!(read, facts.machines);
    assert_eq!(bundle.cloud.records, facts.cloud.records);
    assert_eq!(bundle.cloud.entries, facts.cloud.entries);
    assert_eq!((bundle.manifest.taken_at, bundle.members[1].position), (1_000_000, 1));
    let paths: Vec<&str> = bundle.manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths[..2], ["cloud.json", "compute1/facts.json"]);
    assert_eq!(paths[3..], ["compute1/main/iptables-nft-save.txt", "compute1/nova.conf"]);
}

#[test]
fn a_bundle_of_more_captures_than_any_has_is_refused() {
    let of = |count: usize| {
        let mut manifest: Manifest = serde_json::from_slice(&manifest_of(&[])).unwrap();
        let entry = |nth| CaptureEntry { path: format!("x/{nth}"), vantage: None };
        manifest.captures = (0..count).map(entry).collect();
        let bytes = serde_json::to_vec(&manifest).unwrap();
        read(&packed(|tar| entry::write(tar, MANIFEST, &bytes, 0).unwrap())[..], "x")
    };
    assert_eq!(of(CAPTURES_MAX).unwrap().captures, []);
    assert!(matches!(of(CAPTURES_MAX + 1), Err(ReadError::TooLarge { what: "captures", limit: 64 })));
}

#[test]
fn planted_secrets_are_nowhere_in_the_archive() {
    let mut facts = facts();
    let Ok(machine) = &mut facts.machines[0].2 else { panic!("a machine") };
    let host = machine.host.as_mut().unwrap();
    let options = [
        ("sql_connection", "mysql://nova:SECRETa@db/nova"),
        ("rabbit_password", "SECRETb"),
        ("neutron_metadata_proxy_shared_secret", "SECRETc"),
        ("glance_api", "http://admin:SECRETd@glance:9292"),
    ];
    host.nova.as_mut().unwrap().values.extend(options.map(|(key, value)| (key.to_owned(), value.to_owned())));
    host.processes.push(model::service::Process {
        argv: ["qemu", "--vnc-password=SECRETe", "-object", "{\"qom-type\":\"secret\",\"data\":\"SECRETf\"}"]
            .map(str::to_owned)
            .to_vec(),
        ..model::service::Process::default()
    });
    machine.gaps.push(Gap {
        what: "database".to_owned(),
        why: "cannot reach mysql://nova:SECRETg@db".to_owned(),
        would_need: String::new(),
    });
    let writer = Writer::new(Cursor::new(Vec::new()), 0).unwrap();
    let conf = "[DEFAULT]\nadmin_token=SECRETh\nrabbit_password = SECRETi\n  SECRETj\n\
                [database]\nconnection = postgresql://nova:p@SECRETk/x@db/nova\n\
                [vault]\nroot_token_id: SECRETl\n";
    writer.add("compute1", "nova.conf", conf);
    let xml = "<domain><graphics passwd='SECRETm'/><password>SECRETn</password></domain>";
    writer.add("compute1", "libvirt/a.xml", xml);
    let console =
        "-----BEGIN RSA PRIVATE KEY-----\nSECRETo\n-----END RSA PRIVATE KEY-----\npassword: SECRETp\n";
    writer.add("compute1", "consoles/a.log", console);
    let mut out = Vec::new();
    writer.finish(&facts, &mut out).unwrap();
    let text = String::from_utf8(zstd::decode_all(&out[..]).unwrap()).unwrap();
    let left: Vec<_> = text.match_indices("SECRET").map(|(at, _)| &text[at..at + 7]).collect();
    assert_eq!(left, Vec::<&str>::new());
    assert!(text.contains("***") && text.contains("[vault]"));
}

#[test]
fn a_bundle_that_breaks_off_is_read_as_far_as_it_goes() {
    let noise: Vec<String> = (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
    let facts = facts();
    let writer = Writer::new(Cursor::new(Vec::new()), 0).unwrap();
    writer.add("compute1", "log.txt", &noise.join("\n"));
    let mut whole = Vec::new();
    writer.finish(&facts, &mut whole).unwrap();
    let (mut refused, mut partly) = (0, 0);
    for length in (0..whole.len()).step_by(whole.len() / 200) {
        match read(&whole[..length], "x") {
            Err(ReadError::Damaged { .. } | ReadError::NoManifest) => refused += 1,
            Err(other) => panic!("{length}: {other}"),
            Ok(bundle) => {
                partly += 1;
                assert!(
                    bundle.gaps.iter().any(|gap| gap.what == "the rest of x"),
                    "{length}: {:?}",
                    bundle.gaps
                );
                assert_eq!(bundle.members.len(), 3);
            }
        }
    }
    assert!(refused > 0 && partly > 100, "{refused} refused, {partly} read in part");
    let half = read(&whole[..whole.len() / 2], "x").unwrap();
    assert_eq!(half.members[0].outcome, Ok(machine("compute1")), "the facts come before what people read");
}

#[test]
fn what_was_changed_is_not_believed() {
    let facts = br#"{"schema":"hopline.facts/1","netns":{"machine":"a"},"host":{"name":"a"}}"#;
    let cloud = br#"{"schema":"hopline.cloud/1"}"#;
    let sound = read(&bundle_of(&[(CLOUD, cloud), ("a/facts.json", facts)])[..], "x").unwrap();
    assert!(sound.members[0].outcome.is_ok() && sound.gaps.is_empty(), "{sound:?}");

    let changed = packed(|tar| {
        let files = [(CLOUD, &cloud[..]), ("a/facts.json", &facts[..]), ("a/log", b"x"), ("a/gone", b"")];
        entry::write(tar, MANIFEST, &manifest_of(&files), 0).unwrap();
        entry::write(tar, CLOUD, b"{\"schema\":\"hopline.cloud/1\" }", 0).unwrap();
        entry::write(tar, "a/facts.json", &facts.to_ascii_lowercase().repeat(1)[..facts.len() - 1], 0)
            .unwrap();
        entry::write(tar, "a/log", b"y", 0).unwrap();
        entry::write(tar, "a/more", b"y", 0).unwrap();
    });
    let bundle = read(&changed[..], "x").unwrap();
    let why = &bundle.members[0].outcome.as_ref().unwrap_err().why;
    assert!(why.contains("a/facts.json was changed") && why.contains("SHA-256"), "{why}");
    let gaps: Vec<String> = bundle.gaps.iter().map(|gap| format!("{}: {}", gap.what, gap.why)).collect();
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps[0].starts_with("the cloud's records in x: cloud.json was changed"), "{gaps:?}");
    assert!(gaps[1].ends_with("since: a/log, a/gone, a/more"), "{gaps:?}");
}

#[test]
fn files_of_the_wrong_kind_under_the_right_name_cost_their_machine_alone() {
    let good = br#"{"schema":"hopline.facts/1","netns":{"machine":"good"},"host":{"name":"good"}}"#;
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let wrong: [(&str, &[u8], &str); 7] = [
        ("png/facts.json", b"\x89PNG\r\n", "cannot be read"),
        ("utf16/facts.json", b"\xff\xfe{\0}\0", "cannot be read"),
        ("list/facts.json", b"[1,2]", "cannot be read"),
        ("deep/facts.json", &deep, "cannot be read"),
        ("new/facts.json", br#"{"schema":"hopline.facts/2"}"#, "hopline.facts/2"),
        ("type/facts.json", br#"{"schema":"hopline.facts/1","netns":7}"#, "cannot be read"),
        ("other/facts.json", br#"{"schema":"hopline.facts/1","netns":{"machine":"x"}}"#, "are those of `x`"),
    ];
    let mut files: Vec<(&str, &[u8])> = wrong.iter().map(|(path, bytes, _)| (*path, *bytes)).collect();
    files.push(("good/facts.json", good));
    let bundle = read(&bundle_of(&files)[..], "x").unwrap();
    for ((path, _, expected), member) in wrong.iter().zip(&bundle.members) {
        let why = &member.outcome.as_ref().unwrap_err().why;
        assert!(why.contains(expected), "{path}: {why}");
    }
    assert!(bundle.members[7].outcome.is_ok());
}

#[test]
fn links_devices_and_paths_that_lead_out_are_refused() {
    let kinds =
        [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Char, EntryType::GNULongName];
    for kind in kinds {
        let archive = packed(|tar| {
            let mut header = Header::new_ustar();
            header.set_path("compute1/facts.json").unwrap();
            header.set_link_name("../../etc/shadow").unwrap();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_cksum();
            tar.extend(header.as_bytes());
        });
        assert!(matches!(read(&archive[..], "x"), Err(ReadError::NotAFile { .. })), "{kind:?}");
    }
    for path in ["../../etc/cron.d/x", "/etc/passwd", "a/../b", "a\\b"] {
        let archive = packed(|tar| {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(0);
            header.set_cksum();
            tar.extend(header.as_bytes());
        });
        assert!(matches!(read(&archive[..], "x"), Err(ReadError::Path { .. })), "{path}");
    }
    let twice = packed(|tar| (0..2).for_each(|_| entry::write(tar, "a/b", b"", 0).unwrap()));
    assert!(matches!(read(&twice[..], "x"), Err(ReadError::Twice { .. })));
}

/// A tar with one file of so many zeros, packed as it is made.
fn zeros(path: &str, length: u64) -> Vec<u8> {
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let mut header = Header::new_ustar();
    header.set_path(path).unwrap();
    header.set_size(length);
    header.set_cksum();
    packed.write_all(header.as_bytes()).unwrap();
    io::copy(&mut io::repeat(0).take(length), &mut packed).unwrap();
    packed.finish().unwrap()
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let bomb = zeros("compute1/log", 200 << 20);
    assert!(matches!(read(&bomb[..], "x"), Err(ReadError::Bomb { .. })));
    let facts = zeros("compute1/facts.json", FACTS_MAX + 1);
    assert!(matches!(read(&facts[..], "x"), Err(ReadError::TooLarge { .. } | ReadError::Bomb { .. })));
    // A length that is only told costs nothing.
    let told = packed(|tar| {
        let mut header = Header::new_ustar();
        header.set_path(MANIFEST).unwrap();
        header.set_size(MANIFEST_MAX - 1);
        header.set_cksum();
        tar.extend(header.as_bytes());
    });
    assert!(matches!(read(&told[..], "x"), Err(ReadError::Damaged { .. })));
}

#[test]
fn more_parts_than_any_site_has_are_refused_before_they_are_read() {
    for piece in ["{},", "[],"] {
        let many = format!(r#"{{"machines":[{}{{}}]}}"#, piece.repeat(MANIFEST_PARTS_MAX));
        let archive = packed(|tar| entry::write(tar, MANIFEST, many.as_bytes(), 0).unwrap());
        assert!(matches!(read(&archive[..], "x"), Err(ReadError::TooLarge { .. })), "{piece}");
    }
}

#[test]
fn facts_that_would_grow_beyond_measure_cost_their_machines_alone() {
    let links = |count: usize| {
        let links = vec!["{}"; count].join(",");
        format!(
            r#"{{"schema":"{FACTS_SCHEMA}","netns":{{"machine":"a","links":[{links}]}},"host":{{"name":"a"}}}}"#
        )
    };
    let (few, many) = (links(1_000), links(1_000_000));
    let files = [("a/facts.json", &few), ("b/facts.json", &many), ("c/facts.json", &many)];
    let bundle = read(&bundle_of(&files.map(|(path, text)| (path, text.as_bytes())))[..], "x").unwrap();
    let why: Vec<_> = bundle.members.iter().map(|m| m.outcome.as_ref().map_err(|m| m.why.clone())).collect();
    assert!(why[0].is_ok(), "{why:?}");
    let is_too_large =
        |why: &Result<_, String>| why.as_ref().is_err_and(|why| why.contains("any real bundle"));
    assert!(why[1..].iter().all(is_too_large), "{why:?}");
}

#[test]
fn a_machine_whose_devices_have_commands_for_names_is_missing() {
    let mut facts = facts();
    let Ok(machine) = &mut facts.machines[0].2 else { panic!("a machine") };
    machine.netns.links.push(model::link::Link { name: "a;reboot".to_owned(), ..Default::default() });
    let bundle = read(&written(&facts)[..], "x").unwrap();
    let outcomes: Vec<bool> = bundle.members.iter().map(|member| member.outcome.is_ok()).collect();
    assert_eq!(outcomes, [false, true, false]);
}

#[test]
fn a_plain_file_never_takes_the_place_of_facts() {
    let writer = Writer::new(Cursor::new(Vec::new()), 0).unwrap();
    writer.add("compute1", "facts.json", "{}");
    writer.add("", "cloud.json", "{}");
    writer.add("", "manifest.json", "{}");
    let mut out = Vec::new();
    writer.finish(&facts(), &mut out).unwrap();
    let bundle = read(&out[..], "x").unwrap();
    assert_eq!((bundle.gaps.len(), bundle.members[0].outcome.is_ok()), (0, true));
}

#[test]
fn bundles_that_do_not_tell_their_kernel_have_not_the_same() {
    let empty = Facts { manifest: Manifest { boot_id: String::new(), ..facts().manifest }, ..facts() };
    let archive = written(&empty);
    let boot_ids = ["x", "y"].map(|name| read(&archive[..], name).unwrap().members[0].boot_id.clone());
    assert_ne!(boot_ids[0], boot_ids[1]);
}

#[test]
fn another_file_is_told_as_such() {
    for (bytes, expected) in [
        (&b""[..], "it is no bundle"),
        (b"PK\x03\x04", "it is no bundle"),
        (&packed(|_| ()), "holds no manifest.json"),
        (&packed(|tar| entry::write(tar, "a", b"x", 0).unwrap()), "holds no manifest.json"),
        (&packed(|tar| entry::write(tar, MANIFEST, b"{", 0).unwrap()), "manifest.json cannot be read"),
        (&packed(|tar| entry::write(tar, MANIFEST, b"{}", 0).unwrap()), "has the schema ``"),
        (
            &packed(|tar| {
                entry::write(tar, MANIFEST, br#"{"schema":"hopline.bundle/2","files":1}"#, 0).unwrap();
            }),
            "hopline.bundle/2",
        ),
    ] {
        let error = read(bytes, "x").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_answered(octets: Vec<u8>) {
        let _ = read(&octets[..], "x");
        let _ = read(&zstd::encode_all(&octets[..], 1).unwrap()[..], "x");
    }

    #[test]
    fn any_change_is_noticed_or_harmless(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let facts = facts();
        let mut tar = zstd::decode_all(&written(&facts)[..]).unwrap();
        let at = at.index(tar.len());
        tar[at] ^= 1 << bit;
        if let Ok(bundle) = read(&zstd::encode_all(&tar[..], 1).unwrap()[..], "x") {
            for member in bundle.members.iter().filter(|member| member.outcome.is_ok()) {
                let original = facts.machines.iter().find(|(name, ..)| *name == member.name);
                prop_assert_eq!(&member.outcome, &original.unwrap().2);
            }
        }
    }
}
