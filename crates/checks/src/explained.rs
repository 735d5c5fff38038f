//! Whether what was found already explains a loss that no walk foresaw.
//!
//! Two faults at once are not rare, and the second must not hide behind the first. What a walk stops at explains the
//! questions that it stops, and those were not foreseen to be answered. What is left are findings of which the walk
//! does not know all consequences: they explain what is lost beside them.

use model::finding::Confidence;
use model::path::{Disposition, Exchange, Hop, Place, Stage};

use crate::contradiction::Asking;
use crate::diagnose::probe_of;
use crate::found::Reach;
use crate::ladder::{Purpose, Rung};
use crate::purpose::Part;
use crate::ranking::{Rank, Ranked};
use crate::unheld;
use crate::watched::Parted;

/// Where a question's packets went missing, as far as that is known.
#[derive(Clone, Copy)]
pub(crate) struct Lost<'l> {
    /// Between which devices.
    pub(crate) parted: Option<&'l Parted<'l>>,
    /// Where the kernel says that it dropped them.
    pub(crate) dropped: Option<&'l Place>,
}

/// One of the findings explains why this question, which was foreseen to be answered, was not.
pub(crate) fn is_by(findings: &[Ranked], asking: &Asking, lost: Lost<'_>) -> bool {
    waits_for_another(asking) || findings.iter().any(|ranked| explains(ranked, asking, lost))
}

fn explains(ranked: &Ranked, asking: &Asking, Lost { parted, dropped }: Lost<'_>) -> bool {
    let Ranked { rank, finding, reach, is_foreseen, seen_at } = ranked;
    let Asking { case, rung, instance, probe, .. } = *asking;
    let exchange = probe.asked.exchange();
    let is_hit = || finding.instances.iter().any(|name| name == instance);
    // A dnsmasq is one for addresses and names, and why it is silent is told once.
    let is_of_server = |exchange| matches!(exchange, Exchange::Dhcp | Exchange::Dns);
    // What is its own trouble is none of what is asked past it.
    let goes_past_it = matches!(rung.purpose, Purpose::OutsideBy(_) | Purpose::UpstreamBy(..));
    let is_past_it = goes_past_it && finding.hop.stage == Stage::Service && is_of_server(finding.exchange);
    if !is_past_it && is_of_server(finding.exchange) && is_of_server(exchange) && is_hit() {
        return true;
    }
    // What kept it from getting its address is why nobody has it.
    if finding.exchange == Exchange::Dhcp
        && unheld::of(asking).is_some_and(|unheld| finding.instances.contains(&unheld.instance.name))
    {
        return true;
    }
    let other = rung.purpose.other().and_then(|at| case.intent.instances.get(at));
    let is_met = other.is_some_and(|other| finding.instances.contains(&other.name));
    // What bears an address of the instance's of this family, there or back.
    let is_borne = |is_ipv6: bool| {
        let has_one = rung.purpose.part() != Part::Neither && exchange != Exchange::Dhcp;
        has_one && rung.to.is_ipv6() == is_ipv6 && (is_hit() || is_met)
    };
    match reach {
        Reach::Instances => return is_borne(false),
        Reach::Instances6 => return is_borne(true),
        Reach::Nothing => return false,
        Reach::Device | Reach::Host => {}
    }
    if is_past_it {
        return false;
    }
    // It crosses the same devices there and back, and which of the two was seen nobody can tell.
    if matches!(rung.purpose, Purpose::Itself(_)) && is_hit() {
        return true;
    }
    let is_there = |hop: &Hop| {
        [Some(&finding.hop), seen_at.as_ref()].into_iter().flatten().any(|at| hop.at.same_device(at))
    };
    let mut way = rung.answer.paths.iter().flat_map(|path| &path.hops);
    // What is sent to a wrong neighbour is lost wherever it gets to.
    let is_misled = finding.hop.stage == Stage::Neighbour && finding.confidence == Confidence::Proven;
    if is_misled && is_hit() && way.clone().any(is_there) {
        return true;
    }
    if *is_foreseen && rung.answer.answered {
        return is_guessed(rung) && is_hit();
    }
    // A client that has no address yet speaks past what its host tracks (packet(7)).
    let is_everywhere = *reach == Reach::Host && exchange != Exchange::Dhcp;
    if let Some(at) = dropped.filter(|_| !is_everywhere) {
        // The kernel's word is exact: what stops nothing that a walk knows of must be of the very stage.
        let is_of_stage = *rank != Rank::Idle || finding.hop.stage == at.stage;
        return is_of_stage
            && [Some(&finding.hop), seen_at.as_ref()].into_iter().flatten().any(|hop| hop.same_device(at));
    }
    if let Some(parted) = parted.filter(|_| !is_everywhere) {
        // What stops nothing that a walk knows of may stop what never leaves its device; of two losses side by side
        // the second is the first one's echo.
        let before = parted.before.filter(|_| *rank != Rank::Idle);
        let mut around = before.into_iter().chain([parted.at]).chain(parted.behind.iter().copied());
        return around.any(is_there);
    }
    // Where it was lost nobody knows, or all of the host is to blame.
    way.any(|hop| hop.at.host == finding.hop.host)
}

/// The instance that is to be reached is in the site, and the walk lets the question leave it: somebody out there may
/// have the instance's address, which where the instance is cut off is a guess and no more.
fn is_guessed(rung: &Rung) -> bool {
    let mut paths = rung.answer.paths.iter();
    rung.purpose.part() == Part::IsAsked && paths.any(|path| path.disposition == Disposition::LeftSite)
}

/// A resolver is silent while all that it asks itself are, or the one that knows who comes.
fn waits_for_another(asking: &Asking) -> bool {
    let Asking { case, rung, rungs, .. } = *asking;
    let is_silent = |other: &Rung| {
        !other.answer.answered || probe_of(case, other).is_some_and(|probe| probe.received == 0)
    };
    let own = || rungs.iter().filter(|other| other.instance == rung.instance);
    let upstream: Vec<&Rung> = own().filter(|other| matches!(other.purpose, Purpose::Upstream(_))).collect();
    let mut reverse = own().filter(|other| matches!(other.purpose, Purpose::Reverse(_)));
    let are_all_silent = !upstream.is_empty() && upstream.into_iter().all(is_silent);
    rung.purpose == Purpose::Resolver && (are_all_silent || reverse.any(is_silent))
}
