//! Namespaces of a test: made fresh, deleted when dropped, also by a panic.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use collect::{At, Collected, MachinePlan};
use model::Netns;
use serde_json::Value;

/// How long two readings in a row may differ from each other before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A namespace of its own.
pub(crate) struct Scratch {
    pub(crate) name: String,
}

impl Scratch {
    pub(crate) fn new(label: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ht-col-{label}-{}-{number}", std::process::id());
        sys::netns::create(&name).expect("these tests make network namespaces, which needs root");
        Scratch { name }
    }

    /// `ip -n NAME ...`, words separated by spaces. It must succeed.
    pub(crate) fn ip(&self, words: &str) -> &Scratch {
        self.must(&["ip", "-n", &self.name], words);
        self
    }

    /// `bridge -n NAME ...`.
    pub(crate) fn bridge(&self, words: &str) -> &Scratch {
        self.must(&["bridge", "-n", &self.name], words);
        self
    }

    /// Any program in the namespace.
    pub(crate) fn run(&self, words: &str) -> &Scratch {
        self.must(&["ip", "netns", "exec", &self.name], words);
        self
    }

    /// What such a program prints.
    pub(crate) fn text(&self, words: &str) -> String {
        String::from_utf8(self.must(&["ip", "netns", "exec", &self.name], words).stdout).unwrap()
    }

    /// `ip -n NAME -j ...`, as JSON; printing nothing means an empty list.
    pub(crate) fn ip_json(&self, words: &str) -> Value {
        json(&self.must(&["ip", "-n", &self.name, "-j"], words))
    }

    /// `bridge -n NAME -j ...`.
    pub(crate) fn bridge_json(&self, words: &str) -> Value {
        json(&self.must(&["bridge", "-n", &self.name, "-j"], words))
    }

    fn must(&self, before: &[&str], words: &str) -> Output {
        let mut argv = before.iter().copied().chain(words.split_whitespace());
        let output = Command::new(argv.next().unwrap()).args(argv).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} in {}: {complaint}", words, self.name);
        output
    }

    /// This namespace as a machine of its own name.
    pub(crate) fn plan(&self) -> MachinePlan {
        plan(&self.name, At::Netns(self.name.clone()))
    }

    /// The namespace as it is read.
    pub(crate) fn read(&self) -> Netns {
        let collected = collect::site(&[self.plan()]);
        assert!(collected.unreachable.is_empty(), "{:?}", collected.unreachable);
        assert_eq!(collected.snapshot.gaps, [], "a whole namespace of root's has no gaps");
        main_netns(&collected, &self.name)
    }

    /// The namespace, and what a command said of it, at a moment when the command says the same before
    /// and after the reading: counters and timers go on by themselves.
    pub(crate) fn settled(&self, ask: impl Fn(&Scratch) -> Value) -> (Value, Netns) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let before = ask(self);
            let netns = self.read();
            if before == ask(self) {
                return (before, netns);
            }
            assert!(Instant::now() < give_up, "{} never came to rest", self.name);
        }
    }

    /// Waits until a bridge's port forwards, which it does a moment after its link is up: who
    /// asks for an entry of what it learned before is refused (net/bridge/br_fdb.c `fdb_add_entry`).
    pub(crate) fn wait_for_forwarding(&self, port: &str) {
        let give_up = Instant::now() + PATIENCE;
        while self.bridge_json(&format!("link show dev {port}"))[0]["state"] != "forwarding" {
            assert!(Instant::now() < give_up, "{port} of {} never forwarded", self.name);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A failure must not hide the test's own; the name tells who left it behind.
        let _ = sys::netns::delete(&self.name);
    }
}

pub(crate) fn plan(name: &str, at: At) -> MachinePlan {
    MachinePlan {
        name: name.to_owned(),
        role: "compute".to_owned(),
        at,
        instance: false,
        nova_conf: None,
        libvirt: None,
        dnsmasq_log: None,
        console_logs: None,
    }
}

pub(crate) fn main_netns(collected: &Collected, machine: &str) -> Netns {
    collected.snapshot.main_netns(machine).expect("the machine was read").clone()
}

fn json(output: &Output) -> Value {
    if output.stdout.iter().all(u8::is_ascii_whitespace) {
        return Value::Array(Vec::new());
    }
    serde_json::from_slice(&output.stdout).unwrap()
}
