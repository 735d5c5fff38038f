//! `hopline capture`: several vantages at once, live or into a file.

mod live;
mod screen;
mod sink;
mod story;
mod summary;

use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use capture::filter::{self, Expr, LinkLayer};
use capture::pcapng::{Interface, Writer};
use capture::session::{self, Limits, Outcome};
use capture::stop::Stop;
use capture::vantage::{self, Room, Selection, Vantage, Watched};
use report::{Captured, Sequence, clean};

use self::live::Live;
use self::screen::Screen;
use self::sink::Sink;
use self::story::{Span, Story};
use self::summary::Summary;
use crate::failure::Failure;
use crate::gather;
use crate::plan::{CaptureQuestion, Format, Plan, Show};
use crate::sheets::Sheets;
use crate::site_file::{self, Site};
use crate::targets;
use crate::vantages::{self, Onward};
use crate::widening;

/// What is to be caught and where.
struct Aim {
    selection: Selection,
    vantages: Vec<Vantage>,
    /// They were named, and not found by the walk.
    named: bool,
    added: Vec<(IpAddr, Vec<IpAddr>)>,
    /// What the walk tells of their order.
    onward: Vec<Onward>,
}

impl Aim {
    /// Of vantages that were named, when nothing was asked of the site.
    fn at(vantages: Vec<Vantage>, selection: Selection) -> Aim {
        Aim { selection, vantages, named: true, added: Vec::new(), onward: Vec::new() }
    }
}

pub(super) fn run(plan: &Plan, question: &CaptureQuestion) -> Result<u8, Failure> {
    let started = Instant::now();
    let sheets = Sheets::of(&plan.pages)?;
    sheets.must_differ_from(question.file.as_slice())?;
    let site = site_file::find(plan.site.as_deref())?;
    sheets.must_differ_from(&site.files)?;
    question.file.iter().try_for_each(|file| targets::must_differ("-w", file, &site.files))?;
    if site.machines.is_empty() && site.is_offline() {
        return Err(nothing_passes(&site));
    }
    let aim = aim(&site, question, plan.timeout)?;
    let (snap, ring_bytes) = (question.snap, question.ring_bytes);
    // On a screen a packet is seen soon, and mostly in order; into a file there is no hurry.
    let room = if question.file.is_some() {
        Room { snap, ring_bytes, delay_ms: 200, settle_ms: 0, pause_ms: 2000 }
    } else {
        Room { snap, ring_bytes, delay_ms: 50, settle_ms: 50, pause_ms: 250 }
    };
    let Opened { watched, unwatched } = open(&aim, room)?;
    let names: Vec<(String, LinkLayer)> = watched.iter().map(|w| (w.vantage.to_string(), w.layer)).collect();
    let onward = onward(&aim, &watched);
    let mut sink = sink(plan, question, &aim, (&names, &onward), room)?;
    sink.sequence = sheets.are_wanted().then(Sequence::new);
    announce(&aim, &names);
    let stop = Stop::listen().map_err(|e| Failure::new(format!("cannot listen for Ctrl-C: {e}")))?;
    let limits = Limits { time: question.time, packets: question.packets, stop: Some(stop.as_fd()) };
    let begin_ns = now_ns();
    let outcome = session::run(watched, room, limits, &mut |event| sink.take(event))
        .map_err(|e| Failure::new(format!("the capture broke off: {e}")))?;
    if let Some(failure) = sink.failure.take() {
        return Err(failure);
    }
    sink.close(&outcome.counts, (begin_ns, now_ns()))?;
    // Whoever waits no longer for what follows may end it as ever.
    stop.unlisten();
    let untold_ns = u64::from(2 * room.delay_ms + room.settle_ms) * 1_000_000;
    let end_ns = outcome.closed_ns.unwrap_or(sink.latest_ns.saturating_sub(untold_ns));
    let story = story(question, &mut sink, &outcome, Span { begin_ns, end_ns }, &onward)?;
    write(sheets, story.as_ref(), question)?;
    let counts = &outcome.counts;
    let summary =
        Summary { question, aim: &aim, names: &names, counts, unwatched: &unwatched, story: story.as_ref() };
    summary.print(plan.format, started)?;
    Ok(summary.exit_code())
}

/// The pages, where they were asked for and what became of the packets is known.
fn write(sheets: Sheets, story: Option<&Story>, question: &CaptureQuestion) -> Result<(), Failure> {
    if !sheets.are_wanted() {
        return Ok(());
    }
    let told = story.and_then(|story| Some((story.journeys(), story.sequence.as_ref()?)));
    let Some((journeys, sequence)) = told else {
        return Err(Failure::new("there is no page: what became of the packets is not known"));
    };
    let files: Vec<String> = question.file.iter().map(|path| path.display().to_string()).collect();
    sheets.write_captured(&Captured { journeys: &journeys, sequence, files: &files, command: "capture" })
}

