//! Which machines a silent question passes: echo requests whose TTL runs out on the way, all at once.

use std::net::IpAddr;
use std::time::Duration;

use collect::MachinePlan;
use model::probe::{Traced, TracedHop};
use probe::Asker;
use probe::trace::{self, Hop, HopOutcome, Quoted, Trace};

use super::{Came, Probe, Unsent, inside};
use crate::failure::Failure;

/// Few enough for what a diagnosis may cost, and more than lie before the first router that is not the site's own.
pub(super) const TTL_MAX: u8 = 10;

/// Asks, and waits for what is said. Over IPv6 nobody is asked.
pub(super) fn trace(machine: &MachinePlan, probe: &Probe<'_>, patience: Duration) -> Result<Came, Unsent> {
    let IpAddr::V4(to) = probe.to else { return Ok(Came::default()) };
    let unsent = |why| Unsent { why, would_need: "root; --passive does without".to_owned() };
    let netns = inside::netns(machine).map_err(|error| unsent(error.to_string()))?;
    let asker = Asker { name: &machine.name, netns: &netns, source: None };
    let came = trace::trace(&asker, to, TTL_MAX, patience)
        .map_err(|error| unsent(Failure::of(&error).to_string()))?;
    let is_sent = |hop: &&Hop| !matches!(hop.outcome, HopOutcome::NotSent(_));
    // Those behind the end were sent as well, and are not told.
    let packets = if came.hops.iter().any(|hop| is_sent(&hop)) { TTL_MAX.into() } else { 0 };
    let hops = came.hops.iter().filter_map(|hop| told(&came, hop)).collect();
    let traced = Traced { from: machine.name.clone(), to: probe.to, ttl_max: TTL_MAX, hops };
    Ok(Came { traces: vec![traced], packets, ..Came::default() })
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
