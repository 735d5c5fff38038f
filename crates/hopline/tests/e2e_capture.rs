//! `hopline capture` on real devices: in a lab, and on a wire between two namespaces. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use cli_support::{Run, assert_refused, command, hopline, read};
use serde_json::Value;
use support::capturing::Capture;
use support::report::{list, text};
use support::test_lab::TestLab;
use support::wire::Wire;
use support::{eventually, printed, printed_in, run};

impl Wire {
    fn start(&self, arguments: &[&str]) -> Capture {
        Capture::start(self.folder.path(), arguments)
    }

    fn refused(&self, arguments: &[&str], pieces: &[&str]) {
        assert_refused(&hopline(self.folder.path(), &[&["capture"], arguments].concat()), pieces);
    }
}

/// The document of schema hopline.capture/1, its keys held to docs/contract.md.
fn document(run: &Run) -> Value {
    let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    assert_eq!(text(&json["schema"]), "hopline.capture/1");
    for key in [
        "filter",
        "nat",
        "file",
        "vantages",
        "unwatched",
        "packets",
        "kernel_drops",
        "complete",
        "journeys",
        "under_way",
        "elapsed_ms",
    ] {
        assert!(json.get(key).is_some(), "{key} is missing: {json:#}");
    }
    for vantage in list(&json["vantages"]) {
        for key in ["name", "packets", "bytes", "kernel_drops", "ended"] {
            assert!(vantage.get(key).is_some(), "{key} is missing: {json:#}");
        }
    }
    json
}

/// Packets seen at a vantage.
fn seen(json: &Value, name: &str) -> u64 {
    let vantage = list(&json["vantages"]).iter().find(|vantage| text(&vantage["name"]) == name);
    vantage.unwrap_or_else(|| panic!("{name} was not watched: {json:#}"))["packets"].as_u64().unwrap()
}

/// Packet sockets of a namespace.
fn packet_sockets(netns: &str) -> usize {
    printed_in(netns, &["cat", "/proc/net/packet"]).lines().count() - 1
}

