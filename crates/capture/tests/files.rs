//! pcapng files as others read them: tshark, capinfos and tcpdump.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use capture::filter::LinkLayer;
use capture::pcapng::{Interface, Statistics, Writer};
use support::namespaces::must;
use support::packets::{self, MACS, V4};
use sys::packet_ring::{Frame, Way};

/// 2026-11-25 20:00:00.123456789 UTC.
const TIME_NS: u64 = 1_795_636_800_123_456_789;

fn interface(name: &str, layer: LinkLayer) -> Interface {
    Interface {
        name: name.to_owned(),
        link_type: layer.link_type(),
        snap: 262_144,
        filter: "icmp".to_owned(),
    }
}

/// A frame in every shape, and two interfaces, of which the second may be one without frames.
fn write(path: &Path, second: LinkLayer) {
    let interfaces = [interface("compute1//vnet1", LinkLayer::Ethernet), interface("gw/vpn/tun0", second)];
    let mut writer = Writer::new(std::fs::File::create(path).unwrap(), &interfaces).unwrap();
    let echo = [&[8, 0, 0xf7, 0xff, 0, 0, 0, 0][..], &[0; 25]].concat();
    let packet = packets::ip(V4[0], V4[2], 1, 0, 0, &echo);
    let bytes = packets::frame(MACS[0], MACS[1], 0x0800, &packet);
    let length = u32::try_from(bytes.len()).unwrap();
    let whole = Frame { time_ns: TIME_NS, bytes: &bytes, length, way: Way::In, tag: None };
    let tagged = Frame { time_ns: TIME_NS + 1, way: Way::Out, tag: Some((0x88a8, 100)), ..whole };
    let cut = Frame { time_ns: TIME_NS + 2, bytes: &bytes[..40], ..whole };
    let bare = Frame { time_ns: TIME_NS + 3, bytes: &packet, length: length - 14, ..whole };
    let nothing = Frame { bytes: &[], length: 0, ..whole };
    writer.packet(0, &whole, Some("last seen here; expected at compute1/eth0 \u{2192} \u{1b}[31m")).unwrap();
    writer.packet(0, &tagged, None).unwrap();
    writer.packet(0, &cut, None).unwrap();
    writer.packet(1, &bare, Some(&"long ".repeat(5000))).unwrap();
    writer.packet(0, &nothing, None).unwrap();
    for number in [0, 1] {
        let times_ns = (TIME_NS, TIME_NS + 1_000_000_000);
        writer.statistics(number, Statistics { times_ns, received: 50, dropped: 7 }).unwrap();
    }
    writer.flush().unwrap();
}

#[test]
fn tshark_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.pcapng");
    write(&path, LinkLayer::Ip);
    let path = path.to_str().unwrap();
    let fields = [
        "frame.interface_name",
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "ip.src",
        "ieee8021ad.id",
        "frame.packet_flags_direction",
        "frame.comment",
    ];
    let mut argv = vec!["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|"];
    fields.iter().for_each(|field| argv.extend(["-e", field]));
    let printed = must(&argv);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 5, "{printed}");
    let first =
        "compute1//vnet1|1795636800.123456789|67|67|10.0.2.24||0x00000001|last seen here; expected at";
    assert!(lines[0].starts_with(first), "{printed}");
    assert_eq!(lines[1], "compute1//vnet1|1795636800.123456790|71|71|10.0.2.24|100|0x00000002|");
    assert!(lines[2].starts_with("compute1//vnet1|1795636800.123456791|67|40|10.0.2.24||"), "{printed}");
    assert!(lines[3].starts_with("gw/vpn/tun0|1795636800.123456792|53|53|10.0.2.24||"), "{printed}");
    assert!(lines[3].len() < 4300, "comments are cut");
    assert!(lines[4].starts_with("compute1//vnet1|1795636800.123456789|0|0|"), "{printed}");
}

#[test]
fn capinfos_and_tcpdump_read_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.pcapng");
    // tcpdump takes one link type a file.
    write(&path, LinkLayer::Ethernet);
    let path = path.to_str().unwrap();
    let told = must(&["capinfos", path]);
    for line in [
        "Name = compute1//vnet1",
        "Name = gw/vpn/tun0",
        "Time precision = nanoseconds (9)",
        "Filter string = icmp",
        "Number of stat entries = 1",
        "Number of packets:   5",
    ] {
        assert!(told.contains(line), "{line:?} is missing: {told}");
    }
    let printed = must(&["tcpdump", "-n", "-tt", "--nano", "-c", "2", "-r", path]);
    assert!(
        printed.starts_with("1795636800.123456789 IP 10.0.2.24 > 1.2.3.4: ICMP echo request"),
        "{printed}"
    );
}

#[test]
fn a_file_that_ends_early_is_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    write(&whole, LinkLayer::Ip);
    let bytes = std::fs::read(&whole).unwrap();
    // In the middle of the third packet.
    let length = |at: usize| u32::from_ne_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    let start = (0..5).fold(0, |at, _| at + length(at));
    std::fs::write(&cut, &bytes[..start + 50]).unwrap();
    let output = support::namespaces::run(&["tshark", "-n", "-r", cut.to_str().unwrap()]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}
