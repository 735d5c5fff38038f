//! How many packets a diagnosis costs an instance, all of its questions together.

use std::collections::BTreeMap;

/// Most of them: fewer than 50 with those that others send for it, as a resolver that asks on and a guest that resets
/// what it never asked for.
pub(super) const PACKETS_MAX: u32 = 47;
/// Left to questions that are not asked yet, by what only counts again though nothing was lost: a large packet, asked
/// twice, and the sizes below its where it is lost.
pub(super) const KEPT: u32 = 8;
/// The same beside a silence, where others ask on as well: what resolvers ask on counts with what they are asked.
pub(super) const KEPT_OF_SILENCE: u32 = 0;
/// Left by a second count where packets are lost.
pub(super) const KEPT_OF_SECOND: u32 = 2;

/// What was spent on each instance: what was sent, and what may still be by those under way.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Sent for each beside all questions.
    beside: u32,
    spent: BTreeMap<usize, u32>,
    /// Of that what questions under way may still give back.
    reserved: BTreeMap<usize, u32>,
}

impl Budget {
    pub(super) fn new(beside: u32) -> Budget {
        Budget { beside, ..Budget::default() }
    }

    /// Takes so many packets from what is left for this instance, and leaves some of it; `false`, and nothing is taken,
    /// where it is too little.
    pub(super) fn takes(&mut self, instance: Option<usize>, packets: u32, kept: u32) -> bool {
        let Some(instance) = instance else { return true };
        let spent = self.spent.entry(instance).or_default();
        let after = spent.saturating_add(packets);
        let is_afforded = after.saturating_add(self.beside).saturating_add(kept) <= PACKETS_MAX;
        if is_afforded {
            *spent = after;
            *self.reserved.entry(instance).or_default() += packets;
        }
        is_afforded
    }

    /// How many it may be burdened with besides.
    pub(super) fn left(&self, instance: Option<usize>) -> u32 {
        let spent = instance.and_then(|at| self.spent.get(&at).copied()).unwrap_or(0);
        PACKETS_MAX.saturating_sub(self.beside).saturating_sub(spent)
    }

    /// Takes and sends what questions under way go on with, and leaves some of what is left; `false`, and nothing is
    /// taken, where it is too much.
    pub(super) fn spends(&mut self, instance: Option<usize>, packets: u32, kept: u32) -> bool {
        let is_afforded = self.takes(instance, packets, kept);
        if is_afforded {
            self.settle(instance, packets, packets);
        }
        is_afforded
    }

    /// It may be afforded once those under way have ended.
    pub(super) fn may_take_later(&self, instance: Option<usize>, packets: u32, kept: u32) -> bool {
        let of = |known: &BTreeMap<usize, u32>| instance.and_then(|at| known.get(&at).copied()).unwrap_or(0);
        let (spent, reserved) = (of(&self.spent), of(&self.reserved));
        let needed = spent.saturating_sub(reserved).saturating_add(packets);
        reserved > 0 && needed.saturating_add(self.beside).saturating_add(kept) <= PACKETS_MAX
    }

    /// Gives back what was taken and not sent.
    pub(super) fn settle(&mut self, instance: Option<usize>, taken: u32, sent: u32) {
        let spent = instance.and_then(|instance| self.spent.get_mut(&instance));
        spent.into_iter().for_each(|spent| *spent = spent.saturating_sub(taken).saturating_add(sent));
        let reserved = instance.and_then(|instance| self.reserved.get_mut(&instance));
        reserved.into_iter().for_each(|reserved| *reserved = reserved.saturating_sub(taken));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_by_how_many_are_too_many() {
        assert!(crate::probes::TOO_MANY.ends_with(&format!(" {PACKETS_MAX} packets")));
    }

    #[test]
    fn what_goes_on_is_spent_at_once() {
        let mut budget = Budget::new(0);
        assert!(budget.takes(Some(1), 2, 0) && budget.spends(Some(1), PACKETS_MAX - 2, 0));
        assert!(!budget.spends(Some(1), 1, 0) && !budget.may_take_later(Some(1), 3, 0));
        budget.settle(Some(1), 2, 1);
        assert!(budget.spends(Some(1), 1, 0));
    }

    #[test]
    fn what_was_not_sent_is_there_for_others_and_never_more_than_the_most() {
        let mut budget = Budget::new(9);
        let left = PACKETS_MAX - 9;
        assert!(
            budget.takes(Some(1), 30, 0)
                && !budget.takes(Some(1), left - 29, 0)
                && budget.takes(Some(2), left, 0)
        );
        budget.settle(Some(1), 30, 20);
        assert!(!budget.takes(Some(1), left - 19, 0) && budget.takes(Some(1), left - 20, 0));
        assert!(!budget.takes(Some(1), 1, 0) && !budget.takes(Some(3), left - KEPT + 1, KEPT));
    }

    #[test]
    fn what_those_under_way_may_give_back_is_waited_for_and_nothing_else() {
        let mut budget = Budget::new(0);
        assert!(budget.takes(Some(1), 10, 0) && budget.takes(Some(1), PACKETS_MAX - 10, 0));
        assert!(!budget.takes(Some(1), 3, 0) && budget.may_take_later(Some(1), 3, 0));
        assert!(!budget.may_take_later(Some(1), PACKETS_MAX + 1, 0), "never");
        budget.settle(Some(1), 10, 10);
        budget.settle(Some(1), PACKETS_MAX - 10, PACKETS_MAX - 10);
        assert!(!budget.may_take_later(Some(1), 3, 0), "all was sent");
    }
}
