//! Taking away from a case whatever it still disagrees without.

use std::time::{Duration, Instant};

use model::link::BridgePort;
use model::netfilter::Policy;

use crate::case::{CableEnd, Case, Chain, Machine, Probe, Ruleset};
use crate::error::SelftestError;
use crate::trial::{Disagreement, Trial};

/// Longest that one case is shrunk.
const TIME_MAX: Duration = Duration::from_secs(30);

/// The least case found in which the probe still fares otherwise than said, with how it fares.
pub(crate) fn shrink(
    case: &Case,
    probe: Probe,
    found: Disagreement,
) -> Result<(Case, Disagreement), SelftestError> {
    let give_up = Instant::now() + TIME_MAX;
    let mut least = Case { probes: vec![probe], ..case.clone() };
    let mut lasting = found;
    let mut size = count(&least).div_ceil(2).max(1);
    loop {
        let (mut at, mut taken) = (0, false);
        while at < count(&least) && Instant::now() < give_up {
            let smaller = without(&least, at..at + size);
            match disagrees(&smaller) {
                Some(still) => (least, lasting, taken) = (smaller, still, true),
                None => at += size,
            }
        }
        if Instant::now() >= give_up || (size == 1 && !taken) {
            break;
        }
        size = (size / 2).max(1);
    }
    let least = without_bystanders(&least);
    // The last word has a run that waits for what is said to be lost.
    let last = least.probes.first().copied().map(|probe| Trial::alone(&least, probe)).transpose()?;
    Ok((least, last.flatten().unwrap_or(lasting)))
}

/// Whether the case's one probe disagrees. What cannot be built any more shows nothing.
fn disagrees(case: &Case) -> Option<Disagreement> {
    let trial = Trial::run(case.clone()).ok()?;
    trial.disagreement(*trial.disagreements().first()?)
}

/// How many pieces can be taken away.
fn count(case: &Case) -> usize {
    let mut cutter = Cutter { at: 0, cut: 0..0 };
    cutter.case(case.clone());
    cutter.at
}

/// The case without the pieces of these numbers.
fn without(case: &Case, cut: std::ops::Range<usize>) -> Case {
    Cutter { at: 0, cut }.case(case.clone())
}

/// Walks through a case in a fixed order and numbers what can be taken away.
struct Cutter {
    at: usize,
    cut: std::ops::Range<usize>,
}

impl Cutter {
    /// Whether the next piece stays.
    fn stays(&mut self) -> bool {
        let at = self.at;
        self.at += 1;
        !self.cut.contains(&at)
    }

    fn case(&mut self, mut case: Case) -> Case {
        for machine in &mut case.machines {
            machine.rulesets.retain_mut(|ruleset| {
                let stays = self.stays();
                self.ruleset(ruleset);
                stays
            });
            self.settings(machine);
        }
        let v6 = case.v6;
        if v6 && !self.stays() {
            case.v6 = false;
            case.machines.iter_mut().for_each(without_v6);
        }
        let mut unplugged: Vec<CableEnd> = Vec::new();
        case.cables.retain_mut(|cable| {
            let stays = self.stays();
            for end in &mut cable.ends {
                if end.port.is_some_and(|port| port != BridgePort::default()) && !self.stays() {
                    end.port = None;
                }
                if end.down && !self.stays() {
                    end.down = false;
                }
                if !stays {
                    unplugged.push(end.clone());
                }
            }
            stays
        });
        for end in unplugged {
            if let Some(machine) = case.machines.get_mut(end.machine) {
                machine.addresses.retain(|(link, _)| *link != end.link);
                machine.neighbours.retain(|pinned| pinned.link != end.link);
                machine.sysctls.retain(|(key, _)| !key.contains(&format!("/{}/", end.link)));
            }
        }
        case
    }

    fn settings(&mut self, machine: &mut Machine) {
        machine.sysctls.retain(|_| self.stays());
        machine.fib_rules.retain(|_| self.stays());
        machine.routes.retain(|_| self.stays());
        machine.neighbours.retain(|_| self.stays());
        machine.addresses.retain(|_| self.stays());
    }

    fn ruleset(&mut self, ruleset: &mut Ruleset) {
        ruleset.tables.retain_mut(|table| {
            let stays = self.stays();
            table.chains.retain_mut(|chain| {
                let stays = self.stays();
                self.chain(chain);
                stays
            });
            stays
        });
    }

    fn chain(&mut self, chain: &mut Chain) {
        if let Some(base) = &mut chain.base
            && base.policy == Policy::Drop
            && !self.stays()
        {
            base.policy = Policy::Accept;
        }
        chain.rules.retain_mut(|rule| {
            let stays = self.stays();
            rule.conditions.retain(|_| self.stays());
            stays
        });
    }
}

fn without_v6(machine: &mut Machine) {
    machine.addresses.retain(|(_, net)| net.addr().is_ipv4());
    machine.routes.retain(|route| route.destination.addr().is_ipv4());
    machine.fib_rules.retain(|(version, _)| *version == plumbing::rule::Protocol::V4);
    machine.neighbours.retain(|pinned| pinned.ip.is_ipv4());
    machine.sysctls.retain(|(key, _)| !key.starts_with("ipv6/"));
}

/// The case without the machines that no cable leads to and no probe comes from.
fn without_bystanders(case: &Case) -> Case {
    let mut case = case.clone();
    for at in (0..case.machines.len()).rev() {
        let plugged = case.cables.iter().flat_map(|cable| &cable.ends).any(|end| end.machine == at);
        if plugged || case.probes.iter().any(|probe| probe.from == at) {
            continue;
        }
        case.machines.remove(at);
        let ends = case.cables.iter_mut().flat_map(|cable| &mut cable.ends).map(|end| &mut end.machine);
        let senders = case.probes.iter_mut().map(|probe| &mut probe.from);
        ends.chain(senders).filter(|index| **index > at).for_each(|index| *index -= 1);
    }
    case
}
