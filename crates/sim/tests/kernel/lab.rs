//! A case built for real: namespaces that are deleted when dropped, also by a panic.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::Snapshot;
use sys::netns::{self, NetnsFd};

use crate::case::{self, Case, GUEST, HOST, OTHER_GUEST, ROLES};

/// How long links may take to have their carriers.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Lab {
    pub(crate) names: [String; 5],
    pub(crate) netns: Vec<NetnsFd>,
}

impl Lab {
    /// Namespaces for a case drawn from this seed, and the case built in them.
    pub(crate) fn build(seed: u64) -> (Lab, Case) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ROLES.map(|role| format!("ht-sim-{}-{nth}-{role}", std::process::id()));
        let mut lab = Lab { names, netns: Vec::new() };
        for name in &lab.names {
            let made = netns::create(name).expect("this test makes network namespaces, which needs root");
            lab.netns.push(made);
        }
        let case = case::draw(seed, &lab.names);
        lab.set_up(&case);
        (lab, case)
    }

    fn set_up(&self, case: &Case) {
        // The host makes the guests' links, the router the server's: these two go first.
        for role in [HOST, case::ROUTER, GUEST, OTHER_GUEST, case::SERVER] {
            let batch = case.ip[role].join("\n");
            fed(Command::new("ip").args(["-n", &self.names[role], "-batch", "-"]), &batch, case);
        }
        for (role, name, value) in &case.sysctls {
            let write = || fs::write(format!("/proc/sys/net/{name}"), value.to_string());
            netns::within(&self.netns[*role], write).unwrap().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        for (tool, text) in &case.rules {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &self.names[HOST], tool, "-w"]);
            fed(&mut command, text, case);
        }
    }

    /// The five namespaces as hopline reads them, once every cable has its carrier.
    pub(crate) fn read(&self) -> Snapshot {
        let plans: Vec<MachinePlan> = ROLES
            .iter()
            .zip(&self.names)
            .enumerate()
            .map(|(role, (name, netns))| MachinePlan {
                name: (*name).to_owned(),
                role: String::new(),
                at: At::Netns(netns.clone()),
                instance: matches!(role, GUEST | OTHER_GUEST),
                nova_conf: None,
                libvirt: None,
                dnsmasq_log: None,
                console_logs: None,
            })
            .collect();
        let give_up = Instant::now() + PATIENCE;
        loop {
            let collected = collect::site(&plans);
            assert!(collected.unreachable.is_empty(), "{:?}", collected.unreachable);
            let snapshot = collected.snapshot;
            let links = || snapshot.netns.iter().flat_map(|n| &n.links);
            // br2 may have no port at all, and so no carrier.
            if links().all(|l| !l.admin_up || l.carrier || l.name == "br2") {
                return snapshot;
            }
            assert!(Instant::now() < give_up, "links without carrier: {:?}", snapshot.netns);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            // A failure must not hide the test's own; the name tells who left it behind.
            let _ = netns::delete(name);
        }
    }
}

/// Runs a command fed with a text. It must succeed.
fn fed(command: &mut Command, text: &str, case: &Case) {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}\nfed with:\n{text}\n{case}");
}
