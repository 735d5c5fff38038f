//! `hopline path` on a real lab: the guide's NICs in order, and every packet that it predicts for a device
//! held against what tcpdump sees there. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use cli_support::assert_refused;
use model::listing::{ListedPacket, SeenTransport};
use serde_json::Value;
use support::printed_in;
use support::report::{Report, list, place, text};
use support::test_lab::TestLab;

/// The hops of one direction.
fn hops<'r>(report: &'r Report, direction: &str) -> &'r [Value] {
    let paths = list(&report.json["paths"]);
    let found = paths.iter().find(|p| p["exchange"] == "icmp" && p["direction"] == direction);
    list(&found.unwrap_or_else(|| panic!("no {direction}: {:#}", report.json))["hops"])
}

/// The devices of a way, each once where the packet stays on it.
fn devices(hops: &[Value]) -> Vec<String> {
    let mut places: Vec<String> = hops.iter().map(place).collect();
    places.dedup();
    places
}

#[test]
fn the_guides_four_nics_are_named_in_order_there_and_back() {
    let lab = TestLab::up("g");
    let report = lab.report(&["path", "web1", "1.2.3.4"]);
    report.assert_healthy("a new lab");
    assert_eq!(report.json["command"], "path");
    let way = [
        "web1//eth0",
        "compute1//vnet0",
        "compute1//br100",
        "compute1//eth0",
        "fabric//pubh1",
        "fabric//pubgw",
        "gw//eth0",
        "gw//eth1",
        "isp//eth0",
        "isp//eth1",
        "external//eth0",
    ];
    assert_eq!(devices(hops(&report, "request")), way);
    assert_eq!(devices(hops(&report, "reply")), way.iter().rev().copied().collect::<Vec<_>>());
    let decides = |direction: &str, at: &str, stage: &str, detail: &str| {
        let mut here =
            hops(&report, direction).iter().filter(|hop| place(hop) == at && hop["stage"] == stage);
        assert!(here.any(|hop| text(&hop["detail"]).contains(detail)), "{at} {stage} {detail}: {report:?}");
    };
    decides("request", "compute1//eth0", "nat", "source 10.0.2.24 becomes 203.0.113.30");
    decides("reply", "compute1//eth0", "nat", "destination 203.0.113.30 becomes 10.0.2.24");
    for path in list(&report.json["paths"]) {
        assert_eq!(path["disposition"], "delivered", "{path:#}");
    }
    let alone = lab.report(&["path", "web1", "1.2.3.4", "--no-reply"]);
    assert!(list(&alone.json["paths"]).iter().all(|path| path["direction"] == "request"), "{alone:?}");
}

/// The packet on the wire of each device that a path predicts.
///
/// A hop tells the packet as it leaves it. Bridging, resolving a neighbour, sending and receiving change
/// nothing, so there the device's wire carries what the hop tells. Where a machine routes or translates
/// what comes in, the wire of its device carries what the hop before has told.
fn predicted(report: &Report) -> BTreeMap<String, BTreeSet<String>> {
    let mut on_wire = BTreeMap::<String, BTreeSet<String>>::new();
    for direction in ["request", "reply"] {
        let hops = hops(report, direction);
        let mut before: Option<&Value> = None;
        for hop in hops {
            let unchanged = ["instance", "bridge", "neighbour", "wire", "local"];
            let arrives = before.filter(|before| before["host"] != hop["host"]);
            let shows = if unchanged.contains(&text(&hop["stage"])) { Some(hop) } else { arrives };
            if let Some(shows) = shows {
                on_wire.entry(place(hop)).or_default().insert(text(&shows["packet"]).to_owned());
            }
            before = Some(hop);
        }
    }
    on_wire
}

/// A tcpdump of ICMP at one device, which ends after so many packets or ten seconds.
struct Capture {
    place: String,
    child: Child,
}

