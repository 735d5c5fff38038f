//! What the lab's tests share: a lab that is removed whatever happens, commands in its namespaces, and
//! its state as one comparable value.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod old_lease;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A lab of the test's own.
pub(crate) struct TestLab(pub(crate) lab::Lab);

impl TestLab {
    pub(crate) fn up(name: &str) -> TestLab {
        // What an earlier run, killed in the middle, has left.
        lab::down(name, None).unwrap();
        let options = lab::Options::small(name, example());
        TestLab(lab::up(&options).unwrap())
    }

    pub(crate) fn ns(&self, of: &str) -> String {
        self.0.netns(of)
    }
}

impl Drop for TestLab {
    fn drop(&mut self) {
        let removed = lab::down(&self.0.name, None);
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

/// The example `lab`, which stands in for hopline: cargo builds it beside the tests.
pub(crate) fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/lab");
    assert!(path.is_file(), "{} is missing: build it with cargo build -p lab --examples", path.display());
    path
}

/// Runs a command to its end.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

/// Runs a command in a namespace.
pub(crate) fn run_in(ns: &str, argv: &[&str]) -> Output {
    run("ip", &[&["netns", "exec", ns], argv].concat())
}

/// One ping and what it said.
pub(crate) fn ping(ns: &str, to: &str) -> (bool, String) {
    let output = run_in(ns, &["ping", "-n", "-c", "1", "-W", "1", to]);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}

/// A tcpdump that listens, and ends after one packet.
pub(crate) struct Capture(Child);

impl Capture {
    pub(crate) fn start(ns: &str, device: &str, filter: &str) -> Capture {
        let mut child = Command::new("ip")
            .args(["netns", "exec", ns, "timeout", "10"])
            .args(["tcpdump", "-n", "-v", "-c", "1", "-i", device, filter])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines.find(|line| line.as_ref().is_ok_and(|l| l.contains("listening on"))).unwrap().unwrap();
        Capture(child)
    }

    /// What it printed of the packet.
    pub(crate) fn packet(self) -> String {
        String::from_utf8(self.0.wait_with_output().unwrap().stdout).unwrap()
    }
}

/// The namespaces of a small lab, after its name.
const NAMESPACES: [&str; 7] = ["compute1", "fab", "gw", "isp", "ext", "web1", "web2"];

/// Everything that a fault may change and a heal must bring back.
pub(crate) fn state(lab: &lab::Lab) -> Value {
    let namespaces: BTreeMap<String, Value> =
        NAMESPACES.map(|of| (of.to_owned(), network_state(&lab.netns(of)))).into();
    let compute = lab.netns("compute1");
    json!({
        "namespaces": namespaces,
        "iptables": rules(&compute),
        "ip_forward": sysctl(&compute, "net.ipv4.ip_forward"),
        "rp_filter": sysctl(&compute, "net.ipv4.conf.eth0.rp_filter"),
        "programs": programs(&compute),
        "database": database(lab),
    })
}

fn network_state(ns: &str) -> Value {
    let list = |command: &str, args: &[&str], keep: &[&str]| {
        let output = run(command, args);
        assert!(output.status.success(), "{command} {args:?}: {output:?}");
        let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut rows: Vec<String> = all
            .iter()
            .map(|row| {
                let kept: BTreeMap<_, _> = keep.iter().map(|key| (*key, row[*key].clone())).collect();
                json!(kept).to_string()
            })
            .collect();
        rows.sort_unstable();
        rows
    };
    let links = ["ifname", "flags", "mtu", "operstate", "address", "master"];
    let ports = ["ifname", "flags", "master", "state", "hairpin"];
    let routes = ["dst", "gateway", "dev", "protocol", "scope", "prefsrc", "flags", "type", "metric"];
    json!({
        "links": list("ip", &["-j", "-n", ns, "link"], &links),
        "addresses": list("ip", &["-j", "-4", "-n", ns, "address"], &["ifname", "addr_info"]),
        "routes": list("ip", &["-j", "-4", "-n", ns, "route", "show", "table", "all"], &routes),
        "ports": list("bridge", &["-j", "-d", "-n", ns, "link"], &ports),
    })
}

/// The rules of each table, without counters.
fn rules(ns: &str) -> BTreeMap<String, Vec<String>> {
    let output = run_in(ns, &["iptables-nft-save"]);
    assert!(output.status.success(), "{output:?}");
    let mut tables = BTreeMap::new();
    let mut table = String::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if !line.starts_with('#') {
            let without_counters = line.split(" [").next().unwrap().to_owned();
            tables.entry(table.clone()).or_insert_with(Vec::new).push(without_counters);
        }
    }
    tables
}

fn sysctl(ns: &str, name: &str) -> String {
    String::from_utf8(run_in(ns, &["sysctl", "-n", name]).stdout).unwrap()
}

/// Command lines of what stays running there.
fn programs(ns: &str) -> Vec<String> {
    let pids = String::from_utf8(run("ip", &["netns", "pids", ns]).stdout).unwrap();
    let mut lines: Vec<String> = pids
        .lines()
        .filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains("bin/dnsmasq ") || line.contains("bin/busybox "))
        .collect();
    lines.sort_unstable();
    lines
}

/// Rows that faults and leases touch.
fn database(lab: &lab::Lab) -> Vec<String> {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(lab.sqlite()).read_only(true);
        let mut db = options.connect().await.unwrap();
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT 'rule ' || coalesce(protocol, '') || ' ' || deleted || ' ' || coalesce(deleted_at, '-') \
             FROM security_group_rules UNION ALL SELECT 'fixed ' || address || ' ' || leased || allocated \
             FROM fixed_ips WHERE leased OR allocated",
        )
        .fetch_all(&mut db)
        .await
        .unwrap();
        db.close().await.unwrap();
        rows.into_iter().map(|row| row.0).collect()
    })
}

/// Nothing of the lab is left.
pub(crate) fn assert_gone(name: &str, state: &Path) {
    let netns: Vec<_> = std::fs::read_dir("/run/netns")
        .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    let left: Vec<_> = netns.iter().filter(|netns| netns.starts_with(&format!("{name}-"))).collect();
    assert!(left.is_empty(), "{left:?} are left");
    assert!(state.symlink_metadata().is_err(), "{} is left", state.display());
    let mention = state.to_str().unwrap().as_bytes();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        let left = line.windows(mention.len()).any(|window| window == mention);
        assert!(!left, "still running: {}", String::from_utf8_lossy(&line));
    }
}

/// The machine's own namespace, as far as a lab could touch it.
pub(crate) fn machine() -> Value {
    let text = |program: &str, args: &[&str]| String::from_utf8(run(program, args).stdout).unwrap();
    let mut sysctls = BTreeMap::new();
    for root in ["/proc/sys/net/ipv4", "/proc/sys/net/bridge"] {
        read_sysctls(Path::new(root), &mut sysctls);
    }
    json!({
        "links": text("ip", &["-o", "link"]),
        "addresses": text("ip", &["-o", "address", "show", "scope", "global"]),
        "routes": text("ip", &["route", "show", "table", "all"]),
        "nft": text("nft", &["list", "ruleset"]),
        "legacy": text("iptables-legacy-save", &[]),
        "sysctls": sysctls,
    })
}

fn read_sysctls(dir: &Path, into: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sysctls(&path, into);
        } else if let Ok(value) = std::fs::read_to_string(&path) {
            into.insert(path.display().to_string(), value);
        }
    }
}
