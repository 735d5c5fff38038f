//! A trace leaves nothing behind, however it ends, and touches nothing but its namespace.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::wires::{Wires, lines, text_in};

const ID: u16 = 0x0de1;
const RULES: &str = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 198.51.100.0/24 -j MASQUERADE\nCOMMIT\n\
                     *filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p icmp -j ACCEPT\nCOMMIT\n";

fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/rule_trace");
    assert!(path.is_file(), "{} is missing: cargo build -p probe --examples", path.display());
    path
}

/// The example, tracing in `r`.
fn tracing(wires: &Wires) -> Child {
    let (a, b) = (wires.a_ip.to_string(), wires.b_ip.to_string());
    let mut child = Command::new(example())
        .args([&wires.r, &a, &b, &ID.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "tracing\n");
    child
}

/// The rules of a namespace, handles included, counters zeroed.
fn state(netns: &str) -> String {
    let all = text_in(netns, &["nft", "-s", "-a", "list", "ruleset"]);
    let logs = text_in(netns, &["cat", "/proc/net/netfilter/nf_log"]);
    format!("{all}\n{logs}")
}

fn tables(netns: &str) -> Vec<String> {
    text_in(netns, &["nft", "list", "tables"]).lines().map(str::to_owned).collect()
}

#[test]
fn a_killed_process_leaves_no_table() {
    let wires = Wires::routed();
    wires.load(&["iptables-nft-restore"], RULES);
    let before = state(&wires.r);
    let mut child = tracing(&wires);
    let name = format!("hopline_{}_0", child.id());
    for family in ["inet", "bridge"] {
        assert!(tables(&wires.r).contains(&format!("table {family} {name}")), "{family}");
    }
    wires.ping_through(ID);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "killed by a signal");
    // The kernel closes a dead process's sockets before it can be waited for.
    assert_eq!(state(&wires.r), before);
}

#[test]
fn nobody_else_can_change_the_table_and_a_flush_passes_it_over() {
    let wires = Wires::routed();
    wires.load(&["iptables-nft-restore"], RULES);
    let trace = wires.trace(&[wires.request(ID)]);
    text_in(&wires.r, &["nft", "flush", "ruleset"]);
    let left = tables(&wires.r);
    assert!(left.len() == 2 && left.iter().all(|table| table.contains("hopline_")), "{left:?}");
    wires.load(&["iptables-nft-restore"], RULES);
    wires.ping_through(ID);
    let met = wires.named(&trace.finish().unwrap());
    assert_eq!(
        lines(&met),
        [
            "filter FORWARD #1: -A FORWARD -p icmp -j ACCEPT => accept",
            "nat POSTROUTING #0: :POSTROUTING ACCEPT => accept",
        ]
    );
}

#[test]
fn finished_or_dropped_the_rules_are_as_before_and_no_other_namespace_is_touched() {
    let wires = Wires::routed();
    wires.load(&["iptables-nft-restore"], RULES);
    let all = [&wires.a, &wires.r, &wires.b];
    let before = all.map(|netns| state(netns));
    let (own_tables, ends) = (tables(&wires.r), [&wires.a, &wires.b]);
    let (first, second) = (wires.trace(&[wires.request(ID)]), wires.trace(&[wires.request(ID)]));
    assert_eq!(tables(&wires.r).len(), own_tables.len() + 4, "two tables a trace");
    assert_eq!(ends.map(|netns| tables(netns)), [Vec::<String>::new(), Vec::new()]);
    wires.ping_through(ID);
    let traced = first.finish().unwrap();
    drop(second);
    assert_eq!(lines(&wires.named(&traced)).len(), 2);
    assert_eq!(all.map(|netns| state(netns)), before);
}

#[test]
fn without_the_privilege_it_is_said() {
    let wires = Wires::routed();
    let (a, b) = (wires.a_ip.to_string(), wires.b_ip.to_string());
    // Enough to enter the namespace, not to change it.
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"])
        .arg(example())
        .args([&wires.r, &a, &b, &ID.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("without root or CAP_NET_ADMIN"), "{said}");
    assert_eq!(tables(&wires.r), Vec::<String>::new());
}
