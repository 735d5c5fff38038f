//! Which machines a silent question passes: echo requests whose TTL runs out on the way, all at once.

use std::net::IpAddr;
use std::time::Duration;

use model::probe::{SideEcho, Traced, TracedHop};
use probe::trace::{self, Hop, HopOutcome, Quoted, Trace};
use probe::{AskError, Asker};

use super::Came;
use super::beside::Beside;

/// Few enough for what a diagnosis may cost, and more than lie before the first router that is not the site's own.
pub(super) const TTL_MAX: u8 = 10;
/// Fewer would end before anybody beyond the site as a rule.
pub(super) const TTLS_MIN: u8 = 3;

/// Asks, and waits for what is said.
pub(super) fn trace(
    asker: &Asker<'_>,
    beside: &Beside<'_>,
    ttl_max: u8,
    patience: Duration,
) -> Result<Came, AskError> {
    let came = trace::trace(asker, (beside.to, Some(beside.id)), ttl_max, patience)?;
    let is_sent = |hop: &&Hop| !matches!(hop.outcome, HopOutcome::NotSent(_));
    // Those behind the end were sent as well, and are not told.
    let packets = if came.hops.iter().any(|hop| is_sent(&hop)) { ttl_max.into() } else { 0 };
    let hops = came.hops.iter().filter_map(|hop| told(&came, hop)).collect();
    let traced = Traced { from: asker.name.to_owned(), to: beside.to.into(), ttl_max, hops };
    let sides = came.hops.iter().filter(is_sent).map(|hop| side(beside, hop)).collect();
    Ok(Came { traces: vec![traced], sides, packets, ..Came::default() })
}

/// One of its packets: the TTL is its number.
fn side(beside: &Beside<'_>, hop: &Hop) -> SideEcho {
    let (router, is_answered) = match &hop.outcome {
        HopOutcome::Passed { router, .. } => (Some(IpAddr::V4(*router)), true),
        HopOutcome::Reached { .. } | HopOutcome::TurnedAway { .. } => (None, true),
        HopOutcome::NotSent(_) | HopOutcome::Silent => (None, false),
    };
    let side = beside.side(hop.ttl.into(), checks::TRACE_OCTETS, is_answered);
    SideEcho { ttl: Some(hop.ttl), router, ..side }
}

/// One that said anything.
fn told(came: &Trace, hop: &Hop) -> Option<TracedHop> {
    let rewritten = |quoted: &Quoted| {
        let is_as_sent = Some(quoted.from) == came.from && quoted.to == came.to;
        (!is_as_sent).then_some((IpAddr::V4(quoted.from), IpAddr::V4(quoted.to)))
    };
    let (router, quoted, said) = match &hop.outcome {
        HopOutcome::Passed { router, quoted } => (IpAddr::V4(*router), rewritten(quoted), None),
        HopOutcome::Reached { from } => (IpAddr::V4(*from), None, Some("it is here".to_owned())),
        HopOutcome::TurnedAway { error, quoted } => (error.from, rewritten(quoted), Some(error.meaning())),
        HopOutcome::NotSent(_) | HopOutcome::Silent => return None,
    };
    Some(TracedHop { ttl: hop.ttl, router, quoted, said })
}
