//! Questions that were to be asked and are not: for want of time, or of packets that an instance may be burdened with.

use checks::Purpose;
use checks::next::Stand;

use super::more::Counted;
use super::{Question, Talk, budget};
use crate::probes::{self, Job, MORE, Unasked, Unsent};

impl<'q, 'a> Talk<'q, 'a> {
    /// Takes what a job may cost from what its instance may be burdened with. What others under way may give back is
    /// waited for. Of several questions those go that are too much; what is left out is a gap, but for more of what was
    /// asked already, of whose way as much is asked as may be afforded.
    pub(super) fn afforded(&mut self, mut job: Job<'q, 'a>) -> Option<Job<'q, 'a>> {
        let is_more = job.probes().iter().all(|probe| probe.is_more());
        let counted = self.instance_of(&job).and_then(|instance| self.counted.get(&instance));
        let kept = match counted {
            counted if !is_more => self.kept_for_counting(&job, counted),
            _ if job.probes().is_empty() => 0,
            Some(counted) if counted.has_lost && counted.is_first() => 0,
            Some(counted) if counted.has_lost => budget::KEPT_OF_SECOND,
            Some(counted) if counted.is_beside_silence() => budget::KEPT_OF_SILENCE,
            Some(_) | None => budget::KEPT,
        };
        // How large packets may be is asked only where it is known whether some are lost anyway.
        if job.probes().is_empty() && self.held.iter().any(is_counting) {
            self.held.push(job);
            return None;
        }
        loop {
            if self.budget.takes(self.instance_of(&job), job.packets_max(), kept) {
                return Some(job);
            }
            if self.budget.may_take_later(self.instance_of(&job), job.packets_max(), kept) {
                self.held.push(job);
                return None;
            }
            if is_more {
                let left = self.budget.left(self.instance_of(&job));
                job = job.within(left)?;
                continue;
            }
            let (rest, last) = job.parted();
            for at in rest.iter().flat_map(|rest| self.of_job(rest)).collect::<Vec<_>>() {
                // A question that both have a part of is that of two jobs from now on.
                let is_of_both = self.of_job(&last).contains(&at);
                self.jobs.get_mut(at).into_iter().for_each(|jobs| *jobs += usize::from(is_of_both));
            }
            self.leave_out(&last, probes::TOO_MANY, probes::FEWER);
            job = rest?;
        }
    }

    /// What parts the way of a silence, and what follows an answer, leaves room for a first count: a loss by chance
    /// looks like a silence, and which it is comes first, until it is begun. Of many instances none is counted.
    fn kept_for_counting(&self, job: &Job<'q, 'a>, counted: Option<&Counted>) -> u32 {
        let is_late = |question: &Question| {
            !question.is_own || matches!(question.rung.purpose, Purpose::UpstreamBy(..) | Purpose::Large(_))
        };
        let of_it = self.of_job(job);
        let mut asked = of_it.iter().filter_map(|at| self.questions.get(*at)).peekable();
        let is_late = asked.peek().is_some() && asked.all(is_late);
        let is_to_come = || self.held.iter().chain(&self.waiting).any(is_counting);
        // A mere sample waits behind what follows an answer, and not behind what parts a way: something is missing
        // then.
        let is_step = of_it.iter().filter_map(|at| self.questions.get(*at)).all(|question| !question.is_own);
        let is_kept_for = |counted: &Counted| {
            let is_needed = counted.has_lost || counted.is_beside_silence() || is_step;
            counted.is_first() && is_needed && is_to_come()
        };
        let is_counted = counted.is_some_and(|counted| !(counted.is_none() || is_kept_for(counted)));
        if is_late && !is_counted && self.groups.len() == 1 { MORE.count } else { 0 }
    }

    /// Notes questions that are not asked after all, and asks what follows from it.
    pub(super) fn leave_out(&mut self, job: &Job<'_, '_>, why: &str, would_need: &str) {
        let unsent = Unsent { why: why.to_owned(), would_need: would_need.to_owned() };
        Unasked::note(&mut self.unasked, job, unsent);
        let left: Vec<u16> = job.probes().iter().map(|probe| probe.id).collect();
        let of_it = self.of_job(job);
        for at in &of_it {
            self.jobs.get_mut(*at).into_iter().for_each(|jobs| *jobs = jobs.saturating_sub(1));
            self.open.get_mut(*at).into_iter().for_each(|open| open.retain(|id| !left.contains(id)));
            let is_begun = self.asked_at.get(*at).is_some_and(Option::is_some);
            let (is_over, is_open) =
                (self.jobs.get(*at) == Some(&0), self.open.get(*at).is_some_and(|open| !open.is_empty()));
            match (is_begun, is_open) {
                // What else it asks was answered.
                (true, false) => self.set(*at, Stand::Answered),
                (true, true) if is_over => self.set(*at, Stand::Silent),
                (false, _) if is_over => self.set(*at, Stand::Unsent),
                (true | false, _) => {}
            }
        }
        self.go_on(&of_it);
    }
}

