//! Captures in a bundle and beside one: a ping that dies where every walk lets it pass is named by the hop, as it is
//! where hopline sends it itself. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs;
use std::path::PathBuf;

use cli_support::{Run, assert_refused};
use serde_json::Value;
use support::capturing::Capture;
use support::pseudonyms::{Table, leaks};
use support::report::{list, text};
use support::test_lab::TestLab;
use support::{printed, printed_in, run};
use tempfile::TempDir;

/// A lab, and a folder for what is made of it.
struct Recorded {
    lab: TestLab,
    folder: TempDir,
}

impl Recorded {
    fn of(tag: &str) -> Recorded {
        Recorded { lab: TestLab::up(tag), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// An IPsec policy against web1's packets to the external server: nothing that hopline reads tells of it.
    fn block(&self) {
        let way = ["src", "10.0.2.24/32", "dst", "1.2.3.4/32", "action", "block"];
        let command = [&["ip", "xfrm", "policy", "add", "dir", "fwd"], &way[..]].concat();
        printed_in(&self.lab.netns("compute1"), &command);
    }

    /// Records everything of web1 while it pings one after the other; returns the file.
    fn pinging(&self, name: &str, all: &[&str]) -> String {
        let (file, site) = (self.path(name), self.lab.site());
        let arguments = ["icmp and instance:web1", "-w", &file, "--site", site.to_str().unwrap()];
        let capture = Capture::start(self.folder.path(), &arguments);
        let web1 = self.lab.netns("web1");
        for to in all {
            run(&["ip", "netns", "exec", &web1, "ping", "-q", "-c", "6", "-i", "0.4", "-W", "1", to]);
        }
        capture.signal("INT");
        assert!([0, 1].contains(&capture.finish().code));
        file
    }

    fn collect(&self, captures: &[&str]) -> PathBuf {
        let bundle = self.folder.path().join("b.tar.zst");
        let captures: Vec<&str> = captures.iter().flat_map(|capture| ["--capture", capture]).collect();
        let run = self.lab.run(&[&["collect", "-o", bundle.to_str().unwrap()], &captures[..]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        bundle
    }

    fn ask(&self, arguments: &[&str]) -> (Run, Value) {
        let run = self.lab.hopline(&[&["diagnose", "web1", "--json"], arguments].concat());
        let json = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
        (run, json)
    }
}

/// The first finding's code and hop, and its evidence of kind capture.
fn told(json: &Value) -> (String, Vec<Value>) {
    let finding = &list(&json["findings"])[0];
    let hop = &finding["hop"];
    let evidence = list(&finding["evidence"]).iter().filter(|one| text(&one["kind"]) == "capture").cloned();
    let at = format!("{} {}//{}", text(&finding["code"]), text(&hop["host"]), text(&hop["device"]));
    (at, evidence.collect())
}

/// An address or MAC as packets have it.
fn octets(name: &str) -> Option<Vec<u8>> {
    let address = name.parse::<std::net::Ipv4Addr>().map(|address| address.octets().to_vec());
    address.ok().or_else(|| Some(name.parse::<model::Mac>().ok()?.0.to_vec()))
}

/// Where the ping of 1.2.3.4 was seen on its way there: `compute1/eth0 not-seen`.
fn marks(json: &Value) -> Vec<String> {
    let paths = list(&json["paths"]).iter();
    let mut ours = paths.filter(|path| {
        let first = list(&path["hops"]).first().map_or("", |hop| text(&hop["packet"]));
        first.starts_with("10.0.2.24 > 1.2.3.4 ICMP echo request")
    });
    let hops = ours.next().map(|path| list(&path["hops"])).unwrap_or_default();
    let told =
        |hop: &Value| format!("{}/{} {}", text(&hop["host"]), text(&hop["device"]), text(&hop["observed"]));
    hops.iter().map(told).collect()
}

fn gaps(json: &Value) -> String {
    json["coverage"]["gaps"].to_string()
}

#[test]
fn a_loss_that_a_capture_shows_is_told_from_the_bundle_beside_it_and_live() {
    let recorded = Recorded::of("k");
    recorded.block();
    let file = recorded.pinging("out.pcapng", &["1.2.3.4"]);
    let bare = recorded.collect(&[]);
    let (run, json) = recorded.ask(&["--bundle", bare.to_str().unwrap()]);
    assert_eq!((run.code, list(&json["findings"]).len()), (0, 0), "nothing tells of it without: {json:#}");
    let site = recorded.lab.site();
    let beside = recorded.ask(&["--bundle", bare.to_str().unwrap(), "--capture", &file]);
    let live = recorded.ask(&["--passive", "--site", site.to_str().unwrap(), "--capture", &file]);
    let bundle = recorded.collect(&[&file]);
    let within = recorded.ask(&["--bundle", bundle.to_str().unwrap()]);
    for (run, json) in [beside, live, within] {
        let (at, evidence) = told(&json);
        assert_eq!((run.code, at.as_str()), (1, "lost-at-hop compute1//eth0"), "{json:#}");
        let texts: Vec<&str> = evidence.iter().map(|one| text(&one["text"])).collect();
        assert!(texts[0].starts_with("compute1//br100: of 6 echo requests 6 were seen here"), "{texts:?}");
        assert!(texts[0].contains("the first is packet "), "{texts:?}");
        assert!(texts[1].starts_with("compute1//eth0: of 6 echo requests 0 were seen here"), "{texts:?}");
        let marks = marks(&json);
        for expected in
            ["web1/eth0 seen", "compute1/vnet0 seen", "compute1/eth0 not-seen", "gw/eth0 not-seen"]
        {
            assert!(marks.iter().any(|mark| mark == expected), "{expected} in {marks:#?}");
        }
        // And where each of them went.
        let ours = "10.0.2.24 > 1.2.3.4: ICMP echo request";
        let is_ours = |way: &&Value| text(&way["packets"][0]["packet"]).starts_with(ours);
        let way = list(&json["journeys"]).iter().find(is_ours).unwrap();
        let packets = list(&way["packets"]);
        assert_eq!(packets.len(), 6, "{way:#}");
        for packet in packets {
            assert_eq!((text(&packet["end"]), text(&packet["expected_at"])), ("lost", "compute1//eth0"));
            let seen = list(&packet["seen"]).iter().map(|stop| text(&stop["vantage"])).collect::<Vec<_>>();
            assert_eq!(seen, ["web1//eth0", "compute1//vnet0", "compute1//br100"]);
            assert!(text(&packet["seen"][0]["recorded"]).starts_with("packet "), "{packet:#}");
        }
        // The command that is told shows the very packets.
        let shown = printed(&["sh", "-c", text(&evidence[0]["source"])]);
        assert_eq!(shown.lines().filter(|line| line.contains("Echo (ping) request")).count(), 6, "{shown}");
    }
}

#[test]
fn a_redacted_capture_tells_the_same_and_holds_no_name_or_address() {
    let recorded = Recorded::of("r");
    recorded.block();
    let file = recorded.pinging("web1-of-compute1.pcapng", &["1.2.3.4"]);
    let plain = recorded.collect(&[&file]);
    let redacted = recorded.folder.path().join("r.tar.zst");
    let (from, to) = (plain.to_str().unwrap(), redacted.to_str().unwrap());
    let run = recorded.lab.hopline(&["collect", "--redact", "-o", to, "--bundle", from]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let table = Table::beside(&redacted);
    let plainly = recorded.ask(&["--bundle", from]).1;
    let run = recorded.lab.hopline(&["diagnose", table.pseudonym("web1"), "--json", "--bundle", to]);
    // Its own name is all that the file has of ours.
    let back = table.back(&run.stdout).replace("/r.tar.zst", "/b.tar.zst");
    let back: Value = serde_json::from_str(&back).unwrap();
    assert_eq!((run.code, told(&back).0.as_str()), (1, "lost-at-hop compute1//eth0"), "{back:#}");
    let texts = |json: &Value| told(json).1.iter().map(|one| one["text"].clone()).collect::<Vec<_>>();
    assert_eq!((marks(&back), texts(&back)), (marks(&plainly), texts(&plainly)));
    let confidence = |json: &Value| list(&json["findings"])[0]["confidence"].clone();
    assert_eq!(confidence(&back), confidence(&plainly));

    assert_eq!(leaks(&redacted, &table), Vec::<String>::new());
    let capture = |bundle: &str| {
        let names = printed(&["tar", "--zstd", "-tf", bundle]);
        let name = names.lines().find(|name| name.starts_with("captures/")).expect("a capture").to_owned();
        support::run(&["tar", "--zstd", "-xOf", bundle, &name]).stdout
    };
    let (before, after) = (capture(from), capture(to));
    // Those that its packets are from and for, and no others: `10.0.0.0` is four octets that may be any number.
    let plain = fs::read(&file).unwrap();
    assert!(plain == before, "the plain bundle has the capture as it is");
    let fields = ["eth.src", "eth.dst", "ip.src", "ip.dst"].map(|field| ["-e", field]);
    let fields = printed(&[&["tshark", "-r", &file, "-T", "fields"], fields.as_flattened()].concat());
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let sent: Vec<&String> = table.0.values().filter(|name| fields.contains(&name.as_str())).collect();
    assert!(sent.len() >= 4, "two addresses and two MACs: {sent:?}");
    let is_in = |all: &[u8], part: &[u8]| all.windows(part.len()).any(|window| window == part);
    for name in sent {
        let octets = octets(name).expect(name);
        assert_eq!((is_in(&before, &octets), is_in(&after, &octets)), (true, false), "{name}");
    }
}

#[test]
fn plain_captures_of_single_devices_tell_what_they_can() {
    let recorded = Recorded::of("f");
    recorded.block();
    let route = printed_in(&recorded.lab.netns("web1"), &["ip", "route", "show", "default"]);
    let gateway = route.split_whitespace().nth(2).unwrap();
    let file = recorded.pinging("all.pcapng", &[gateway, "1.2.3.4"]);
    let site = recorded.lab.site();
    let ask = |captures: &[&str]| {
        let captures: Vec<&str> = captures.iter().flat_map(|capture| ["--capture", *capture]).collect();
        recorded.ask(&[&["--passive", "--site", site.to_str().unwrap()], &captures[..]].concat()).1
    };
    // One device's packets, in a format that names none.
    let one = recorded.path("some.pcap");
    let only = "frame.interface_name == \"compute1//vnet0\"";
    printed(&["tshark", "-r", &file, "-Y", only, "-F", "pcap", "-w", &one]);
    let placed = format!("compute1//vnet0={one}");
    let (at, evidence) = told(&ask(&[&placed]));
    assert_eq!(at, "lost-at-hop compute1//vnet0");
    // What was recorded in one direction alone has no answers, whether any came or not.
    for (name, only) in [
        ("to.pcap", "ip.dst == 1.2.3.4"),
        ("from.pcap", "ip.src == 10.0.2.24"),
        ("asks.pcap", "icmp.type == 8"),
    ] {
        let file = recorded.path(name);
        printed(&["tshark", "-r", &one, "-Y", only, "-F", "pcap", "-w", &file]);
        let json = ask(&[&format!("compute1//vnet0={file}")]);
        assert_eq!(list(&json["findings"]).len(), 0, "{only}: {json:#}");
    }
    let source = text(&evidence[0]["source"]);
    assert!(source.starts_with("tcpdump -n -r ") && source.ends_with("'icmp and host 1.2.3.4'"), "{source}");
    let json = ask(&[&one]);
    assert_eq!(list(&json["findings"]).len(), 0, "{json:#}");
    assert!(gaps(&json).contains("the site has no device `some`"), "{}", gaps(&json));
    let named = recorded.path("eth0.pcap");
    fs::copy(&one, &named).unwrap();
    assert!(gaps(&ask(&[&named])).contains("several machines have a device `eth0`: compute1, gw"));
    // Of another day it says so, and is no more than possible.
    let old = recorded.path("old.pcapng");
    printed(&["editcap", "-t", "-86400", &file, &old]);
    let json = ask(&[&old]);
    assert!(gaps(&json).contains("1440 minutes before the machines were read"), "{}", gaps(&json));
    assert_eq!(text(&list(&json["findings"])[0]["confidence"]), "possible", "{json:#}");
}

/// Whether anybody would have seen web1's ping of 1.2.3.4 on the uplink.
fn at_uplink(json: &Value) -> Vec<String> {
    marks(json).into_iter().filter(|mark| mark.starts_with("compute1/eth0 ")).collect()
}

#[test]
fn what_was_kept_of_another_host_alone_lacks_nothing_of_this_one() {
    let recorded = Recorded::of("h");
    recorded.block();
    let other = "198.51.100.2";
    let file = recorded.pinging("all.pcapng", &[other, "1.2.3.4"]);
    let site = recorded.lab.site();
    let ask = |captures: &[&str]| {
        let captures: Vec<&str> = captures.iter().flat_map(|capture| ["--capture", *capture]).collect();
        recorded.ask(&[&["--passive", "--site", site.to_str().unwrap()], &captures[..]].concat()).1
    };
    let whole = ask(&[&file]);
    assert!(at_uplink(&whole).contains(&"compute1/eth0 not-seen".to_owned()), "{:#?}", at_uplink(&whole));
    let filtered = |name: &str, format: &str, only: &str| {
        let out = recorded.path(name);
        printed(&["tshark", "-r", &file, "-Y", only, "-F", format, "-w", &out]);
        out
    };
    let inside = filtered("in.pcap", "pcap", "frame.interface_name == \"compute1//vnet0\"");
    let inside = format!("compute1//vnet0={inside}");
    // As `tcpdump host B` would have kept them; and a file that still says by which filter another was recorded.
    let of_other = format!("ip.addr == {other} && frame.interface_name == \"compute1//eth0\"");
    let plain = format!("compute1//eth0={}", filtered("host.pcap", "pcap", &of_other));
    for uplink in [plain, filtered("host.pcapng", "pcapng", &of_other)] {
        let json = ask(&[&inside, &uplink]);
        let marks = at_uplink(&json);
        assert!(
            !marks.is_empty() && marks.iter().all(|mark| mark == "compute1/eth0 not-watched"),
            "{marks:#?}"
        );
    }
}

#[test]
fn what_hopline_asks_itself_is_judged_by_that_alone() {
    let recorded = Recorded::of("q");
    recorded.block();
    let file = recorded.pinging("out.pcapng", &["1.2.3.4"]);
    let site = recorded.lab.site();
    let site = site.to_str().unwrap();
    printed_in(&recorded.lab.netns("compute1"), &["ip", "xfrm", "policy", "flush"]);
    let (_, json) = recorded.ask(&["--passive", "--site", site, "--capture", &file]);
    assert_eq!(told(&json).0, "lost-at-hop compute1//eth0");
    let (run, json) = recorded.ask(&["--site", site, "--capture", &file]);
    assert_eq!((run.code, list(&json["findings"]).len()), (0, 0), "it is mended since: {json:#}");
    assert!(marks(&json).contains(&"compute1/eth0 seen".to_owned()), "{:#?}", marks(&json));
    let looked = json["coverage"]["looked_at"].to_string();
    assert!(looked.contains(&format!("capture {file}: ")), "{looked}");
    let stops = list(&json["journeys"]).iter().flat_map(|way| list(&way["packets"]));
    let stops = stops.flat_map(|packet| list(&packet["seen"]));
    assert!(stops.clone().count() > 0 && stops.into_iter().all(|stop| text(&stop["recorded"]).is_empty()));
}

#[test]
fn an_answer_that_no_walk_foresees_takes_the_walk_back_and_a_healthy_capture_finds_nothing() {
    let recorded = Recorded::of("w");
    let file = recorded.pinging("out.pcapng", &["1.2.3.4"]);
    let site = recorded.lab.site();
    let ask = |file: &str| recorded.ask(&["--passive", "--site", site.to_str().unwrap(), "--capture", file]);
    let (run, json) = ask(&file);
    assert_eq!((run.code, text(&json["outcome"])), (0, "healthy"), "{json:#}");
    assert!(marks(&json).contains(&"external/eth0 seen".to_owned()), "{:#?}", marks(&json));
    // What was answered a moment ago cannot die of what is read now.
    recorded.lab.break_fault("default-route-missing");
    let (_, json) = ask(&file);
    assert!(
        gaps(&json).contains("the walk says that it dies, and yet of 6 echo requests"),
        "{}",
        gaps(&json)
    );
    let old = recorded.path("old.pcapng");
    printed(&["editcap", "-t", "-86400", &file, &old]);
    let (_, json) = ask(&old);
    assert!(!gaps(&json).contains("the walk says that it dies"), "{}", gaps(&json));
}

#[test]
fn what_is_no_capture_or_a_broken_one_is_told_in_words() {
    let recorded = Recorded::of("x");
    let file = recorded.pinging("out.pcapng", &["10.0.0.42"]);
    let site = recorded.lab.site();
    let (site, octets) = (site.to_str().unwrap(), fs::read(&file).unwrap());
    let write = |name: &str, octets: &[u8]| {
        fs::write(recorded.path(name), octets).unwrap();
        recorded.path(name)
    };
    let hello = write("hello.pcap", b"hello\n");
    let no_packets = recorded.path("none.pcapng");
    printed(&["tshark", "-r", &file, "-Y", "tcp", "-w", &no_packets]);
    let missing = recorded.path("missing");
    for (given, why) in [
        (hello.as_str(), "neither a capture nor a listing"),
        (&write("empty", b""), "it is empty"),
        (&missing, "No such file"),
        ("/dev/null", ""),
    ] {
        let bundle = recorded.path("c.tar.zst");
        for command in [&["diagnose", "web1", "--passive"][..], &["collect", "-o", &bundle]] {
            let run = recorded.lab.hopline(&[command, &["--site", site, "--capture", given]].concat());
            assert_refused(&run, &[why]);
        }
        assert!(!PathBuf::from(bundle).exists());
    }
    let ask = |file: &str| recorded.ask(&["--passive", "--site", site, "--capture", file]).1;
    let json = ask(&no_packets);
    assert!(gaps(&json).contains("none of its packets asks or answers a question"), "{}", gaps(&json));
    let cut = write("cut.pcapng", &octets[..octets.len() - octets.len() / 3]);
    assert!(gaps(&ask(&cut)).contains("the rest of"), "{}", gaps(&ask(&cut)));
    // Several devices have one name each; one name for all is a mistake.
    let wrong = format!("compute1//br100={file}");
    let run = recorded.lab.hopline(&["diagnose", "web1", "--passive", "--site", site, "--capture", &wrong]);
    assert_refused(&run, &["it was recorded at several devices", "HOST/NETNS/DEVICE="]);
    // A capture that is changed in its bundle is not believed.
    let bundle = recorded.collect(&[&cut]);
    let (_, json) = recorded.ask(&["--bundle", bundle.to_str().unwrap()]);
    assert!(gaps(&json).contains("the rest of captures/1-cut.pcapng"), "{}", gaps(&json));
}
