//! A path as an indented tree: hosts as headings, one line a hop, a mark at each.

use std::io;

use model::Path;
use model::path::{Direction, Disposition, Exchange, Hop, Observed, Place, RuleRef, Step, Stop};

use crate::page::{Page, Span, plain};
use crate::style::{Mark, Role};

/// How often the packet itself is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packets {
    /// At each hop, as tcpdump would show it there.
    Each,
    /// Only where it is no longer what it was.
    Changed,
}

/// Widest words of their columns: `icmp request`, `neighbour`, `STOP`.
const LEG_COLUMNS: usize = 12;
const STAGE_COLUMNS: usize = 9;
const WORD_COLUMNS: usize = 4;

/// The path in one line: which leg of which conversation, and how it ends.
pub(crate) fn line(page: &mut Page<'_>, indent: usize, path: &Path) -> io::Result<()> {
    let reason = match (&path.disposition, path.hops.last()) {
        (Disposition::Dropped(_), Some(hop)) => hop.detail.as_str(),
        (Disposition::Unknown { why, .. }, _) => why.as_str(),
        (Disposition::Dropped(_), None) | (Disposition::Delivered { .. } | Disposition::LeftSite, _) => "",
    };
    heading(page, indent, path, reason)
}

fn heading(page: &mut Page<'_>, indent: usize, path: &Path, reason: &str) -> io::Result<()> {
    let mark = mark(&path.disposition);
    let sign = Span::new(mark.role, &mark.sign(page.style));
    let leg = Span::padded(Role::Strong, &leg(path), LEG_COLUMNS);
    let mut ending = ending(path);
    if !reason.is_empty() {
        ending = format!("{ending}: {reason}");
    }
    let ends: Vec<Span> = ends(path).map(|ends| plain(&ends)).into_iter().collect();
    page.columns(indent, &[sign, leg], &[ends, vec![Span::new(mark.role, &ending)]].concat())
}

/// The path hop by hop.
pub(crate) fn full(page: &mut Page<'_>, indent: usize, path: &Path, packets: Packets) -> io::Result<()> {
    heading(page, indent, path, "")?;
    let device_columns = path.hops.iter().map(|hop| hop.at.device.chars().count()).max().unwrap_or(0);
    let mut machine = None;
    let mut packet = "";
    for (at, hop) in path.hops.iter().enumerate() {
        if machine != Some((&hop.at.host, &hop.at.netns)) {
            machine = Some((&hop.at.host, &hop.at.netns));
            page.text(indent + 2, &[Span::new(Role::Strong, &machine_name(&hop.at))])?;
        }
        let show = packets == Packets::Each || packet != hop.packet;
        packet = &hop.packet;
        // Packets are watched at devices: once for all hops there.
        let is_last = path.hops.get(at + 1).is_none_or(|next| !next.at.same_device(&hop.at));
        let seen = if is_last { seen(hop.observed) } else { None };
        hop_line(page, indent + 4, hop, (device_columns, show), seen)?;
        if page.style.verbose {
            for step in &hop.steps {
                page.columns(indent + 6, &[plain("-")], &[Span::new(Role::Dim, &step_text(step))])?;
            }
        }
    }
    match &path.disposition {
        Disposition::Dropped(Stop::NeighbourUnresolved { because: Some(question), .. }) => {
            page.text(indent + 4, &[plain("because the question for its MAC address ends here:")])?;
            full(page, indent + 4, question, packets)
        }
        Disposition::Unknown { would_need, .. } => {
            page.text(indent + 4, &[plain("would settle it:"), Span::new(Role::Strong, would_need)])
        }
        Disposition::Dropped(_) | Disposition::Delivered { .. } | Disposition::LeftSite => Ok(()),
    }
}

/// Who sends to whom, as the packet says at its start: `10.0.2.24 > 1.2.3.4`. ARP says it all itself.
pub(crate) fn ends(path: &Path) -> Option<String> {
    let first = path.hops.first()?.packet.as_str();
    let mut words = first.split(' ');
    match (words.next()?, words.next()?, words.next()?) {
        (from, ">", to) => Some(format!("{from} > {to}:")),
        _ => Some(format!("{first}:")),
    }
}

/// `compute1`, or `compute1/qrouter-1` for a namespace that is not its main one.
pub(crate) fn machine_name(place: &Place) -> String {
    if place.netns.is_empty() { place.host.clone() } else { format!("{}/{}", place.host, place.netns) }
}

