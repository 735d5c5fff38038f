//! One case tried: built, read, asked about, sent through.

use std::time::Duration;

use model::Snapshot;

use crate::case::{Case, Probe};
use crate::cloud::Cloud;
use crate::error::SelftestError;
use crate::judge::{self, Asked, Said};
use crate::wire::{Seen, Wire};

/// How long a packet that is said to arrive is waited for. Everything is one machine's memory.
const PATIENCE: Duration = Duration::from_millis(150);
/// The same where a disagreement is about to be held against the walk, and for what is said to be lost.
const PATIENCE_ALONE: Duration = Duration::from_millis(400);

/// A case that was built and sent through. Its namespaces live as long as it does, so that what comes
/// late is still heard.
pub(crate) struct Trial {
    pub(crate) case: Case,
    pub(crate) snapshot: Snapshot,
    pub(crate) said: Vec<Said>,
    wire: Wire,
    _cloud: Cloud,
}

/// A probe of a trial that fared otherwise than said.
#[derive(Debug, Clone)]
pub(crate) struct Disagreement {
    pub(crate) asked: Asked,
    pub(crate) snapshot: Snapshot,
    pub(crate) said: Said,
    pub(crate) seen: Seen,
    pub(crate) own_port: u16,
}

impl Trial {
    /// Tries a whole case.
    pub(crate) fn run(case: Case) -> Result<Trial, SelftestError> {
        Trial::with_patience(case, None)
    }

    /// Tries a case of one probe, and waits for what is said to be lost as long as for what is not. What
    /// disagreed, if it did.
    pub(crate) fn alone(case: &Case, probe: Probe) -> Result<Option<Disagreement>, SelftestError> {
        let trial = Trial::with_patience(Case { probes: vec![probe], ..case.clone() }, Some(PATIENCE_ALONE))?;
        Ok(trial.disagreements().into_iter().next().and_then(|nth| trial.disagreement(nth)))
    }

    fn with_patience(case: Case, alone: Option<Duration>) -> Result<Trial, SelftestError> {
        let seed = case.seed;
        let run = || {
            let mut cloud = Cloud::build(&case)?;
            cloud.load(&case)?;
            let mut wire = Wire::open(&cloud.namespaces, &case)?;
            cloud.settle()?;
            let snapshot = cloud.read(&case)?;
            let said = judge::ask(&snapshot, &asked(&case));
            let enough = |seen: &[Seen]| {
                alone.is_none() && said.iter().zip(seen).all(|(said, seen)| said.has_come(seen))
            };
            wire.send(&mut cloud.namespaces, alone.unwrap_or(PATIENCE), enough)?;
            Ok(Trial { case, snapshot, said, wire, _cloud: cloud })
        };
        run().map_err(|source| SelftestError::Case { seed, source: Box::new(source) })
    }

    /// Hears what has come late.
    pub(crate) fn listen(&mut self) {
        self.wire.listen();
    }

    /// Probes, by number, that fared otherwise than said.
    pub(crate) fn disagreements(&self) -> Vec<usize> {
        let fared = self.case.probes.iter().zip(&self.said).zip(self.wire.seen()).enumerate();
        let otherwise = fared
            .filter(|(nth, ((probe, said), seen))| !said.agrees(seen, probe.kind, self.wire.own_port(*nth)));
        otherwise.map(|(nth, _)| nth).collect()
    }

    pub(crate) fn disagreement(&self, nth: usize) -> Option<Disagreement> {
        let said = self.said.get(nth)?;
        Some(Disagreement {
            asked: asked(&self.case).into_iter().nth(nth)?,
            snapshot: self.snapshot.clone(),
            said: said.clone(),
            seen: self.wire.seen().get(nth)?.clone(),
            own_port: self.wire.own_port(nth),
        })
    }
}

/// The case's probes by the names of those who send them.
fn asked(case: &Case) -> Vec<Asked> {
    let name = |at: usize| case.machines.get(at).map(|m| m.name.clone()).unwrap_or_default();
    case.probes.iter().map(|p| Asked { from: name(p.from), to: p.to, kind: p.kind }).collect()
}
