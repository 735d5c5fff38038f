//! An instance's own name, asked for as it: programs in it that look for that, as sudo and mail servers do, wait for
//! the answer.
//!
//! dnsmasq knows the name by the instance's lease. Where it has none it asks whoever it asks for names of the outside,
//! and to programs, which ask without EDNS, it passes on neither a refusal nor a failure: to them nothing comes.

use std::cell::LazyCell;

use model::dns::Rcode;
use model::finding::{Confidence, Evidence};
use model::path::{Direction, Exchange, Stage};
use model::probe::ProbeResult;
use sim::World;

use crate::crowded;
use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Rung;
use crate::looked_up::{self, Word, word};
use crate::restart;
use crate::said;
use crate::view::View;

/// The resolver that this rung asks answers otherwise, and has no answer for the instance's own name.
pub(crate) fn unanswered<'v>(
    view: &View<'v>,
    rung: &Rung,
    read: &LazyCell<World<'v>, impl FnOnce() -> World<'v>>,
) -> Option<Found> {
    let asked = || looked_up::of(view, &rung.from, rung.to);
    let own = asked().find(|probe| looked_up::forward(probe).is_some())?;
    let (name, comes) = (looked_up::forward(own)?, comes(own)?);
    // What was asked before something was mended tells nothing of it: an instance that gets no lease has no name.
    let is_there = || asked().any(|probe| looked_up::is_version(probe) && probe.received > 0);
    if !view.is_as_read || !is_there() {
        return None;
    }
    let server = dns::server(view.world, rung.instance)?;
    // Who is given nobody to ask refuses at once, and a server that is silent to all is told where it is lost.
    let upstreams = looked_up::upstreams(view, rung);
    let is_heard = |(walk, probe): &(&Rung, Option<&ProbeResult>)| {
        let is_open =
            walk.undecided().is_none() && walk.answer.paths.iter().all(|path| path.stop().is_none());
        is_open && probe.is_some_and(|probe| probe.received > 0)
    };
    if upstreams.is_empty() || !upstreams.iter().all(is_heard) {
        return None;
    }
    if crowded::lost_some(view) || crowded::takes_some(view, &server.host.name, read) {
        return None;
    }
    let instance = view.intent().instances.get(rung.instance)?;
    let whom: Vec<String> = upstreams.iter().map(|(walk, _)| walk.to.to_string()).collect();
    let others = upstreams.iter().filter_map(|(_, probe)| *probe);
    let evidence: Vec<Evidence> = [own]
        .into_iter()
        .chain(asked().filter(|p| looked_up::reverse(p).is_some()))
        .chain(others)
        .map(said::evidence)
        .collect();
    let fault = Fault {
        code: "dns-lookup-fails",
        hop: at(server.ns, server.bridge, Stage::Service),
        summary: format!(
            "{} asks {} for its own name, {name}, and waits: {}",
            instance.name,
            rung.to,
            said::text(own)
        ),
        cause: format!(
            "dnsmasq does not know {name} itself, as where it has no lease of {}'s, and asks {}: {comes}",
            instance.name,
            whom.join(", ")
        ),
        confidence: Confidence::Likely,
        evidence,
        owner: "nova-network",
        remedy: vec![
            evidence::advice(
                format!(
                    "in {}, by its console: dhclient -1 eth0  # or the guest's own client",
                    instance.name
                ),
                "a lease gives dnsmasq the name; disturbs nobody",
            ),
            restart::network(view, &server.host.name, "starts dnsmasq with the leases of nova's database"),
        ],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

/// What comes of the question, as who waits for it takes it; `None` where it is answered, or was not asked as it should
/// be.
fn comes(own: &ProbeResult) -> Option<&'static str> {
    let is_whole = own.errors.is_empty() && own.send_error.is_none();
    match word(own)? {
        Word::Refused => {
            Some("who refuses, which dnsmasq does not pass on to programs that ask without EDNS")
        }
        Word::Failed(Rcode::ServFail) => {
            Some("who fails at it, which dnsmasq does not pass on to programs that ask without EDNS")
        }
        Word::Nothing if own.sent > 1 && is_whole => Some("who says nothing to that"),
        Word::Nothing
        | Word::Told
        | Word::Failed(_)
        | Word::CutShort
        | Word::NoTcp
        | Word::Unreadable(_)
        | Word::Strays(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use model::dns::Rcode;

    use crate::fixture::{Cloud, asked_for_own_name, codes, healthy, looked_up, told_its_version};

    /// A cloud whose web1 asks for its own name, which is answered so; `None` for silence.
    fn asked(own: Option<Rcode>) -> Cloud {
        let (gateway, server) = ([10, 0, 0, 42].into(), [1, 2, 3, 4].into());
        let mut cloud = healthy();
        cloud.probes = vec![
            told_its_version("web1", gateway),
            looked_up("web1", gateway, Some(Rcode::NxDomain)),
            asked_for_own_name("web1", gateway, own),
            looked_up("compute1", server, Some(Rcode::NxDomain)),
        ];
        cloud
    }

    #[test]
    fn fires_on_a_name_that_nobody_answers_for_in_whatever_way() {
        for own in [None, Some(Rcode::Refused), Some(Rcode::ServFail)] {
            let found = asked(own).diagnose("web1");
            assert_eq!(codes(&found), ["dns-lookup-fails compute1//br100"], "{own:?}");
            assert!(found.findings[0].summary.contains("for its own name"), "{found:?}");
        }
    }

    #[test]
    fn stays_silent_on_an_answer_and_where_nobody_hears_anything() {
        for own in [Rcode::NoError, Rcode::NxDomain, Rcode::Other(4)] {
            assert_eq!(codes(&asked(Some(own)).diagnose("web1")), [""; 0], "{own:?}");
        }
        let mut silent = asked(None);
        silent.probes.retain(|probe| probe.from == "web1");
        assert_eq!(codes(&silent.diagnose("web1")), [""; 0], "whom it asks was not asked");
    }
}
