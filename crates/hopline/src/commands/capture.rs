//! `hopline capture`: several vantages at once, live or into a file.

mod sink;
mod summary;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use capture::filter::{self, Expr, LinkLayer};
use capture::pcapng::{Interface, Writer};
use capture::session::{self, Limits};
use capture::stop::Stop;
use capture::vantage::{self, Room, Selection, Vantage, Watched};
use report::clean;

use self::sink::Sink;
use self::summary::Summary;
use crate::failure::Failure;
use crate::gather;
use crate::plan::{CaptureQuestion, Format, Plan};
use crate::site_file::{self, Site};
use crate::vantages;
use crate::widening;

/// Bytes of the file that are written at once: few enough to stay in the processor's cache meanwhile.
const FILE_BUFFER: usize = 128 << 10;
/// How late a packet is looked at. On a screen it is soon, and mostly in order; into a file there is no hurry.
const DELAY_LIVE_MS: u32 = 50;
const DELAY_FILE_MS: u32 = 200;

/// What is to be caught and where.
struct Aim {
    selection: Selection,
    vantages: Vec<Vantage>,
    /// They were named, and not found by the walk.
    named: bool,
    added: Vec<(IpAddr, Vec<IpAddr>)>,
}

pub(super) fn run(plan: &Plan, question: &CaptureQuestion) -> Result<u8, Failure> {
    let started = Instant::now();
    let site = site_file::find(plan.site.as_deref())?;
    let aim = aim(&site, question, plan.timeout)?;
    let to_file = question.file.is_some();
    let (delay_ms, settle_ms) = if to_file { (DELAY_FILE_MS, 0) } else { (DELAY_LIVE_MS, DELAY_LIVE_MS) };
    let room = Room { snap: question.snap, ring_bytes: question.ring_bytes, delay_ms, settle_ms };
    let Opened { watched, unwatched } = open(&aim, room)?;
    let names: Vec<(String, LinkLayer)> = watched.iter().map(|w| (w.vantage.to_string(), w.layer)).collect();
    let file = question.file.as_deref().map(|path| {
        let cannot = |error: io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
        let filter = shown(&aim.selection);
        let interfaces: Vec<Interface> = names
            .iter()
            .map(|(name, layer)| {
                let (name, filter) = (name.clone(), filter.clone());
                Interface { name, layer: *layer, snap: question.snap, filter }
            })
            .collect();
        let out = BufWriter::with_capacity(FILE_BUFFER, File::create(path).map_err(cannot)?);
        Writer::new(out, &interfaces).map_err(cannot)
    });
    let mut sink = Sink {
        names: &names,
        file: file.transpose()?,
        live: plan.format != Format::Json && question.live,
        width: names.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0),
        failure: None,
        flushed: Instant::now(),
    };
    announce(&aim, &names);
    let stop = Stop::listen().map_err(|e| Failure::new(format!("cannot listen for Ctrl-C: {e}")))?;
    let limits = Limits { time: question.time, packets: question.packets, stop: Some(stop.as_fd()) };
    let start_ns = now_ns();
    let counts = session::run(watched, room, limits, &mut |event| sink.take(event))
        .map_err(|e| Failure::new(format!("the capture broke off: {e}")))?;
    if let Some(failure) = sink.failure.take() {
        return Err(failure);
    }
    sink.close(&counts, (start_ns, now_ns()))?;
    let summary = Summary { question, aim: &aim, names: &names, counts: &counts, unwatched: &unwatched };
    summary.print(plan.format, started)?;
    Ok(summary.exit_code())
}