/// It asks for more of what was lost in part.
fn is_counting(job: &Job<'_, '_>) -> bool {
    job.probes().iter().any(|probe| probe.is_more())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use checks::Rung;
    use collect::MachinePlan;
    use sim::Answer;

    use super::*;
    use crate::probes::fixture::{machine, ping};
    use crate::probes::{About, Beside, MORE, Pace, Probe};

    const WEB1: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 24));

    /// A question of so many packets.
    fn question(machine: &MachinePlan, id: u16, count: u32) -> Question<'_> {
        let (purpose, from) = (Purpose::Gateway, machine.name.clone());
        let rung = Rung { instance: 0, purpose, from, to: WEB1, answer: Answer::of(Vec::new()) };
        let probe = Probe { pace: Pace { count, ..MORE }, id, ..ping(machine, WEB1) };
        let (then, more) = (Vec::new(), Vec::new());
        Question { rung, is_own: true, probes: vec![probe], then, more, beside: None }
    }

    #[test]
    fn a_question_that_costs_too_much_is_none_under_way() {
        let web1 = machine("web1");
        let questions = [question(&web1, 1, budget::PACKETS_MAX + 1)];
        let mut talk = Talk::new(&questions, 0, Duration::MAX);
        talk.set(0, Stand::Asked);
        talk.line_up(&[0]);
        let job = talk.waiting.pop_front().unwrap();
        assert!(talk.afforded(job).is_none());
        assert_eq!((talk.stands[0], talk.jobs[0], talk.unasked.len()), (Stand::Unsent, 0, 1));
    }

    #[test]
    fn what_others_may_give_back_is_waited_for() {
        let web1 = machine("web1");
        let questions = [question(&web1, 1, budget::PACKETS_MAX - 1), question(&web1, 2, 2)];
        let mut talk = Talk::new(&questions, 0, Duration::MAX);
        (0..2).for_each(|at| talk.set(at, Stand::Asked));
        talk.line_up(&[0, 1]);
        let [first, second] = [(); 2].map(|()| talk.waiting.pop_front().unwrap());
        let first = talk.afforded(first).unwrap();
        talk.begin(&first);
        assert!(talk.afforded(second).is_none());
        assert_eq!((talk.held.len(), talk.unasked.len(), talk.stands[1]), (1, 0, Stand::Asked));
        talk.ended(&first, Ok(crate::probes::Came::default()));
        let second = talk.waiting.pop_front().unwrap();
        assert!(talk.afforded(second).is_some() && talk.held.is_empty());
    }

    /// What parts the way of what was lost by chance would leave no room for counting it.
    #[test]
    fn a_first_count_keeps_its_room_while_it_waits() {
        let web1 = machine("web1");
        let own = question(&web1, 1, budget::PACKETS_MAX - MORE.count + 2);
        let mut lossy = question(&web1, 2, 2);
        lossy.more = vec![Probe { pace: MORE, id: 3, ..ping(&web1, WEB1) }];
        let step = Question { is_own: false, ..question(&web1, 4, 2) };
        let questions = [own, lossy, step];
        let mut talk = Talk::new(&questions, 0, Duration::MAX);
        talk.line_up(&[0]);
        let own = talk.waiting.pop_front().and_then(|job| talk.afforded(job)).unwrap();
        talk.begin(&own);
        talk.line_up(&[2]);
        talk.line_up_more(&questions[1]);
        let step = talk.waiting.pop_front().unwrap();
        assert!(talk.afforded(step).is_none(), "the count is in the queue");
        let count = talk.waiting.pop_front().unwrap();
        assert!(talk.afforded(count).is_none(), "it waits for what others give back");
        talk.ended(&own, Ok(crate::probes::Came::default()));
        let afforded: Vec<bool> = std::iter::from_fn(|| talk.waiting.pop_front())
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|job| talk.afforded(job))
            .map(|job| is_counting(&job))
            .collect();
        assert!(afforded.contains(&true), "{afforded:?}");
    }

    /// Of a way as many TTLs are asked as there is room for, and none where they end before anybody beyond the site.
    #[test]
    fn a_way_is_asked_as_far_as_is_left() {
        let web1 = machine("web1");
        let asked = |spent: u32| {
            let mut questions = [question(&web1, 1, spent), question(&web1, 2, 2)];
            let to = Ipv4Addr::new(10, 0, 2, 24);
            questions[1].beside = Some(Beside { about: About::Way(10), machine: &web1, to, id: 3 });
            let mut talk = Talk::new(&questions, 0, Duration::MAX);
            talk.budget.takes(Some(0), spent, 0);
            talk.budget.settle(Some(0), spent, spent);
            let beside = questions[1].beside.clone().unwrap();
            let job = talk.afforded(Job::Beside(beside, &questions[1].probes[0]));
            assert!(talk.unasked.is_empty(), "it is no question of its own");
            job.map(|job| job.packets_max())
        };
        let most = budget::PACKETS_MAX;
        assert_eq!([most - 12, most - 4, most - 3].map(asked), [Some(10), Some(4), Some(3)]);
        assert_eq!(asked(most - 2), None);
    }
}
