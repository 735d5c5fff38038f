//! What the command line means: every flag that depends on another, on the environment or on the
//! terminal is settled here, once.

use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use checks::{Protocol, Symptom};
use clap_complete::Shell;
use report::Style;

use crate::cli::{self, CaptureArgs, Cli, Color, Command, Global, LadderArgs, PageArgs, PathArgs, Proto};
use crate::cli_db::{DbArgs, DbCommand};
use crate::cli_lab::LabArgs;
use crate::failure::Failure;
use crate::recorded::Given;
use crate::site_file::{self, Site};
use crate::targets;

/// Columns where the terminal does not tell.
const WIDTH_DEFAULT: usize = 80;

/// All that a command needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) format: Format,
    /// The site file asked for; `None` for the usual places.
    pub(crate) site: Option<PathBuf>,
    /// Bundles to read in place of a site file.
    pub(crate) bundles: Vec<PathBuf>,
    /// Files to write the answer to, beside what is printed.
    pub(crate) pages: Pages,
    /// Send nothing.
    pub(crate) passive: bool,
    /// How long to wait for answers.
    pub(crate) timeout: Duration,
    pub(crate) action: Action,
}

/// How a diagnosis is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Terminal(Style),
    Minimal,
    Json,
}

/// The answer as files.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// One page, whole in itself.
    pub(crate) html: Option<PathBuf>,
    /// The picture alone, of the path or of the packets' ways.
    pub(crate) svg: Option<PathBuf>,
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Action {
    Check {
        host: Option<String>,
    },
    Path(PathQuestion),
    Diagnose(DiagnoseQuestion),
    Collect(CollectQuestion),
    Correlate(CorrelateQuestion),
    Capture(CaptureQuestion),
    DbCheck {
        now: Option<String>,
    },
    DbShow {
        instance: String,
    },
    DbMend {
        ask: cloud::Ask,
        apply: bool,
    },
    DbUndo {
        /// None: what is on record is listed.
        id: Option<String>,
    },
    Explain {
        code: Option<String>,
    },
    Selftest(SelftestQuestion),
    Lab(LabArgs),
    Completions(Shell),
    /// Words of a command; none for the program itself.
    Man(Vec<String>),
}

#[derive(Debug)]
pub(crate) struct CollectQuestion {
    /// None for all.
    pub(crate) hosts: Vec<String>,
    pub(crate) output: PathBuf,
    /// Captures to put in.
    pub(crate) captures: Vec<Given>,
    pub(crate) redaction: Option<Redaction>,
}

/// Names are to be pseudonyms.
#[derive(Debug)]
pub(crate) struct Redaction {
    /// One that is there already.
    pub(crate) key: Option<PathBuf>,
    /// Of this bundle, in place of the site.
    pub(crate) bundle: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct CorrelateQuestion {
    pub(crate) files: Vec<PathBuf>,
    /// Print every journey.
    pub(crate) each: bool,
    /// How long a packet is looked for.
    pub(crate) window: Duration,
    /// pcapng of all of them.
    pub(crate) merged: Option<PathBuf>,
    /// Addresses inside, and what they are outside.
    pub(crate) nat: Vec<(IpAddr, IpAddr)>,
}

#[derive(Debug)]
pub(crate) struct SelftestQuestion {
    pub(crate) seed: u64,
    pub(crate) cases: u64,
    /// Folder for what disagrees.
    pub(crate) save: PathBuf,
    pub(crate) unmodelled: bool,
    /// Files that an earlier run kept.
    pub(crate) replay: Vec<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct CaptureQuestion {
    /// Vantages; none for those on the predicted way.
    pub(crate) at: Vec<String>,
    /// Empty for every packet.
    pub(crate) filter: String,
    /// pcapng.
    pub(crate) file: Option<PathBuf>,
    pub(crate) show: Show,
    /// What was seen is joined, and what became of packets is told.
    pub(crate) journeys: bool,
    pub(crate) time: Option<Duration>,
    pub(crate) packets: Option<u64>,
    /// Bytes kept of a packet, at most.
    pub(crate) snap: u32,
    /// Of each vantage.
    pub(crate) ring_bytes: u32,
}

/// What is shown while packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Nothing,
    /// A line a packet and vantage.
    Packets,
    /// A line a packet, with all vantages.
    Journeys,
}

#[derive(Debug)]
pub(crate) struct PathQuestion {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) protocol: Protocol,
    pub(crate) reply: bool,
}

