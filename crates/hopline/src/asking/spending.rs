//! What questions under way cost their instance: what they go on with, and what they give back.

use checks::Purpose;

use super::Talk;
use crate::probes::Job;

impl Talk<'_, '_> {
    /// A name over TCP costs as much as several others. What hosts ask of the servers behind comes first: it says
    /// where an instance's own question would go on failing.
    pub(super) fn spends(&mut self, number: u16, packets: u32) -> bool {
        let instance = self.instance_of_probe(number);
        let is_behind = |at: &usize| {
            let purpose = self.questions.get(*at).map(|question| question.rung.purpose);
            matches!(purpose, Some(Purpose::Upstream(_) | Purpose::Reverse(_)))
        };
        let is_open = |at: &usize| self.open.get(*at).is_some_and(|open| !open.is_empty());
        let mut of_it = instance.and_then(|instance| self.groups.get(&instance)).into_iter().flatten();
        let is_first = self.any_owner.get(&number).is_some_and(is_behind);
        let kept = if !is_first && of_it.any(|at| is_behind(at) && is_open(at)) { packets } else { 0 };
        self.budget.spends(instance, packets, kept)
    }

    /// Who answers at once is not asked again. What that would have cost others may cost, that wait for it, long
    /// before all that was sent through the same NIC is settled.
    pub(super) fn spare(&mut self, at: usize, number: u16) {
        let probes = self.questions.get(at).map(|question| &question.probes);
        let Some(probe) = probes.and_then(|probes| probes.iter().find(|probe| probe.id == number)) else {
            return;
        };
        let asked_at = self.asked_at.get(at).copied().flatten();
        let spared = probe.packets_spared();
        let is_first = asked_at.is_some_and(|asked_at| asked_at.elapsed() < probe.pace.interval);
        if spared > 0 && is_first && self.spared.insert(number, spared).is_none() {
            self.budget.settle(self.instance_of_probe(number), spared, 0);
            self.waiting.extend(self.held.drain(..));
        }
    }

    /// What a job took from its instance's share, and what was sent of that.
    pub(super) fn settle(&mut self, job: &Job<'_, '_>, sent: u32) {
        let spared: u32 = job.probes().iter().filter_map(|probe| self.spared.remove(&probe.id)).sum();
        self.budget.settle(self.instance_of(job), job.packets_max().saturating_sub(spared), sent);
    }
}
