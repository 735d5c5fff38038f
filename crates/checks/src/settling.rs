//! Which of several findings has to do with a question that dies.
//!
//! Two faults that lie at one place of the ladder claim the same question, as a physical link that is down claims what
//! is asked of a resolver that nobody is. Where one of them, mended alone, has the question answered, the others are
//! none of its reasons: they are looked at again when it is mended, and stand then where they belong.

use std::collections::BTreeMap;

use crate::found::Found;
use crate::ladder;
use crate::view::View;

/// Takes their places in the ladder from those findings whose question another one settles alone, and they do not.
pub(crate) fn yield_to_who_settles(found: &mut [Found], view: &View) {
    let mut of_rung: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (nth, order) in found.iter().enumerate().filter_map(|(nth, f)| Some((nth, f.order?))) {
        of_rung.entry(order.0).or_default().push(nth);
    }
    of_rung.retain(|_, claimants| claimants.len() > 1);
    for (rung, claimants) in of_rung {
        let Some(rung) = view.rungs.get(rung) else { continue };
        let settles = |nth: &usize| {
            found
                .get(*nth)
                .is_some_and(|f| !f.mend.is_empty() && ladder::is_settled_with(view, rung, &f.mend))
        };
        let (settle, others): (Vec<usize>, Vec<usize>) = claimants.into_iter().partition(settles);
        if settle.is_empty() {
            continue;
        }
        for nth in others {
            // What has no remedy in the model cannot be tried.
            if let Some(other) = found.get_mut(nth).filter(|f| !f.mend.is_empty()) {
                other.order = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, inject};

    #[test]
    fn a_cable_that_is_down_is_no_reason_for_what_nobody_behind_it_answers() {
        let mut cloud = broken("guest-resolv-conf-wrong");
        inject(&mut cloud, "flatif-down");
        let found = codes(&cloud.diagnose("web1"));
        assert_eq!(found, ["guest-resolv-conf-wrong web1//eth0", "flatif-down compute1//eth1"]);
    }

    #[test]
    fn of_two_in_a_row_the_nearer_is_first() {
        let mut cloud = broken("tap-down");
        inject(&mut cloud, "uplink-down");
        assert_eq!(
            codes(&cloud.diagnose("web1")),
            ["tap-down compute1//vnet0", "uplink-down compute1//eth0"]
        );
    }
}