/// What is known of the order of the vantages that are watched, by their numbers among these.
fn onward(aim: &Aim, watched: &[Watched]) -> Vec<Onward> {
    let number = |at: u16| {
        let vantage = aim.vantages.get(usize::from(at))?;
        u16::try_from(watched.iter().position(|watched| watched.vantage == *vantage)?).ok()
    };
    let known = aim.onward.iter();
    known.filter_map(|(at, address, next)| Some((number(*at)?, *address, number(*next)?))).collect()
}

/// Where packets go, as was asked.
fn sink<'n>(
    plan: &Plan,
    question: &CaptureQuestion,
    aim: &Aim,
    (names, onward): (&'n [(String, LinkLayer)], &[Onward]),
    room: Room,
) -> Result<Sink<'n>, Failure> {
    let file = question.file.as_deref().map(|path| {
        let cannot = |error: io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
        let filter = shown(&aim.selection);
        let interface = |(name, layer): &(String, LinkLayer)| {
            let (name, link_type, filter) = (name.clone(), layer.link_type(), filter.clone());
            Interface { name, link_type, snap: question.snap, filter }
        };
        let interfaces: Vec<Interface> = names.iter().map(interface).collect();
        let out = File::create(path).map_err(cannot)?;
        Writer::new(out, &interfaces).map_err(cannot)
    });
    // A file is read again when it is whole; meanwhile there is no time to lose.
    let live = (question.journeys && question.file.is_none()).then(|| {
        let (names, layers): (Vec<String>, Vec<LinkLayer>) = names.iter().cloned().unzip();
        Live::new(names, layers.into_iter().map(LinkLayer::link_type).collect(), room, onward)
    });
    let color = match plan.format {
        Format::Terminal(style) => style.color,
        Format::Json | Format::Minimal => false,
    };
    Ok(Sink {
        names,
        file: file.transpose()?,
        shows_packets: question.show == Show::Packets,
        live,
        screen: (question.show == Show::Journeys).then(|| Screen::new(color)),
        width: names.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0),
        sequence: None,
        failure: None,
        flushed: Instant::now(),
        latest_ns: 0,
    })
}

/// What became of the packets, told while they came or read from the file.
fn story(
    question: &CaptureQuestion,
    sink: &mut Sink<'_>,
    outcome: &Outcome,
    span: Span,
    onward: &[Onward],
) -> Result<Option<Story>, Failure> {
    if let Some(path) = question.file.as_deref().filter(|_| question.journeys) {
        return Ok(story::of_file(path, outcome, (span, onward), sink.sequence.take()));
    }
    let mut under_way = 0;
    match sink.story(|report| under_way = story::settle(report, outcome, span)) {
        Ok(told) => {
            let sequence = sink.sequence.take();
            Ok(told.map(|(report, names)| Story { report, names, under_way, sequence }))
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
    }
}

/// Without vantages, or with addresses that NAT may change, the site is read first.
fn aim(site: &Site, question: &CaptureQuestion, timeout: Duration) -> Result<Aim, Failure> {
    let named = question.at.iter().map(|word| vantages::named(site, word)).collect::<Result<Vec<_>, _>>()?;
    let expr = match filter::parse(&question.filter) {
        Ok(expr) => expr,
        Err(error) if error.beyond && !named.is_empty() => {
            let selection = Selection::Beyond(question.filter.clone());
            return Ok(Aim::at(named, selection));
        }
        Err(error) => return Err(no_filter(&question.filter, &error)),
    };
    let speaks_of_instances = !filter::instances(&expr).is_empty();
    if !named.is_empty() && !speaks_of_instances && filter::addresses(&expr).is_empty() {
        let selection = Selection::Filter(expr);
        return Ok(Aim::at(named, selection));
    }
    let facts = match gather::gather(site, timeout) {
        Ok(facts) => facts,
        Err(failure) if !named.is_empty() && !speaks_of_instances => {
            warn(&format!("the filter is not widened over NAT: {failure}"));
            let selection = Selection::Filter(expr);
            return Ok(Aim::at(named, selection));
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
        // Where only a part of the site is in bundles, the way may be there alone.
        if site.is_offline() && !paths.is_empty() {
            return Err(nothing_passes(site));
        }
        return Err(Failure::new("it is not clear where to watch")
            .hint("name vantages, as in `--at compute1//br100`, or a subject: `instance:web1`, `flow:A,B`"));
    }
    let onward = vantages::onward(&paths, &facts, &vantages);
    let (selection, added) = (Selection::Filter(widened.expr), widened.added);
    Ok(Aim { selection, vantages, named: is_named, added, onward })
}

/// A bundle is of one moment, in which nothing passes any more.
fn nothing_passes(site: &Site) -> Failure {
    Failure::new(format!("nothing can be watched in a bundle: {}", site.named_bundles())).hint(
        "capture where the machines can be reached; a capture that is there already is read with \
         `hopline diagnose INSTANCE --bundle FILE --capture FILE.pcap` or `hopline correlate FILE.pcap`",
    )
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
    for (at, opened) in aim.vantages.iter().zip(vantage::open_all(&aim.vantages, &aim.selection, room)) {
        match opened {
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
