//! Two namespaces joined by a wire, removed when the test ends.

use std::process::{Command, Output};

use capture::vantage::{Room, Vantage};

/// Small rings that are looked at soon.
pub(crate) const ROOM: Room =
    Room { snap: 262_144, ring_bytes: 2 << 20, delay_ms: 20, settle_ms: 0, pause_ms: 250 };

/// `a` with 10.9.8.1 and `b` with 10.9.8.2, each on its `wire0`.
pub(crate) struct Wire {
    pub(crate) a: String,
    pub(crate) b: String,
}

pub(crate) fn run(argv: &[&str]) -> Output {
    let (program, arguments) = argv.split_first().unwrap();
    Command::new(sys::programs::path_of(program)).args(arguments).output().unwrap()
}

#[track_caller]
pub(crate) fn must(argv: &[&str]) -> String {
    let output = run(argv);
    assert!(output.status.success(), "{argv:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Wire {
    /// `tag` tells apart the wires of one test program.
    pub(crate) fn new(tag: &str) -> Wire {
        let name = |end: &str| format!("ht-cap-{tag}{end}{}", std::process::id());
        let wire = Wire { a: name("a"), b: name("b") };
        let (a, b) = (wire.a.as_str(), wire.b.as_str());
        for netns in [a, b] {
            must(&["ip", "netns", "add", netns]);
            // Nothing but the test's own packets.
            must(&["ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
        }
        must(&["ip", "-n", a, "link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", b]);
        for (netns, address) in [(a, "10.9.8.1/24"), (b, "10.9.8.2/24")] {
            must(&["ip", "-n", netns, "address", "add", address, "dev", "wire0"]);
            must(&["ip", "-n", netns, "link", "set", "wire0", "up"]);
        }
        wire
    }

    pub(crate) fn ping(&self, count: u32) {
        let count = count.to_string();
        must(&["ip", "netns", "exec", &self.a, "ping", "-q", "-i", "0.01", "-c", &count, "10.9.8.2"]);
    }

    /// Sends a frame from `a`, so many times: at most some thousands.
    pub(crate) fn send(&self, frame: &[u8], times: u32) {
        let hex = frame.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let program = "import socket, sys\n\
             s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
             s.bind(('wire0', 0))\n\
             for _ in range(int(sys.argv[2])): s.send(bytes.fromhex(sys.argv[1]))";
        must(&["ip", "netns", "exec", &self.a, "python3", "-c", program, &hex, &times.to_string()]);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for netns in [&self.a, &self.b] {
            run(&["ip", "netns", "delete", netns]);
        }
    }
}

pub(crate) fn vantage(netns: &str, device: &str) -> Vantage {
    Vantage {
        host: netns.to_owned(),
        netns: String::new(),
        device: device.to_owned(),
        enter: Some(netns.to_owned()),
    }
}
