//! How long reading a ruleset takes, and how that grows.
//!
//! `cargo bench -p parse`. Reads iptables-save text of N rules, half nova's security group chains, half a
//! blocklist; then as many of the same rules in nft's text and in its JSON. *peak* is the most memory that
//! this process ever held (`VmHWM`), text included. The peer, timed in the same run, is the least that a
//! reader must do: split the text into lines and words.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::netfilter::{Dialect, Family, Table};
use parse::{Parsed, iptables_save};

const RUNS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    writeln!(out, "median of {RUNS} runs")?;
    for (format, make, read) in FORMATS {
        writeln!(out, "{format}")?;
        writeln!(
            out,
            "{:>8}{:>10}{:>12}{:>14}{:>14}",
            "rules", "text MiB", "parse ms", "split ms", "peak MiB"
        )?;
        for rules in [1_000, 10_000, 100_000] {
            measure(&mut out, rules, &make(rules), read)?;
        }
    }
    Ok(())
}

type Make = fn(usize) -> String;
type Read = fn(&str) -> Parsed<Vec<Table>>;

const FORMATS: [(&str, Make, Read); 3] = [
    ("iptables-save -c", ruleset, |text| iptables_save::parse(text, Dialect::IptablesNft, Family::Ip)),
    ("nft -a list ruleset", nft_text, |text| parse::nft_text::parse(text, &|_, _| false)),
    ("nft -j -a list ruleset", nft_json, |text| parse::nft_json::parse(text, &|_, _| false)),
];

