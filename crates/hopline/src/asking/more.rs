//! A question that lost some of its packets, asked many times more: which is one, and how the counts come together.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use checks::Purpose;
use checks::next::Stand;
use model::probe::{Asked, ProbeResult};
use probe::as_instance::Asks;

use super::{Question, Talk};
use crate::probes::{self, Job};

/// How often more are asked, an instance.
pub(crate) const MORE_TIMES: usize = 2;
/// How long a question is silent before many more are asked beside it: one that waits for a neighbour is answered by
/// its first or second question as a rule.
const SILENT_MIN: Duration = Duration::from_millis(1200);

/// The same of a large packet, beside which smaller ones are: those before it were answered, so neighbours are known.
const LARGE_SILENT_MIN: Duration = Duration::from_millis(500);

/// How often many more of an instance's questions were asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    times: usize,
    is_under_way: bool,
    /// Some packets were lost: counting them comes before all else that may still be asked.
    pub(super) has_lost: bool,
    /// Questions that they were asked of.
    of: BTreeSet<usize>,
    /// Questions whose silence was reason to, each once.
    for_silence: BTreeSet<usize>,
}

impl Counted {
    /// None were asked.
    pub(super) fn is_none(&self) -> bool {
        self.times == 0
    }

    /// None were asked before those that are asked now.
    pub(super) fn is_first(&self) -> bool {
        self.times <= 1
    }

    /// They are asked beside a question that nobody answers.
    pub(super) fn is_beside_silence(&self) -> bool {
        !self.for_silence.is_empty()
    }
}

impl<'q, 'a> Talk<'q, 'a> {
    /// Asks many more of a question where some of this job's packets were lost that were foreseen to be answered; of
    /// the way out also where none were, for two say little of what is lost by chance.
    pub(super) fn ask_more(&mut self, job: &Job<'_, '_>, results: &[ProbeResult]) {
        let asked: Vec<usize> =
            job.probes().iter().filter_map(|probe| self.any_owner.get(&probe.id).copied()).collect();
        let is_first = job.probes().iter().all(|probe| !probe.is_more());
        let instances = asked.iter().filter_map(|at| Some(self.questions.get(*at)?.rung.instance));
        for instance in instances.filter(|_| !is_first) {
            self.counted.entry(instance).or_default().is_under_way = false;
        }
        let has_answers = is_first && self.has_answers();
        let chosen = asked.iter().find_map(|at| {
            let question = self.questions.get(*at)?;
            let rung = &question.rung;
            let of_it = || results.iter().filter(|came| (&came.from, came.to) == (&rung.from, rung.to));
            // Who is passed on the way to who is answered need not answer, and more of it would tell nothing.
            let is_passed = question.probes.iter().filter_map(|probe| probe.needless_once).any(|other| {
                let other = self.any_owner.get(&other).and_then(|at| self.stands.get(*at));
                other == Some(&Stand::Answered)
            });
            if is_passed {
                return None;
            }
            // A silence that lasted through the first count is one, and of a step nobody misses anything.
            let is_known = self.counted.get(&rung.instance).is_some_and(|one| one.for_silence.contains(at));
            let has_answers = has_answers && !is_known && question.is_own;
            let is_lossy = is_open(question) && of_it().any(|came| is_lossy(came, has_answers));
            let is_sample = is_first
                && self.groups.len() == 1
                && rung.purpose == Purpose::Outside
                && of_it().any(|came| came.received > 0 && came.received >= came.sent);
            if !is_lossy && !is_sample {
                return None;
            }
            Some((self.countable(*at)?, is_lossy))
        });
        if let Some((question, is_lossy)) = chosen {
            self.counted.entry(question.rung.instance).or_default().has_lost |= is_lossy;
            self.line_up_more(question);
        }
    }

    /// Of many instances at once many are rightly silent.
    fn has_answers(&self) -> bool {
        self.groups.len() == 1 && self.slowest > Duration::ZERO
    }

    /// The question that many more are asked of where this one lost some: it, or else the way out, unless that was
    /// counted already.
    fn countable(&self, at: usize) -> Option<&'q Question<'a>> {
        let group = self.groups.get(&self.questions.get(at)?.rung.instance)?;
        let one = |at: usize| self.questions.get(at);
        let is_outside = |at: &usize| one(*at).is_some_and(|one| one.rung.purpose == Purpose::Outside);
        let may_be = |at: &usize| one(*at).is_some_and(|one| !one.more.is_empty() && is_open(one));
        let instance = one(at)?.rung.instance;
        let is_counted = |at: &usize| self.counted.get(&instance).is_some_and(|known| known.of.contains(at));
        let others = group.iter().copied().filter(|at| is_outside(at) && !is_counted(at));
        one([at].into_iter().chain(others).find(may_be)?)
    }

    /// Two at the same pace would share what is lost by count: one all of it, the other none.
    pub(super) fn line_up_more(&mut self, question: &'q Question<'a>) {
        let counted = self.counted.entry(question.rung.instance).or_default();
        let next = question.more.get(counted.times).filter(|_| !counted.is_under_way);
        if let Some(more) = next {
            (counted.times, counted.is_under_way) = (counted.times + 1, true);
            counted.of.extend(self.any_owner.get(&more.id));
            self.waiting.extend(probes::jobs(std::iter::once(more)));
        }
    }

