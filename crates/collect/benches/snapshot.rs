//! How long a snapshot takes, beside the commands that an operator would run for the same facts.
//!
//! `cargo bench -p collect`, as root: builds a host with 1,000 bridge ports and 10,000 rules, then a
//! small site of seven namespaces, and deletes both. Each command is timed in the same run as the
//! snapshot, in turns, so that whatever else the machine does hits both.

use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use sys::netns::{self, NetnsFd};

const PORTS: usize = 1_000;
const RULES: usize = 10_000;
const LARGE_RUNS: usize = 7;
const SMALL_RUNS: usize = 41;

/// What an operator runs to learn the same.
const COMMANDS: [&[&str]; 5] = [
    &["ip", "-d", "-j", "link"],
    &["bridge", "-j", "fdb"],
    &["ip", "-j", "route"],
    &["iptables-nft-save", "-c"],
    &["nft", "-a", "list", "ruleset"],
];

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A namespace that is deleted when dropped, also by a panic.
struct Scratch {
    name: String,
    netns: NetnsFd,
}

impl Scratch {
    fn new(label: &str) -> Outcome<Scratch> {
        let name = format!("ht-col-bench-{label}-{}", std::process::id());
        let netns = netns::create(&name)?;
        Ok(Scratch { name, netns })
    }

    fn plan(&self) -> MachinePlan {
        MachinePlan {
            name: self.name.clone(),
            role: String::new(),
            at: At::Netns(self.name.clone()),
            instance: false,
            nova_conf: None,
            libvirt: None,
            dnsmasq_log: None,
            console_logs: None,
        }
    }

