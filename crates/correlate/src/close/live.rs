//! What a run that goes on is told, and asked.

use model::sighting::Address;

use super::Closing;
use crate::report::Lost;

impl Closing {
    /// Packets for `destination` are meant to go from `at` on to `next`, which sees whatever passes.
    pub(crate) fn teach(&mut self, at: u16, destination: Address, next: u16) {
        self.next_hops.teach(at, destination, next);
        if let Some(watch) = self.watches.get_mut(usize::from(next)) {
            watch.is_awake = true;
        }
    }

    /// What was found to be lost so far.
    pub(crate) fn lost(&self) -> &[Lost] {
        &self.findings.lost
    }
}