/// `compute1 vnet0`.
pub(crate) fn place_name(place: &Place) -> String {
    let machine = machine_name(place);
    if place.device.is_empty() { machine } else { format!("{machine} {}", place.device) }
}

fn hop_line(
    page: &mut Page<'_>,
    indent: usize,
    hop: &Hop,
    (device_columns, show_packet): (usize, bool),
    seen: Option<Span>,
) -> io::Result<()> {
    let mark = Mark::of(hop.predicted);
    let fixed = [
        Span::new(mark.role, &mark.sign(page.style)),
        Span::padded(mark.role, mark.word, WORD_COLUMNS),
        Span::padded(Role::Strong, &hop.at.device, device_columns),
        Span::padded(Role::Dim, hop.at.stage.name(), STAGE_COLUMNS),
    ];
    let packet = show_packet && !hop.packet.is_empty();
    let packet: Vec<Span> = packet.then(|| Span::new(Role::Dim, &hop.packet)).into_iter().collect();
    let remark: Vec<Span> = decision(hop, mark).into_iter().chain(seen).collect();
    let separator = plain(if page.style.unicode { "·" } else { "|" });
    let in_one_line = [packet.as_slice(), &[separator], &remark].concat();
    if packet.is_empty() || remark.is_empty() {
        return page.columns(indent, &fixed, &[packet, remark].concat());
    }
    if page.fits(indent, &fixed, &in_one_line) {
        return page.columns(indent, &fixed, &in_one_line);
    }
    page.columns(indent, &fixed, &packet)?;
    let hang = page.hang(indent, &fixed, &packet);
    page.text(hang, &remark)
}

/// What the hop decides.
fn decision(hop: &Hop, mark: Mark) -> Option<Span> {
    let role = if mark == Mark::PASS { Role::Plain } else { mark.role };
    (!hop.detail.is_empty()).then(|| Span::new(role, &hop.detail))
}

/// Whether the packet was seen there.
fn seen(observed: Observed) -> Option<Span> {
    match observed {
        Observed::Seen => Some(Span::new(Role::Good, "(packet seen)")),
        Observed::NotSeen => Some(Span::new(Role::Bad, "(packet not seen)")),
        Observed::NotWatched => None,
    }
}

pub(crate) fn mark(disposition: &Disposition) -> Mark {
    match disposition {
        Disposition::Delivered { .. } | Disposition::LeftSite => Mark::PASS,
        Disposition::Dropped(_) => Mark::STOP,
        Disposition::Unknown { .. } => Mark::UNSURE,
    }
}

/// `icmp request`.
pub(crate) fn leg(path: &Path) -> String {
    let exchange = match path.exchange {
        Exchange::Arp => "arp",
        Exchange::Dhcp => "dhcp",
        Exchange::Dns => "dns",
        Exchange::Icmp => "icmp",
        Exchange::Tcp => "tcp",
        Exchange::Udp => "udp",
        Exchange::None => "",
    };
    match path.direction {
        Direction::Request => format!("{exchange} request"),
        Direction::Reply => format!("{exchange} reply"),
        Direction::Both => exchange.to_owned(),
    }
}

/// How it ends and where; not why.
pub(crate) fn ending(path: &Path) -> String {
    let last = path.hops.last().map_or_else(|| "its start".to_owned(), |hop| place_name(&hop.at));
    match &path.disposition {
        Disposition::Delivered { machine } => format!("delivered to {machine}"),
        Disposition::LeftSite => format!("left the site by {last}"),
        Disposition::Dropped(_) => format!("dropped at {last}"),
        Disposition::Unknown { .. } => format!("undecided at {last}"),
    }
}

pub(crate) fn step_text(step: &Step) -> String {
    match step {
        Step::Bridged(port) => format!("bridge: {port}"),
        Step::Rule(rule) => rule_text(rule),
        Step::Rewritten(before, after) => format!("rewritten: {before} to {after}"),
        Step::Routed(route) => format!("route: {route}"),
        Step::Resolved(neighbour) => format!("neighbour: {neighbour}"),
        Step::Note(text) => text.clone(),
    }
}

pub(crate) fn rule_text(rule: &RuleRef) -> String {
    let place = match rule.number {
        0 => format!("table {}, {}, policy", rule.table, rule.chain_path()),
        number => format!("table {}, {}, rule {number}", rule.table, rule.chain_path()),
    };
    match rule.counters {
        Some((packets, bytes)) => format!("{place}: {} [{packets}:{bytes}]", rule.text),
        None => format!("{place}: {}", rule.text),
    }
}
