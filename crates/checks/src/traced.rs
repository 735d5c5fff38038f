//! What was asked beside a silent question to learn more of its way: which machines beyond the site it passes, as they
//! said themselves, the last of which is the nearest to where it dies; and of a large packet, how large it may be.

use model::finding::{Evidence, EvidenceKind, Finding};
use model::probe::{SizesTried, Traced, TracedHop};

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung};
use crate::ranking::Ranked;
use crate::said;

/// What was said on the way out; `None` where nobody was asked.
pub(crate) fn evidence(case: &Case, rung: &Rung) -> Option<Evidence> {
    let traced = case.traces.iter().find(|traced| traced.to == rung.to)?;
    (rung.purpose == Purpose::Outside).then(|| Evidence {
        kind: EvidenceKind::Probe,
        source: format!("traceroute -n -I -m {} {} on {}", traced.ttl_max, traced.to, traced.from),
        text: text(traced),
    })
}

/// Findings that are about how large packets may be.
const ABOUT_SIZE: [&str; 2] = ["pmtu-blackhole", "mtu-tap-small"];

/// Adds to what was found about large packets which sizes live.
pub(crate) fn attach(case: &Case, rungs: &[Rung], findings: &mut [Ranked]) {
    for rung in rungs {
        let is_about = |finding: &Finding| {
            ABOUT_SIZE.contains(&finding.code.as_str()) && finding.instances.contains(&rung.from)
        };
        let about = findings.iter_mut().map(|known| &mut known.finding).filter(|finding| is_about(finding));
        about.for_each(|finding| finding.evidence.extend(sizes(case, rung)));
    }
}

/// Which sizes live on a large packet's way; `None` where nobody tried them.
fn sizes(case: &Case, rung: &Rung) -> Option<Evidence> {
    let SizesTried { from, to, lives, dies, said } =
        case.sizes.iter().find(|tried| tried.to == rung.to && matches!(rung.purpose, Purpose::Large(_)))?;
    let told = match said {
        Some((who, Some(mtu))) => format!("{who} says that {mtu} may pass"),
        Some((who, None)) => format!("{who} says that it is too large"),
        None => "nobody says why".to_owned(),
    };
    let text = match dies {
        Some(dies) => format!("{lives} octets live and {dies} die, of which {told}"),
        None if *from == rung.from => format!("{lives} octets live"),
        None => {
            format!("{lives} octets live from here on: larger ones than pass die before {from} sends them on")
        }
    };
    let source = format!("ping -M do -s {} {to} on {from}", lives.saturating_sub(said::HEADERS_OCTETS));
    Some(Evidence { kind: EvidenceKind::Probe, source, text })
}

/// The last machine that passed it on, to follow "behind".
pub(crate) fn last(case: &Case, rung: &Rung) -> Option<String> {
    let traced = case.traces.iter().find(|traced| traced.to == rung.to)?;
    let last = traced.hops.last().filter(|last| rung.purpose == Purpose::Outside && last.said.is_none())?;
    Some(format!("{}, its hop {}", last.router, last.ttl))
}

fn text(traced: &Traced) -> String {
    let hop = |hop: &TracedHop| {
        let quoted = hop.quoted.map_or_else(String::new, |(from, to)| format!(" (has it as {from} > {to})"));
        let said = hop.said.as_ref().map_or_else(String::new, |said| format!(" says {said}"));
        format!("{} {}{quoted}{said}", hop.ttl, hop.router)
    };
    let hops: Vec<String> = traced.hops.iter().map(hop).collect();
    let is_ended = traced.hops.last().is_some_and(|last| last.said.is_some());
    match (hops.is_empty(), is_ended) {
        (true, _) => format!("nobody says anything up to hop {}", traced.ttl_max),
        (false, true) => hops.join(", "),
        (false, false) => format!("{}, and behind it nobody says anything", hops.join(", ")),
    }
}
