//! Packets that were seen more than once at one place: copies that the network has made, as far as that is certain.

use super::Closing;
use crate::journey::Journey;
use crate::report::Example;

impl Closing {
    /// A copy is made once, and seen at every vantage behind. Where none was before, there is nobody to tell that the
    /// sender has sent but one.
    pub(super) fn copies(&mut self, journey: &Journey) {
        if journey.is_said_again() {
            return;
        }
        let mut before = None;
        for stop in &journey.stops {
            let is_mixed = self.is_mixed(stop.vantage);
            let Some(watch) = self.watches.get_mut(usize::from(stop.vantage)) else { continue };
            let copies = u64::from(stop.copies.saturating_sub(before.unwrap_or(1)));
            let may_repeat = before.is_none() && journey.may_be_sent_again(stop);
            if is_mixed {
                watch.stops += 1;
                watch.doubled += u64::from(copies > 0);
            } else {
                before = Some(stop.copies);
            }
            if copies == 0 {
                continue;
            }
            let findings = &mut self.findings;
            let (count, first) = match (is_mixed, may_repeat) {
                (true, true) => (&mut watch.repeats, &mut watch.repeated),
                (true, false) => (&mut watch.copies, &mut watch.copied),
                (false, true) => (&mut findings.repeats, &mut findings.repeated),
                (false, false) => (&mut findings.duplicates, &mut findings.duplicate),
            };
            *count += copies;
            first.get_or_insert(Example::of(journey, stop));
        }
    }
}
