//! Questions for a name's IPv6 addresses that are lost where others for the same name are answered. Programs ask for
//! both kinds at once and wait for both (getaddrinfo(3)), so each name takes them their whole time-out.

use model::dns::Rcode;
use model::probe::ProbeResult;
use model::snapshot::Gap;

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung};
use crate::looked_up::{self, rcode};
use crate::said;
use crate::view::View;

/// A resolver that answers for names, and says nothing when it is asked for their IPv6 addresses.
pub(crate) struct Withheld<'v> {
    /// The question that it was silent to.
    pub(crate) silent: &'v ProbeResult,
    /// What it said of the same name otherwise.
    pub(crate) told: &'v ProbeResult,
    /// The servers behind it that were asked the same by its host and are silent, too.
    pub(crate) behind: Vec<&'v ProbeResult>,
}

/// Of the resolver that this rung asks. A server behind it that is silent to everything says more, and is told where
/// it is lost.
pub(crate) fn withheld<'v>(view: &View<'v>, rung: &Rung) -> Option<Withheld<'v>> {
    let asked = || looked_up::put(view.probes, rung);
    let is_silent = |probe: &&ProbeResult| {
        probe.received == 0 && probe.sent > 1 && probe.errors.is_empty() && probe.send_error.is_none()
    };
    let silent = asked().filter(|probe| looked_up::is_of_ipv6(probe)).find(is_silent)?;
    let told = asked().find(|probe| looked_up::reverse(probe).is_some() && is_told(probe))?;
    let upstreams = looked_up::upstreams(view, rung);
    // Who has nobody to ask tells nothing of others, nor does what now and then lets a packet pass.
    let is_there = |(behind, probe): &(&Rung, Option<&ProbeResult>)| {
        behind.undecided().is_none() && probe.is_some_and(is_told)
    };
    if upstreams.is_empty() || !upstreams.iter().all(is_there) {
        return None;
    }
    let same = |other: &Rung| looked_up::put(view.probes, other).find(|p| looked_up::is_of_ipv6(p));
    let behind: Vec<&ProbeResult> = upstreams.into_iter().filter_map(|(other, _)| same(other)).collect();
    // One that fails may do so for that name alone, and dnsmasq passes no failure on.
    if behind.iter().any(|probe| fails(probe)) {
        return None;
    }
    Some(Withheld { silent, told, behind: behind.into_iter().filter(|probe| !is_told(probe)).collect() })
}

/// Failures of such questions: a server may refuse what it does not know of the one name that was asked for, and tell
/// all of others.
pub(crate) fn doubts(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    let is_of_names = |rung: &&Rung| matches!(rung.purpose, Purpose::Resolver | Purpose::Upstream(_));
    let put = |rung: &Rung| looked_up::put(case.probes, rung);
    // A server that refuses the root may tell all else: what the resolver made of a name's own question counts.
    let is_missed = |rung: &Rung| {
        let own = |other: &&Rung| other.instance == rung.instance && other.purpose == Purpose::Resolver;
        let is_untold = |probe: &ProbeResult| looked_up::is_of_ipv6(probe) && !is_told(probe);
        rungs.iter().filter(own).any(|other| put(other).any(is_untold))
    };
    let failed = |rung: &Rung| put(rung).find(|probe| looked_up::is_of_ipv6(probe) && fails(probe));
    // dnsmasq passes on what those say whom it asks.
    let is_said_behind = |rung: &Rung| {
        let mut behind = rungs.iter().filter(|other| other.instance == rung.instance);
        rung.purpose == Purpose::Resolver
            && behind.any(|other| matches!(other.purpose, Purpose::Upstream(_)) && failed(other).is_some())
    };
    let gap = |rung: &Rung| {
        if !is_missed(rung) || is_said_behind(rung) {
            return None;
        }
        let failed = failed(rung)?;
        put(rung).find(|probe| looked_up::reverse(probe).is_some() && is_told(probe))?;
        Some(Gap {
            what: format!("whether {} tells IPv6 addresses of names, for which programs wait", rung.to),
            why: said::told(failed),
            would_need: format!("`dig @{} NAME AAAA` for a name that is looked for", rung.to),
        })
    };
    rungs.iter().filter(is_of_names).filter_map(gap).collect()
}

/// It was answered, and by a failure.
fn fails(probe: &ProbeResult) -> bool {
    matches!(rcode(probe), Some(Rcode::ServFail | Rcode::Refused | Rcode::Other(_)))
}

/// It was answered, were it that there is no such name.
fn is_told(probe: &ProbeResult) -> bool {
    matches!(rcode(probe), Some(Rcode::NoError | Rcode::NxDomain))
}
