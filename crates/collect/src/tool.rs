//! Running the tools that print rulesets, and versions.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sys::programs;

/// More output than any ruleset that was ever loaded; a tool that prints more is cut off.
const OUTPUT_MAX: u64 = 512 * 1024 * 1024;
/// Longest that a tool may take.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Runs a tool in the calling thread's namespace and returns what it printed. Both its output and its
/// time are bounded.
pub(crate) fn run(program: &str, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new(programs::path_of(program));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // arptables-nft-save looks up names of the addresses that `mangle` writes (extensions/libarpt_mangle.c):
    // resolv.conf(5) says how often each server is asked, and reading must not send anything.
    command.env("LC_ALL", "C").env("RES_OPTIONS", "attempts:0");
    let mut child = command.spawn()?;
    let started = Instant::now();
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.take(64 * 1024).read_to_string(&mut text);
        text
    });
    let printed = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.take(OUTPUT_MAX).read_to_end(&mut bytes).map(|_| bytes)
    });
    while !printed.is_finished() && started.elapsed() < TIME_MAX {
        std::thread::park_timeout(Duration::from_micros(200));
    }
    if !printed.is_finished() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("took longer than {} s", TIME_MAX.as_secs()),
        ));
    }
    let bytes = printed.join().map_err(|_| io::Error::other("its reader panicked"))??;
    let status = child.wait()?;
    if !status.success() {
        let words = said.join().unwrap_or_default();
        return Err(io::Error::other(words.lines().next().unwrap_or("failed without a word").to_owned()));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}
