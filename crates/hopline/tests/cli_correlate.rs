//! `hopline correlate` on the guide's listings, on captures with an answer key, and on what is broken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
#[path = "../../correlate/tests/support/generate.rs"]
#[allow(dead_code, reason = "the generator's names and clocks are for the tests of its own crate")]
mod generate;
#[path = "../../correlate/tests/support/octets.rs"]
mod octets;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use cli_support::capture_files::pcapng;
use cli_support::{Run, assert_refused, command, hopline, read};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with the guide's three listings.
fn guide() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parse/tests/fixtures/text/guide");
    for name in ["external-server", "compute-node", "instance"] {
        fs::copy(from.join(format!("tcpdump-{name}.txt")), folder.path().join(format!("{name}.txt")))
            .unwrap();
    }
    folder
}

const GUIDE: [&str; 4] = ["correlate", "external-server.txt", "compute-node.txt", "instance.txt"];

/// Four captures with losses and copies, and their key.
fn captures(packets: u64) -> (TempDir, generate::Key) {
    generated(generate::Plan { seed: 3, packets, lost_in: 300, duplicated_in: 100, lost_alone: None })
}

fn generated(plan: generate::Plan) -> (TempDir, generate::Key) {
    let folder = tempfile::tempdir().unwrap();
    let mut files: [Vec<u8>; 4] = Default::default();
    let [a, b, c, d] = &mut files;
    let key = generate::generate(&plan, [a, b, c, d]).unwrap();
    for (name, file) in generate::NAMES.iter().zip(&files) {
        fs::write(folder.path().join(format!("{name}.pcap")), file).unwrap();
    }
    (folder, key)
}

const CAPTURES: [&str; 5] = ["correlate", "tap.pcap", "uplink.pcap", "router.pcap", "server.pcap"];

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("no JSON document: {error}: {run:?}"))
}

fn lost(document: &Value) -> Vec<(String, u64, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lost = document["lost"].as_array().unwrap().iter();
    let mut lost: Vec<_> = lost
        .map(|lost| (text(&lost["last_seen"]), lost["frame"].as_u64().unwrap(), text(&lost["expected_at"])))
        .collect();
    lost.sort();
    lost
}

fn planted(key: &generate::Key) -> Vec<(String, u64, String)> {
    let name = |place: usize| generate::NAMES[place].to_owned();
    let lost = key.lost.iter().map(|(last, frame, next)| (name(*last), u64::from(*frame), name(*next)));
    let mut lost: Vec<_> = lost.collect();
    lost.sort();
    lost
}

#[test]
fn the_guides_listings_are_one_story() {
    let folder = guide();
    let run = hopline(folder.path(), &GUIDE);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    insta::assert_snapshot!(run.stdout);
    let run = hopline(folder.path(), &[&GUIDE[..], &["--json"]].concat());
    assert_eq!(run.code, 0);
    insta::assert_snapshot!("the_guides_listings_as_json", run.stdout);
}