    /// Runs a program in the namespace, fed with `input`; how many bytes it printed.
    fn run(&self, argv: &[&str], input: &str) -> Outcome<usize> {
        let (program, arguments) = argv.split_first().ok_or("no program")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = netns::spawn_in(&self.netns, &mut command)?;
        let mut stdin = child.stdin.take().ok_or("no standard input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        if output.status.success() {
            Ok(output.stdout.len())
        } else {
            Err(format!("{} failed: {}", argv.join(" "), output.status).into())
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done about it here; the name tells whose it is.
        let _ = netns::delete(&self.name);
    }
}

fn main() -> Outcome<()> {
    let mut out = io::stdout().lock();
    large(&mut out)?;
    small(&mut out)?;
    Ok(())
}

/// One host with very many links and rules, against the commands.
fn large(out: &mut impl Write) -> Outcome<()> {
    let (host, far) = (Scratch::new("host")?, Scratch::new("far")?);
    host.run(&["ip", "-batch", "-"], &ports(&far.name))?;
    host.run(&["iptables-nft-restore"], &rules(RULES))?;
    let plans = [host.plan()];
    complete(&collect::site(&plans), PORTS + 2, RULES)?;
    let mut snapshots = Vec::new();
    let mut commands: Vec<Vec<Duration>> = vec![Vec::new(); COMMANDS.len()];
    for _ in 0..LARGE_RUNS {
        snapshots.push(timed_reading(&plans));
        for (argv, times) in COMMANDS.iter().zip(&mut commands) {
            times.push(timed(|| host.run(argv, "").map(drop))?);
        }
    }
    writeln!(out, "one host, {PORTS} bridge ports, {RULES} iptables-nft rules; medians of {LARGE_RUNS}")?;
    let snapshot = median(&mut snapshots);
    let mut sum = Duration::ZERO;
    for (argv, times) in COMMANDS.iter().zip(&mut commands) {
        let time = median(times);
        sum += time;
        writeln!(out, "  {:<28} {:>9.1} ms", argv.join(" "), milliseconds(time))?;
    }
    writeln!(out, "  {:<28} {:>9.1} ms", "all commands", milliseconds(sum))?;
    writeln!(out, "  {:<28} {:>9.1} ms", "collect::site", milliseconds(snapshot))?;
    let ratio = snapshot.as_secs_f64() / sum.as_secs_f64();
    writeln!(out, "  snapshot / commands          {ratio:>9.2}")?;
    host.run(&["nft", "add", "table", "inet", "beside"], "")?;
    let mut beside: Vec<Duration> = (0..LARGE_RUNS).map(|_| timed_reading(&plans)).collect();
    let time = milliseconds(median(&mut beside));
    writeln!(out, "  collect::site, one nft table {time:>9.1} ms")?;
    Ok(())
}

/// Seven machines as in the small cloud: a compute host with rules, and six that only route or answer.
fn small(out: &mut impl Write) -> Outcome<()> {
    let host = Scratch::new("small0")?;
    let mut site = Vec::new();
    for number in 1..7 {
        let other = Scratch::new(&format!("small{number}"))?;
        let cable = format!("link add c{number} type veth peer name eth0 netns {}\n", other.name);
        host.run(&["ip", "-batch", "-"], &format!("{cable}link set c{number} up\n"))?;
        other.run(
            &["ip", "-batch", "-"],
            &format!("addr add 10.9.{number}.1/24 dev eth0\nlink set eth0 up\n"),
        )?;
        site.push(other);
    }
    let without: Vec<MachinePlan> = site.iter().chain([&host]).map(Scratch::plan).collect();
    let plain = repeat(&without);
    host.run(&["iptables-nft-restore"], &rules(60))?;
    let with_rules = repeat(&without);
    complete(&collect::site(&without), 7, 60)?;
    let mut saves = Vec::new();
    for _ in 0..SMALL_RUNS {
        saves.push(timed(|| host.run(&["iptables-nft-save", "-c"], "").map(drop))?);
    }
    writeln!(out, "a site of seven namespaces; medians of {SMALL_RUNS}")?;
    writeln!(out, "  without netfilter rules      {:>9.1} ms", milliseconds(plain))?;
    writeln!(out, "  with 60 rules on one         {:>9.1} ms", milliseconds(with_rules))?;
    writeln!(out, "  iptables-nft-save -c alone   {:>9.1} ms", milliseconds(median(&mut saves)))?;
    Ok(())
}

fn repeat(plans: &[MachinePlan]) -> Duration {
    let mut times = Vec::new();
    for _ in 0..SMALL_RUNS {
        times.push(timed_reading(plans));
    }
    median(&mut times)
}

/// A quick answer that lacks something is no answer.
fn complete(read: &collect::Collected, links: usize, rules: usize) -> Outcome<()> {
    let snapshot = &read.snapshot;
    if !read.unreachable.is_empty() || !snapshot.gaps.is_empty() {
        return Err(format!("gaps: {:?} {:?}", read.unreachable, snapshot.gaps).into());
    }
    let most = snapshot.netns.iter().map(|netns| netns.links.len()).max();
    let tables = snapshot.netns.iter().flat_map(|netns| &netns.ruleset.tables);
    let read_rules: usize = tables.flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    if (most, read_rules) == (Some(links), rules) {
        Ok(())
    } else {
        Err(format!("read {most:?} links of {links}, and {read_rules} rules of {rules}").into())
    }
}

/// Lines for `ip -batch`: a bridge whose ports are cables to another namespace.
fn ports(far: &str) -> String {
    let mut lines = String::from("link add br100 type bridge\nlink set br100 up\n");
    for number in 0..PORTS {
        let cable = format!("link add vnet{number} type veth peer name eth{number} netns {far}\n");
        lines.push_str(&cable);
        lines.push_str(&format!("link set vnet{number} master br100 up\n"));
    }
    lines
}

/// Rules as nova's security groups have them: a chain an instance, ten rules each.
fn rules(count: usize) -> String {
    let mut text = String::from("*filter\n");
    let chains = count.div_ceil(10);
    for chain in 0..chains {
        text.push_str(&format!(":nova-inst-{chain} - [0:0]\n"));
    }
    for rule in 0..count {
        let (chain, port) = (rule / 10, 1 + rule % 60_000);
        let source = format!("10.{}.{}.0/24", rule / 250 % 250, rule % 250);
        text.push_str(&format!("-A nova-inst-{chain} -s {source} -p tcp -m tcp --dport {port} -j ACCEPT\n"));
    }
    text.push_str("COMMIT\n");
    text
}

fn timed_reading(plans: &[MachinePlan]) -> Duration {
    let started = Instant::now();
    drop(collect::site(plans));
    started.elapsed()
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
