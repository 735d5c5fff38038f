//! Questions that were not asked, and what is not known for that.

use std::collections::BTreeSet;

use model::dns::PORT as DNS_PORT;
use model::few;
use model::snapshot::Gap;
use probe::EchoSize;
use probe::as_instance::Asks;

use super::{Job, Probe, Unsent};

/// Questions that were not asked for one reason.
#[derive(Debug)]
pub(crate) struct Unasked {
    sent: Unsent,
    /// Who would have asked whom, in words.
    asked: Vec<(String, String)>,
}

impl Unasked {
    /// Notes that a job was not done, beside others that were not for the same reason.
    pub(crate) fn note(known: &mut Vec<Unasked>, job: &Job<'_, '_>, sent: Unsent) {
        Unasked::note_probes(known, job.probes().into_iter(), sent);
    }

    /// The same of some of what a job asks.
    pub(crate) fn note_probes<'p, 'a: 'p>(
        known: &mut Vec<Unasked>,
        probes: impl Iterator<Item = &'p Probe<'a>>,
        sent: Unsent,
    ) {
        let asked = probes.map(|probe| (probe.sender().to_owned(), whom(probe)));
        let asked: Vec<(String, String)> = asked.collect();
        // What is no question of its own leaves none open.
        if asked.is_empty() {
            return;
        }
        match known.iter_mut().find(|one| one.sent == sent) {
            Some(same) => same.asked.extend(asked),
            None => known.push(Unasked { sent, asked }),
        }
    }

    /// What is not known.
    pub(crate) fn gap(self) -> Gap {
        let Unasked { sent: Unsent { why, would_need }, asked } = self;
        let (mut senders, mut whom): (Vec<String>, Vec<String>) = asked.into_iter().unzip();
        // In the order in which they were to be asked.
        for names in [&mut senders, &mut whom] {
            let mut known = BTreeSet::new();
            names.retain(|name| known.insert(name.clone()));
        }
        let what = match (senders.as_slice(), whom.as_slice()) {
            ([sender], [whom]) => format!("whether {whom} answers {sender} for real"),
            ([sender], whom) => format!("whether {} answer {sender} for real", whom.join(", ")),
            (senders, _) => format!("whether anybody answers {} for real", few::named(senders)),
        };
        Gap { what, why, would_need }
    }
}

fn whom(probe: &Probe<'_>) -> String {
    match probe.asks {
        Asks::Echo(EchoSize { octets, whole: true }) => format!("{} by {octets} octets", probe.to),
        Asks::Name(_) if probe.server_port != DNS_PORT => format!("{}:{}", probe.to, probe.server_port),
        Asks::Echo(_) | Asks::Name(_) => probe.to.to_string(),
        Asks::Address => "any DHCP server".to_owned(),
        Asks::Connection { port, .. } => format!("{}:{port}", probe.to),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{machine, ping};
    use super::*;

    fn unasked(asked: &[(&str, &str)]) -> String {
        let sent = Unsent { why: String::new(), would_need: String::new() };
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        Unasked { sent, asked: asked.iter().map(owned).collect() }.gap().what
    }

    #[test]
    fn a_trace_that_failed_is_no_question_left_open() {
        let machine = machine("compute1");
        let probe = Probe { pace: super::super::MORE, ..ping(&machine, [1, 2, 3, 4]) };
        let unsent = || Unsent { why: String::new(), would_need: String::new() };
        let mut known = Vec::new();
        let (about, to) = (super::super::beside::About::Way(10), [1, 2, 3, 4].into());
        let beside = super::super::Beside { about, machine: &machine, to, id: 1 };
        Unasked::note(&mut known, &Job::Beside(beside, &probe), unsent());
        assert!(known.is_empty(), "{known:?}");
        Unasked::note(&mut known, &Job::Alone(&machine, &probe), unsent());
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn one_reason_is_one_gap() {
        assert_eq!(unasked(&[("web1", "1.2.3.4")]), "whether 1.2.3.4 answers web1 for real");
        let twice = [("web1", "1.2.3.4"), ("web1", "10.0.2.1"), ("web1", "1.2.3.4")];
        assert_eq!(unasked(&twice), "whether 1.2.3.4, 10.0.2.1 answer web1 for real");
        let many = ["web5", "web1", "web2", "web3", "web4", "web6"].map(|name| (name, "1.2.3.4"));
        assert_eq!(unasked(&many), "whether anybody answers web5, web1, web2, web3 and 2 more for real");
    }
}