fn measure(out: &mut impl Write, rules: usize, text: &str, parse: Read) -> Result<(), Box<dyn Error>> {
    let read = parse(text);
    let found = read.value.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum::<usize>();
    if found != rules || !read.problems.is_empty() {
        return Err(format!("{found} rules of {rules} were read").into());
    }
    drop(read);
    let parsing = median(|| {
        black_box(parse(black_box(text)));
    });
    let split = median(|| {
        black_box(black_box(text).lines().map(|line| line.split(' ').count()).sum::<usize>());
    });
    let kib = u32::try_from(text.len() / 1024)?;
    let (mib, millis) = (f64::from(kib) / 1024.0, |time: Duration| time.as_secs_f64() * 1e3);
    let (parsing, split, peak) = (millis(parsing), millis(split), peak_mib()?);
    writeln!(out, "{rules:>8}{mib:>10.1}{parsing:>12.1}{split:>14.1}{peak:>14.0}")?;
    Ok(())
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// As iptables-save prints it, with counters.
fn ruleset(rules: usize) -> String {
    let mut text = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n".to_owned();
    let instances = rules / 2 / 6;
    for nth in 0..instances {
        text.push_str(&format!(":nova-compute-inst-{nth} - [0:0]\n"));
    }
    for nth in 0..instances {
        let chain = format!("nova-compute-inst-{nth}");
        let from = address(nth);
        text.push_str(&format!(
            "[12:3456] -A FORWARD -d {from}/32 -j {chain}\n\
             [0:0] -A {chain} -m state --state INVALID -j DROP\n\
             [7:588] -A {chain} -m state --state RELATED,ESTABLISHED -j ACCEPT\n\
             [0:0] -A {chain} -p icmp -j ACCEPT\n\
             [1:60] -A {chain} -p tcp -m tcp --dport 22 -j ACCEPT\n\
             [0:0] -A {chain} -s {from}/32 -p tcp -m multiport --dports 8000:8010 -j ACCEPT\n"
        ));
    }
    for nth in instances * 6..rules {
        let blocked = address(nth);
        text.push_str(&format!(
            "[0:0] -A INPUT -s {blocked}/32 -m comment --comment \"blocklist {nth}\" -j DROP\n"
        ));
    }
    text + "COMMIT\n"
}

/// As nft lists it, with counters and handles.
fn nft_text(rules: usize) -> String {
    let mut text = "table ip filter { # handle 1\n".to_owned();
    let mut forward = String::new();
    let instances = rules / 2 / 6;
    for nth in 0..instances {
        let (chain, from) = (format!("nova-compute-inst-{nth}"), address(nth));
        forward.push_str(&format!(
            "\t\tip daddr {from} counter packets 12 bytes 3456 jump {chain} # handle 7\n"
        ));
        text.push_str(&format!(
            "\tchain {chain} {{ # handle 3\n\
             \t\tct state invalid counter packets 0 bytes 0 drop # handle 4\n\
             \t\tct state established,related counter packets 7 bytes 588 accept # handle 5\n\
             \t\tip protocol icmp counter packets 0 bytes 0 accept # handle 6\n\
             \t\ttcp dport 22 counter packets 1 bytes 60 accept # handle 8\n\
             \t\tip saddr {from} tcp dport 8000-8010 counter packets 0 bytes 0 accept # handle 9\n\t}}\n\n"
        ));
    }
    let hook =
        |name: &str, policy: &str| format!("\t\ttype filter hook {name} priority filter; policy {policy};\n");
    text.push_str(&format!("\tchain FORWARD {{ # handle 1\n{}{forward}\t}}\n\n", hook("forward", "drop")));
    text.push_str(&format!("\tchain INPUT {{ # handle 2\n{}", hook("input", "accept")));
    for nth in instances * 6..rules {
        let blocked = address(nth);
        text.push_str(&format!(
            "\t\tip saddr {blocked} counter packets 0 bytes 0 drop comment \"blocklist {nth}\" # handle 9\n"
        ));
    }
    text + "\t}\n}\n"
}

/// As nft writes it.
fn nft_json(rules: usize) -> String {
    let is = |protocol: &str, field: &str, value: &str| {
        let left = format!(r#"{{"payload": {{"protocol": "{protocol}", "field": "{field}"}}}}"#);
        format!(r#"{{"match": {{"op": "==", "left": {left}, "right": {value}}}}}, "#)
    };
    let state = |states: &str| {
        format!(r#"{{"match": {{"op": "in", "left": {{"ct": {{"key": "state"}}}}, "right": {states}}}}}, "#)
    };
    let mut objects = vec![r#"{"table": {"family": "ip", "name": "filter", "handle": 1}}"#.to_owned()];
    let mut rule = |chain: &str, comment: &str, conditions: &str, verdict: &str| {
        objects.push(format!(
            r#"{{"rule": {{"family": "ip", "table": "filter", "chain": "{chain}", "handle": 9,{comment}
            "expr": [{conditions}{{"counter": {{"packets": 7, "bytes": 588}}}}, {{{verdict}}}]}}}}"#
        ));
    };
    let instances = rules / 2 / 6;
    for nth in 0..instances {
        let (chain, from) = (format!("nova-compute-inst-{nth}"), format!(r#""{}""#, address(nth)));
        let jump = format!(r#""jump": {{"target": "{chain}"}}"#);
        rule("FORWARD", "", &is("ip", "daddr", &from), &jump);
        rule(&chain, "", &state(r#""invalid""#), r#""drop": null"#);
        rule(&chain, "", &state(r#"["established", "related"]"#), r#""accept": null"#);
        rule(&chain, "", &is("ip", "protocol", r#""icmp""#), r#""accept": null"#);
        rule(&chain, "", &is("tcp", "dport", "22"), r#""accept": null"#);
        let ports = is("tcp", "dport", r#"{"range": [8000, 8010]}"#);
        rule(&chain, "", &(is("ip", "saddr", &from) + &ports), r#""accept": null"#);
    }
    for nth in instances * 6..rules {
        let comment = format!(r#" "comment": "blocklist {nth}","#);
        rule("INPUT", &comment, &is("ip", "saddr", &format!(r#""{}""#, address(nth))), r#""drop": null"#);
    }
    format!(r#"{{"nftables": [{}]}}"#, objects.join(", "))
}

fn address(nth: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0b00_0000 + u32::try_from(nth).unwrap_or(0))
}