#[test]
fn what_was_planted_is_found_in_every_format_of_answer() {
    let (folder, key) = captures(6_000);
    assert!(key.lost.len() > 5, "{key:?}");
    let run = hopline(folder.path(), &[&CAPTURES[..], &["--json"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{run:?}");
    let told = document(&run);
    assert_eq!(told["schema"], "hopline.journeys/1");
    assert_eq!(lost(&told), planted(&key));
    assert_eq!(told["duplicates"], key.duplicates);
    assert_eq!(told["window_ms"], 2000);

    let run = hopline(folder.path(), &[&CAPTURES[..], &["--minimal"]].concat());
    let lines: Vec<&str> = run.stdout.lines().collect();
    for line in ["packet-lost uplink", "packet-lost router"] {
        assert!(lines.contains(&line), "{lines:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("packet-duplicated ")), "{lines:?}");

    let run = hopline(folder.path(), &[&CAPTURES[..], &["--json", "--each"]].concat());
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, journeys) = lines.split_last().unwrap();
    assert_eq!(lost(summary), planted(&key));
    assert_eq!(summary["journeys"].as_u64(), u64::try_from(journeys.len()).ok());
    assert!(journeys.iter().all(|j| j["seen"][0]["vantage"].is_string()), "a vantage without a name");

    let run = hopline(folder.path(), &CAPTURES);
    assert_eq!(run.code, 1);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert!(run.stdout.contains("expected at router"), "{}", run.stdout);
}

#[test]
fn packed_captures_are_the_same() {
    let (folder, key) = captures(2_000);
    let path = |name: &str| folder.path().join(name);
    for (tool, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        let packed = Command::new(tool).arg("-kq").arg(path("router.pcap")).status().unwrap();
        assert!(packed.success(), "{tool}");
        let file = format!("router.pcap.{ending}");
        let run =
            hopline(folder.path(), &["correlate", "--json", "tap.pcap", "uplink.pcap", &file, "server.pcap"]);
        assert_eq!(lost(&document(&run)), planted(&key), "{ending}");
    }
}

#[test]
fn a_capture_cut_off_gives_what_it_has_and_says_where_it_broke() {
    let (folder, _) = captures(2_000);
    let path = folder.path().join("router.pcap");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let run = hopline(folder.path(), &[&CAPTURES[..], &["--json"]].concat());
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(
        run.stderr.contains("router.pcap broke at ") && run.stderr.contains("within a packet"),
        "{run:?}"
    );
    let broken = &document(&run)["unreadable"];
    assert_eq!((broken.as_array().unwrap().len(), &broken[0]["file"]), (1, &Value::from("router.pcap")));
    assert!(broken[0]["offset"].as_u64().unwrap() > 100_000, "{broken}");

    let run = hopline(folder.path(), &["correlate", "router.pcap"]);
    let is_told = run.stdout.contains("router.pcap broke at");
    assert!(is_told && (run.code == 3 || run.stdout.contains("duplicated")), "{run:?}");
}

#[test]
fn what_is_no_capture_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty.pcap"), "").unwrap();
    fs::write(folder.path().join("letter.txt"), "Dear operator,\nall is well.\n").unwrap();
    fs::write(folder.path().join("noise"), [0x7f, b'E', b'L', b'F', 0, 1, 2, 3]).unwrap();
    fs::write(folder.path().join("head.pcap"), [0xd4, 0xc3, 0xb2, 0xa1, 2, 0]).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let cases: [(&str, &[&str]); 6] = [
        ("empty.pcap", &["cannot read empty.pcap: it is empty", "hint: "]),
        ("letter.txt", &["letter.txt is neither a capture nor a listing", "hint: "]),
        ("noise", &["noise is neither a capture nor a listing", "hint: "]),
        ("head.pcap", &["cannot read head.pcap", "header"]),
        ("folder", &["cannot read folder: it is a directory", "hint: "]),
        ("absent.pcap", &["cannot read absent.pcap", "No such file"]),
    ];
    for (file, pieces) in cases {
        assert_refused(&hopline(folder.path(), &["correlate", file]), pieces);
    }
    assert_refused(&hopline(folder.path(), &["correlate"]), &["<FILE>..."]);
    assert_refused(&hopline(folder.path(), &["correlate", "empty.pcap", "--window", "0s"]), &["--window"]);
}

#[test]
fn a_file_that_may_not_be_read_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.pcap");
    fs::write(&path, pcap(&[])).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let program = command(folder.path());
    // Root reads everything, unless it may not.
    let mut asked = if fs::metadata(&path).unwrap().uid() == 0 {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(program.get_program());
        setpriv.current_dir(folder.path()).env("HOME", folder.path());
        setpriv
    } else {
        program
    };
    let run = read(asked.args(["correlate", "secret.pcap"]).output().unwrap());
    assert_refused(&run, &["cannot read secret.pcap: Permission denied"]);
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
}

#[test]
fn packed_captures_that_are_cut_off_or_damaged_say_where() {
    let plan = generate::Plan { seed: 3, packets: 2_000, lost_in: 0, duplicated_in: 0, lost_alone: None };
    let (folder, _) = generated(plan);
    let path = |name: &str| folder.path().join(name);
    for (tool, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        let packed = Command::new(tool).arg("-kq").arg(path("router.pcap")).status().unwrap();
        assert!(packed.success(), "{tool}");
        let file = format!("router.pcap.{ending}");
        let whole = fs::read(path(&file)).unwrap();
        fs::write(path(&file), &whole[..whole.len() * 9 / 10]).unwrap();
        let run = hopline(folder.path(), &["correlate", "--json", &file]);
        assert_eq!((run.code, run.stderr.lines().count()), (3, 1), "{run:?}");
        assert!(run.stderr.contains(&format!("{file} broke at ")), "{run:?}");
        assert!(run.stderr.contains("the packed file is cut off here"), "{run:?}");
        let told = document(&run);
        assert_eq!(told["unreadable"][0]["file"], file.as_str());
        assert!(told["vantages"][0]["packets"].as_u64().unwrap() > 100, "what stands before is used: {told}");

        let mut damaged = whole.clone();
        let late = damaged.len() * 9 / 10;
        damaged[late..late + 64].fill(0xff);
        fs::write(path(&file), damaged).unwrap();
        let run = hopline(folder.path(), &["correlate", "--json", &file]);
        assert_eq!((run.code, run.stderr.lines().count()), (3, 1), "{run:?}");
        assert_eq!(document(&run)["unreadable"].as_array().unwrap().len(), 1, "{run:?}");

        for cut in [3, 4, 10] {
            fs::write(path(&file), &whole[..cut]).unwrap();
            let run = hopline(folder.path(), &["correlate", &file]);
            assert_refused(&run, &[&file]);
            assert_eq!(run.stderr.lines().filter(|line| line.contains(&file)).count(), 1, "{run:?}");
        }
    }
}

#[test]
fn one_bad_file_among_good_ones_is_named() {
    let (folder, _) = captures(100);
    fs::write(folder.path().join("empty.pcap"), "").unwrap();
    let run = hopline(folder.path(), &["correlate", "tap.pcap", "empty.pcap", "server.pcap"]);
    assert_refused(&run, &["cannot read empty.pcap: it is empty"]);
}

#[test]
fn a_capture_without_a_packet_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("none.pcap"), pcap(&[])).unwrap();
    fs::write(folder.path().join("none.pcapng"), pcapng(&["compute1//vnet1"], &[])).unwrap();
    for file in ["none.pcap", "none.pcapng"] {
        let run = hopline(folder.path(), &["correlate", "--json", file]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        assert_eq!(document(&run)["journeys"], 0);
    }
}

#[test]
fn blocks_that_lie_about_their_length_are_told_and_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let packet = octets::plain(&empty_udp(1));
    let good = pcapng(&["compute1//vnet1"], &[(0, 5, packet)]);
    for length in [u32::MAX, u32::MAX - 3, 0x8000_0000, 0, 8, 13] {
        let mut file = good.clone();
        file.extend([6_u32.to_le_bytes(), length.to_le_bytes()].concat());
        file.extend([0; 64]);
        fs::write(folder.path().join("long.pcapng"), file).unwrap();
        let run = hopline(folder.path(), &["correlate", "long.pcapng", "--json"]);
        assert_eq!((run.code, run.stderr.lines().count()), (3, 1), "{length}: {run:?}");
        let told = document(&run);
        assert_eq!(told["unreadable"][0]["offset"], good.len(), "{length}: {told}");
        assert_eq!(told["vantages"][0]["packets"], 1, "{length}: {told}");
    }
    // The very first one.
    let mut file = good;
    file[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(folder.path().join("long.pcapng"), file).unwrap();
    assert_refused(&hopline(folder.path(), &["correlate", "long.pcapng"]), &["cannot read long.pcapng"]);
}

#[test]
fn packets_of_no_length_are_passed_over_in_pcapng_too() {
    let folder = tempfile::tempdir().unwrap();
    let packet = octets::plain(&empty_udp(1));
    let file = pcapng(&["compute1//vnet1"], &[(0, 5, Vec::new()), (0, 6, packet), (0, 7, Vec::new())]);
    fs::write(folder.path().join("odd.pcapng"), file).unwrap();
    let run = hopline(folder.path(), &["correlate", "odd.pcapng", "--json", "--each"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let journey: Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&journey["seen"][0]["vantage"], &journey["seen"][0]["frame"]),
        (&"compute1//vnet1".into(), &2.into())
    );
}

/// A pcap of raw IP with these packets.
fn pcap(packets: &[(u32, &[u8])]) -> Vec<u8> {
    let mut file: Vec<u8> = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    for (seconds, data) in packets {
        let length = u32::try_from(data.len()).unwrap();
        [*seconds, 0, length, length].iter().for_each(|word| file.write_all(&word.to_le_bytes()).unwrap());
        file.extend_from_slice(data);
    }
    file
}

/// An empty UDP packet with an IP id.
fn empty_udp(id: u8) -> [u8; 28] {
    let mut packet = [0; 28];
    packet[..10].copy_from_slice(&[0x45, 0, 0, 28, 0, id, 0x40, 0, 64, 17]);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet[20..26].copy_from_slice(&[1, 2, 3, 4, 0, 8]);
    packet
}

#[test]
fn odd_packets_and_odd_times_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (empty_udp(1), empty_udp(2));
    fs::write(folder.path().join("odd.pcap"), pcap(&[(100, &[]), (101, &one), (50, &two)])).unwrap();
    let run = hopline(folder.path(), &["correlate", "odd.pcap", "--json"]);
    let warning = "hopline: odd.pcap: time runs back by 51000 ms at frame 3; packets may be told wrong\n";
    assert_eq!((run.code, run.stderr.as_str()), (0, warning), "{run:?}");
    let told = document(&run);
    assert_eq!((&told["journeys"], &told["vantages"][0]["packets"]), (&Value::from(2), &Value::from(2)));
}