    /// When the next question that is under way has been silent for so long that more is asked beside it.
    pub(super) fn next_more(&self) -> Option<Instant> {
        self.silent().map(|(_, at)| at).min()
    }

    /// Asks many more beside a question that is silent though others are answered: whoever waited for its end first
    /// would wait twice.
    pub(super) fn ask_more_of_silent(&mut self, now: Instant) {
        let silent: Vec<usize> =
            self.silent().filter(|(_, at)| *at <= now).map(|(question, _)| question).collect();
        for at in silent {
            let Some(instance) = self.questions.get(at).map(|question| question.rung.instance) else {
                continue;
            };
            self.counted.entry(instance).or_default().for_silence.insert(at);
            if let Some(question) = self.countable(at).filter(|_| self.questions.get(at).is_some_and(is_open))
            {
                self.line_up_more(question);
            }
            let beside = self
                .questions
                .get(at)
                .and_then(|question| Some(Job::Beside(question.beside.clone()?, question.probes.first()?)));
            self.waiting.extend(beside);
        }
    }

    /// Questions that are late, whose silence was no reason to ask more so far, and when it will be one.
    fn silent(&self) -> impl Iterator<Item = (usize, Instant)> {
        let all = self.questions.iter().enumerate().filter(|_| self.has_answers());
        all.filter_map(|(at, question)| {
            let counted = self.counted.get(&question.rung.instance);
            let is_done = counted.is_some_and(|one| one.times >= MORE_TIMES || one.for_silence.contains(&at));
            let is_asked_of_one = question.probes.iter().all(|probe| probe.asks != Asks::Address);
            let is_large = matches!(question.rung.purpose, Purpose::Large(_));
            let is_reason = question.is_own && (is_open(question) || is_large) && is_asked_of_one && !is_done;
            let silent = if is_large { LARGE_SILENT_MIN } else { SILENT_MIN };
            let asked_at = self.asked_at.get(at).copied().flatten()?;
            (is_reason && self.stands.get(at) == Some(&Stand::Late)).then_some((at, asked_at + silent))
        })
    }
}

/// The walk lets it be answered, or cannot tell.
fn is_open(question: &Question) -> bool {
    question.rung.answer.answered || question.rung.undecided().is_some()
}

/// Some of it was lost, or all of it where others are answered: by chance, it may be, and it takes more to tell.
fn is_lossy(came: &ProbeResult, has_answers: bool) -> bool {
    // What others offer says nothing of a loss: each hears the question, and most rightly keep silent.
    let is_asked_of_one = !matches!(came.asked, Asked::Address { .. });
    let is_told = !came.errors.is_empty() || came.send_error.is_some();
    is_asked_of_one && !is_told && came.received < came.sent && (came.received > 0 || has_answers)
}

/// Adds what came to what is known: the same question asked again is one with it.
pub(super) fn add(known: &mut Vec<ProbeResult>, came: ProbeResult) {
    let is_same = |one: &&mut ProbeResult| {
        let is_echo = came.asked.octets().is_some() && one.asked.octets() == came.asked.octets();
        is_echo && one.by_host == came.by_host && (&one.from, one.to) == (&came.from, came.to)
    };
    let Some(one) = known.iter_mut().find(is_same) else {
        known.push(came);
        return;
    };
    one.sent = one.sent.saturating_add(came.sent);
    one.received = one.received.saturating_add(came.received);
    one.reply_ttl = one.reply_ttl.or(came.reply_ttl);
    one.rtt_us = one.rtt_us.or(came.rtt_us);
    one.errors.extend(came.errors);
    one.send_error = one.send_error.take().or(came.send_error);
}

#[cfg(test)]
mod tests {
    use model::probe::PING_OCTETS;

    use super::*;

    fn ping(sent: u32, received: u32) -> ProbeResult {
        ProbeResult {
            from: "web1".to_owned(),
            by_host: false,
            to: [1, 2, 3, 4].into(),
            asked: Asked::Echo { octets: PING_OCTETS },
            sent,
            received,
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: None,
        }
    }

    #[test]
    fn counts_of_one_question_come_together_and_those_of_others_do_not() {
        let mut known = Vec::new();
        let large = ProbeResult { asked: Asked::Echo { octets: 1500 }, ..ping(2, 1) };
        for came in [ping(2, 1), large.clone(), ping(20, 12)] {
            add(&mut known, came);
        }
        assert_eq!(known, [ping(22, 13), large]);
    }

    #[test]
    fn a_silence_is_lossy_only_beside_answers_and_an_error_never() {
        assert!(is_lossy(&ping(2, 1), false) && is_lossy(&ping(2, 0), true));
        assert!(!is_lossy(&ping(2, 0), false) && !is_lossy(&ping(2, 2), true));
        let told = ProbeResult { errors: vec![([1, 1, 1, 1].into(), "no".to_owned())], ..ping(2, 1) };
        assert!(!is_lossy(&told, true));
    }
}