#[derive(Debug)]
pub(crate) struct DiagnoseQuestion {
    /// `None` for every instance.
    pub(crate) instance: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) symptom: Symptom,
    /// Captures in which its packets may be.
    pub(crate) captures: Vec<Given>,
}

/// What was typed, settled.
pub(crate) fn of(typed: Cli) -> Result<Plan, Failure> {
    let format = format(&typed.global);
    let typed_verbose = typed.global.verbose;
    let (mut bundles, mut pages) = (Vec::new(), Pages::default());
    let action = match typed.command {
        Command::Check { host, bundles: given, pages: wanted } => {
            bundles = given.files;
            pages = Pages::of(wanted);
            Action::Check { host }
        }
        Command::Path(mut path) => {
            bundles = std::mem::take(&mut path.bundles.files);
            pages = Pages::of(std::mem::take(&mut path.pages));
            Action::Path(path_question(path)?)
        }
        Command::Diagnose(diagnose) => {
            bundles = diagnose.bundles.files;
            pages = Pages::of(diagnose.pages);
            Action::Diagnose(DiagnoseQuestion {
                instance: diagnose.instance,
                to: diagnose.to,
                symptom: symptom(diagnose.symptom),
                captures: given(&diagnose.captures.captures),
            })
        }
        Command::Collect(typed) => {
            let redaction = typed.redact.then_some(Redaction { key: typed.redact_key, bundle: typed.bundle });
            let captures = given(&typed.captures.captures);
            let (hosts, output) = (typed.hosts, typed.output);
            Action::Collect(CollectQuestion { hosts, output, captures, redaction })
        }
        Command::Correlate(typed) => {
            pages = Pages::of_ladder(typed.pages);
            Action::Correlate(CorrelateQuestion {
                files: typed.files,
                each: typed.each,
                window: typed.window,
                merged: typed.merged,
                nat: typed.nat,
            })
        }
        Command::Capture(mut typed) => {
            pages = Pages::of_ladder(std::mem::take(&mut typed.pages));
            Action::Capture(capture_question(typed, typed_verbose, format))
        }
        Command::Db(DbArgs { command }) => match command {
            DbCommand::Check { now } => Action::DbCheck { now },
            DbCommand::Show { instance } => Action::DbShow { instance },
            DbCommand::Release { address, from_pool, apply } => {
                Action::DbMend { ask: cloud::Ask::Release { address, from_pool }, apply: apply.apply }
            }
            DbCommand::Repair { code, row, apply } => {
                Action::DbMend { ask: cloud::Ask::Repair { code, row }, apply: apply.apply }
            }
            DbCommand::Undo { id } => Action::DbUndo { id },
        },
        Command::Explain { code } => Action::Explain { code },
        Command::Selftest(typed) => Action::Selftest(SelftestQuestion {
            seed: typed.seed.unwrap_or_else(clock),
            cases: typed.cases,
            save: typed.save,
            unmodelled: typed.unmodelled,
            replay: typed.replay,
        }),
        Command::Lab(lab) => Action::Lab(lab),
        Command::Completions { shell } => Action::Completions(shell),
        Command::Man { command } => Action::Man(command),
    };
    let Global { site, passive, timeout, .. } = typed.global;
    if site.is_some() && !bundles.is_empty() {
        return Err(Failure::new("`--site` and `--bundle` cannot both be given")
            .hint("a site file takes bundles too: `at = \"bundle:FILE\"`"));
    }
    let plan = Plan { format, site, bundles, pages, passive, timeout, action };
    plan.written().into_iter().try_for_each(|(flag, path)| targets::must_be_named(flag, path))?;
    Ok(plan)
}

fn given(words: &[String]) -> Vec<Given> {
    words.iter().map(|word| Given::of(word)).collect()
}

/// Bytes of a packet that are kept: what tcpdump keeps in a file; enough for every header on a screen.
const SNAP_FILE: u32 = 262_144;
const SNAP_LIVE: u32 = 256;

