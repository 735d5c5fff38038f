//! Three namespaces in a row: `a` and `b` send, `r` between them routes or bridges and has the rules.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use collect::{At, MachinePlan};
use model::netfilter::Ruleset;
use probe::rule_trace::{self, Flow, RuleMet, Trace, Traced};
use probe::{Asker, EchoPlan, EchoResult};
use sys::netns::NetnsFd;

/// Longer than anything takes that happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Wires {
    pub(crate) a: String,
    pub(crate) r: String,
    pub(crate) b: String,
    pub(crate) a_ip: Ipv4Addr,
    pub(crate) b_ip: Ipv4Addr,
}

impl Wires {
    /// `r` routes between 192.0.2.0/25 on `va` and 192.0.2.128/25 on `vb`.
    pub(crate) fn routed() -> Wires {
        let wires = Wires::new([192, 0, 2, 2], [192, 0, 2, 130]);
        let Wires { a, r, b, .. } = &wires;
        for (end, own, gateway, link) in
            [(a, "192.0.2.2/25", "192.0.2.1", "va"), (b, "192.0.2.130/25", "192.0.2.129", "vb")]
        {
            ip(&["-n", end, "addr", "add", own, "dev", "v"]);
            ip(&["-n", r, "addr", "add", &format!("{gateway}/25"), "dev", link]);
            ip(&["-n", end, "link", "set", "v", "up"]);
            ip(&["-n", r, "link", "set", link, "up"]);
            ip(&["-n", end, "route", "add", "default", "via", gateway]);
        }
        // Not by sysctl(8), which writes where its mount namespace's /proc/sys points.
        ip(&["netns", "exec", r, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        wires.settled()
    }

    /// `r` bridges 192.0.2.0/24 by `br0`, whose ports are `va` and `vb`.
    pub(crate) fn bridged() -> Wires {
        let wires = Wires::new([192, 0, 2, 2], [192, 0, 2, 130]);
        let Wires { a, r, b, .. } = &wires;
        ip(&["-n", r, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", r, "link", "set", "br0", "up"]);
        for (end, own, link) in [(a, "192.0.2.2/24", "va"), (b, "192.0.2.130/24", "vb")] {
            ip(&["-n", end, "addr", "add", own, "dev", "v"]);
            ip(&["-n", r, "link", "set", link, "master", "br0"]);
            ip(&["-n", end, "link", "set", "v", "up"]);
            ip(&["-n", r, "link", "set", link, "up"]);
        }
        wires.settled()
    }

    /// Links take up to a second to come up (`net/core/link_watch.c`), and neighbours are resolved.
    fn settled(self) -> Wires {
        self.ping_through(1);
        self
    }

    fn new(a_ip: [u8; 4], b_ip: [u8; 4]) -> Wires {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ht-rt-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let [a, r, b] = ["a", "r", "b"].map(|end| format!("{name}-{end}"));
        let wires = Wires { a, r, b, a_ip: a_ip.into(), b_ip: b_ip.into() };
        let Wires { a, r, b, .. } = &wires;
        for netns in [a, r, b] {
            ip(&["netns", "add", netns]);
            ip(&["-n", netns, "link", "set", "lo", "up"]);
        }
        for (end, link) in [(a, "va"), (b, "vb")] {
            ip(&["-n", r, "link", "add", link, "type", "veth", "peer", "name", "v", "netns", end]);
        }
        wires
    }

    /// One echo request from `a` to `b` and whatever came of it.
    pub(crate) fn ping(&self, id: u16, timeout: Duration) -> EchoResult {
        let plan = EchoPlan {
            to: self.b_ip.into(),
            scope: 0,
            count: 1,
            interval: Duration::from_millis(10),
            timeout,
            ttl: None,
            id: Some(id),
            size: probe::EchoSize { octets: 84, whole: false },
        };
        let netns = NetnsFd::named(&self.a).unwrap();
        probe::echo(&Asker { name: "a", netns: &netns, source: None }, &plan).unwrap()
    }

    /// One that must be answered.
    pub(crate) fn ping_through(&self, id: u16) {
        let result = self.ping(id, PATIENCE);
        assert_eq!(result.replies.len(), 1, "{result:?}");
    }

    /// The flow of such a request.
    pub(crate) fn request(&self, id: u16) -> Flow {
        Flow::echo(self.a_ip.into(), self.b_ip.into(), id)
    }

    pub(crate) fn trace(&self, flows: &[Flow]) -> Trace {
        rule_trace::start(&NetnsFd::named(&self.r).unwrap(), flows).unwrap()
    }

    /// The rules of `r`, as a diagnosis reads them.
    pub(crate) fn ruleset(&self) -> Ruleset {
        let plan = MachinePlan {
            name: self.r.clone(),
            role: "router".to_owned(),
            at: At::Netns(self.r.clone()),
            instance: false,
            nova_conf: None,
            libvirt: None,
            dnsmasq_log: None,
            console_logs: None,
        };
        let collected = collect::site(&[plan]);
        assert_eq!(collected.snapshot.gaps, []);
        collected.snapshot.main_netns(&self.r).unwrap().ruleset.clone()
    }

    pub(crate) fn named(&self, traced: &Traced) -> Vec<RuleMet> {
        assert!(!traced.lost);
        rule_trace::met(&traced.events, &self.ruleset(), &traced.handles)
    }

    /// Loads rules into `r`.
    pub(crate) fn load(&self, argv: &[&str], rules: &str) {
        run(&[&["netns", "exec", &self.r], argv].concat(), rules);
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        for netns in [&self.a, &self.r, &self.b] {
            // A failure here cannot be reported better than by the namespace that stays.
            let _ = Command::new("ip").args(["netns", "del", netns]).status();
        }
    }
}

/// `FORWARD → nova #2: -A nova -j ACCEPT => accept`, of rules that all have names.
pub(crate) fn lines(met: &[RuleMet]) -> Vec<String> {
    let line = |met: &RuleMet| {
        let rule = met.rule.as_ref().unwrap_or_else(|unnamed| panic!("{unnamed}"));
        let place = format!("{} {}", rule.table, rule.chain_path());
        format!("{place} #{}: {} => {}", rule.number, rule.text, met.verdict)
    };
    met.iter().map(line).collect()
}

pub(crate) fn addresses(met: &RuleMet) -> (IpAddr, IpAddr) {
    let headers = met.headers.unwrap();
    (headers.source, headers.destination)
}

/// What a program prints in a namespace, where it must succeed.
pub(crate) fn text_in(netns: &str, argv: &[&str]) -> String {
    run(&[&["netns", "exec", netns], argv].concat(), "")
}

fn ip(arguments: &[&str]) {
    run(arguments, "");
}

/// Runs `ip` with these arguments and this input, and returns what it prints.
fn run(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {complaint}\n{input}");
    String::from_utf8(output.stdout).unwrap()
}