/// Without vantages, or with addresses that NAT may change, the site is read first.
fn aim(site: &Site, question: &CaptureQuestion, timeout: Duration) -> Result<Aim, Failure> {
    let named = question.at.iter().map(|word| vantages::named(site, word)).collect::<Result<Vec<_>, _>>()?;
    let expr = match filter::parse(&question.filter) {
        Ok(expr) => expr,
        Err(error) if error.beyond && !named.is_empty() => {
            let selection = Selection::Beyond(question.filter.clone());
            return Ok(Aim { selection, vantages: named, named: true, added: Vec::new() });
        }
        Err(error) => return Err(no_filter(&question.filter, &error)),
    };
    let speaks_of_instances = !filter::instances(&expr).is_empty();
    if !named.is_empty() && !speaks_of_instances && filter::addresses(&expr).is_empty() {
        let selection = Selection::Filter(expr);
        return Ok(Aim { selection, vantages: named, named: true, added: Vec::new() });
    }
    let facts = match gather::gather(site, timeout) {
        Ok(facts) => facts,
        Err(failure) if !named.is_empty() && !speaks_of_instances => {
            warn(&format!("the filter is not widened over NAT: {failure}"));
            let selection = Selection::Filter(expr);
            return Ok(Aim { selection, vantages: named, named: true, added: Vec::new() });
        }
        Err(failure) => return Err(failure),
    };
    let paths = match vantages::paths(&facts, &expr) {
        Ok(paths) => paths,
        Err(_) if !named.is_empty() => Vec::new(),
        Err(failure) => return Err(failure),
    };
    let widened = widening::widen(&facts, &expr, &paths)?;
    let is_named = !named.is_empty();
    let vantages = if is_named { named } else { vantages::on(&paths, site, &facts) };
    if vantages.is_empty() {
        return Err(Failure::new("it is not clear where to watch")
            .hint("name vantages, as in `--at compute1//br100`, or a subject: `instance:web1`, `flow:A,B`"));
    }
    Ok(Aim { selection: Selection::Filter(widened.expr), vantages, named: is_named, added: widened.added })
}

fn no_filter(text: &str, error: &filter::FilterError) -> Failure {
    let failure = Failure::new(format!("the filter `{text}`, {error}"));
    failure.hint(if error.beyond {
        "with `--at VANTAGE`, tcpdump compiles what hopline does not"
    } else {
        "for example: icmp and host 10.0.2.24, instance:web1, flow:10.0.2.24,1.2.3.4"
    })
}

/// What became of the vantages.
struct Opened {
    watched: Vec<Watched>,
    unwatched: Vec<Unwatched>,
}

/// A vantage that could not be watched.
struct Unwatched {
    name: String,
    why: String,
}

/// Opens every vantage. One that was asked for must open; of those found by the walk, the others go on
/// without it.
fn open(aim: &Aim, room: Room) -> Result<Opened, Failure> {
    let (mut watched, mut unwatched) = (Vec::new(), Vec::new());
    let mut first = None;
    for at in &aim.vantages {
        match vantage::open(at, &aim.selection, room) {
            Ok(open) => watched.push(open),
            Err(error) => {
                let failure = Failure::of(&error);
                let name = at.to_string();
                let why = failure.to_string();
                let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(&why).to_owned();
                let failure = if error.is_permission() { failure.hint("run it as root") } else { failure };
                if aim.named {
                    return Err(failure);
                }
                unwatched.push(Unwatched { name, why });
                first.get_or_insert(failure);
            }
        }
    }
    match first {
        Some(failure) if watched.is_empty() => Err(failure),
        Some(_) | None => Ok(Opened { watched, unwatched }),
    }
}

fn shown(selection: &Selection) -> String {
    match selection {
        Selection::Filter(expr) if *expr == Expr::everything() => String::new(),
        Selection::Filter(expr) => expr.to_string(),
        Selection::Beyond(text) => text.clone(),
    }
}

/// What will be seen where, for a person who waits.
fn announce(aim: &Aim, names: &[(String, LinkLayer)]) {
    let listed: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    say(&format!("watching {}", listed.join(", ")));
    for (address, others) in &aim.added {
        let others: Vec<String> = others.iter().map(IpAddr::to_string).collect();
        say(&format!("{address} is also looked for as {}, because of NAT", others.join(", ")));
    }
}

fn say(text: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "hopline: {}", clean(text));
}

fn warn(text: &str) {
    say(&format!("warning: {text}"));
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
