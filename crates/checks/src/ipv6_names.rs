//! Questions for a name's IPv6 addresses that are lost where others for the same name are answered. Programs ask for
//! both kinds at once and wait for both (getaddrinfo(3)), so each name takes them their whole time-out.

use model::dns::Rcode;
use model::probe::ProbeResult;

use crate::ladder::Rung;
use crate::looked_up::{self, rcode};
use crate::view::View;

/// A resolver that answers for names, and says nothing when it is asked for their IPv6 addresses.
pub(crate) struct Withheld<'v> {
    /// The question that it was silent to.
    pub(crate) silent: &'v ProbeResult,
    /// What it said of the same name otherwise.
    pub(crate) told: &'v ProbeResult,
    /// The servers behind it that were asked the same by its host and had no answer either, or refused one.
    pub(crate) behind: Vec<&'v ProbeResult>,
}

/// Of the resolver that this rung asks. A server behind it that is silent to everything says more, and is told where
/// it is lost.
pub(crate) fn withheld<'v>(view: &View<'v>, rung: &Rung) -> Option<Withheld<'v>> {
    let asked = || looked_up::of(view, &rung.from, rung.to);
    let is_silent = |probe: &&ProbeResult| {
        probe.received == 0 && probe.sent > 1 && probe.errors.is_empty() && probe.send_error.is_none()
    };
    let silent = asked().filter(|probe| looked_up::is_of_ipv6(probe)).find(is_silent)?;
    let told = asked().find(|probe| looked_up::reverse(probe).is_some() && is_told(probe))?;
    let upstreams = looked_up::upstreams(view, rung);
    // Who has nobody to ask tells nothing of others.
    let is_there = |(_, probe): &(&Rung, Option<&ProbeResult>)| probe.is_some_and(is_told);
    if upstreams.is_empty() || !upstreams.iter().all(is_there) {
        return None;
    }
    let same = |other: &Rung| looked_up::of(view, &other.from, other.to).find(|p| looked_up::is_of_ipv6(p));
    let behind = upstreams.into_iter().filter_map(|(other, _)| same(other)).filter(|probe| !is_told(probe));
    Some(Withheld { silent, told, behind: behind.collect() })
}

/// It was answered, were it that there is no such name.
fn is_told(probe: &ProbeResult) -> bool {
    matches!(rcode(probe), Some(Rcode::NoError | Rcode::NxDomain))
}
