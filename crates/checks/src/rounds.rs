//! Findings as the rounds of a diagnosis bring them in: each mends what the last one found, and looks again.

use std::collections::BTreeMap;

use model::finding::Finding;

use crate::diagnose::{Case, probe_of};
use crate::found::{Found, Reach};
use crate::ladder::Rung;
use crate::mend;
use crate::ranking::{Rank, Ranked};
use crate::said;
use crate::settling;
use crate::view::{Claim, Order, View};

/// Findings as they come in, round by round.
#[derive(Default)]
pub(crate) struct Log {
    /// What stops packets, in path order.
    findings: Vec<Ranked>,
    /// What is wrong and stops nothing.
    idle: Vec<Finding>,
    /// The stops that the findings account for.
    pub(crate) claims: Vec<Claim>,
}

impl Log {
    /// Takes in what stops an instance's packets first, and returns what would mend it; what stops
    /// nothing is taken once nothing stops any. `None` where nothing new stops a packet.
    pub(crate) fn take(&mut self, found: Vec<Found>, view: &View, round: usize) -> Option<Vec<mend::Mend>> {
        let (known, mut new): (Vec<Found>, Vec<Found>) =
            found.into_iter().partition(|f| self.knows(&f.finding));
        settling::yield_to_who_settles(&mut new, view);
        // What cannot be mended in the model goes on stopping packets, and accounts for those too.
        let orders: Vec<Order> = known.iter().filter_map(|f| f.order).collect();
        let again = view.stops().filter(|s| orders.contains(&s.order));
        self.claims.extend(again.map(|s| (s.hop.at.clone(), s.stop.clone())));
        new.sort_by_key(|f| f.order.unwrap_or((usize::MAX, 0, 0)));
        let mut firsts: BTreeMap<usize, Order> = BTreeMap::new();
        for order in new.iter().filter_map(|f| f.order) {
            let instance = view.rungs.get(order.0).map_or(usize::MAX, |r| r.instance);
            let first = firsts.entry(instance).or_insert(order);
            *first = order.min(*first);
        }
        if firsts.is_empty() {
            let mends = (!new.is_empty()).then(|| new.iter().flat_map(|f| f.mend.clone()).collect());
            self.idle.extend(new.into_iter().map(|f| f.finding));
            return mends;
        }
        let mut mends = Vec::new();
        for found in new {
            let Some(order) = found.order.filter(|o| firsts.values().any(|f| f == o)) else { continue };
            let claimed = view.stops().filter(|s| s.order == order);
            self.claims.extend(claimed.map(|s| (s.hop.at.clone(), s.stop.clone())));
            mends.extend(found.mend);
            let rank = if round == 0 { Rank::Rung(order.0) } else { Rank::Behind };
            let is_foreseen = found.is_foreseen && view.rungs.get(order.0).is_some();
            self.findings.push(Ranked {
                rank,
                reach: found.reach,
                is_foreseen,
                seen_at: found.lost_at,
                finding: found.finding,
            });
        }
        Some(mends)
    }

    /// All findings, each with what a probe of its question said.
    pub(crate) fn into_findings(self, case: &Case, rungs: &[Rung]) -> Vec<Ranked> {
        let probed = |mut ranked: Ranked| {
            let rung = match ranked.rank {
                Rank::Rung(nth) => rungs.get(nth),
                Rank::Behind | Rank::Idle => None,
            };
            let probe = rung.and_then(|rung| probe_of(case, rung));
            ranked.finding.evidence.extend(probe.map(said::evidence));
            ranked
        };
        let idle = self.idle.into_iter().map(|finding| Ranked {
            rank: Rank::Idle,
            reach: Reach::Device,
            is_foreseen: false,
            seen_at: None,
            finding,
        });
        self.findings.into_iter().map(probed).chain(idle).collect()
    }

    fn knows(&self, finding: &Finding) -> bool {
        let mut known = self.findings.iter().map(|ranked| &ranked.finding).chain(&self.idle);
        known.any(|k| k.code == finding.code && k.hop.same_device(&finding.hop) && k.cause == finding.cause)
    }
}