fn capture_question(typed: CaptureArgs, verbose: bool, format: Format) -> CaptureQuestion {
    let to_file = typed.file.is_some();
    let show = match format {
        Format::Json | Format::Minimal => Show::Nothing,
        Format::Terminal(_) if verbose => Show::Packets,
        Format::Terminal(_) if to_file => Show::Nothing,
        Format::Terminal(_) if typed.no_journeys => Show::Packets,
        Format::Terminal(_) => Show::Journeys,
    };
    CaptureQuestion {
        at: typed.at,
        filter: typed.filter.join(" "),
        show,
        journeys: !typed.no_journeys,
        time: typed.time,
        packets: typed.count,
        snap: typed.snap.unwrap_or(if to_file { SNAP_FILE } else { SNAP_LIVE }),
        ring_bytes: typed.buffer << 20,
        file: typed.file,
    }
}

/// A seed that another run will hardly have: seconds, and what is left of them.
fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() % 1_000_000 * 1_000 + u64::from(since.subsec_millis())
}

fn format(global: &Global) -> Format {
    if global.json {
        return Format::Json;
    }
    if global.minimal {
        return Format::Minimal;
    }
    let color = match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            io::stdout().is_terminal()
                && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
        }
    };
    Format::Terminal(Style { color, verbose: global.verbose, width: width(), unicode: unicode() })
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.filter(|columns| *columns > 0).unwrap_or(WIDTH_DEFAULT)
}

/// Only a locale that names another character set says no (locale(7): LC_ALL, LC_CTYPE, LANG).
fn unicode() -> bool {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(locale) = of("LC_ALL").or_else(|| of("LC_CTYPE")).or_else(|| of("LANG")) else { return true };
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

impl Pages {
    fn of(typed: PageArgs) -> Pages {
        Pages { html: typed.html, svg: typed.svg }
    }

    fn of_ladder(typed: LadderArgs) -> Pages {
        Pages { html: typed.html, svg: typed.svg }
    }
}

impl Plan {
    /// Files that are to be written, with the flags that name them.
    fn written(&self) -> Vec<(&'static str, &Path)> {
        let (flag, own) = match &self.action {
            Action::Collect(question) => ("-o", Some(&question.output)),
            Action::Correlate(question) => ("-w", question.merged.as_ref()),
            Action::Capture(question) => ("-w", question.file.as_ref()),
            Action::Check { .. }
            | Action::Path(_)
            | Action::Diagnose(_)
            | Action::DbCheck { .. }
            | Action::DbShow { .. }
            | Action::DbMend { .. }
            | Action::DbUndo { .. }
            | Action::Explain { .. }
            | Action::Selftest(_)
            | Action::Lab(_)
            | Action::Completions(_)
            | Action::Man(_) => ("", None),
        };
        let all = [(flag, own), ("--html", self.pages.html.as_ref()), ("--svg", self.pages.svg.as_ref())];
        all.into_iter().filter_map(|(flag, path)| Some((flag, path?.as_path()))).collect()
    }

    /// The site that is asked about: bundles, or what the site file tells.
    pub(crate) fn find_site(&self) -> Result<Site, Failure> {
        if self.bundles.is_empty() {
            return site_file::find(self.site.as_deref());
        }
        Ok(Site::of_bundles(self.bundles.clone()))
    }
}

fn path_question(typed: PathArgs) -> Result<PathQuestion, Failure> {
    let needs_port = |name: &str| {
        Failure::new(format!("`--proto {name}` needs `--port`")).hint("for example: --proto tcp --port 22")
    };
    let protocol = match (typed.proto, typed.port) {
        (Proto::Icmp, None) => Protocol::Icmp,
        (Proto::Arp, None) => Protocol::Arp,
        (Proto::Icmp | Proto::Arp, Some(_)) => {
            return Err(Failure::new("`--port` needs `--proto tcp` or `--proto udp`")
                .hint("neither ICMP nor ARP has ports"));
        }
        (Proto::Tcp, Some(port)) => Protocol::Tcp(port),
        (Proto::Udp, Some(port)) => Protocol::Udp(port),
        (Proto::Tcp, None) => return Err(needs_port("tcp")),
        (Proto::Udp, None) => return Err(needs_port("udp")),
    };
    Ok(PathQuestion { from: typed.source, to: typed.destination, protocol, reply: !typed.no_reply })
}

fn symptom(typed: cli::Symptom) -> Symptom {
    match typed {
        cli::Symptom::Auto => Symptom::Auto,
        cli::Symptom::Ping => Symptom::Ping,
        cli::Symptom::Dhcp => Symptom::Dhcp,
        cli::Symptom::Dns => Symptom::Dns,
        cli::Symptom::Ssh => Symptom::Ssh,
        cli::Symptom::Metadata => Symptom::Metadata,
    }
}