impl Capture {
    /// Starts it, and returns when it listens.
    fn start(netns: &str, place: &str, packets: usize) -> Capture {
        let device = place.rsplit('/').next().unwrap();
        let mut child = Command::new("ip")
            .args([
                "netns",
                "exec",
                netns,
                "timeout",
                "10",
                "tcpdump",
                "--immediate-mode",
                "-n",
                "-v",
                "-i",
                device,
            ])
            .args(["-c", &packets.to_string(), "icmp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("listening on")), "{place}: tcpdump does not start");
        Capture { place: place.to_owned(), child }
    }

    /// What it has seen, in the words of a path.
    fn packets(self) -> BTreeSet<String> {
        let output = self.child.wait_with_output().unwrap();
        let parsed = parse::tcpdump::parse(&self.place, &String::from_utf8(output.stdout).unwrap());
        assert_eq!(parsed.problems, [], "{}", self.place);
        parsed.value.iter().map(told).collect()
    }
}

fn told(sighting: &ListedPacket) -> String {
    let ip = &sighting.ip;
    let what = match &sighting.transport {
        SeenTransport::Echo { reply: true, .. } => "echo reply",
        SeenTransport::Echo { reply: false, .. } => "echo request",
        other @ (SeenTransport::Ports { .. } | SeenTransport::Other(_)) => panic!("{other:?}"),
    };
    format!("{} > {} ICMP {what} ttl {}", ip.source, ip.destination, ip.ttl.expect("-v tells it"))
}

/// The namespace of a machine, by the site file that `lab up` wrote.
fn netns_of(lab: &TestLab, machine: &str) -> String {
    let site: toml::Table = std::fs::read_to_string(lab.site()).unwrap().parse().unwrap();
    let tables = ["host", "instance"].into_iter().flat_map(|key| site[key].as_array().unwrap());
    let mut at = tables.filter(|t| t["name"].as_str() == Some(machine)).map(|t| t["at"].as_str().unwrap());
    at.next().unwrap().strip_prefix("netns:").unwrap().to_owned()
}

/// Predicts a ping, makes it, and compares both at every device on its way.
fn compare(lab: &TestLab, from: &str, to: &str, pinged: &str) -> BTreeMap<String, BTreeSet<String>> {
    let report = lab.report(&["path", from, to]);
    report.assert_healthy("before the ping");
    let predicted = predicted(&report);
    let machine = |place: &str| netns_of(lab, place.split('/').next().unwrap());
    let captures: Vec<Capture> =
        predicted.iter().map(|(at, packets)| Capture::start(&machine(at), at, packets.len())).collect();
    printed_in(&netns_of(lab, from), &["ping", "-n", "-c", "1", "-W", "2", pinged]);
    for capture in captures {
        let at = capture.place.clone();
        assert_eq!(capture.packets(), predicted[&at], "{from} to {to} at {at}: seen, and predicted");
    }
    predicted
}

#[test]
fn what_is_predicted_is_what_tcpdump_sees() {
    let lab = TestLab::up("t");
    let out = compare(&lab, "web1", "1.2.3.4", "1.2.3.4");
    assert_eq!(out.len(), 11);
    // The TTLs of the guide: the instance, its bridge, the host's uplink, the server.
    for (at, packet) in [
        ("compute1//vnet0", "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64"),
        ("compute1//br100", "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64"),
        ("compute1//eth0", "203.0.113.30 > 1.2.3.4 ICMP echo request ttl 63"),
        ("external//eth0", "203.0.113.30 > 1.2.3.4 ICMP echo request ttl 61"),
        ("external//eth0", "1.2.3.4 > 203.0.113.30 ICMP echo reply ttl 64"),
        ("web1//eth0", "1.2.3.4 > 10.0.2.24 ICMP echo reply ttl 61"),
    ] {
        assert!(out[at].contains(packet), "{at} {packet}: {out:#?}");
    }
    compare(&lab, "external", "web1", "203.0.113.30");
    compare(&lab, "web2", "1.2.3.4", "1.2.3.4");
    compare(&lab, "web1", "web2", "10.0.2.25");
    compare(&lab, "web2", "203.0.113.30", "203.0.113.30");
    compare(&lab, "web1", "10.0.0.42", "10.0.0.42");
    compare(&lab, "compute1", "web1", "10.0.2.24");
    compare(&lab, "compute1", "1.2.3.4", "1.2.3.4");
}

#[test]
fn an_instance_goes_by_all_its_names() {
    let lab = TestLab::up("m");
    let expected = devices(hops(&lab.report(&["path", "web1", "1.2.3.4"]), "request"));
    for name in [
        "10.0.2.24",
        "203.0.113.30",
        "8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01",
        "8D7B1F36-5F4E-4B1C-9A55-2F0F6C0A1E01",
        "fa:16:3e:00:02:24",
        "FA:16:3E:00:02:24",
        "instance-00000001",
    ] {
        let by_name = lab.report(&["path", name, "1.2.3.4"]);
        assert_eq!(devices(hops(&by_name, "request")), expected, "{name}");
        // An address means itself, and the outside has no route to a fixed one.
        if name != "10.0.2.24" {
            lab.report(&["path", "external", name]).assert_healthy(name);
        }
        lab.report(&["diagnose", name, "--passive"]).assert_healthy(name);
    }
    for (source, destination, said) in [
        ("web", "1.2.3.4", "did you mean web1"),
        ("nobody", "1.2.3.4", "nobody"),
        ("web1", "nobody", "nobody"),
        ("10.0.2.99", "1.2.3.4", "10.0.2.99"),
        ("web1", "1.2.3.4.5", "1.2.3.4.5"),
        ("fa:16:3e:00:02:99", "1.2.3.4", "fa:16:3e:00:02:99"),
    ] {
        assert_refused(&lab.run(&["path", source, destination]), &[said]);
    }
}

#[test]
fn a_name_that_two_instances_have_is_refused_with_both() {
    let lab = TestLab::up("d");
    let site = std::fs::read_to_string(lab.site()).unwrap();
    let twin = "\n[[instance]]\nname = \"web1\"\nhost = \"compute1\"\nmac = \"fa:16:3e:00:09:99\"\n\
                addresses = [\"10.0.9.99\"]\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("site.toml"), format!("{site}{twin}")).unwrap();
    for question in [&["path", "web1", "1.2.3.4"][..], &["diagnose", "web1", "--passive"]] {
        assert_refused(&cli_support::hopline(folder.path(), question), &["web1", "line"]);
    }
}
