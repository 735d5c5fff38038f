//! Which machines beyond the site a silent question passes, as they said themselves: the last of them is the nearest to
//! where it dies.

use model::finding::{Evidence, EvidenceKind};
use model::probe::{Traced, TracedHop};

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung};

/// What was said on the way out; `None` where nobody was asked.
pub(crate) fn evidence(case: &Case, rung: &Rung) -> Option<Evidence> {
    let traced = case.traces.iter().find(|traced| traced.to == rung.to)?;
    (rung.purpose == Purpose::Outside).then(|| Evidence {
        kind: EvidenceKind::Probe,
        source: format!("traceroute -n -I -m {} {} on {}", traced.ttl_max, traced.to, traced.from),
        text: text(traced),
    })
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
