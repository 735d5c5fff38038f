//! How long answers are waited for, and what becomes of questions that the time does not allow to wait so long.
//!
//! An answer is one however short the wait was. A silence is one only after all of it: what the end of the time has cut
//! off was as good as not asked.

use std::time::{Duration, Instant};

use checks::Purpose;
use checks::next::Stand;
use model::http::HttpAnswer;
use model::probe::{Asked, ProbeResult};
use model::ssh::Greeted;

use super::Talk;
use crate::probes::{Came, Job, Patience, Probe, Unasked, Unsent};

/// Three seconds of ARP (`mcast_solicit` times `retrans_time_ms`, arp(7)) and a little more: then
/// our own stack has said that the neighbour is absent.
const PATIENCE_MIN: Duration = Duration::from_millis(3300);
/// The part of all the time that one answer is waited for where that is longer: who allows a minute has reason to.
const PATIENCE_PART: u32 = 6;
/// How much longer than the slowest answer so far those are waited for of which something is known already.
const ANSWER_TIMES: u32 = 10;
/// How long large packets are waited for, at least.
const SIZED_MIN: Duration = Duration::from_millis(1500);
/// How long one is waited for who has answered the host, at least: so that UDP is asked twice, and that much longer.
const KNOWN_MIN: Duration = Duration::from_secs(2);
/// How long an answer is waited for that the walk foresees to be lost, at least: one that comes all the same would
/// contradict it, and comes as soon as any other.
const FORESEEN_MIN: Duration = Duration::from_millis(1200);
/// How long many more of a question are waited for at least, once some were answered.
const MORE_MIN: Duration = Duration::from_secs(1);

const TIME_WAS_UP: &str = "the time was up";
const LONGER: &str = "a longer --timeout";

/// How long answers are waited for before their silence is one, where `timeout` is the time for all.
pub(super) fn patience(timeout: Duration) -> Duration {
    PATIENCE_MIN.max(timeout / PATIENCE_PART)
}

impl<'q, 'a> Talk<'q, 'a> {
    /// How long a job's answers are waited for until this deadline. `None` where there is no time for it at all, or
    /// where it asks more of what was asked already and would be cut off.
    pub(super) fn time_for(&mut self, job: &Job<'q, 'a>, deadline: Instant) -> Option<Patience> {
        let whole = self.patience_for(job);
        let left = deadline.saturating_duration_since(Instant::now());
        if whole.of(job) <= left {
            return Some(whole);
        }
        if job.probes().iter().all(|probe| probe.is_more()) {
            return None;
        }
        if left.is_zero() {
            self.answers.is_out_of_time |= self.is_own(job);
            self.leave_out(job, TIME_WAS_UP, LONGER);
            return None;
        }
        self.cut.extend(job.probes().iter().map(|probe| probe.id));
        Some(whole.within(left))
    }

    /// How long to wait for what a job asks. Of sizes much is known already: small packets have made their way, and how
    /// long that takes. A silence that was foreseen needs no more than to be seen.
    fn patience_for(&self, job: &Job<'_, '_>) -> Patience {
        let least = |least: Duration| (self.slowest * ANSWER_TIMES).max(least).min(self.patience);
        let usual = if job.probes().iter().all(|probe| probe.is_sized()) {
            least(SIZED_MIN)
        } else if job.probes().iter().all(|probe| probe.is_more()) {
            least(MORE_MIN)
        } else if self.is_known_to_answer(job) {
            least(KNOWN_MIN)
        } else {
            self.patience
        };
        Patience { usual, foreseen: least(FORESEEN_MIN).min(usual), most: Duration::MAX }
    }

    /// All that it asks follows an answer to the host, so that an answer to the instance takes no longer.
    fn is_known_to_answer(&self, job: &Job<'_, '_>) -> bool {
        let asked = self.of_job(job).into_iter().filter_map(|at| self.questions.get(at));
        let mut asked = asked.map(|question| question.rung.purpose).peekable();
        asked.peek().is_some() && asked.all(|purpose| matches!(purpose, Purpose::UpstreamBy(..)))
    }

    /// What came of a job, without the silence of what was not waited for long enough, which is a gap; and what the
    /// silence of the rest means.
    pub(super) fn waited_for(&mut self, job: &Job<'_, '_>, mut came: Came) -> (Came, Stand) {
        let is_cut = job.probes().iter().any(|probe| self.cut.contains(&probe.id));
        if !is_cut {
            return (came, Stand::Silent);
        }
        let (silent, told): (Vec<ProbeResult>, _) = came.results.into_iter().partition(is_untold);
        came.results = told;
        // Nor is a part of it lost.
        for result in came.results.iter_mut().filter(|result| result.lost_some() == Some(true)) {
            result.sent = result.received;
        }
        let unsent = Unsent { why: TIME_WAS_UP.to_owned(), would_need: LONGER.to_owned() };
        let probes = job.probes();
        let unheard = probes.into_iter().filter(|probe| silent.iter().any(|result| is_of(probe, result)));
        self.answers.is_out_of_time |= !silent.is_empty() && self.is_own(job);
        Unasked::note_probes(&mut self.unasked, unheard, unsent);
        (came, Stand::Unsent)
    }

    /// It asks something that is asked of itself, and not to part the ways of others.
    fn is_own(&self, job: &Job<'_, '_>) -> bool {
        self.of_job(job).iter().any(|at| self.questions.get(*at).is_some_and(|question| question.is_own))
    }
}

/// Nothing came of it, not even a word why; or of a connection nothing but that it was taken.
fn is_untold(result: &ProbeResult) -> bool {
    let is_mute = match &result.asked {
        Asked::Connection { page, greeting, .. } => {
            page.as_ref().is_some_and(|page| page.answer == HttpAnswer::Silent)
                || greeting.as_ref().is_some_and(|greeting| greeting.said == Greeted::Silent)
        }
        Asked::Echo { .. } | Asked::Address { .. } | Asked::Name { .. } => false,
    };
    is_mute || (result.received == 0 && result.errors.is_empty() && result.send_error.is_none())
}

/// It is what came of this probe.
fn is_of(probe: &Probe<'_>, result: &ProbeResult) -> bool {
    let is_same_way = probe.sender() == result.from && probe.to == result.to;
    let is_same_kind = probe.mark().0 == result.asked.exchange();
    let is_same_size = match result.asked {
        Asked::Echo { octets } => probe.octets() == Some(octets),
        Asked::Name { server_port, .. } => probe.server_port == server_port,
        Asked::Address { .. } => true,
        Asked::Connection { port, .. } => probe.port() == Some(port),
    };
    is_same_way && is_same_kind && is_same_size
}
