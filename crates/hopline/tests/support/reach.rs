//! Who reaches whom in a lab: asked with the programs that an operator would type, inside its namespaces.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use super::test_lab::TestLab;

/// Asks between the namespaces of a lab.
pub(crate) struct Reach<'l> {
    lab: &'l TestLab,
}

impl<'l> Reach<'l> {
    pub(crate) fn of(lab: &'l TestLab) -> Reach<'l> {
        Reach { lab }
    }

    fn run(&self, from: &str, argv: &[&str]) -> Output {
        let netns = self.lab.netns(from);
        let output =
            Command::new("ip").args(["netns", "exec", &netns]).args(argv).stdin(Stdio::null()).output();
        output.expect("ip netns exec")
    }

    /// Whether a ping is answered within a second.
    pub(crate) fn answers(&self, from: &str, to: &str) -> bool {
        self.run(from, &["ping", "-n", "-c", "1", "-W", "1", to]).status.success()
    }

    /// Demands that a ping is answered: the first may wait for neighbours, and a virtual machine takes its time. It
    /// ends with the first answer.
    #[track_caller]
    pub(crate) fn pings(&self, from: &str, to: &str) {
        let output = self.run(from, &["ping", "-n", "-c", "1", "-i", "0.2", "-w", "10", to]);
        assert!(output.status.success(), "{from} to {to}: {}", String::from_utf8_lossy(&output.stdout));
    }

    #[track_caller]
    pub(crate) fn fetches(&self, from: &str, url: &str) {
        let output = self.run(from, &["timeout", "5", "busybox", "wget", "-q", "-O", "-", url]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{from} {url}: {output:?}");
    }

    /// Demands an answer of the resolver that the instance has from its lease.
    #[track_caller]
    pub(crate) fn resolves(&self, from: &str, name: &str, expected: &str) {
        let server = self.lab.gateway_of(from);
        let output = self.run(from, &["timeout", "5", "busybox", "nslookup", name, &server]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(expected), "{from} asks {server} for {name}: {text}");
    }

    /// Whether a TCP connection comes about within two seconds.
    pub(crate) fn connects(&self, from: &str, to: &str, port: u16) -> bool {
        self.run(from, &["timeout", "2", "busybox", "nc", "-w", "1", to, &port.to_string()]).status.success()
    }
}

/// Demands that web1, with its floating address, reaches and is reached as in every shape of a cloud: outside and in,
/// its neighbour, another host's instance of the same network, by number and by name.
#[track_caller]
pub(crate) fn assert_reaches(lab: &TestLab, across: &str) {
    let reach = Reach::of(lab);
    reach.pings("web1", "1.2.3.4");
    reach.pings("ext", "203.0.113.30");
    reach.pings("web2", "1.2.3.4");
    reach.pings("web1", &lab.address("web2"));
    reach.pings("web1", &lab.address(across));
    reach.fetches("web1", "http://169.254.169.254/2009-04-04/meta-data/instance-id");
    reach.fetches("ext", "http://203.0.113.30/");
    reach.resolves("web1", "openstack.test", "1.2.3.4");
    reach.resolves("web1", "203.0.113.30", "web1.openstack.test");
    // The group lets in ping, ssh and the web.
    assert!(!reach.connects("ext", "203.0.113.30", 8080));
}

/// Demands of an instance without a floating address that the outside sees it as this address.
#[track_caller]
pub(crate) fn assert_seen_as(lab: &TestLab, instance: &str, address: &str) {
    let seen = seen_outside(lab, instance);
    assert!(seen.contains(&format!("{address} > 1.2.3.4")), "{seen}");
}

/// The first ping of an instance to the external server, as that one's NIC sees it.
fn seen_outside(lab: &TestLab, instance: &str) -> String {
    let mut tcpdump = Command::new("ip")
        .args(["netns", "exec", &lab.netns("ext"), "timeout", "10"])
        .args(["tcpdump", "-Z", "root", "-n", "-c", "1", "-i", "eth0", "icmp[icmptype] == icmp-echo"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpdump");
    let mut lines = BufReader::new(tcpdump.stderr.take().expect("its stderr")).lines();
    let listens = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("listening on")));
    assert!(listens.is_some(), "tcpdump listens");
    Reach::of(lab).pings(instance, "1.2.3.4");
    let output = tcpdump.wait_with_output().expect("tcpdump ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
