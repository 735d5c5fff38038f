//! An instance's own name, asked for as it: programs in it that look for that, as sudo and mail servers do, wait for
//! the answer.
//!
//! dnsmasq knows the name by the instance's lease. Where it has none, as when it was started anew and the lease is not
//! renewed yet, it asks whoever it asks for names of the outside, and to programs, which ask without EDNS, it passes on
//! neither a refusal nor a failure: to them nothing comes. Most look in `/etc/hosts` first, so that it is no fault.

use model::dns::Rcode;
use model::probe::ProbeResult;
use model::snapshot::Gap;

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung};
use crate::looked_up::{self, Word, word};
use crate::said;

/// Instances whose own names a resolver has no answer for that otherwise tells names.
pub(crate) fn doubts(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    let resolvers = rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver);
    resolvers.filter_map(|rung| unanswered(case, rung)).collect()
}

fn unanswered(case: &Case, rung: &Rung) -> Option<Gap> {
    let asked = || looked_up::put(case.probes, rung);
    let own = asked().find(|probe| looked_up::forward(probe).is_some())?;
    let (name, comes) = (looked_up::forward(own)?, comes(own)?);
    let tells = |probe: &ProbeResult| word(probe) == Some(Word::Told);
    if !asked().any(|probe| looked_up::reverse(probe).is_some() && tells(probe)) {
        return None;
    }
    let instance = case.intent.instances.get(rung.instance)?;
    Some(Gap {
        what: format!("whether {} tells {} its own name, {name}", rung.to, instance.name),
        why: format!(
            "{}: dnsmasq has no lease that gives it the name, and asks others, {comes}; programs that look for it wait",
            said::text(own)
        ),
        would_need: format!(
            "the same once {} has renewed its lease (by its console: dhclient -1 eth0, or its own client)",
            instance.name
        ),
    })
}

/// What comes of the question, as who waits for it takes it; `None` where it is answered, or was not asked as it should
/// be.
fn comes(own: &ProbeResult) -> Option<&'static str> {
    let is_whole = own.errors.is_empty() && own.send_error.is_none();
    match word(own)? {
        Word::Refused => Some("who refuse, which dnsmasq does not pass on to programs that ask without EDNS"),
        Word::Failed(Rcode::ServFail) => {
            Some("who fail at it, which dnsmasq does not pass on to programs that ask without EDNS")
        }
        Word::Nothing if own.sent > 1 && is_whole => Some("who say nothing to that"),
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

    /// Whether it is told, where nothing is found.
    fn is_told(cloud: &Cloud) -> bool {
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), [""; 0]);
        found.coverage.gaps.iter().any(|gap| gap.what.contains("its own name"))
    }

    #[test]
    fn a_name_that_nobody_answers_for_is_told_in_whatever_way() {
        for own in [None, Some(Rcode::Refused), Some(Rcode::ServFail)] {
            assert!(is_told(&asked(own)), "{own:?}");
        }
    }

    #[test]
    fn an_answer_is_one_and_where_nothing_is_answered_another_tells() {
        for own in [Rcode::NoError, Rcode::NxDomain, Rcode::Other(4)] {
            assert!(!is_told(&asked(Some(own))), "{own:?}");
        }
    }
}