#[test]
fn a_length_of_four_gibibytes_is_told_and_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let one = empty_udp(1);
    let mut file = pcap(&[(1, &one), (2, &one)]);
    let at = 24 + 16 + one.len() + 8;
    file[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(folder.path().join("long.pcap"), file).unwrap();
    let run = hopline(folder.path(), &["correlate", "long.pcap", "--json"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(document(&run)["unreadable"][0]["offset"], 24 + 16 + one.len());
    assert!(run.stderr.contains("4294967295 octets"), "{run:?}");
}

/// What a program that is no part of hopline prints.
fn printed(argv: &[&str], folder: &Path) -> String {
    let output = std::process::Command::new(argv[0]).args(&argv[1..]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{argv:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn all_captures_become_one_in_the_order_of_one_clock() {
    let (folder, key) = captures(6_000);
    let path = folder.path();
    let run = hopline(path, &[&CAPTURES[..], &["--json", "-w", "all.pcapng"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{run:?}");
    let told = document(&run);
    assert_eq!(lost(&told), planted(&key));

    let info = printed(&["capinfos", "all.pcapng"], path);
    assert!(info.contains("Strict time order:   True"), "{info}");
    let fields = ["-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "frame.comment"];
    let listed = printed(&[&["tshark", "-n", "-r", "all.pcapng"][..], &fields].concat(), path);
    for vantage in told["vantages"].as_array().unwrap() {
        let name = vantage["name"].as_str().unwrap();
        let of_vantage = listed.lines().filter(|line| line.split('|').next() == Some(name)).count();
        assert_eq!(u64::try_from(of_vantage).ok(), vantage["packets"].as_u64(), "{name}");
    }
    let with = |what: &str| listed.lines().filter(|line| line.contains(what)).count();
    for (last, next) in [("uplink", "router"), ("router", "uplink")] {
        let count = planted(&key).iter().filter(|(a, _, b)| (a.as_str(), b.as_str()) == (last, next)).count();
        assert!(count > 0, "{key:?}");
        assert_eq!(with(&format!("{last}|last seen here; expected at {next}")), count);
    }
    assert_eq!(u64::try_from(with("|duplicated: seen 2 times here")).ok(), Some(key.duplicates));

    // Clocks that were milliseconds apart agree within what was known of them; what was found is found again.
    let run = hopline(path, &["correlate", "all.pcapng", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{run:?}");
    let again = document(&run);
    assert_eq!((&again["lost_count"], &again["duplicates"]), (&told["lost_count"], &told["duplicates"]));
    for stretch in again["latency_us"].as_array().unwrap() {
        assert!(stretch["p50"].as_f64().unwrap() < 500.0, "{stretch}");
    }
}

#[test]
fn one_file_of_all_is_not_written_over_what_is_read() {
    let (folder, _) = captures(100);
    let path = folder.path();
    fs::copy(guide().path().join("instance.txt"), path.join("instance.txt")).unwrap();
    std::os::unix::fs::symlink("tap.pcap", path.join("link.pcap")).unwrap();
    let before = fs::read(path.join("tap.pcap")).unwrap();
    let refused = |arguments: &[&str], pieces: &[&str]| {
        assert_refused(&hopline(path, &[&["correlate", "--json"], arguments].concat()), pieces);
    };
    let is_read = "is one of the captures that are read";
    refused(&["tap.pcap", "uplink.pcap", "-w", "tap.pcap"], &["tap.pcap ", is_read, "hint: "]);
    refused(&["tap.pcap", "uplink.pcap", "-w", "link.pcap"], &["link.pcap ", is_read]);
    refused(&["tap.pcap", "-w", "no/such.pcapng"], &["cannot write no/such.pcapng"]);
    refused(&["tap.pcap", "-w", "."], &["cannot write .", "directory"]);
    refused(&["instance.txt", "-w", "out.pcapng"], &["nothing can be written to out.pcapng"]);
    refused(&["tap.pcap", "-w", "/dev/full"], &["cannot write /dev/full: No space left"]);
    printed(&["mkfifo", "pipe"], path);
    refused(&["pipe", "-w", "out.pcapng"], &["pipe cannot be read twice"]);
    assert_eq!(fs::read(path.join("tap.pcap")).unwrap(), before);
    assert!(!path.join("out.pcapng").exists());

    let run = hopline(path, &["correlate", "tap.pcap", "instance.txt", "-w", "out.pcapng", "--json"]);
    assert!(run.stderr.contains("instance.txt is a listing: it has no octets to copy"), "{run:?}");
    let info = printed(&["capinfos", "out.pcapng"], path);
    let vantages = document(&run)["vantages"].as_array().unwrap().clone();
    let packets = &vantages.iter().find(|vantage| vantage["name"] == "tap").unwrap()["packets"];
    assert!(info.contains(&format!("Number of packets:   {packets}\n")), "{info}");
}

/// The comments that tshark shows, with their frames.
fn comments(file: &str, folder: &Path) -> Vec<String> {
    let fields = ["-Y", "frame.comment", "-T", "fields", "-E", "separator=|"];
    let argv = [&["tshark", "-n", "-r", file][..], &fields, &["-e", "frame.number", "-e", "frame.comment"]];
    printed(&argv.concat(), folder).lines().map(str::to_owned).collect()
}

#[test]
fn what_loops_and_who_else_answers_is_said_at_the_packet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let at_ttl = |ttl: u8| {
        let mut packet = empty_udp(7);
        packet[8] = ttl;
        packet
    };
    let [first, second, third] = [64, 62, 60].map(at_ttl);
    fs::write(path.join("loop.pcap"), pcap(&[(9, &empty_udp(1)), (9, &first), (9, &second), (9, &third)]))
        .unwrap();
    let run = hopline(path, &["correlate", "loop.pcap", "-w", "out.pcapng", "--minimal"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "packet-looping loop\n"), "{run:?}");
    let expected = ["2|comes by again and again, with a lower TTL each time"];
    assert_eq!(comments("out.pcapng", path), expected);

    // Each of several has a comment, up to a thousand; the first one says how many there are.
    for (count, said) in
        [(3, ", the first of 3"), (1_001, ", the first of 1001; 1000 of 1001 have a comment")]
    {
        let of = |number: u16, mut packet: [u8; 28]| {
            packet[20..22].copy_from_slice(&number.to_be_bytes());
            packet
        };
        let turns = (1..=count).flat_map(|number| [first, second, third].map(|turn| of(number, turn)));
        let frames: Vec<[u8; 28]> = turns.collect();
        let packets: Vec<(u32, &[u8])> = frames.iter().map(|frame| (9, &frame[..])).collect();
        fs::write(path.join("loops.pcap"), pcap(&packets)).unwrap();
        let run = hopline(path, &["correlate", "loops.pcap", "-w", "out.pcapng", "--minimal"]);
        assert_eq!((run.code, run.stdout.as_str()), (1, "packet-looping loops\n"), "{run:?}");
        let comments = comments("out.pcapng", path);
        assert_eq!(comments.len(), usize::from(count).min(1_000));
        assert_eq!(comments[0], format!("1|comes by again and again, with a lower TTL each time{said}"));
        assert_eq!(comments[1], "4|comes by again and again, with a lower TTL each time");
    }

    let arp = |operation: u8, mac: u8| {
        let head = [&[0xff; 6][..], &[2, 0, 0, 0, 0, mac], &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
        let (asks, asked) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (sender, target) = if operation == 1 { (asks, asked) } else { (asked, asks) };
        [&head[..], &[2, 0, 0, 0, 0, mac], &sender, &[0; 6], &target].concat()
    };
    let mut file = pcap(&[(9, &arp(1, 1)), (9, &arp(2, 2)), (9, &arp(2, 3))]);
    // LINKTYPE_ETHERNET.
    file[20] = 1;
    fs::write(path.join("arp.pcap"), file).unwrap();
    let run = hopline(path, &["correlate", "arp.pcap", "-w", "out.pcapng", "--minimal"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "answered-twice arp\n"), "{run:?}");
    let expected = ["3|a second answer to one request; the first came from 02:00:00:00:00:02"];
    assert_eq!(comments("out.pcapng", path), expected);
}
