//! What was typed: the commands and flags of docs/contract.md, word for word.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli_db::DbArgs;
use crate::cli_lab::LabArgs;

/// Follows a cloud instance's packets hop by hop and names the hop where they die, why, and what mends it
#[derive(Debug, Parser)]
#[command(name = "hopline", version, disable_help_subcommand = true)]
#[command(max_term_width = 80, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command ends with: in the help, and on each manual page.
macro_rules! exit_codes {
    () => {
        "  0  looked, and found no fault
  1  at least one fault found
  2  the command line, the site file or an input is wrong, or hopline could not
     do its work: the message says what, where, and what to do
  3  undetermined: no fault proved, and something that matters could not be seen
"
    };
}

pub(crate) const EXIT_CODES: &str = exit_codes!();

const AFTER_HELP: &str = concat!(
    "Exit codes:\n",
    exit_codes!(),
    "
Nothing on a host is changed by any command but `lab`."
);

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The site file [default: ./site.toml, ~/.config/hopline/site.toml, /etc/hopline/site.toml, else
    /// this machine]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) site: Option<PathBuf>,
    /// Print one JSON document (schema hopline.report/1) and nothing else on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print one line per finding: CODE HOST/NETNS/DEVICE
    #[arg(long, global = true, conflicts_with = "json")]
    pub(crate) minimal: bool,
    /// Show every path, decision and source
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// When to use colour (NO_COLOR is obeyed too)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Send nothing, only read
    #[arg(long, global = true)]
    pub(crate) passive: bool,
    /// How long to wait for answers: 500ms, 10s, 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every check that needs no traffic, on one host or on all of the site
    Check {
        /// Name of a host of the site
        host: Option<String>,
        #[command(flatten)]
        bundles: BundleArgs,
        #[command(flatten)]
        pages: PageArgs,
    },
    /// Show the predicted way of a packet, there and back
    Path(PathArgs),
    /// Predict, probe, observe, and conclude what is wrong with an instance's network
    Diagnose(DiagnoseArgs),
    /// Write all that is read of the site, or of some of its hosts, into one file
    Collect(CollectArgs),
    /// Join captures of several places into journeys, and name the packets that did not arrive
    Correlate(CorrelateArgs),
    /// Watch packets at several devices at once, live or into a pcapng file
    Capture(CaptureArgs),
    /// The cloud's database: what is inconsistent in it, and putting that right
    Db(DbArgs),
    /// Tell what a finding means, how it is proved and how it is fixed
    Explain {
        /// A finding's code; without one, all codes are listed
        code: Option<String>,
    },
    /// Hold the prediction to this machine's kernel: build clouds, send packets, compare
    Selftest(SelftestArgs),
    /// A small real cloud on this machine, and the faults to break it with
    Lab(LabArgs),
    /// Print what a shell reads to complete commands and flags
    Completions {
        /// Whose language
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual page, of hopline or of one of its commands
    Man {
        /// A command, in as many words as it has: lab up
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    /// An instance (name, uuid, libvirt name, address, MAC), a host's name or an address
    #[arg(value_name = "SRC")]
    pub(crate) source: String,
    /// The same, or any other IPv4 address
    #[arg(value_name = "DST")]
    pub(crate) destination: String,
    /// What kind of packet to imagine
    #[arg(long, value_name = "PROTOCOL", default_value = "icmp")]
    pub(crate) proto: Proto,
    /// Destination port, with tcp and udp
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Leave the answer's way back out
    #[arg(long)]
    pub(crate) no_reply: bool,
    #[command(flatten)]
    pub(crate) bundles: BundleArgs,
    #[command(flatten)]
    pub(crate) pages: PageArgs,
}

/// Files in place of a site.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// Read the site from this file of `hopline collect`, or from a sosreport, and send nothing; may be given
    /// more than once, for the hosts of one site
    #[arg(long = "bundle", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CollectArgs {
    /// Hosts of the site, with their instances as far as they can be entered [default: all]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// The file to write: a tar of plain files, packed with zstd. One of that name is replaced when the new
    /// one is whole
    #[arg(short = 'o', long = "output", value_name = "FILE.tar.zst")]
    pub(crate) output: PathBuf,
    /// Put pseudonyms in the place of names, ids, addresses and MACs; what they stand for is written beside the
    /// file, into FILE.names, and what made them into FILE.key: both stay with you
    #[arg(long)]
    pub(crate) redact: bool,
    /// Make the pseudonyms with this key of an earlier `--redact`, so that bundles of several hosts fit together
    #[arg(long, value_name = "FILE.key", requires = "redact")]
    pub(crate) redact_key: Option<PathBuf>,
    /// Redact this file of an earlier `hopline collect` instead of reading the site
    #[arg(long = "bundle", value_name = "FILE", requires = "redact", conflicts_with_all = ["hosts", "captures"])]
    pub(crate) bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) captures: CaptureFileArgs,
}

/// Captures that somebody made.
#[derive(Debug, Args)]
pub(crate) struct CaptureFileArgs {
    /// A capture to see packets in, as `hopline capture -w`, tcpdump or Wireshark wrote it; may be given more
    /// than once. VANTAGE is the device (HOST/NETNS/DEVICE) or the host that it was made at, where it does not
    /// tell that itself
    #[arg(long = "capture", value_name = "[VANTAGE=]FILE")]
    pub(crate) captures: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Proto {
    Icmp,
    Tcp,
    Udp,
    Arp,
}

#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// An instance: name, uuid, libvirt name, fixed or floating address, or MAC
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) instance: Option<String>,
    /// Diagnose every instance
    #[arg(long)]
    pub(crate) all: bool,
    /// The destination complained of: an instance, a host or an IPv4 address
    #[arg(long, value_name = "DST")]
    pub(crate) to: Option<String>,
    /// What is complained of
    #[arg(long, value_name = "SYMPTOM", default_value = "auto")]
    pub(crate) symptom: Symptom,
    #[command(flatten)]
    pub(crate) captures: CaptureFileArgs,
    #[command(flatten)]
    pub(crate) bundles: BundleArgs,
    #[command(flatten)]
    pub(crate) pages: PageArgs,
}

