//! A case drawn from a seed: first what is plugged into what, then how it is set, then the rules, then
//! the packets.

mod blanks;
mod places;
mod pool;
mod probes;
mod rules;
mod settings;
mod topology;

pub(crate) use blanks::{Blanks, fill};
pub(crate) use places::places;
pub(crate) use pool::Pool;

use std::collections::BTreeSet;

use crate::case::{Backend, Case};
use crate::random::Random;

/// What may be drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Menu {
    /// Back ends that this machine has.
    pub(crate) backends: Vec<Backend>,
    /// Words that this machine's kernel or tools refuse, by back end and name.
    pub(crate) refused: BTreeSet<(Backend, &'static str)>,
    /// IPv6 is there.
    pub(crate) v6: bool,
    /// Bridges call iptables (br_netfilter).
    pub(crate) br_netfilter: bool,
    /// Also what the walk is known not to know.
    pub(crate) unmodelled: bool,
}

/// Draws the case of a seed.
pub(crate) fn draw(seed: u64, menu: &Menu) -> Case {
    let mut random = Random::new(seed);
    let mut case = topology::draw(&mut random, seed, menu.v6);
    settings::draw(&mut random, menu, &mut case);
    // Before the rules, which are written about them.
    case.probes = probes::draw(&mut random, &case);
    let pools: Vec<Pool> = (0..case.machines.len()).map(|at| Pool::of(&case, at)).collect();
    for (at, pool) in pools.iter().enumerate() {
        let rulesets = rules::draw(&mut random, menu, pool, at);
        if let Some(machine) = case.machines.get_mut(at) {
            machine.rulesets = rulesets;
        }
    }
    case
}
