//! How long reading a ruleset takes, and how that grows.
//!
//! `cargo bench -p parse`. Reads iptables-save text of N rules: half nova's security group chains, half a
//! blocklist. *peak* is the most memory that this process ever held (`VmHWM`), text included. The peer,
//! timed in the same run, is the least that a reader must do: split the text into lines and words.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::netfilter::{Dialect, Family};
use parse::iptables_save;

const RUNS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    writeln!(out, "median of {RUNS} runs")?;
    writeln!(out, "{:>8}{:>10}{:>12}{:>14}{:>14}", "rules", "text MiB", "parse ms", "split ms", "peak MiB")?;
    for rules in [1_000, 10_000, 100_000] {
        let text = ruleset(rules);
        let read = iptables_save::parse(&text, Dialect::IptablesNft, Family::Ip);
        let found = read.value.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum::<usize>();
        if found != rules || !read.problems.is_empty() {
            return Err(format!("{found} rules of {rules} were read").into());
        }
        drop(read);
        let parse = median(|| {
            black_box(iptables_save::parse(black_box(&text), Dialect::IptablesNft, Family::Ip));
        });
        let split = median(|| {
            black_box(black_box(&text).lines().map(|line| line.split(' ').count()).sum::<usize>());
        });
        let kib = u32::try_from(text.len() / 1024)?;
        let (mib, millis) = (f64::from(kib) / 1024.0, |time: Duration| time.as_secs_f64() * 1e3);
        let (parse, split, peak) = (millis(parse), millis(split), peak_mib()?);
        writeln!(out, "{rules:>8}{mib:>10.1}{parse:>12.1}{split:>14.1}{peak:>14.0}")?;
    }
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
    let address = |nth: usize| Ipv4Addr::from_bits(0x0b00_0000 + u32::try_from(nth).unwrap_or(0));
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