/// The ways of packets as files for a ticket, beside what is printed.
#[derive(Debug, Default, Args)]
pub(crate) struct LadderArgs {
    /// Also write the answer to this file, as a page that any browser shows without network and scripts
    #[arg(long = "html", value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the picture of the packets' ways to this file
    #[arg(long = "svg", value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// The answer as files for a ticket, beside what is printed.
#[derive(Debug, Default, Args)]
pub(crate) struct PageArgs {
    /// Also write the answer to this file, as a page that any browser shows without network and scripts
    #[arg(long = "html", value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the picture of the path to this file
    #[arg(long = "svg", value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Symptom {
    Auto,
    Ping,
    Dhcp,
    Dns,
    Ssh,
    Metadata,
}

#[derive(Debug, Args)]
pub(crate) struct CorrelateArgs {
    /// Captures: pcap or pcapng, also packed with gzip or zstd, or what `tcpdump -n -v` prints; whoever
    /// made them, and by whatever clocks
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print every journey too, as one JSON line each, before the summary
    #[arg(long)]
    pub(crate) each: bool,
    /// How long a packet is looked for at other places; memory is in proportion
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) window: Duration,
    /// Also write all of them to this one file, in the order of one clock, with a comment at each packet that
    /// was lost or copied
    #[arg(short = 'w', value_name = "FILE.pcapng")]
    pub(crate) merged: Option<PathBuf>,
    /// An address inside, and what it is translated to outside; may be given more than once. Needed only
    /// where both ends of a packet are translated at once: all else is learned
    #[arg(long, value_name = "INSIDE=OUTSIDE", value_parser = translated)]
    pub(crate) nat: Vec<(IpAddr, IpAddr)>,
    #[command(flatten)]
    pub(crate) pages: LadderArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CAPTURE_HELP)]
pub(crate) struct CaptureArgs {
    /// Where to watch, HOST/NETNS/DEVICE (NETNS empty for the main one); may be given more than once
    /// [default: the devices on the predicted way of what the filter speaks of]
    #[arg(long, value_name = "VANTAGE")]
    pub(crate) at: Vec<String>,
    /// Which packets [default: all]
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
    /// Write them to this file instead of showing them, and at the end a comment at each that was lost or copied
    #[arg(short = 'w', value_name = "FILE.pcapng")]
    pub(crate) file: Option<PathBuf>,
    /// Stop after this time [default: on Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// Stop after so many packets, of all vantages together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Keep so many bytes of a packet [default: 262144 in a file, 256 on the screen]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(14..=262_144))]
    pub(crate) snap: Option<u32>,
    /// MiB for packets not yet looked at, at each vantage
    #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) buffer: u32,
    /// Do not ask what became of packets: they are written or shown as they come, for less of the processor
    #[arg(long, conflicts_with_all = ["html", "svg"])]
    pub(crate) no_journeys: bool,
    #[command(flatten)]
    pub(crate) pages: LadderArgs,
}

const CAPTURE_HELP: &str = "\
Filters are the everyday ones of tcpdump: host, net, port, portrange with src
and dst; ip, ip6, arp, icmp, icmp6, tcp, udp, vlan [ID], ether host; and, or,
not and parentheses. Besides: instance:NAME and flow:ADDRESS,ADDRESS. Addresses
are looked for on both sides of NAT. With --at, tcpdump compiles what is beyond.

A line is a packet: where it was seen, how long each stretch took, where it was
lost. With -v, a line is a packet at one place, as soon as it is there.

Exit code 1 where packets were lost, duplicated, looping or answered twice; 3
where the kernel dropped packets, or a vantage ended early.";

#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// How many cases; each is a cloud with its rulesets and a handful of packets
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cases: u64,
    /// What to draw the cases from: the same seed draws the same cases [default: from the clock]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Where to keep what disagrees, one file each
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) save: PathBuf,
    /// Draw also what hopline is known not to predict
    #[arg(long)]
    pub(crate) unmodelled: bool,
    /// Build nothing: ask again about what an earlier run kept; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cases", "seed", "save", "unmodelled"])]
    pub(crate) replay: Vec<PathBuf>,
}

/// `500ms`, `10s`, `2m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: u64 = digits.parse().map_err(|_| "expected a number and a unit: 500ms, 10s, 2m")?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        _ => return Err("the units are ms, s and m".to_owned()),
    };
    match number.checked_mul(unit_ms) {
        // An hour is longer than anybody waits for a packet, and far from overflowing a clock.
        Some(ms @ 1..=3_600_000) => Ok(Duration::from_millis(ms)),
        Some(_) | None => Err("expected 1ms to 60m".to_owned()),
    }
}

fn translated(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let pair = text.split_once('=').ok_or("expected two addresses: 10.0.2.24=203.0.113.30")?;
    let address = |text: &str| text.parse().map_err(|_| format!("`{text}` is no IP address"));
    let (inside, outside) = (address(pair.0)?, address(pair.1)?);
    if inside == outside { Err("both addresses are the same".to_owned()) } else { Ok((inside, outside)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn durations() {
        let good = [("500ms", 500), ("10s", 10_000), ("10", 10_000), ("2m", 120_000)];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in
            ["", "s", "0s", "-1s", "1.5s", "10h", "99999999999999999999s", "18446744073709551615m", "61m"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
