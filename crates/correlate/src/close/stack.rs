//! The order of devices that lie on top of one another, where their stamps do not tell it.
//!
//! What is received is stamped once, and every device that it is handed up to shows that stamp (net/core/dev.c,
//! `net_timestamp_check` keeps one that is set): port, VLAN device and bridge have the same. What is sent is stamped
//! anew at each device that it is handed down to (`dev_queue_xmit_nit`). So of two devices the lower one is the one
//! that sends later, and it receives first.

use std::cmp::Ordering;

use super::Closing;
use crate::VANTAGES_MAX;
use crate::journey::Stop;

/// How often each vantage has shown a packet before each other one of the same clock, with an earlier stamp.
#[derive(Debug)]
pub(super) struct Stack {
    before: Vec<u64>,
}

impl Stack {
    pub(super) fn new() -> Stack {
        Stack { before: vec![0; VANTAGES_MAX * VANTAGES_MAX] }
    }

    fn before(&self, a: u16, b: u16) -> u64 {
        let index = usize::from(a) * VANTAGES_MAX + usize::from(b);
        self.before.get(index).copied().unwrap_or_default()
    }

    fn learn(&mut self, a: u16, b: u16) {
        if let Some(count) = self.before.get_mut(usize::from(a) * VANTAGES_MAX + usize::from(b)) {
            *count += 1;
        }
    }

    /// Of two equal stamps, the lower device's comes first.
    fn is_upper(&self, a: u16, b: u16) -> bool {
        self.before(a, b).cmp(&self.before(b, a)) == Ordering::Greater
    }
}

impl Closing {
    /// Puts stops with equal stamps in their order, and learns from those whose stamps differ.
    pub(super) fn settle(&mut self, stops: &mut [Stop]) {
        if self.vantages.len() <= self.is_mixed.len() {
            // Every source is one vantage.
            return;
        }
        let mut start = 0;
        while let Some(first) = stops.get(start).copied() {
            let source = self.source(first.vantage);
            let is_near = |stop: &&Stop| stop.ttl == first.ttl && self.source(stop.vantage) == source;
            let run = stops.iter().skip(start).take_while(is_near).count();
            if let Some(run) = stops.get_mut(start..start + run) {
                self.settle_run(run);
            }
            start += run;
        }
    }

    /// One clock, and no router between.
    fn settle_run(&mut self, run: &mut [Stop]) {
        for (at, stop) in run.iter().enumerate() {
            for later in run.iter().skip(at + 1).filter(|later| later.time_ns > stop.time_ns) {
                self.stack.learn(stop.vantage, later.vantage);
            }
        }
        // Few are equal: the simplest of sorts, which bears an order that contradicts itself.
        for end in (1..run.len()).rev() {
            for at in 0..end {
                if let Some([one, other]) = run.get_mut(at..at + 2)
                    && one.time_ns == other.time_ns
                    && self.stack.is_upper(one.vantage, other.vantage)
                {
                    std::mem::swap(one, other);
                }
            }
        }
    }
}