#[test]
fn an_instance_is_watched_on_all_its_way_and_on_both_sides_of_nat() {
    let lab = TestLab::up("c");
    let (folder, site) = (tempfile::tempdir().unwrap(), lab.site());
    let arguments =
        ["icmp and instance:web1", "--json", "-w", "out.pcapng", "--site", site.to_str().unwrap()];
    let capture = Capture::start(folder.path(), &arguments);
    printed_in(&lab.netns("web1"), &["ping", "-q", "-i", "0.05", "-c", "5", "1.2.3.4"]);
    capture.signal("INT");
    let run = capture.finish();
    assert_eq!(run.code, 0, "{run:?}");
    let json = document(&run);
    let way = [
        "web1//eth0",
        "compute1//vnet0",
        "compute1//br100",
        "compute1//eth0",
        "gw//eth0",
        "gw//eth1",
        "isp//eth0",
        "isp//eth1",
        "external//eth0",
    ];
    for name in way {
        assert_eq!(seen(&json, name), 10, "five requests and five answers at {name}: {json:#}");
    }
    assert_eq!(seen(&json, "web2//eth0"), 0, "{json:#}");
    let nat =
        |other: &Value| text(&other["address"]) == "10.0.2.24" && text(&other["also"]) == "203.0.113.30";
    assert!(list(&json["nat"]).iter().any(nat), "{json:#}");
    assert!(text(&json["filter"]).contains("host 203.0.113.30"), "{json:#}");
    assert_eq!(json["complete"], true);
    let file = folder.path().join("out.pcapng");
    let fields =
        ["-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "ip.src", "-e", "ip.ttl"];
    let listed = printed(&[&["tshark", "-n", "-r", file.to_str().unwrap()], &fields[..]].concat());
    for (line, what) in [
        ("web1//eth0|10.0.2.24|64", "leaves the instance"),
        ("compute1//eth0|203.0.113.30|63", "leaves the host under its floating address"),
        ("external//eth0|203.0.113.30|61", "arrives two routers later"),
        ("web1//eth0|1.2.3.4|61", "the answer"),
    ] {
        assert_eq!(listed.lines().filter(|l| *l == line).count(), 5, "{what}: {listed}");
    }
}

#[test]
fn a_flow_is_watched_on_its_own_way() {
    let lab = TestLab::up("f");
    let (folder, site) = (tempfile::tempdir().unwrap(), lab.site());
    let arguments = ["flow:10.0.2.24,1.2.3.4", "--json", "--count", "18", "--site", site.to_str().unwrap()];
    let capture = Capture::start(folder.path(), &arguments);
    printed_in(&lab.netns("web1"), &["ping", "-q", "-i", "0.05", "-c", "2", "1.2.3.4"]);
    let run = capture.finish();
    let json = document(&run);
    assert_eq!((run.code, json["packets"].as_u64()), (0, Some(18)), "{json:#}");
    assert!(list(&json["vantages"]).iter().all(|v| !text(&v["name"]).contains("web2")), "{json:#}");
}

#[test]
fn where_all_are_lost_the_walk_tells_where_they_were_expected() {
    let lab = TestLab::up("l");
    let (folder, site) = (tempfile::tempdir().unwrap(), lab.site());
    for to in ["live", "file"] {
        let mut arguments = vec!["flow:10.0.2.24,1.2.3.4", "--json", "--site", site.to_str().unwrap()];
        if to == "file" {
            arguments.extend(["-w", "out.pcapng"]);
        }
        let capture = Capture::start(folder.path(), &arguments);
        let gw = lab.netns("gw");
        let chain = "add chain ip silent c { type filter hook forward priority 0; policy drop; }";
        for command in ["add table ip silent", chain] {
            printed_in(&gw, &["nft", command]);
        }
        let ping =
            ["ip", "netns", "exec", &lab.netns("web1"), "ping", "-q", "-i", "0.02", "-c", "3", "-W", "1"];
        assert!(!run(&[&ping[..], &["1.2.3.4"]].concat()).status.success(), "the gateway drops them");
        capture.signal("INT");
        let run = capture.finish();
        printed_in(&gw, &["nft", "delete table ip silent"]);
        let json = document(&run);
        assert_eq!(run.code, 1, "{to}: {json:#}");
        let losses = losses(&json["journeys"]);
        assert_eq!(losses.len(), 3, "{to}: {json:#}");
        for (last, expected, packet) in losses {
            assert_eq!((last.as_str(), expected.as_str()), ("gw//eth0", "gw//eth1"), "{to}: {json:#}");
            assert!(packet.starts_with("203.0.113.30 > 1.2.3.4: ICMP echo request "), "{packet}");
        }
    }
    let comment = ("gw//eth0".to_owned(), "last seen here; expected at gw//eth1".to_owned());
    assert_eq!(comments(&folder.path().join("out.pcapng")), vec![comment; 3]);
}

#[test]
fn packets_are_shown_at_each_vantage_and_ctrl_c_sums_up() {
    let wire = Wire::new("s");
    let capture = wire.start(&["--at", "left//wire0", "--at", "right/wire0", "-v", "icmp"]);
    wire.ping(3);
    capture.signal("INT");
    let run = capture.finish();
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<&str> = run.stdout.lines().collect();
    let first = [
        ("left//wire0", "out", "10.9.8.1 > 10.9.8.2 ICMP echo request"),
        ("right//wire0", "in", "10.9.8.1 > 10.9.8.2 ICMP echo request"),
        ("right//wire0", "out", "10.9.8.2 > 10.9.8.1 ICMP echo reply"),
        ("left//wire0", "in", "10.9.8.2 > 10.9.8.1 ICMP echo reply"),
    ];
    for (name, way, what) in first {
        let is_such = |line: &&&str| {
            let mut words = line.split_whitespace().skip(1);
            (words.next(), words.next()) == (Some(name), Some(way)) && line.contains(what)
        };
        assert_eq!(lines.iter().filter(is_such).count(), 3, "{name} {way} {what}: {run:?}");
    }
    assert!(lines[12].starts_with("left//wire0 ") && lines[12].contains(" 6 packets"), "{run:?}");
    assert!(lines[13].starts_with("right//wire0") && lines[13].contains("none dropped"), "{run:?}");
    assert!(run.stdout.contains("6 journeys of 12 packets at 2 vantages: no packet was lost"), "{run:?}");
}

#[test]
fn a_journey_is_a_line_once_it_is_over() {
    let wire = Wire::new("j");
    let mut capture = wire.start(&["--at", "right//wire0", "--at", "left//wire0", "icmp"]);
    wire.ping(1);
    let mut lines = BufReader::new(capture.child.stdout.take().unwrap());
    let (mut there, mut back) = (String::new(), String::new());
    // They come while the capture goes on.
    lines.read_line(&mut there).unwrap();
    lines.read_line(&mut back).unwrap();
    capture.signal("INT");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
    assert!(there.contains("10.9.8.1 > 10.9.8.2: ICMP echo request, "), "{there}");
    assert!(there.contains(" | left//wire0 +") && there.ends_with("us right//wire0\n"), "{there}");
    assert!(back.contains("10.9.8.2 > 10.9.8.1: ICMP echo reply, "), "{back}");
    assert!(back.contains(" | right//wire0 +") && back.ends_with("us left//wire0\n"), "{back}");
    assert!(rest.contains("2 journeys of 4 packets at 2 vantages: no packet was lost"), "{rest}");
    assert_eq!(capture.finish().code, 0);
}

/// Hosts left, mid and right; mid is a bridge that drops every fifth echo request between its ports p0 and p1.
struct Bridge {
    wire: Wire,
    mid: String,
}

const ON_THE_WAY: [&str; 4] = ["left//wire0", "mid//p0", "mid//p1", "right//wire0"];

impl Bridge {
    fn new(tag: &str) -> Bridge {
        let wire = Wire::new(tag);
        let mid = format!("{}m", wire.left);
        printed(&["ip", "netns", "add", &mid]);
        let bridge = Bridge { wire, mid };
        let (left, mid, right) = (bridge.wire.left.as_str(), bridge.mid.as_str(), bridge.wire.right.as_str());
        printed(&["ip", "-n", left, "link", "delete", "wire0"]);
        printed(&["ip", "-n", mid, "link", "add", "br0", "type", "bridge"]);
        printed(&["ip", "-n", mid, "link", "set", "br0", "up"]);
        for (netns, port, address) in [(left, "p0", "10.9.8.1/24"), (right, "p1", "10.9.8.2/24")] {
            let peer = ["peer", "name", port, "netns", mid];
            printed(&[&["ip", "-n", netns, "link", "add", "wire0", "type", "veth"][..], &peer].concat());
            printed(&["ip", "-n", netns, "address", "add", address, "dev", "wire0"]);
            printed(&["ip", "-n", netns, "link", "set", "wire0", "up"]);
            printed(&["ip", "-n", mid, "link", "set", port, "master", "br0", "up"]);
        }
        let rule = "add rule bridge t c ip protocol icmp icmp type echo-request numgen inc mod 5 == 4 drop";
        let chain = "add chain bridge t c { type filter hook forward priority 0; }";
        for command in ["add table bridge t", chain, rule] {
            printed_in(mid, &["nft", command]);
        }
        let host = format!("[[host]]\nname = \"mid\"\nat = \"netns:{mid}\"\n");
        std::fs::write(bridge.wire.site(), std::fs::read_to_string(bridge.wire.site()).unwrap() + &host)
            .unwrap();
        bridge
    }

    fn start(&self, arguments: &[&str]) -> Capture {
        let at = ON_THE_WAY.iter().flat_map(|vantage| ["--at", vantage]);
        self.wire.start(&at.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// Ten requests, of which the fifth and the tenth are dropped.
    fn ping(&self) {
        let argv = ["ping", "-q", "-i", "0.02", "-c", "10", "-W", "1", "10.9.8.2"];
        assert!(printed_in(&self.wire.left, &argv).contains("10 packets transmitted, 8 received"));
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        run(&["ip", "netns", "delete", &self.mid]);
    }
}

/// Last seen, expected at, and the packet, without what differs from run to run.
fn losses(journeys: &Value) -> Vec<(String, String, String)> {
    let loss = |lost: &Value| {
        let packet = text(&lost["packet"]);
        let (ends, sequence) =
            (packet.split(", id ").next().unwrap(), packet.split(", seq ").nth(1).unwrap());
        (
            text(&lost["last_seen"]).to_owned(),
            text(&lost["expected_at"]).to_owned(),
            format!("{ends} {sequence}"),
        )
    };
    list(&journeys["lost"]).iter().map(loss).collect()
}

/// What was planted.
fn planted() -> Vec<(String, String, String)> {
    let loss = |sequence: u32| {
        let packet = format!("10.9.8.1 > 10.9.8.2: ICMP echo request {sequence}, length 64");
        ("mid//p0".to_owned(), "mid//p1".to_owned(), packet)
    };
    [5, 10].map(loss).into()
}

#[test]
fn a_planted_drop_is_named_while_it_happens_and_in_the_summary() {
    let bridge = Bridge::new("d");
    let capture = bridge.start(&["--json", "icmp"]);
    bridge.ping();
    capture.signal("INT");
    let run = capture.finish();
    assert_eq!(run.code, 1, "{run:?}");
    let json = document(&run);
    let journeys = &json["journeys"];
    assert_eq!(losses(journeys), planted(), "{json:#}");
    assert_eq!((&journeys["schema"], &journeys["journeys"]), (&"hopline.journeys/1".into(), &18.into()));
    assert_eq!((&journeys["lost_count"], &journeys["undecided"]), (&2.into(), &0.into()), "{json:#}");
    assert_eq!((&journeys["duplicates"], &json["under_way"]), (&0.into(), &0.into()), "{json:#}");
    assert_eq!(list(&journeys["latency_us"]).len(), 6, "three stretches, both ways: {json:#}");

    let capture = bridge.start(&["icmp"]);
    bridge.ping();
    capture.signal("INT");
    let run = capture.finish();
    assert_eq!(run.code, 1, "{run:?}");
    let lost: Vec<&str> = run.stdout.lines().filter(|line| line.contains(" LOST, ")).collect();
    assert_eq!(lost.len(), 2, "{run:?}");
    for (line, sequence) in lost.iter().zip([5, 10]) {
        assert!(line.contains(&format!(", seq {sequence}, ")), "{run:?}");
        assert!(line.contains(" | left//wire0 +"), "{run:?}");
        assert!(line.ends_with("us mid//p0 LOST, expected at mid//p1"), "{run:?}");
    }
    assert!(
        run.stdout.contains("packet-lost at mid//p0: 2 packets last seen here and expected at"),
        "{run:?}"
    );

    let capture = bridge.start(&["--minimal", "icmp"]);
    bridge.ping();
    capture.signal("INT");
    assert_eq!(capture.finish().stdout, "packet-lost mid//p0\n");
}

/// Comments of a file as Wireshark reads them: the interface, and the comment.
fn comments(file: &Path) -> Vec<(String, String)> {
    let fields = ["-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "frame.comment"];
    let argv = ["tshark", "-n", "-r", file.to_str().unwrap(), "-Y", "frame.comment"];
    let printed = printed(&[&argv[..], &fields].concat());
    let lines = printed.lines().filter_map(|line| line.split_once('|'));
    lines.map(|(name, comment)| (name.to_owned(), comment.to_owned())).collect()
}

#[test]
fn the_file_tells_at_its_packets_what_became_of_them() {
    let bridge = Bridge::new("w");
    let folder = bridge.wire.folder.path();
    let capture = bridge.start(&["-w", "out.pcapng", "--json", "icmp"]);
    bridge.ping();
    capture.signal("INT");
    let run = capture.finish();
    assert_eq!(run.code, 1, "{run:?}");
    let json = document(&run);
    assert_eq!(losses(&json["journeys"]), planted(), "{json:#}");
    let file = folder.join("out.pcapng");
    let expected = ("mid//p0".to_owned(), "last seen here; expected at mid//p1".to_owned());
    assert_eq!(comments(&file), [expected.clone(), expected.clone()]);
    // What was in it is in it still: every packet, directions, what the kernel counted.
    let told = printed(&["capinfos", file.to_str().unwrap()]);
    assert!(
        told.contains("Number of packets:   68") && told.contains("Number of stat entries = 1"),
        "{told}"
    );
    let direction = ["-Y", "frame.packet_flags_direction == 2 && ip.src == 10.9.8.1"];
    let sent = printed(&[&["tshark", "-n", "-r", file.to_str().unwrap()][..], &direction].concat());
    assert_eq!(sent.lines().count(), 10 + 8, "out of the first and the third device: {sent}");
    assert!(printed(&["tcpdump", "-n", "-r", file.to_str().unwrap()]).lines().count() == 68);
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["out.pcapng", "site.toml"]);

    // Read by ourselves, without a word about its order; and in one order of time.
    let arguments = ["correlate", "out.pcapng", "-w", "ordered.pcapng", "--json"];
    let again = hopline(folder, &arguments);
    assert_eq!((again.code, again.stderr.as_str()), (1, ""), "{again:?}");
    assert_eq!(losses(&serde_json::from_str(&again.stdout).unwrap()), planted());
    let ordered = folder.join("ordered.pcapng");
    assert_eq!(comments(&ordered), [expected.clone(), expected]);
    let again = printed(&[&["tshark", "-n", "-r", ordered.to_str().unwrap()][..], &direction].concat());
    assert_eq!(again.lines().count(), 10 + 8, "directions are kept: {again}");
    let told = printed(&["capinfos", ordered.to_str().unwrap()]);
    assert!(told.contains("Strict time order:   True") && told.contains("Number of packets:   68"), "{told}");
}

#[test]
fn without_journeys_a_file_is_what_came_and_nothing_is_told() {
    let bridge = Bridge::new("o");
    let capture = bridge.start(&["-w", "out.pcapng", "--no-journeys", "--json", "icmp"]);
    bridge.ping();
    capture.signal("INT");
    let run = capture.finish();
    let json = document(&run);
    assert_eq!((run.code, &json["journeys"], &json["packets"]), (0, &Value::Null, &68.into()), "{json:#}");
    assert_eq!(comments(&bridge.wire.folder.path().join("out.pcapng")), []);
}

#[test]
fn a_packet_seen_twice_is_a_copy_unless_its_sender_may_have_sent_two() {
    let wire = Wire::new("c");
    let copied = ("packet-duplicated at left//wire0: 1 packet duplicated", "duplicated: seen 2 times here");
    let what = "packet-repeated at left//wire0: 1 packet seen once more";
    let comment = "sent again by the sender, or duplicated before: seen 2 times here, without an IP id";
    for (id, exit, (said, comment)) in [("1234", 1, copied), ("0000", 0, (what, comment))] {
        let (run, comments) = sent_twice(&wire, id);
        assert_eq!(run.code, exit, "{run:?}");
        assert!(run.stdout.contains(said), "{run:?}");
        assert_eq!(comments, [("left//wire0".to_owned(), comment.to_owned())]);
    }
}

/// The same datagram is sent twice, with this IP id.
fn sent_twice(wire: &Wire, id: &str) -> (Run, Vec<(String, String)>) {
    let capture = wire.start(&["--at", "left//wire0", "--at", "right//wire0", "-w", "out.pcapng", "udp"]);
    let program = "import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('wire0', 0))
ip = bytes.fromhex('45000030' + sys.argv[1] + '40004011') + bytes(2) + bytes([10, 9, 8, 1, 10, 9, 8, 2])
frame = b'\\xff' * 6 + bytes([2] * 6) + b'\\x08\\x00' + ip + bytes.fromhex('04d2 0929 001c 0000') + b'z' * 20
for n in range(2): s.send(frame)
";
    printed_in(&wire.left, &["python3", "-c", program, id]);
    capture.signal("INT");
    (capture.finish(), comments(&wire.folder.path().join("out.pcapng")))
}

#[test]
fn on_a_terminal_open_journeys_are_redrawn_until_they_are_over() {
    let wire = Wire::new("y");
    let mut command = std::process::Command::new("python3");
    let spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    command.args(["-c", spawn, env!("CARGO_BIN_EXE_hopline"), "capture", "--color", "never"]);
    command.args(["--at", "left//wire0", "--at", "right//wire0", "icmp"]);
    command.current_dir(wire.folder.path()).env("TERM", "xterm").env("HOME", wire.folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap());
    let mut shown = String::new();
    let mut read_until = |piece: &str| {
        while !shown.contains(piece) {
            assert!(screen.read_line(&mut shown).unwrap() > 0, "{piece:?} does not come: {shown:?}");
        }
        shown.clone()
    };
    read_until("watching ");
    wire.ping(1);
    // Without a time of day: it stands below and grows.
    read_until("\n10.9.8.2 > 10.9.8.1: ICMP echo reply");
    read_until("us left//wire0\r\n\r\u{1b}[2A\u{1b}[J");
    // Ctrl-C, as a terminal has it.
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"\x03").unwrap();
    let shown = read_until("2 journeys of 4 packets");
    let left = shown.rsplit("\u{1b}[J").next().unwrap();
    let lines = left.lines().filter(|line| line.contains("ICMP echo"));
    assert!(lines.clone().all(|line| line.contains(" | ") && line.contains(':')), "{left:?}");
    assert_eq!(lines.count(), 2, "each once, for good: {shown:?}");
    drop(screen);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_stops_by_itself_after_its_time() {
    let wire = Wire::new("t");
    let run =
        hopline(wire.folder.path(), &["capture", "--at", "left//wire0", "--for", "300ms", "--json", "tcp"]);
    assert_eq!(run.code, 0, "{run:?}");
    let json = document(&run);
    assert_eq!((seen(&json, "left//wire0"), text(&json["filter"])), (0, "tcp"));
}

#[test]
fn a_device_that_goes_leaves_the_capture_incomplete() {
    let wire = Wire::new("g");
    printed(&["ip", "-n", &wire.left, "link", "add", "gone0", "type", "veth", "peer", "name", "gone1"]);
    let capture = wire.start(&["--at", "left//gone0", "--at", "right//wire0", "--json"]);
    printed(&["ip", "-n", &wire.left, "link", "delete", "gone0"]);
    let mut capture = capture;
    let line = "hopline: warning: left//gone0: the device `gone0` has gone; nothing more is seen there";
    while !capture.said.contains(line) {
        assert!(capture.stderr.read_line(&mut capture.said).unwrap() > 0, "{}", capture.said);
    }
    capture.signal("TERM");
    let run = capture.finish();
    assert_eq!(run.code, 3, "{run:?}");
    let json = document(&run);
    assert_eq!(json["complete"], false);
    assert_eq!(list(&json["vantages"])[0]["ended"], "the device `gone0` has gone");
}

#[test]
fn a_namespace_that_goes_ends_the_capture() {
    let wire = Wire::new("n");
    let capture = wire.start(&["--at", "right//wire0", "--json"]);
    printed(&["ip", "netns", "delete", &wire.right]);
    let run = capture.finish();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains(&format!("the namespace `{}` was deleted", wire.right)), "{run:?}");
}

#[test]
fn nothing_is_left_behind_when_it_is_killed() {
    let wire = Wire::new("k");
    let before = printed(&["ip", "-n", &wire.left, "-d", "-o", "link"]);
    let mut capture = wire.start(&["--at", "left//wire0", "--at", "right//wire0", "-w", "out.pcapng"]);
    assert_eq!((packet_sockets(&wire.left), packet_sockets(&wire.right)), (1, 1));
    wire.ping(1);
    let file = wire.folder.path().join("out.pcapng");
    eventually("the file has packets", || file.metadata().unwrap().len() > 1000);
    capture.child.kill().unwrap();
    capture.child.wait().unwrap();
    eventually("the sockets are gone", || packet_sockets(&wire.left) + packet_sockets(&wire.right) == 0);
    assert_eq!(printed(&["ip", "-n", &wire.left, "-d", "-o", "link"]), before, "no promiscuous device");
    let listed = printed(&["tshark", "-n", "-r", file.to_str().unwrap(), "icmp"]);
    assert_eq!(listed.lines().count(), 4, "what was written is read: {listed}");
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let wire = Wire::new("e");
    let gone = "there is no device `eth7`";
    wire.refused(&["--at", "left//eth7"], &["left//eth7: ", gone]);
    wire.refused(&["--at", "lef//wire0"], &["there is no host `lef` in the site", "did you mean `left`?"]);
    wire.refused(&["--at", "left/none/wire0"], &["there is no network namespace none"]);
    wire.refused(&["--at", "wire0"], &["`wire0` is no vantage", "HOST/NETNS/DEVICE"]);
    wire.refused(&["--at", "left//wire0", "host", "web1"], &["column 6: `web1` is no IP address"]);
    wire.refused(&["icmp"], &["it is not clear where to watch", "--at"]);
    wire.refused(&["instance:web1"], &["there is no instance `web1`"]);
    wire.refused(&["flow:1.2.3.4,5.6.7.8"], &["no machine of the site carries the address 1.2.3.4"]);
    wire.refused(&["port", "ssh"], &["`ssh` is no number", "tcpdump compiles"]);
    let argv = ["--at", "left//wire0", "icmp[icmptype", "=="];
    wire.refused(&argv, &["tcpdump does not take this filter"]);
    wire.refused(&["--at", "left//wire0", "-w", "no/such/folder"], &["cannot write no/such/folder"]);
    wire.refused(&["--at", "left//wire0", "--count", "0"], &["0 is not in"]);
}

#[test]
fn a_full_disk_ends_it_with_a_reason() {
    let wire = Wire::new("f");
    let capture = wire.start(&["--at", "left//wire0", "-w", "/dev/full"]);
    wire.ping(1);
    let run = capture.finish();
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("cannot write the capture file: No space left on device"), "{run:?}");
}

#[test]
fn without_the_permission_it_says_which() {
    let wire = Wire::new("p");
    // Neither root nor any capability, in a folder that everybody may enter.
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let program = wire.folder.path().join("hopline");
    std::fs::copy(env!("CARGO_BIN_EXE_hopline"), &program).unwrap();
    std::fs::set_permissions(wire.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    for (at, pieces) in [("left//wire0", "Operation not permitted"), ("local//lo", "CAP_NET_RAW")] {
        let mut command = std::process::Command::new("setpriv");
        let site = "[[host]]\nname = \"local\"\nat = \"local\"\n";
        std::fs::write(wire.folder.path().join("local.toml"), site).unwrap();
        let file = if at.starts_with("local") { "local.toml" } else { "site.toml" };
        command.args(nobody).arg(&program).args(["capture", "--at", at, "--site", file]);
        let output = command.current_dir(wire.folder.path()).output().unwrap();
        assert_refused(&read(output), &[pieces, "run it as root"]);
    }
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let wire = Wire::new("r");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = command(wire.folder.path());
    command.args(["capture", "--at", "left//wire0"]).stdout(writer).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    drop(reader);
    wire.ping(1);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(File::open(wire.site()).unwrap());
}
